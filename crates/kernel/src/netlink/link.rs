//! Links: veth pairs, bridges, lookup, up and down.

use std::os::fd::{AsFd, AsRawFd};

use futures::TryStreamExt;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::{Mac, Netlink, NetlinkError, done, gone};
use crate::NetNs;

/// A link as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its hardware address, if it has one.
    pub mac: Option<Mac>,
    /// The largest packet it takes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// The bridge it is a port of.
    pub bridge: Option<u32>,
}

/// One end of a veth pair that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VethEnd {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its hardware address; the kernel chooses one otherwise.
    pub mac: Option<Mac>,
    /// The bridge it joins, by number; for the near end only.
    pub bridge: Option<u32>,
}

impl VethEnd {
    /// An end with nothing but a name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

impl Netlink {
    /// Makes a pair: `near` here and up, `far` inside `namespace` and still down (veth refuses to
    /// open the end that is made first: `ENOTCONN`). The far end is made there at once, which takes
    /// a tenth of the time of making it here and moving it.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`], also when either name is taken.
    pub async fn add_veth(
        &self,
        near: &VethEnd,
        far: &VethEnd,
        namespace: &NetNs,
    ) -> Result<(), NetlinkError> {
        let descriptor = namespace.as_fd().as_raw_fd();
        let mut far_message = end(LinkUnspec::new_with_name(&far.name), far).build();
        far_message
            .attributes
            .push(LinkAttribute::NetNsFd(descriptor));
        let message = end(
            LinkMessageBuilder::<LinkVeth>::new(&near.name, &far.name),
            near,
        )
        .up()
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far_message)))
        .build();
        let result = self.handle.link().add(message).execute().await;
        done(
            || format!("add veth pair {} and {}", near.name, far.name),
            result,
        )
    }

    /// Makes a bridge, up, without spanning tree or multicast snooping.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`], also when the name is taken.
    pub async fn add_bridge(&self, name: &str) -> Result<(), NetlinkError> {
        let message = LinkBridge::new(name).mcast_snooping(false).up().build();
        let result = self.handle.link().add(message).execute().await;
        done(|| format!("add bridge {name}"), result)
    }

    /// The link of this name, if there is one.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn find_link(&self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let mut answers = std::pin::pin!(
            self.handle
                .link()
                .get()
                .match_name(name.to_owned())
                .execute()
        );
        match answers.try_next().await {
            Ok(message) => Ok(message.map(|message| from_message(&message))),
            Err(error) => {
                let error = NetlinkError::new(format!("look up link {name}"), &error);
                if error.errno() == Some(libc::ENODEV) {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
        }
    }

    /// The link of this name.
    ///
    /// # Errors
    /// [`NetlinkError::NoLink`] when there is none.
    pub async fn link(&self, name: &str) -> Result<Link, NetlinkError> {
        self.find_link(name)
            .await?
            .ok_or_else(|| NetlinkError::NoLink(name.to_owned()))
    }

    /// All links of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        self.handle
            .link()
            .get()
            .execute()
            .map_ok(|message| from_message(&message))
            .try_collect()
            .await
            .map_err(|error| NetlinkError::new("list links".to_owned(), &error))
    }

    /// Takes a link up or down.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn set_up(&self, index: u32, up: bool) -> Result<(), NetlinkError> {
        let link = LinkUnspec::new_with_index(index);
        let message = if up { link.up() } else { link.down() }.build();
        let result = self.handle.link().set(message).execute().await;
        done(
            || format!("take link {index} {}", if up { "up" } else { "down" }),
            result,
        )
    }

    /// Deletes a link by name (with a veth, both ends). Says whether there was one.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]
    pub async fn delete_link(&self, name: &str) -> Result<bool, NetlinkError> {
        let message = LinkUnspec::new_with_name(name).build();
        let result = self.handle.link().del_with_message(message).execute().await;
        gone(|| format!("delete link {name}"), result)
    }
}

fn end<T>(mut builder: LinkMessageBuilder<T>, end: &VethEnd) -> LinkMessageBuilder<T> {
    if let Some(mac) = end.mac {
        builder = builder.address(mac.to_vec());
    }
    if let Some(bridge) = end.bridge {
        builder = builder.controller(bridge);
    }
    builder
}

fn from_message(message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        bridge: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(address) => link.mac = address.as_slice().try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.bridge = Some(*index),
            _ => {}
        }
    }
    link
}
