//! One agent's connection: lines in, lines out, never blocking.

use std::io::{self, ErrorKind, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::protocol::Message;

/// A request may not be longer. The longest are starts with large environments.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// A client that reads so slowly that more than this waits for it is dropped; it can come back and ask.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// So many descriptors come with a line at most: a command's input, output and errors.
pub(crate) const MOST_DESCRIPTORS: usize = 3;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// What came beside the lines, until a request takes it.
    descriptors: Vec<OwnedFd>,
    /// Whether it said hello and so gets changes of states.
    pub(crate) greeted: bool,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            descriptors: Vec::new(),
            greeted: false,
        })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        !self.output.is_empty()
    }

    /// The complete lines that have arrived; an error means that the connection is over.
    pub(crate) fn read_lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.receive(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.input.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.input.len() > LONGEST_LINE {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        Ok(self.take_lines())
    }

    /// Reads bytes, and keeps the descriptors that come with them; too many are closed.
    fn receive(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let mut chunks = [IoSliceMut::new(chunk)];
        let received = recvmsg(&self.stream, &mut chunks, &mut beside, flags)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                let room = MOST_DESCRIPTORS.saturating_sub(self.descriptors.len());
                self.descriptors.extend(descriptors.take(room));
            }
        }
        Ok(received.bytes)
    }

    /// The descriptors that have come and were not taken yet.
    pub(crate) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    fn take_lines(&mut self) -> Vec<Vec<u8>> {
        let Some(end) = self.input.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.input.split_off(end + 1);
        let complete = std::mem::replace(&mut self.input, rest);
        complete
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    }

    /// Sends a message, or keeps it until the client reads.
    pub(crate) fn send(&mut self, message: &Message) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, message)?;
        self.output.push(b'\n');
        if self.output.len() > MOST_WAITING {
            return Err(ErrorKind::TimedOut.into());
        }
        self.flush()
    }

    /// Writes what the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
