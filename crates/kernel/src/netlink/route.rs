//! Routes of the main table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};

use super::{Netlink, NetlinkError, address, done, gone};

/// Where packets to a range go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The range; `0.0.0.0/0` and `::/0` are the default routes.
    pub destination: IpNet,
    /// What happens to them.
    pub kind: RouteKind,
    /// The router they are handed to; otherwise the range is on the link.
    pub via: Option<IpAddr>,
    /// Take `via` to be on the link though no address says so (a pod's 169.254.1.1).
    pub onlink: bool,
    /// The link they leave by, by number.
    pub link: Option<u32>,
    /// The address that our own packets carry, where the link has several.
    pub source: Option<IpAddr>,
}

/// What happens to packets that take a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteKind {
    /// They are sent on.
    #[default]
    Unicast,
    /// They are for this machine, though no link has the address.
    Local,
    /// Their sender is told that there is no way.
    Unreachable,
    /// They vanish.
    Blackhole,
}

impl Route {
    /// The range is on the link itself: no router.
    #[must_use]
    pub fn on_link(destination: IpNet, link: u32) -> Self {
        Self {
            destination,
            kind: RouteKind::Unicast,
            via: None,
            onlink: false,
            link: Some(link),
            source: None,
        }
    }

    /// The range is behind a router on the link.
    #[must_use]
    pub fn via(destination: IpNet, via: IpAddr, link: u32) -> Self {
        Self {
            via: Some(via),
            ..Self::on_link(destination, link)
        }
    }

    /// Everything not routed otherwise goes to this router.
    #[must_use]
    pub fn default_via(via: IpAddr, link: u32) -> Self {
        Self::via(everything(via.is_ipv4()), via, link)
    }

    /// There is no way to the range, and senders are told.
    #[must_use]
    pub fn unreachable(destination: IpNet) -> Self {
        Self {
            destination,
            kind: RouteKind::Unreachable,
            via: None,
            onlink: false,
            link: None,
            source: None,
        }
    }
}

/// The range of all addresses of a family.
#[must_use]
pub fn everything(ipv4: bool) -> IpNet {
    if ipv4 {
        Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into()
    }
}

impl Netlink {
    /// Sets a route, in place of another to the same range.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn set_route(&self, route: &Route) -> Result<(), NetlinkError> {
        let request = self.handle.route().add(to_message(route)).replace();
        done(
            || format!("set the route to {}", route.destination),
            request.execute().await,
        )
    }

    /// Deletes a route. Says whether there was one.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn delete_route(&self, route: &Route) -> Result<bool, NetlinkError> {
        let mut message = to_message(route);
        // Any route to the range over this link: the kernel compares only what is given.
        message.header.scope = RouteScope::NoWhere;
        message.header.protocol = RouteProtocol::Unspec;
        let result = self.handle.route().del(message).execute().await;
        gone(
            || format!("delete the route to {}", route.destination),
            result,
        )
    }

    /// The routes of the main table, both families.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn routes(&self) -> Result<Vec<Route>, NetlinkError> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            let mut answers = std::pin::pin!(self.handle.route().get(message).execute());
            while let Some(message) = answers
                .try_next()
                .await
                .map_err(|error| NetlinkError::new("list routes".to_owned(), &error))?
            {
                routes.extend(from_message(&message));
            }
        }
        Ok(routes)
    }
}

fn to_message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = address::family(route.destination.addr());
    message.header.destination_prefix_length = route.destination.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = to_type(route.kind);
    message.header.scope = scope(route);
    if route.destination.prefix_len() > 0 {
        message
            .attributes
            .push(RouteAttribute::Destination(to_address(
                route.destination.addr(),
            )));
    }
    if let Some(via) = route.via {
        message
            .attributes
            .push(RouteAttribute::Gateway(to_address(via)));
    }
    if route.onlink {
        message.header.flags |= RouteFlags::Onlink;
    }
    if let Some(link) = route.link {
        message.attributes.push(RouteAttribute::Oif(link));
    }
    if let Some(source) = route.source {
        message
            .attributes
            .push(RouteAttribute::PrefSource(to_address(source)));
    }
    message
}

/// A route without a router reaches only as far as the link; IPv6 has no scopes.
fn scope(route: &Route) -> RouteScope {
    match (route.kind, route.via) {
        (RouteKind::Local, _) => RouteScope::Host,
        (RouteKind::Unicast, None) => RouteScope::Link,
        _ => RouteScope::Universe,
    }
}

fn to_type(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Blackhole => RouteType::BlackHole,
    }
}

fn from_type(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::Local => Some(RouteKind::Local),
        RouteType::Unreachable => Some(RouteKind::Unreachable),
        RouteType::BlackHole => Some(RouteKind::Blackhole),
        _ => None,
    }
}

fn to_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn from_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn from_message(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    if header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let any = everything(header.address_family == AddressFamily::Inet);
    let mut route = Route {
        kind: from_type(header.kind)?,
        ..Route::unreachable(any)
    };
    route.onlink = header.flags.contains(RouteFlags::Onlink);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                let address = from_address(address)?;
                route.destination = IpNet::new(address, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Gateway(address) => route.via = from_address(address),
            RouteAttribute::Oif(link) => route.link = Some(*link),
            RouteAttribute::PrefSource(address) => route.source = from_address(address),
            _ => {}
        }
    }
    Some(route)
}
