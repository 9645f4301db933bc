//! The addresses that may be given out.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::ConfigError;

/// Ranges of addresses, in order of preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools(Vec<Pool>);

/// One range, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pool {
    first: IpAddr,
    last: IpAddr,
}

impl Pools {
    /// Parses ranges such as `198.18.1.0/24`, `fd00::/112` and `192.0.2.10-192.0.2.20`. Of an IPv4 prefix the network's and
    /// the broadcast address are left out, of an IPv6 prefix the first one (the routers' anycast address, RFC 4291 2.6.1).
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        let pools = texts
            .into_iter()
            .map(|text| Pool::parse(text.as_ref().trim()));
        pools.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is nothing to give.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|pool| pool.contains(address))
    }

    /// Whether any range is of this family.
    pub(crate) fn has_family(&self, ipv6: bool) -> bool {
        self.0.iter().any(|pool| pool.first.is_ipv6() == ipv6)
    }

    /// The lowest address of a family that is not taken.
    pub(crate) fn free(&self, ipv6: bool, taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let of_family = self.0.iter().filter(|pool| pool.first.is_ipv6() == ipv6);
        of_family
            .flat_map(Pool::addresses)
            .find(|address| !taken(*address))
    }
}

impl Pool {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |reason: &str| ConfigError::Pool {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        if let Some((first, last)) = text.split_once('-') {
            let parse = |text: &str| text.trim().parse::<IpAddr>();
            let first = parse(first).map_err(|_| wrong("the first address cannot be read"))?;
            let last = parse(last).map_err(|_| wrong("the last address cannot be read"))?;
            if first.is_ipv4() != last.is_ipv4() || first > last {
                return Err(wrong("the range runs backwards or mixes families"));
            }
            return Ok(Self { first, last });
        }
        let net: IpNet = match text.parse::<IpAddr>() {
            Ok(single) => IpNet::from(single),
            Err(_) => text.parse().map_err(|_| wrong("it cannot be read"))?,
        };
        Ok(Self::usable(net))
    }

    fn usable(net: IpNet) -> Self {
        let host_bits = net.max_prefix_len() - net.prefix_len();
        let (network, broadcast) = (number(net.network()), number(net.broadcast()));
        let (first, last) = match net {
            _ if host_bits < 2 => (network, broadcast),
            IpNet::V4(_) => (network + 1, broadcast - 1),
            IpNet::V6(_) => (network + 1, broadcast),
        };
        let ipv6 = net.network().is_ipv6();
        Self {
            first: address(first, ipv6),
            last: address(last, ipv6),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.first.is_ipv6() && self.first <= address && address <= self.last
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let ipv6 = self.first.is_ipv6();
        (number(self.first)..=number(self.last)).map(move |n| address(n, ipv6))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn address(number: u128, ipv6: bool) -> IpAddr {
    if ipv6 {
        return IpAddr::V6(number.into());
    }
    let number = u32::try_from(number).expect("the numbers of an IPv4 pool have 32 bits");
    IpAddr::V4(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_give_their_lowest_free_address() {
        let cases: &[(&str, &[&str], Option<&str>)] = &[
            ("192.0.2.0/30", &[], Some("192.0.2.1")),
            ("192.0.2.0/30", &["192.0.2.1"], Some("192.0.2.2")),
            ("192.0.2.0/30", &["192.0.2.1", "192.0.2.2"], None),
            ("192.0.2.7-192.0.2.8", &["192.0.2.7"], Some("192.0.2.8")),
            ("192.0.2.7", &[], Some("192.0.2.7")),
            ("192.0.2.6/31", &[], Some("192.0.2.6")),
            ("2001:db8::/126", &[], Some("2001:db8::1")),
            (
                "2001:db8::/126",
                &["2001:db8::1", "2001:db8::2"],
                Some("2001:db8::3"),
            ),
        ];
        for (pool, taken, expected) in cases {
            let pools = Pools::parse([pool]).expect("valid");
            let taken: Vec<IpAddr> = taken.iter().map(|text| text.parse().unwrap()).collect();
            let given = pools.free(pool.contains("::"), |address| taken.contains(&address));
            assert_eq!(
                given.map(|address| address.to_string()).as_deref(),
                *expected,
                "{pool} {taken:?}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for text in [
            "",
            "192.0.2.0/33",
            "192.0.2.9-192.0.2.1",
            "192.0.2.1-::1",
            "pool",
        ] {
            let problem = Pools::parse([text]).expect_err(text);
            assert!(
                problem.to_string().contains(&format!("{text:?}")),
                "{problem}"
            );
        }
    }
}
