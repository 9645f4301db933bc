//! Netfilter's netlink family, spoken by hand: attributes, messages and one socket. What
//! [`crate::nft`] and [`crate::conntrack`] share (`include/uapi/linux/netfilter/nfnetlink.h`).

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::sys::socket::{setsockopt, sockopt};
use std::io;

pub(crate) use wire::{Attributes, Writer};

mod wire;

/// `NLM_F_REQUEST`.
pub(crate) const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub(crate) const ACK: u16 = 0x4;
/// `NLM_F_DUMP`.
pub(crate) const DUMP: u16 = 0x300;
/// `NLM_F_CREATE`.
pub(crate) const CREATE: u16 = 0x400;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const DUMP_INTERRUPTED: u16 = 0x10;
/// Length of a netlink header, and of the `nfgenmsg` behind it.
const HEADER: usize = 16;
pub(crate) const GENERIC: usize = 4;

/// What the socket may hold on its way to the kernel. A transaction must fit, and the ordinary
/// limit (`net.core.wmem_max`) is far too small for one.
const SEND_BUFFER: usize = 64 << 20;
/// Answers of a batch wait here until it is through.
const RECEIVE_BUFFER: usize = 8 << 20;
/// A dump that is interrupted by a change starts over this often before it is given up.
const DUMP_ATTEMPTS: usize = 20;

/// One message that came back.
pub(crate) struct Reply {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// `nlmsg_flags`.
    pub(crate) flags: u16,
    /// `nlmsg_seq`.
    pub(crate) sequence: u32,
    /// What follows the netlink header.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The `errno` of an error message, 0 for an acknowledgement; `None` for any other message.
    pub(crate) fn errno(&self) -> Option<i32> {
        let code = self
            .body
            .get(..4)?
            .try_into()
            .ok()
            .map(i32::from_ne_bytes)?;
        (self.kind == NLMSG_ERROR).then_some(-code)
    }
}

/// A socket in the network namespace of the thread that opened it.
pub(crate) struct Channel {
    socket: Socket,
    sequence: u32,
}

impl Channel {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_cap_ack(true)?;
        setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER)?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// A number for the next message, by which its answer is known.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Sends messages and gathers every answer. The kernel works on them within the system call,
    /// so all answers are there when it returns.
    pub(crate) fn exchange(&mut self, messages: &[u8]) -> io::Result<Vec<Reply>> {
        self.socket.send_to(messages, &SocketAddr::new(0, 0), 0)?;
        let mut replies = Vec::new();
        while let Some(datagram) = self.receive(libc::MSG_DONTWAIT)? {
            replies.extend(replies_of(&datagram));
        }
        Ok(replies)
    }

    /// Asks for a list and gathers all of it; `write` fills in the request's attributes.
    pub(crate) fn dump(
        &mut self,
        kind: u16,
        family: u8,
        write: impl Fn(&mut Writer<'_>),
    ) -> io::Result<Vec<Reply>> {
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.next_sequence();
            let mut request = Vec::new();
            let header = Header {
                kind,
                flags: REQUEST | DUMP,
                sequence,
                family,
                resource: 0,
            };
            message(&mut request, &header, &write);
            self.socket.send_to(&request, &SocketAddr::new(0, 0), 0)?;
            if let Some(replies) = self.gather(sequence)? {
                return Ok(replies);
            }
        }
        Err(io::Error::other(
            "the kernel's list kept changing while it was read",
        ))
    }

    /// The parts of one dump up to its end; `None` when a change interrupted it.
    fn gather(&self, sequence: u32) -> io::Result<Option<Vec<Reply>>> {
        let (mut gathered, mut interrupted) = (Vec::new(), false);
        loop {
            let Some(datagram) = self.receive(0)? else {
                continue;
            };
            for reply in replies_of(&datagram).filter(|reply| reply.sequence == sequence) {
                interrupted |= reply.flags & DUMP_INTERRUPTED != 0;
                match (reply.kind, reply.errno()) {
                    (NLMSG_DONE, _) => return Ok((!interrupted).then_some(gathered)),
                    (_, Some(errno)) => return Err(io::Error::from_raw_os_error(errno)),
                    _ => gathered.push(reply),
                }
            }
        }
    }

    fn receive(&self, flags: i32) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = Vec::with_capacity(64 << 10);
        match self.socket.recv(&mut buffer, flags) {
            Ok(_) => Ok(Some(buffer)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What stands before the attributes of a message.
pub(crate) struct Header {
    /// `nlmsg_type`: subsystem and message.
    pub(crate) kind: u16,
    /// `nlmsg_flags`.
    pub(crate) flags: u16,
    /// `nlmsg_seq`.
    pub(crate) sequence: u32,
    /// `nfgen_family`.
    pub(crate) family: u8,
    /// `res_id`.
    pub(crate) resource: u16,
}

/// Appends one message; `write` fills in its attributes.
pub(crate) fn message(out: &mut Vec<u8>, header: &Header, write: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&header.kind.to_ne_bytes());
    out.extend_from_slice(&header.flags.to_ne_bytes());
    out.extend_from_slice(&header.sequence.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[header.family, 0]);
    out.extend_from_slice(&header.resource.to_be_bytes());
    write(&mut Writer::new(out));
    let length = u32::try_from(out.len() - start).expect("a message is shorter than 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

fn replies_of(datagram: &[u8]) -> impl Iterator<Item = Reply> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let number = |at: usize| {
            rest.get(at..at + 4)?
                .try_into()
                .ok()
                .map(u32::from_ne_bytes)
        };
        let half = |at: usize| {
            rest.get(at..at + 2)?
                .try_into()
                .ok()
                .map(u16::from_ne_bytes)
        };
        let length = usize::try_from(number(0)?).ok()?;
        let reply = Reply {
            kind: half(4)?,
            flags: half(6)?,
            sequence: number(8)?,
            body: rest.get(HEADER..length)?.to_vec(),
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(reply)
    })
}
