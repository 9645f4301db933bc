//! The chains for one number of endpoints, shared by every frontend that has so many.

use super::{HASH_CLIENT6, both, chain};

/// A number of endpoints and, with session affinity, for how long a client is remembered. The
/// number must stand in the rule (`numgen random mod 3`), and so must the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group {
    count: usize,
    sticky_seconds: Option<u32>,
}

impl Group {
    pub(crate) fn new(count: usize, sticky_seconds: Option<u32>) -> Self {
        Self {
            count,
            sticky_seconds,
        }
    }

    /// The chain that draws an endpoint and translates.
    pub(crate) fn name(self) -> String {
        match self.sticky_seconds {
            None => format!("n{}", self.count),
            Some(seconds) => format!("n{}-sticky-{seconds}", self.count),
        }
    }

    /// The same, and the client's address becomes the node's.
    pub(crate) fn masquerade(self) -> String {
        self.name() + "-masquerade"
    }

    /// The same, unless the client is a local pod.
    pub(crate) fn unless_local(self) -> String {
        self.name() + "-unless-local"
    }

    /// `externalTrafficPolicy: Local`: pods and the node itself draw from all endpoints,
    /// outsiders go by the map of outsiders.
    pub(crate) fn external_local(self) -> String {
        self.name() + "-external-local"
    }

    /// Draws one of this node's endpoints for an outsider.
    pub(crate) fn outsiders(self) -> String {
        self.name() + "-outsiders"
    }

    /// Every chain of the group, such that what leads to others comes later.
    pub(crate) fn chain_names(&self) -> Vec<String> {
        self.parts().into_iter().map(|(name, _)| name).collect()
    }

    /// Every chain of the group as text.
    pub(crate) fn chains(&self) -> String {
        self.parts()
            .into_iter()
            .map(|(name, rules)| chain(&name, &both(&rules)))
            .collect()
    }

    fn parts(self) -> Vec<(String, String)> {
        let (name, masquerade) = (self.name(), self.masquerade());
        let mut parts = match self.sticky_seconds {
            None => self.plain(),
            Some(seconds) => self.sticky(seconds),
        };
        let unless_local = format!("IP saddr @local# goto {name}\ngoto {masquerade}");
        let external_local = format!(
            "IP saddr @local# goto {name}
             fib saddr type local goto {masquerade}
             FRONTEND vmap @outsiders#"
        );
        parts.push((self.unless_local(), unless_local));
        parts.push((self.external_local(), external_local));
        parts
    }

    fn plain(self) -> Vec<(String, String)> {
        let count = self.count;
        let draw =
            |map: &str| format!("dnat IP to FRONTEND . numgen random mod {count} map @{map}#");
        let masquerade = format!("meta mark set meta mark | 0x00004000\ngoto {}", self.name());
        vec![
            (self.name(), draw("slots")),
            (self.masquerade(), masquerade),
            (self.outsiders(), draw("outsider-slots")),
        ]
    }

    fn sticky(self, seconds: u32) -> Vec<(String, String)> {
        let variants = [
            (self.name(), "sticky", ""),
            (
                self.masquerade(),
                "sticky",
                "meta mark set meta mark | 0x00004000\n",
            ),
            (self.outsiders(), "sticky-outsider", ""),
        ];
        let chains = variants.into_iter().flat_map(|(name, maps, mark)| {
            let known = format!("{name}-known");
            // The element's time is renewed and the endpoint looked up by its number. If it may
            // not be chosen any more, no rule here ends the packet's way and it is drawn afresh.
            let renew =
                format!("ONLY update @sticky-clients# {{ CLIENT timeout {seconds}s : meta mark }}");
            let go = format!(
                "ct mark set 0
                 {mark}dnat IP to FRONTEND . (meta mark & 0xffffbfff) map @{maps}-targets#"
            );
            let draw = format!(
                "ct mark set FRONTEND map @sticky-ports#
                 {HASH_CLIENT6}
                 ONLY meta mark set CLIENT map @sticky-clients# jump {known}
                 ct mark set FRONTEND map @sticky-ports#
                 {HASH_CLIENT6}
                 meta mark set FRONTEND . numgen random mod {} map @{maps}-slots#
                 ONLY delete @sticky-clients# {{ CLIENT : meta mark }}
                 {renew}
                 {go}",
                self.count
            );
            [(known, format!("{renew}\n{go}")), (name, draw)]
        });
        chains.collect()
    }
}
