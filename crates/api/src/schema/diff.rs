//! The difference of two texts as Kubernetes' messages have it: a unified diff without file names, by the
//! algorithm of Python's difflib, which upstream took over.

use std::collections::{BTreeMap, HashMap};

/// Lines around a change.
const CONTEXT: usize = 3;

/// From this many lines on, lines that occur often are not looked for.
const POPULAR_FROM: usize = 200;

/// A run of lines that both texts have.
#[derive(Clone, Copy)]
struct Match {
    a: usize,
    b: usize,
    size: usize,
}

/// A stretch of both texts that is equal or not.
#[derive(Clone, Copy)]
struct Stretch {
    equal: bool,
    a: (usize, usize),
    b: (usize, usize),
}

/// The unified diff of two texts.
pub(crate) fn unified(a: &str, b: &str) -> String {
    let (a, b) = (lines(a), lines(b));
    let mut out = String::new();
    for group in groups(&stretches(&a, &b)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let (of_a, of_b) = (range(first.a.0, last.a.1), range(first.b.0, last.b.1));
        out.push_str(&format!("@@ -{of_a} +{of_b} @@\n"));
        for stretch in &group {
            let mut say = |sign: &str, lines: &[String]| {
                for line in lines {
                    out.push_str(sign);
                    out.push_str(line);
                }
            };
            let (before, after) = (&a[stretch.a.0..stretch.a.1], &b[stretch.b.0..stretch.b.1]);
            if stretch.equal {
                say(" ", before);
            } else {
                say("-", before);
                say("+", after);
            }
        }
    }
    out
}

/// With their ends; the last line is given one, too.
fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(|line| format!("{line}\n")).collect()
}

fn range(from: usize, to: usize) -> String {
    match to - from {
        1 => format!("{}", from + 1),
        0 => format!("{from},0"),
        length => format!("{},{length}", from + 1),
    }
}

/// Stretches with the equal ones cut to the context, a list for each change that stands apart.
fn groups(all: &[Stretch]) -> Vec<Vec<Stretch>> {
    let mut all = all.to_vec();
    if let Some(first) = all.first_mut().filter(|stretch| stretch.equal) {
        first.a.0 = first.a.0.max(first.a.1.saturating_sub(CONTEXT));
        first.b.0 = first.b.0.max(first.b.1.saturating_sub(CONTEXT));
    }
    if let Some(last) = all.last_mut().filter(|stretch| stretch.equal) {
        last.a.1 = last.a.1.min(last.a.0 + CONTEXT);
        last.b.1 = last.b.1.min(last.b.0 + CONTEXT);
    }
    let mut groups = Vec::new();
    let mut group: Vec<Stretch> = Vec::new();
    for mut stretch in all {
        if stretch.equal && stretch.a.1 - stretch.a.0 > 2 * CONTEXT {
            let mut end = stretch;
            end.a.1 = end.a.1.min(end.a.0 + CONTEXT);
            end.b.1 = end.b.1.min(end.b.0 + CONTEXT);
            group.push(end);
            groups.push(std::mem::take(&mut group));
            stretch.a.0 = stretch.a.0.max(stretch.a.1.saturating_sub(CONTEXT));
            stretch.b.0 = stretch.b.0.max(stretch.b.1.saturating_sub(CONTEXT));
        }
        group.push(stretch);
    }
    if group.iter().any(|stretch| !stretch.equal) {
        groups.push(group);
    }
    groups
}

fn stretches(a: &[String], b: &[String]) -> Vec<Stretch> {
    let (mut at_a, mut at_b) = (0, 0);
    let mut all = Vec::new();
    for found in matches(a, b) {
        if at_a < found.a || at_b < found.b {
            all.push(Stretch {
                equal: false,
                a: (at_a, found.a),
                b: (at_b, found.b),
            });
        }
        (at_a, at_b) = (found.a + found.size, found.b + found.size);
        if found.size > 0 {
            all.push(Stretch {
                equal: true,
                a: (found.a, at_a),
                b: (found.b, at_b),
            });
        }
    }
    all
}

/// The runs that both texts have, in order, adjacent ones joined; an empty one at the end.
fn matches(a: &[String], b: &[String]) -> Vec<Match> {
    let places = places(b);
    let mut found = Vec::new();
    let mut queue = vec![(0, a.len(), 0, b.len())];
    while let Some((a_from, a_to, b_from, b_to)) = queue.pop() {
        let longest = longest(a, b, &places, (a_from, a_to), (b_from, b_to));
        if longest.size == 0 {
            continue;
        }
        queue.push((a_from, longest.a, b_from, longest.b));
        queue.push((
            longest.a + longest.size,
            a_to,
            longest.b + longest.size,
            b_to,
        ));
        found.push(longest);
    }
    found.sort_unstable_by_key(|one| (one.a, one.b));
    let mut joined: Vec<Match> = Vec::new();
    for one in found {
        match joined.last_mut() {
            Some(last) if last.a + last.size == one.a && last.b + last.size == one.b => {
                last.size += one.size;
            }
            _ => joined.push(one),
        }
    }
    joined.push(Match {
        a: a.len(),
        b: b.len(),
        size: 0,
    });
    joined
}

type Places<'b> = HashMap<&'b str, Vec<usize>>;

/// Where each line of the second text is; lines that make up more than a hundredth of a long text are left out.
fn places(b: &[String]) -> Places<'_> {
    let mut places = Places::new();
    for (at, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    if b.len() >= POPULAR_FROM {
        let limit = b.len() / 100 + 1;
        places.retain(|_, at| at.len() <= limit);
    }
    places
}

/// The longest run in these ranges, the first of equally long ones; then as far as it goes on both sides.
fn longest(
    a: &[String],
    b: &[String],
    places: &Places<'_>,
    in_a: (usize, usize),
    in_b: (usize, usize),
) -> Match {
    let mut best = Match {
        a: in_a.0,
        b: in_b.0,
        size: 0,
    };
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, line) in a.iter().enumerate().take(in_a.1).skip(in_a.0) {
        let mut next = BTreeMap::new();
        for &j in places.get(line.as_str()).into_iter().flatten() {
            if !(in_b.0..in_b.1).contains(&j) {
                continue;
            }
            let before = j.checked_sub(1).and_then(|before| lengths.get(&before));
            let size = before.copied().unwrap_or(0) + 1;
            next.insert(j, size);
            if size > best.size {
                best = Match {
                    a: i + 1 - size,
                    b: j + 1 - size,
                    size,
                };
            }
        }
        lengths = next;
    }
    while best.a > in_a.0 && best.b > in_b.0 && a[best.a - 1] == b[best.b - 1] {
        best = Match {
            a: best.a - 1,
            b: best.b - 1,
            size: best.size + 1,
        };
    }
    let end = |best: &Match| (best.a + best.size, best.b + best.size);
    while end(&best).0 < in_a.1 && end(&best).1 < in_b.1 && a[end(&best).0] == b[end(&best).1] {
        best.size += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn changes_stand_between_three_lines_of_context() {
        let a = "1\n2\n3\n4\n5\n6";
        let b = "1\n2\n3\nfour\n5\n6";
        let wanted = "@@ -1,6 +1,6 @@\n 1\n 2\n 3\n-4\n+four\n 5\n 6\n";
        assert_eq!(unified(a, b), wanted);
        assert_eq!(unified(a, a), "");
    }

    #[test]
    fn changes_far_apart_are_told_apart() {
        let numbers: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let mut others = numbers.clone();
        others[2] = "x".to_owned();
        others.remove(25);
        let found = unified(&numbers.join("\n"), &others.join("\n"));
        let heads: Vec<&str> = found
            .lines()
            .filter(|line| line.starts_with("@@"))
            .collect();
        assert_eq!(heads, ["@@ -1,6 +1,6 @@", "@@ -23,7 +23,6 @@"]);
    }
}
