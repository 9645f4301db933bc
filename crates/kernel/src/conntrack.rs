//! The kernel's table of connections: list those of one protocol, delete some
//! (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).

use crate::netfilter::{ACK, Attributes, Channel, GENERIC, Header, REQUEST, Reply, message};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SUBSYSTEM: u16 = 1;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_V4_SOURCE: u16 = 1;
const IP_V4_DESTINATION: u16 = 2;
const IP_V6_SOURCE: u16 = 3;
const IP_V6_DESTINATION: u16 = 4;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_SOURCE_PORT: u16 = 2;
const PROTOCOL_DESTINATION_PORT: u16 = 3;

/// Of the status: something has come back (`IPS_SEEN_REPLY`).
const SEEN_REPLY: u32 = 1 << 1;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Who sends.
    pub source: SocketAddr,
    /// Who receives.
    pub destination: SocketAddr,
}

/// A connection, as its first packet had it and as answers come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The first packet.
    pub original: Tuple,
    /// The answers: their source is where the connection really goes.
    pub reply: Tuple,
    /// The protocol's number.
    pub protocol: u8,
    /// Whether anything has come back yet.
    pub answered: bool,
    raw_original: Vec<u8>,
    raw_id: Option<Vec<u8>>,
    raw_zone: Option<Vec<u8>>,
}

/// The table of connections of the network namespace of the thread that opened it.
pub struct Conntrack {
    channel: Channel,
}

impl Conntrack {
    /// Opens a socket to it.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            channel: Channel::open()?,
        })
    }

    /// Every connection of one protocol, in both families.
    pub fn connections(&mut self, protocol: u8) -> io::Result<Vec<Connection>> {
        let mut connections = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let family = u8::try_from(family).expect("address families are small numbers");
            let replies = self.channel.dump(GET, family, |_| ())?;
            let found = replies
                .iter()
                .filter_map(|reply| read(reply.body.get(GENERIC..)?));
            connections.extend(found.filter(|connection| connection.protocol == protocol));
        }
        Ok(connections)
    }

    /// Forgets a connection and says whether it was still there. Its next packet starts anew.
    pub fn delete(&mut self, connection: &Connection) -> io::Result<bool> {
        let v4 = connection.original.source.is_ipv4();
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
        let sequence = self.channel.next_sequence();
        let mut request = Vec::new();
        let header = Header {
            kind: DELETE,
            flags: REQUEST | ACK,
            sequence,
            family: u8::try_from(family).expect("address families are small numbers"),
            resource: 0,
        };
        message(&mut request, &header, |out| {
            out.bytes(TUPLE_ORIGINAL | 0x8000, &connection.raw_original);
            for (kind, value) in [(ID, &connection.raw_id), (ZONE, &connection.raw_zone)] {
                if let Some(value) = value {
                    out.bytes(kind, value);
                }
            }
        });
        let replies = self.channel.exchange(&request)?;
        let answer = replies.iter().find(|reply| reply.sequence == sequence);
        match answer.and_then(Reply::errno) {
            Some(0) => Ok(true),
            Some(libc::ENOENT) => Ok(false),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::Error::other(
                "the kernel did not answer a request about a connection",
            )),
        }
    }
}

fn read(body: &[u8]) -> Option<Connection> {
    let attributes = Attributes::new(body);
    let (original, protocol) = read_tuple(attributes.inside(TUPLE_ORIGINAL)?)?;
    let (reply, _) = read_tuple(attributes.inside(TUPLE_REPLY)?)?;
    let status = attributes
        .get(STATUS)
        .and_then(|bytes| bytes.try_into().ok());
    Some(Connection {
        original,
        reply,
        protocol,
        // The kernel always says; without it nothing is known to be unanswered.
        answered: status.is_none_or(|status| u32::from_be_bytes(status) & SEEN_REPLY != 0),
        raw_original: attributes.get(TUPLE_ORIGINAL)?.to_vec(),
        raw_id: attributes.get(ID).map(<[u8]>::to_vec),
        raw_zone: attributes.get(ZONE).map(<[u8]>::to_vec),
    })
}

fn read_tuple(tuple: Attributes<'_>) -> Option<(Tuple, u8)> {
    let ip = tuple.inside(TUPLE_IP)?;
    let protocol = tuple.inside(TUPLE_PROTOCOL)?;
    let port = |kind| protocol.get(kind)?.try_into().ok().map(u16::from_be_bytes);
    let source = address(ip, IP_V4_SOURCE, IP_V6_SOURCE)?;
    let destination = address(ip, IP_V4_DESTINATION, IP_V6_DESTINATION)?;
    let tuple = Tuple {
        source: SocketAddr::new(source, port(PROTOCOL_SOURCE_PORT)?),
        destination: SocketAddr::new(destination, port(PROTOCOL_DESTINATION_PORT)?),
    };
    Some((tuple, *protocol.get(PROTOCOL_NUMBER)?.first()?))
}

fn address(ip: Attributes<'_>, v4: u16, v6: u16) -> Option<IpAddr> {
    let v4 = ip.get(v4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let v6 = ip
        .get(v6)
        .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    v4.map(|bytes| Ipv4Addr::from(bytes).into())
        .or(v6.map(|bytes| Ipv6Addr::from(bytes).into()))
}
