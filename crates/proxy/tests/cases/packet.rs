//! Packets made and read by hand, so that any source can speak any protocol: there are kernels
//! without SCTP sockets. Each carries a number by which it is known when it comes out.

use forwarding::{Packet, Protocol};
use std::net::{IpAddr, SocketAddr};

const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

/// What came out of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// One of our packets, by its number.
    Ours {
        number: u32,
        source: SocketAddr,
        destination: SocketAddr,
    },
    /// "Port unreachable" about one of our packets.
    Refusal { number: u32 },
}

/// The bytes of a first packet: a SYN, a datagram, an INIT or an echo request.
pub(crate) fn bytes(packet: &Packet, number: u32, source_port: u16) -> Vec<u8> {
    let (protocol, payload) = match packet.port {
        Some((Protocol::Tcp, port)) => (6, tcp(source_port, port, number)),
        Some((Protocol::Udp, port)) => (17, udp(source_port, port, number)),
        Some((Protocol::Sctp, port)) => (132, sctp(source_port, port, number)),
        None if packet.source.is_ipv4() => (ICMP, echo(8, number)),
        None => (ICMP_V6, echo(128, number)),
    };
    datagram(packet.source, packet.destination, protocol, payload)
}

/// Reads a packet that came out; `None` for what is not about ours.
pub(crate) fn read(bytes: &[u8]) -> Option<Arrived> {
    let (protocol, source, destination, payload) = addresses(bytes)?;
    let refusal = match protocol {
        ICMP => payload.starts_with(&[3, 3]),
        ICMP_V6 => payload.starts_with(&[1, 4]),
        _ => false,
    };
    if refusal {
        let (protocol, _, _, quoted) = addresses(payload.get(8..)?)?;
        return Some(Arrived::Refusal {
            number: number_in(protocol, quoted)?,
        });
    }
    let number = number_in(protocol, payload)?;
    let port = |at: usize| match protocol {
        ICMP | ICMP_V6 => Some(0),
        _ => Some(u16::from_be_bytes(
            payload.get(at..at + 2)?.try_into().ok()?,
        )),
    };
    Some(Arrived::Ours {
        number,
        source: SocketAddr::new(source, port(0)?),
        destination: SocketAddr::new(destination, port(2)?),
    })
}

fn number_in(protocol: u8, payload: &[u8]) -> Option<u32> {
    let at = match protocol {
        6 | ICMP | ICMP_V6 => 4,
        17 => 8,
        132 => 16,
        _ => return None,
    };
    let is_echo = matches!(payload.first()?, 8 | 128);
    if matches!(protocol, ICMP | ICMP_V6) && !is_echo {
        return None;
    }
    Some(u32::from_be_bytes(
        payload.get(at..at + 4)?.try_into().ok()?,
    ))
}

fn addresses(bytes: &[u8]) -> Option<(u8, IpAddr, IpAddr, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 15) * 4;
            let address = |at: usize| -> Option<IpAddr> {
                Some(IpAddr::from(
                    <[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?,
                ))
            };
            Some((
                *bytes.get(9)?,
                address(12)?,
                address(16)?,
                bytes.get(header..)?,
            ))
        }
        6 => {
            let address = |at: usize| -> Option<IpAddr> {
                Some(IpAddr::from(
                    <[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?,
                ))
            };
            Some((*bytes.get(6)?, address(8)?, address(24)?, bytes.get(40..)?))
        }
        _ => None,
    }
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

fn tcp(source: u16, destination: u16, number: u32) -> Vec<u8> {
    let mut out = ports(source, destination);
    out.extend(number.to_be_bytes());
    // No acknowledgement, five words of header, SYN, a window, checksum and urgent pointer.
    out.extend([0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    out
}

fn udp(source: u16, destination: u16, number: u32) -> Vec<u8> {
    let mut out = ports(source, destination);
    out.extend([0, 12, 0, 0]);
    out.extend(number.to_be_bytes());
    out
}

fn sctp(source: u16, destination: u16, number: u32) -> Vec<u8> {
    let mut out = ports(source, destination);
    // Tag 0 and checksum; INIT of 20 bytes: its tag, a window, one stream each way, a number.
    out.extend([0; 8]);
    out.extend([1, 0, 0, 20]);
    out.extend(number.to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let checksum = crc32c(&out);
    out[8..12].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn echo(kind: u8, number: u32) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0];
    out.extend(number.to_be_bytes());
    out
}

fn datagram(source: IpAddr, destination: IpAddr, protocol: u8, mut payload: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let (mut header, pseudo) = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0];
            header.extend((length + 20).to_be_bytes());
            header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let pseudo = [header[12..].to_vec(), vec![0, protocol]].concat();
            (header, pseudo)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let pseudo = [header[8..].to_vec(), vec![0, protocol]].concat();
            (header, pseudo)
        }
        _ => panic!("a packet has one family"),
    };
    let at = match protocol {
        6 => Some((16, true)),
        17 => Some((6, true)),
        ICMP => Some((2, false)),
        ICMP_V6 => Some((2, true)),
        _ => None,
    };
    if let Some((at, with_pseudo)) = at {
        let pseudo = [pseudo, length.to_be_bytes().to_vec()].concat();
        let sum = checksum(&[if with_pseudo { &pseudo } else { &[] }, &payload]);
        payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    header.append(&mut payload);
    header
}

fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)))
        .sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap()
}

/// Castagnoli's polynomial, reflected (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))
        })
    })
}
