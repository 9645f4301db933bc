//! Packets made by hand, and a look at what passes a namespace's links.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use kernel::NetNs;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
/// What usually takes milliseconds is waited for this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A packet as it passed: without options or extension headers.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) protocol: u8,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) payload: Vec<u8>,
}

impl Seen {
    fn read(bytes: &[u8]) -> Option<Self> {
        let v4 = |at: usize| Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?.into());
        let v6 = |at: usize| Some(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?.into());
        let (protocol, source, destination, from): (_, IpAddr, IpAddr, _) =
            match bytes.first()? >> 4 {
                4 => (*bytes.get(9)?, v4(12)?, v4(16)?, 20),
                6 => (*bytes.get(6)?, v6(8)?, v6(24)?, 40),
                _ => return None,
            };
        let payload = bytes.get(from..)?.to_vec();
        Some(Self {
            protocol,
            source,
            destination,
            payload,
        })
    }

    /// The packet that an ICMP error quotes, with its ports: whose it was and whom it was for.
    pub(crate) fn quoted(&self) -> Option<(SocketAddr, SocketAddr)> {
        let is_error = match self.protocol {
            ICMP => matches!(self.payload.first()?, 3 | 11 | 12),
            ICMP_V6 => matches!(self.payload.first()?, 1..=4),
            _ => false,
        };
        let inner = Self::read(self.payload.get(8..)?).filter(|_| is_error)?;
        let port = |at: usize| {
            let bytes = inner.payload.get(at..at + 2)?;
            Some(u16::from_be_bytes(bytes.try_into().ok()?))
        };
        Some((
            SocketAddr::new(inner.source, port(0)?),
            SocketAddr::new(inner.destination, port(2)?),
        ))
    }
}

/// Sees every packet of a namespace.
pub(crate) struct Watcher(Socket);

impl Watcher {
    pub(crate) fn in_namespace(namespace: &NetNs) -> Self {
        // ETH_P_ALL.
        let all = Protocol::from(i32::from(3_u16.to_be()));
        let open = || Socket::new(Domain::PACKET, Type::DGRAM, Some(all)).unwrap();
        let socket = namespace.run(open).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// Waits for a packet that is as hoped for.
    pub(crate) fn until(&mut self, what: &str, hope: impl Fn(&Seen) -> bool) -> Seen {
        let begun = Instant::now();
        let mut buffer = [0; 65536];
        loop {
            let length = self.0.read(&mut buffer).unwrap_or_default();
            let seen = Seen::read(&buffer[..length]).filter(&hope);
            if let Some(seen) = seen {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "not seen in time: {what}");
            if length == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Sends whole packets, header and all, from a namespace.
pub(crate) struct Sender([Socket; 2]);

impl Sender {
    pub(crate) fn in_namespace(namespace: &NetNs) -> Self {
        // IPPROTO_RAW: the header is ours.
        let raw = Some(Protocol::from(255));
        let open = || {
            [Domain::IPV4, Domain::IPV6].map(|domain| Socket::new(domain, Type::RAW, raw).unwrap())
        };
        Self(namespace.run(open).unwrap())
    }

    pub(crate) fn send(&self, to: IpAddr, packet: &[u8]) {
        let socket = &self.0[usize::from(to.is_ipv6())];
        let to = SockAddr::from(SocketAddr::new(to, 0));
        socket.send_to(packet, &to).unwrap();
    }
}

/// "This packet is too big", about a packet from `source` for `destination`.
pub(crate) fn too_big(
    from: IpAddr,
    protocol: u8,
    source: SocketAddr,
    destination: SocketAddr,
) -> Vec<u8> {
    let ports = [
        source.port().to_be_bytes(),
        destination.port().to_be_bytes(),
    ]
    .concat();
    let quoted = packet(
        source.ip(),
        destination.ip(),
        protocol,
        &[ports, vec![0; 16]].concat(),
    );
    let (kind, icmp): ([u8; 2], _) = match from {
        IpAddr::V4(_) => ([3, 4], ICMP),
        IpAddr::V6(_) => ([2, 0], ICMP_V6),
    };
    // Type and code, checksum, and the size that fits: 1280.
    let mut payload = [&kind[..], &[0, 0, 0, 0, 5, 0], &quoted].concat();
    let sum = checksum(from, source.ip(), icmp, &payload);
    payload[2..4].copy_from_slice(&sum.to_be_bytes());
    packet(from, source.ip(), icmp, &payload)
}

/// A SYN with so much data that it goes in two pieces, neither of which is complete.
pub(crate) fn syn_in_pieces(source: SocketAddr, destination: SocketAddr) -> [Vec<u8>; 2] {
    let mut syn = [
        source.port().to_be_bytes(),
        destination.port().to_be_bytes(),
    ]
    .concat();
    syn.extend([0, 0, 0, 7, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    syn.extend([0; 12]);
    let sum = checksum(source.ip(), destination.ip(), TCP, &syn);
    syn[16..18].copy_from_slice(&sum.to_be_bytes());
    let (first, second) = syn.split_at(24);
    [(first, 0, true), (second, 3, false)].map(|(bytes, at, more)| {
        let (source, destination) = (source.ip(), destination.ip());
        let id: u32 = 0x4321;
        if source.is_ipv4() {
            let mut piece = packet(source, destination, TCP, bytes);
            let flags: u16 = at | u16::from(more) << 13;
            piece[4..6].copy_from_slice(&[0x43, 0x21]);
            piece[6..8].copy_from_slice(&flags.to_be_bytes());
            return piece;
        }
        let flags: u16 = at << 3 | u16::from(more);
        let header = [&[TCP, 0][..], &flags.to_be_bytes(), &id.to_be_bytes()].concat();
        packet(source, destination, 44, &[&header, bytes].concat())
    })
}

/// A packet without options.
fn packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut packet = match source {
        IpAddr::V4(_) => [
            &[0x45, 0][..],
            &(length + 20).to_be_bytes(),
            &[0, 0, 0, 0, 64, protocol, 0, 0],
        ]
        .concat(),
        IpAddr::V6(_) => [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[protocol, 64]].concat(),
    };
    packet.extend(bytes(source));
    packet.extend(bytes(destination));
    if source.is_ipv4() {
        let sum = sum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn checksum(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> u16 {
    if protocol == ICMP {
        return sum(payload);
    }
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let pseudo = [
        bytes(source),
        bytes(destination),
        vec![0, protocol],
        length.to_vec(),
    ]
    .concat();
    sum(&[&pseudo, payload].concat())
}

fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}
