//! Addresses of links.

use std::net::IpAddr;

use futures::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use super::{Netlink, NetlinkError, done, gone};

impl Netlink {
    /// Gives a link an address. IPv6 ones skip duplicate detection, which would hold them back for
    /// a second: who gives addresses out here knows that they are unique.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn set_address(&self, index: u32, address: IpNet) -> Result<(), NetlinkError> {
        let mut request = self
            .handle
            .address()
            .add(index, address.addr(), address.prefix_len())
            .replace();
        if address.addr().is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        done(
            || format!("give link {index} the address {address}"),
            request.execute().await,
        )
    }

    /// Takes an address from a link. Says whether it had it.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn delete_address(&self, index: u32, address: IpNet) -> Result<bool, NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = address.prefix_len();
        message.header.family = family(address.addr());
        message
            .attributes
            .push(AddressAttribute::Local(address.addr()));
        message
            .attributes
            .push(AddressAttribute::Address(address.addr()));
        let result = self.handle.address().del(message).execute().await;
        gone(
            || format!("take the address {address} from link {index}"),
            result,
        )
    }

    /// The addresses of a link, link-local ones included.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn addresses(&self, index: u32) -> Result<Vec<IpNet>, NetlinkError> {
        let all: Vec<(u32, IpNet)> = self.all_addresses().await?;
        Ok(all
            .into_iter()
            .filter(|(link, _)| *link == index)
            .map(|(_, address)| address)
            .collect())
    }

    /// The addresses of all links, each with its link's number.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn all_addresses(&self) -> Result<Vec<(u32, IpNet)>, NetlinkError> {
        self.handle
            .address()
            .get()
            .execute()
            .try_filter_map(|message| async move { Ok(from_message(&message)) })
            .try_collect()
            .await
            .map_err(|error| NetlinkError::new("list addresses".to_owned(), &error))
    }
}

pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

/// IPv4 names the address Local (Address is the peer's); IPv6 has Address only.
fn from_message(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let pick = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    let local = pick(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        pick(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    Some((
        message.header.index,
        IpNet::new(address, message.header.prefix_len).ok()?,
    ))
}
