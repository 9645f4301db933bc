//! How many replicas each ReplicaSet gets, in a roll-out and when a Deployment is scaled
//! (`pkg/controller/deployment/rolling.go` and `scale` in `sync.go`).

use std::cmp::Reverse;

use crate::deployment::annotations::{self, DESIRED, MAXIMUM};
use crate::deployment::plan::Draft;
use crate::deployment::size::{available, max_surge, max_unavailable, of, rolls, wanted};

/// The size of the newest ReplicaSet: as much as the surge leaves room for.
pub(super) fn size_of_new(draft: &Draft<'_>, new: usize) -> i32 {
    let (size, goal) = (draft.size(new), wanted(&draft.deployment));
    if !rolls(&draft.deployment) {
        return goal;
    }
    let total: i32 = draft.sets.iter().map(|drafted| of(&drafted.set)).sum();
    let room = goal + max_surge(&draft.deployment) - total;
    if room <= 0 {
        size
    } else {
        size + room.min(goal - size)
    }
}

/// Scales the newest ReplicaSet; says whether that changed its size.
pub(super) fn scale_new(draft: &mut Draft<'_>) -> bool {
    let Some(new) = draft.new else {
        return false;
    };
    let (size, goal) = (draft.size(new), wanted(&draft.deployment));
    if size == goal {
        return false;
    }
    let to = if size > goal {
        goal
    } else {
        size_of_new(draft, new)
    };
    draft.resize(new, to)
}

/// Scales older ReplicaSets down: first pods that are not available anyway, then as many as may be missing.
pub(super) fn scale_old(draft: &mut Draft<'_>) -> bool {
    let old: Vec<_> = draft.old().collect();
    if old.iter().map(|index| draft.size(*index)).sum::<i32>() == 0 {
        return false;
    }
    let total: i32 = draft.sets.iter().map(|drafted| of(&drafted.set)).sum();
    let least = wanted(&draft.deployment) - max_unavailable(&draft.deployment);
    let new_unavailable = draft.new_set().map_or(0, |set| of(set) - available(set));
    let room = total - least - new_unavailable;
    if room <= 0 {
        return false;
    }
    let unhealthy = take_unhealthy(draft, &old, room);
    let healthy = take_healthy(draft, &old, least);
    unhealthy + healthy > 0
}

fn take_unhealthy(draft: &mut Draft<'_>, old: &[usize], room: i32) -> i32 {
    let mut taken = 0;
    for &index in old {
        let (size, healthy) = (draft.size(index), available(&draft.sets[index].set));
        if taken >= room || size == 0 || size <= healthy {
            continue;
        }
        let step = (room - taken).min(size - healthy);
        draft.resize(index, size - step);
        taken += step;
    }
    taken
}

fn take_healthy(draft: &mut Draft<'_>, old: &[usize], least: i32) -> i32 {
    let now: i32 = draft
        .sets
        .iter()
        .map(|drafted| available(&drafted.set))
        .sum();
    let (spare, mut taken) = (now - least, 0);
    for &index in old {
        let size = draft.size(index);
        if taken >= spare || size == 0 {
            continue;
        }
        let step = size.min(spare - taken);
        draft.resize(index, size - step);
        taken += step;
    }
    taken
}

/// Brings the ReplicaSets to a new size without rolling anything out.
pub(super) fn scale(draft: &mut Draft<'_>) {
    let goal = wanted(&draft.deployment);
    let active: Vec<_> = draft
        .old()
        .chain(draft.new)
        .filter(|index| draft.size(*index) > 0)
        .collect();
    match active.as_slice() {
        [] => {
            let newest_old = draft.old().last();
            if let Some(index) = draft.new.or(newest_old)
                && draft.size(index) != goal
            {
                draft.resize(index, goal);
            }
        }
        [only] if draft.size(*only) == goal => {}
        [only] => {
            draft.resize(*only, goal);
        }
        _ if is_saturated(draft) => {
            let old: Vec<_> = draft.old().filter(|index| draft.size(*index) > 0).collect();
            for index in old {
                draft.resize(index, 0);
            }
        }
        _ if rolls(&draft.deployment) => share(draft, active),
        _ => {}
    }
}

fn is_saturated(draft: &Draft<'_>) -> bool {
    let goal = wanted(&draft.deployment);
    draft.new_set().is_some_and(|set| {
        annotations::number(&set.metadata, DESIRED) == Some(goal.into())
            && of(set) == goal
            && available(set) == goal
    })
}

/// Shares the difference among the active ReplicaSets in proportion to their sizes; the largest gets what is left over.
fn share(draft: &mut Draft<'_>, mut active: Vec<usize>) {
    let goal = wanted(&draft.deployment);
    let allowed = if goal > 0 {
        goal + max_surge(&draft.deployment)
    } else {
        0
    };
    let total: i32 = active.iter().map(|index| draft.size(*index)).sum();
    let to_add = allowed - total;
    // By size; among equals the newer grows first and the older shrinks first.
    if to_add > 0 {
        active.sort_by_key(|index| (Reverse(draft.size(*index)), Reverse(*index)));
    } else {
        active.sort_by_key(|index| (Reverse(draft.size(*index)), *index));
    }
    let mut added = 0;
    let mut sizes = Vec::new();
    for index in &active {
        let part = proportion(draft, *index, to_add, added);
        added += part;
        sizes.push(draft.size(*index) + part);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    for (index, size) in active.into_iter().zip(sizes) {
        draft.resize(index, size);
    }
}

fn proportion(draft: &Draft<'_>, index: usize, to_add: i32, added: i32) -> i32 {
    let size = draft.size(index);
    if size == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(draft, index);
    let left = to_add - added;
    if to_add > 0 {
        fraction.min(left)
    } else {
        fraction.max(left)
    }
}

fn fraction(draft: &Draft<'_>, index: usize) -> i32 {
    let (set, goal) = (&draft.sets[index].set, wanted(&draft.deployment));
    if goal == 0 {
        return -of(set);
    }
    let maximum = f64::from(goal + max_surge(&draft.deployment));
    let noted = annotations::number(&set.metadata, MAXIMUM).filter(|noted| *noted != 0);
    let counted = || {
        draft
            .deployment
            .status
            .as_ref()
            .and_then(|status| status.replicas)
            .map(i64::from)
    };
    let Some(before) = noted.or_else(counted).filter(|before| *before != 0) else {
        return 0;
    };
    let scaled = f64::from(of(set)) * maximum / i32::try_from(before).map_or(f64::MAX, f64::from);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float beyond i32 saturates, which is far enough"
    )]
    let rounded = scaled.round() as i32;
    rounded - of(set)
}
