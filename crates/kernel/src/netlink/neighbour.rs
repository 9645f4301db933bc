//! Neighbours: whose hardware address stands for which address.

use std::net::IpAddr;

use futures::TryStreamExt;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};

use super::{Mac, Netlink, NetlinkError, address, done, gone};

/// A neighbour whose hardware address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link it is on, by number.
    pub link: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address.
    pub mac: Mac,
}

impl Netlink {
    /// Fixes the hardware address of a neighbour for good: nobody is asked for it any more.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn set_neighbour(
        &self,
        index: u32,
        address: IpAddr,
        mac: Mac,
    ) -> Result<(), NetlinkError> {
        let request = self
            .handle
            .neighbours()
            .add(index, address)
            .link_layer_address(&mac)
            .replace();
        done(
            || format!("fix the neighbour {address} on link {index}"),
            request.execute().await,
        )
    }

    /// The neighbours whose hardware address is known, on all links.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, NetlinkError> {
        self.handle
            .neighbours()
            .get()
            .execute()
            .try_filter_map(|message| async move { Ok(from_message(&message)) })
            .try_collect()
            .await
            .map_err(|error| NetlinkError::new("list neighbours".to_owned(), &error))
    }

    /// Forgets a neighbour. Says whether it was known.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn delete_neighbour(
        &self,
        index: u32,
        address: IpAddr,
    ) -> Result<bool, NetlinkError> {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = index;
        message.header.family = address::family(address);
        let destination = match address {
            IpAddr::V4(address) => NeighbourAddress::Inet(address),
            IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        };
        message
            .attributes
            .push(NeighbourAttribute::Destination(destination));
        let result = self.handle.neighbours().del(message).execute().await;
        gone(
            || format!("forget the neighbour {address} on link {index}"),
            result,
        )
    }
}

fn from_message(message: &NeighbourMessage) -> Option<Neighbour> {
    let address = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                Some((*address).into())
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                Some((*address).into())
            }
            _ => None,
        })?;
    let mac = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(mac) => mac.as_slice().try_into().ok(),
            _ => None,
        })?;
    Some(Neighbour {
        link: message.header.ifindex,
        address,
        mac,
    })
}
