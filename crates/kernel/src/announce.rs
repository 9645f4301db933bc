//! Announcing an address: the frames that tell a network segment, unasked, whose hardware address
//! now stands for an IP address (a gratuitous ARP, RFC 5227 section 3; an unsolicited neighbour
//! advertisement, RFC 4861 section 7.2.6), so that neighbours forget the old holder at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::netlink::Mac;

const BROADCAST: Mac = [0xff; 6];
/// The Ethernet form of ff02::1, all nodes of the link (RFC 2464 section 7).
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;

/// Tells the neighbours on link `index` of the calling thread's namespace that `address` is at
/// `mac`.
///
/// # Errors
/// When a packet socket is refused (it needs `CAP_NET_RAW`), or the link is down.
pub fn announce(index: u32, mac: Mac, address: IpAddr) -> io::Result<()> {
    let socket = packet_socket()?;
    frames(mac, address)
        .iter()
        .try_for_each(|frame| send(&socket, index, frame))
}

/// The frames to send. ARP comes as request and as reply: some neighbours heed only one of them.
fn frames(mac: Mac, address: IpAddr) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(address) => vec![arp(mac, address, 1), arp(mac, address, 2)],
        IpAddr::V6(address) => vec![advertisement(mac, address)],
    }
}

fn arp(mac: Mac, address: Ipv4Addr, operation: u16) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ETHERTYPE_ARP);
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(if operation == 1 { [0; 6] } else { BROADCAST });
    frame.extend(address.octets());
    frame
}

fn advertisement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0];
    // Override only: nobody asked, and we do not claim to be a router.
    message.extend([0x20, 0, 0, 0]);
    message.extend(address.octets());
    // The target's link-layer address, in units of eight bytes.
    message.extend([2, 1]);
    message.extend(mac);
    let checksum = icmpv6_checksum(address, ALL_NODES, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = ethernet(ALL_NODES_MAC, mac, ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    // A hop limit of 255 proves that no router was passed (RFC 4861 section 7.1.2).
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

fn ethernet(to: Mac, from: Mac, ethertype: u16) -> Vec<u8> {
    [&to[..], &from[..], &ethertype.to_be_bytes()[..]].concat()
}

/// RFC 4443 section 2.3: over the pseudo header and the message, whose length is even here.
fn icmpv6_checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    let parts = [
        &from.octets()[..],
        &to.octets()[..],
        &length[..],
        &[0, 0, 0, ICMPV6][..],
        message,
    ];
    let bytes = parts.concat();
    let sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn packet_socket() -> io::Result<OwnedFd> {
    // Protocol 0: it sends, and never receives.
    // SAFETY: socket(2) takes three integers.
    let descriptor =
        unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn send(socket: &OwnedFd, index: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain integers, for which zero is a valid value.
    let mut target: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    target.sll_family = libc::AF_PACKET as u16;
    target.sll_ifindex = i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: frame and target outlive the call, and their lengths are given with them.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const target).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 7];

    #[test]
    fn an_ipv4_address_is_announced_as_request_and_reply_to_all() {
        let frames = frames(MAC, "198.18.1.5".parse().unwrap());
        assert_eq!(frames.len(), 2);
        for (frame, operation) in frames.iter().zip([1, 2]) {
            assert_eq!(frame.len(), 42);
            assert_eq!(frame[..6], BROADCAST);
            assert_eq!(frame[20..22], [0, operation]);
            assert_eq!(frame[22..28], MAC);
            assert_eq!(frame[28..32], [198, 18, 1, 5]);
            assert_eq!(frame[38..42], [198, 18, 1, 5]);
        }
    }

    #[test]
    fn an_ipv6_advertisement_carries_a_checksum_that_adds_up() {
        let address = "fd46::5".parse().unwrap();
        let frame = &frames(MAC, IpAddr::V6(address))[0];
        assert_eq!(frame.len(), 14 + 40 + 32);
        // Over a message whose checksum is in place, the computation yields zero.
        assert_eq!(icmpv6_checksum(address, ALL_NODES, &frame[54..]), 0);
        assert_eq!(frame[frame.len() - 6..], MAC);
    }
}
