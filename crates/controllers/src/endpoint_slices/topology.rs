//! Hints of `topology-mode: Auto`: endpoints are shared out to zones by the zones' part of the processors
//! (KEP-2433, `k8s.io/endpointslice/topologycache`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::discovery::v1::{EndpointHints, EndpointSlice, ForZone};

use crate::endpoint_slices::endpoint::{Family, zone};
use crate::endpoint_slices::hints::{is_ready, move_to_update, remove, written};
use crate::endpoint_slices::pack::Packed;
use crate::quantity;
use crate::recorder::Note;

/// How much more than its share an endpoint may get.
const OVERLOAD: f64 = 0.2;

/// Each zone's part of the processors of all ready nodes; `None` if a node does not say.
pub(super) type Shares = Option<BTreeMap<String, f64>>;

/// The shares as the nodes are.
pub(super) fn shares(nodes: &[Arc<Node>]) -> Shares {
    let mut by_zone = BTreeMap::<String, f64>::new();
    for node in nodes.iter().filter(|node| counts(node)) {
        let allocatable = node
            .status
            .as_ref()
            .and_then(|status| status.allocatable.as_ref());
        let cpu = allocatable
            .and_then(|all| all.get("cpu"))
            .and_then(|cpu| quantity::value(&cpu.0));
        let cpu = cpu.filter(|cpu| *cpu > 0.0)?;
        *by_zone.entry(zone(node)?).or_default() += cpu;
    }
    let total: f64 = by_zone.values().sum();
    let enough = by_zone.len() >= 2;
    enough.then(|| {
        by_zone
            .into_iter()
            .map(|(zone, cpu)| (zone, cpu / total))
            .collect()
    })
}

/// Ready nodes count, but for those of the control plane.
fn counts(node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let labelled = |name: &str| labels.is_some_and(|labels| labels.contains_key(name));
    let control = labelled("node-role.kubernetes.io/control-plane")
        || labelled("node-role.kubernetes.io/master");
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready");
    !control && ready.is_some_and(|ready| ready.status == "True")
}

/// What one zone is to get.
#[derive(Clone, Copy, Debug)]
struct Part {
    maximum: usize,
    desired: f64,
}

/// Hints all endpoints by zone, or none if that would overload some. Returns what is to be told.
pub(super) fn hint(
    packed: &mut Packed,
    shares: &Shares,
    family: Family,
    hinted_before: bool,
) -> Vec<Note> {
    match try_hint(packed, shares) {
        Ok(()) if hinted_before => Vec::new(),
        Ok(()) => {
            let text = format!(
                "Topology Aware Hints has been enabled, addressType: {}",
                family.name()
            );
            vec![Note::normal("TopologyAwareHintsEnabled", text)]
        }
        Err(why) => {
            remove(packed);
            vec![disabled(&why, family)]
        }
    }
}

/// The event that hints are gone.
pub(super) fn disabled(why: &str, family: Family) -> Note {
    let text = format!("{why}, addressType: {}", family.name());
    Note::warning("TopologyAwareHintsDisabled", text)
}

fn try_hint(packed: &mut Packed, shares: &Shares) -> Result<(), String> {
    let all = packed.create.iter().chain(&packed.update);
    let all = all.chain(packed.unchanged.iter().map(AsRef::as_ref));
    let ready: usize = all.map(ready_count).sum();
    let parts = parts(shares, ready)?;
    let mut given = BTreeMap::<String, usize>::new();
    move_to_update(packed, |slice| match hints_of(slice, &given, &parts) {
        Some(hints) => {
            hints
                .into_iter()
                .for_each(|(zone, count)| *given.entry(zone).or_default() += count);
            false
        }
        None => true,
    });
    for endpoint in written(packed) {
        endpoint.hints = None;
        if !is_ready(endpoint) {
            continue;
        }
        let Some(zone) = endpoint.zone.clone().filter(|zone| !zone.is_empty()) else {
            return Err("One or more endpoints do not have a zone specified".to_owned());
        };
        *given.entry(zone.clone()).or_default() += 1;
        endpoint.hints = Some(for_zone(zone));
    }
    redistribute(packed, moves(&parts, &given), &mut given);
    if given.is_empty() {
        return Err("No hints allocated for zones".to_owned());
    }
    Ok(())
}

fn parts(shares: &Shares, endpoints: usize) -> Result<BTreeMap<String, Part>, String> {
    let Some(shares) = shares else {
        return Err("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes".to_owned());
    };
    let zones = shares.len();
    if zones > endpoints {
        return Err(format!(
            "Insufficient number of endpoints ({endpoints} endpoints, {zones} zones)"
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of endpoints are small")]
    let desired = |share: f64| share * endpoints as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    let minimum = |share: f64| (desired(share) / (1.0 + OVERLOAD)).ceil() as usize;
    let total: usize = shares.values().map(|share| minimum(*share)).sum();
    if total > endpoints {
        return Err(format!(
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ({endpoints} endpoints, {zones} zones)"
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of endpoints are small")]
    let part = |share: f64| Part {
        maximum: minimum(share) + endpoints - total,
        desired: desired(share).max(minimum(share) as f64),
    };
    Ok(shares
        .iter()
        .map(|(zone, share)| (zone.clone(), part(*share)))
        .collect())
}

fn ready_count(slice: &EndpointSlice) -> usize {
    slice
        .endpoints
        .iter()
        .flatten()
        .filter(|endpoint| is_ready(endpoint))
        .count()
}

/// The hints of a slice by zone, if they may stay: all there, for zones that take part, and not too many.
fn hints_of(
    slice: &EndpointSlice,
    given: &BTreeMap<String, usize>,
    parts: &BTreeMap<String, Part>,
) -> Option<BTreeMap<String, usize>> {
    let mut found = BTreeMap::<String, usize>::new();
    for endpoint in slice
        .endpoints
        .iter()
        .flatten()
        .filter(|endpoint| is_ready(endpoint))
    {
        let zones = endpoint
            .hints
            .as_ref()?
            .for_zones
            .as_deref()
            .filter(|zones| !zones.is_empty())?;
        for zone in zones {
            *found.entry(zone.name.clone()).or_default() += 1;
        }
    }
    let fits = |(zone, count): (&String, &usize)| {
        parts
            .get(zone)
            .is_some_and(|part| count + given.get(zone).copied().unwrap_or(0) <= part.maximum)
    };
    found.iter().all(fits).then_some(found)
}

/// From which zone to which zone endpoints go: from the one with most too many to the one that lacks most.
fn moves(parts: &BTreeMap<String, Part>, given: &BTreeMap<String, usize>) -> Vec<(String, String)> {
    #[expect(clippy::cast_precision_loss, reason = "numbers of endpoints are small")]
    let balance =
        |zone: &String, part: &Part| given.get(zone).copied().unwrap_or(0) as f64 - part.desired;
    let mut balances: BTreeMap<_, _> = parts
        .iter()
        .map(|(zone, part)| (zone, balance(zone, part)))
        .collect();
    let mut moves = Vec::new();
    loop {
        let most = balances
            .iter()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(zone, much)| (*zone, *much));
        let least = balances
            .iter()
            .min_by(|a, b| a.1.total_cmp(b.1))
            .map(|(zone, much)| (*zone, -*much));
        let (Some((from, give)), Some((to, take))) = (most, least) else {
            break;
        };
        if (give < 1.0 && take < 1.0) || give < 0.5 || take < 0.5 {
            break;
        }
        *balances.entry(from).or_default() -= 1.0;
        *balances.entry(to).or_default() += 1.0;
        moves.push((from.clone(), to.clone()));
    }
    moves
}

fn redistribute(
    packed: &mut Packed,
    mut moves: Vec<(String, String)>,
    given: &mut BTreeMap<String, usize>,
) {
    for endpoint in written(packed).filter(|endpoint| is_ready(endpoint)) {
        let of_zone = |(from, _): &(String, String)| Some(from) == endpoint.zone.as_ref();
        let Some(index) = moves.iter().position(of_zone) else {
            continue;
        };
        let (from, to) = moves.remove(index);
        if let Some(count) = given.get_mut(&from) {
            *count -= 1;
        }
        *given.entry(to.clone()).or_default() += 1;
        endpoint.hints = Some(for_zone(to));
    }
}

fn for_zone(name: String) -> EndpointHints {
    EndpointHints {
        for_zones: Some(vec![ForZone { name }]),
        for_nodes: None,
    }
}
