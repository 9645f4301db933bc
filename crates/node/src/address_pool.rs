//! The addresses that a node may give to its pods: the hosts of its pod ranges, one per family each.
//!
//! The pool keeps no file. Each pod's own record holds its addresses, and a starting node reserves what it
//! finds there.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The first host of a range is left free: by custom it is a gateway.
const FIRST_OFFSET: u128 = 2;

/// Ranges with the addresses in use.
#[derive(Debug, Default)]
pub(crate) struct AddressPool {
    ranges: Vec<IpNet>,
    used: HashSet<IpAddr>,
    /// Where each range's search goes on, so that an address is not given again at once.
    next: HashMap<IpNet, u128>,
}

impl AddressPool {
    /// Sets the node's ranges; addresses in use stay so.
    pub(crate) fn set_ranges(&mut self, ranges: &[IpNet]) {
        self.ranges = ranges.iter().map(IpNet::trunc).collect();
    }

    /// Whether there is a range to give from.
    pub(crate) fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Marks addresses as used by a pod that was there before this process.
    pub(crate) fn reserve(&mut self, addresses: &[IpAddr]) {
        self.used.extend(addresses);
    }

    /// One free address of each range, or none at all when one of them is full.
    pub(crate) fn allocate(&mut self) -> Option<Vec<IpAddr>> {
        let ranges = self.ranges.clone();
        let found: Option<Vec<IpAddr>> = ranges.iter().map(|range| self.find(*range)).collect();
        let found = found.filter(|addresses| !addresses.is_empty())?;
        self.used.extend(&found);
        Some(found)
    }

    /// Gives addresses back.
    pub(crate) fn release(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            self.used.remove(address);
        }
    }

    fn find(&mut self, range: IpNet) -> Option<IpAddr> {
        let end = end_offset(range);
        let count = end.checked_sub(FIRST_OFFSET)?;
        let start = *self.next.get(&range).unwrap_or(&FIRST_OFFSET);
        // In use are at most as many as there are entries, so the search is bounded by that.
        let tries = count.min(self.used.len() as u128 + 1);
        for step in 0..tries {
            let offset = FIRST_OFFSET + (start - FIRST_OFFSET + step) % count;
            let address = nth(range, offset);
            if !self.used.contains(&address) {
                self.next
                    .insert(range, FIRST_OFFSET + (offset + 1 - FIRST_OFFSET) % count);
                return Some(address);
            }
        }
        None
    }
}

/// The first offset that is no host any more; IPv4's last address is the broadcast.
fn end_offset(range: IpNet) -> u128 {
    let host_bits = u32::from(range.max_prefix_len() - range.prefix_len());
    // Beyond 2^64 nobody counts; the cap keeps the shift in range.
    let size = 1u128 << host_bits.min(64);
    if range.addr().is_ipv4() {
        size.saturating_sub(1)
    } else {
        size
    }
}

fn nth(range: IpNet, offset: u128) -> IpAddr {
    match range {
        IpNet::V4(range) => {
            let offset = u32::try_from(offset).expect("an IPv4 range has at most 2^32 hosts");
            Ipv4Addr::from(u32::from(range.network()) + offset).into()
        }
        IpNet::V6(range) => Ipv6Addr::from(u128::from(range.network()) + offset).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(ranges: &[&str]) -> AddressPool {
        let mut pool = AddressPool::default();
        let ranges: Vec<IpNet> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        pool.set_ranges(&ranges);
        pool
    }

    fn text(addresses: Option<Vec<IpAddr>>) -> String {
        let addresses = addresses.unwrap_or_default();
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn one_address_per_family_in_turn() {
        let mut pool = pool(&["10.244.1.0/24", "fd00:1::/64"]);
        assert_eq!(text(pool.allocate()), "10.244.1.2 fd00:1::2");
        assert_eq!(text(pool.allocate()), "10.244.1.3 fd00:1::3");
        pool.release(&["10.244.1.2".parse().unwrap(), "fd00:1::2".parse().unwrap()]);
        assert_eq!(
            text(pool.allocate()),
            "10.244.1.4 fd00:1::4",
            "not given again at once"
        );
    }

    #[test]
    fn a_full_range_gives_none_until_one_comes_back() {
        let mut pool = pool(&["10.0.0.0/29"]);
        let all: Vec<String> = (0..5).map(|_| text(pool.allocate())).collect();
        assert_eq!(
            all,
            ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
        );
        assert_eq!(pool.allocate(), None);
        pool.release(&["10.0.0.4".parse().unwrap()]);
        assert_eq!(text(pool.allocate()), "10.0.0.4");
    }

    #[test]
    fn addresses_of_earlier_pods_are_not_given() {
        let mut pool = pool(&["10.0.0.0/24"]);
        pool.reserve(&["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()]);
        assert_eq!(text(pool.allocate()), "10.0.0.4");
    }

    #[test]
    fn without_ranges_there_is_nothing() {
        assert_eq!(AddressPool::default().allocate(), None);
        assert_eq!(pool(&["10.0.0.4/32"]).allocate(), None);
    }
}
