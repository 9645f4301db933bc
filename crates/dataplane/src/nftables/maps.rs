//! The named maps and sets, each with what leads to what. The skeleton declares them, the elements
//! go into them; IPv4 and IPv6 have one each.

use forwarding::Family;

/// The one table that is ours.
pub(super) const TABLE: &str = "fairway";

/// A map or set whose elements follow from a forwarding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Map {
    /// Frontend → what is done: on to a chain, or drop.
    Frontends,
    /// The same for those who have passed the source ranges of a load balancer's address.
    Admitted,
    /// Frontend and range of sources that may dial it.
    Sources,
    /// Frontend → what is done with outsiders under `externalTrafficPolicy: Local`.
    Outsiders,
    /// Frontend and slot → endpoint.
    Slots,
    /// Frontend and slot → endpoint for outsiders.
    OutsiderSlots,
    /// Frontend → the Service port's number, by which clients are remembered.
    StickyPorts,
    /// Frontend and slot → the endpoint's number.
    StickySlots,
    /// Frontend and slot → the endpoint's number, for outsiders.
    StickyOutsiderSlots,
    /// Frontend and endpoint's number → endpoint, as long as it may be chosen.
    StickyTargets,
    /// The same for outsiders.
    StickyOutsiderTargets,
    /// Every cluster IP.
    ClusterIps,
    /// Each local endpoint, twice: as source and as destination.
    Hairpins,
}

impl Map {
    /// All of them.
    pub(super) const ALL: [Map; 13] = [
        Map::Slots,
        Map::OutsiderSlots,
        Map::StickyTargets,
        Map::StickyOutsiderTargets,
        Map::StickySlots,
        Map::StickyOutsiderSlots,
        Map::StickyPorts,
        Map::Sources,
        Map::Outsiders,
        Map::Admitted,
        Map::Frontends,
        Map::ClusterIps,
        Map::Hairpins,
    ];

    /// Its name in the kernel.
    pub(super) fn name(self, family: Family) -> &'static str {
        let [v4, v6] = self.names();
        if family == Family::V4 { v4 } else { v6 }
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Map::Frontends => ["frontends4", "frontends6"],
            Map::Admitted => ["admitted4", "admitted6"],
            Map::Sources => ["sources4", "sources6"],
            Map::Outsiders => ["outsiders4", "outsiders6"],
            Map::Slots => ["slots4", "slots6"],
            Map::OutsiderSlots => ["outsider-slots4", "outsider-slots6"],
            Map::StickyPorts => ["sticky-ports4", "sticky-ports6"],
            Map::StickySlots => ["sticky-slots4", "sticky-slots6"],
            Map::StickyOutsiderSlots => ["sticky-outsider-slots4", "sticky-outsider-slots6"],
            Map::StickyTargets => ["sticky-targets4", "sticky-targets6"],
            Map::StickyOutsiderTargets => ["sticky-outsider-targets4", "sticky-outsider-targets6"],
            Map::ClusterIps => ["cluster-ips4", "cluster-ips6"],
            Map::Hairpins => ["hairpins4", "hairpins6"],
        }
    }
}

/// Who was sent where, written by the packets themselves: client and Service port → endpoint.
pub(super) fn clients(family: Family) -> &'static str {
    if family == Family::V4 {
        "sticky-clients4"
    } else {
        "sticky-clients6"
    }
}
