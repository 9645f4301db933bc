//! A range of cluster IPs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{lower_band, order};

/// The usable addresses of a CIDR: of IPv4 all but the network's and the broadcast address, of IPv6 all but
/// the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    net: IpNet,
    size: u64,
}

impl AddressRange {
    /// The range of this CIDR. An IPv6 prefix shorter than 64 has none, as in kube-apiserver.
    pub fn new(net: IpNet) -> Option<Self> {
        let net = net.trunc();
        let host_bits = net.max_prefix_len() - net.prefix_len();
        if host_bits > 64 {
            return None;
        }
        let all = 1_u128 << host_bits;
        let reserved = if net.addr().is_ipv4() { 2 } else { 1 };
        let usable = all.saturating_sub(reserved);
        let size = u64::try_from(usable).unwrap_or(u64::MAX);
        Some(Self { net, size })
    }

    /// The CIDR.
    pub fn net(&self) -> IpNet {
        self.net
    }

    /// How many addresses there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many of the first ones are left to people as long as possible.
    pub fn static_size(&self) -> u64 {
        lower_band(self.size, 16, 256)
    }

    /// The first usable address; in the primary range it is that of `default/kubernetes`.
    pub fn first(&self) -> Option<IpAddr> {
        (self.size > 0).then(|| self.address(0))
    }

    /// Whether this address is one of the usable ones.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.net.addr().is_ipv4()
            && number(address)
                .checked_sub(number(self.net.network()) + 1)
                .is_some_and(|offset| offset < u128::from(self.size))
    }

    /// Whether this address lies in the band that is meant for people's choices.
    pub fn is_static(&self, address: IpAddr) -> bool {
        let offset = number(address).checked_sub(number(self.net.network()) + 1);
        self.contains(address) && offset.is_some_and(|at| at < u128::from(self.static_size()))
    }

    /// The first free address from a random one on; `None` when all are taken.
    pub fn pick(&self, chance: u64, mut taken: impl FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        order(self.size, self.static_size(), chance)
            .map(|offset| self.address(offset))
            .find(|address| !taken(*address))
    }

    /// The usable address with this number, from zero.
    fn address(&self, offset: u64) -> IpAddr {
        let number = number(self.net.network()) + 1 + u128::from(offset);
        match self.net.addr() {
            IpAddr::V4(_) => {
                let number = u32::try_from(number).expect("inside an IPv4 range");
                IpAddr::V4(Ipv4Addr::from_bits(number))
            }
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
