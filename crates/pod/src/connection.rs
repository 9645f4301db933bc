//! One agent's connection: lines in, lines out, never blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::protocol::Message;

/// A request may not be longer. The longest are starts with large environments.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// A client that reads so slowly that more than this waits for it is dropped; it can come back and ask.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
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
            match self.stream.read(&mut chunk) {
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
