//! Who may write a table: one process at a time, and the `nft` programs it has started.

use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Error;
use crate::command::CommandSteps;

/// How long a predecessor may take to end what it has begun. Its `nft` needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// The right to write one table of this network namespace, for as long as this lives.
///
/// A process that is killed while `nft` works for it leaves that program behind. A successor that does not wait
/// for it reads a table which then changes behind its back: rules twice, elements gone. So the lock passes to
/// each `nft`, and is free when the last of its holders has ended, however it ended.
///
/// It is a name for an abstract socket, of which every network namespace has its own (unix(7)), as it has its
/// own tables.
pub struct WriteLock(OwnedFd);

impl WriteLock {
    /// Waits in the calling thread until nobody else writes the table. Any process of the namespace could hold
    /// the name back, so after five seconds the lock is passed over, with a warning.
    ///
    /// # Errors
    /// [`Error::Socket`]
    pub fn take(table: &str) -> Result<Self, Error> {
        let name = SocketAddr::from_abstract_name(format!("fairway/nft/{table}"))?;
        let begun = Instant::now();
        loop {
            match UnixDatagram::bind_addr(&name) {
                Ok(socket) => return Ok(Self(socket.into())),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error.into()),
                Err(_) if begun.elapsed() < PATIENCE => sleep(PAUSE),
                Err(_) => {
                    tracing::warn!(
                        table,
                        "another process holds the lock of this nft table: does Fairway run twice?"
                    );
                    return Ok(Self(UnixDatagram::unbound()?.into()));
                }
            }
        }
    }

    /// Has a program that is about to be started hold the lock, too, until it ends.
    ///
    /// # Errors
    /// [`Error::Socket`] when there are no descriptors left.
    pub fn pass_to<'a>(&self, program: &'a mut Command) -> Result<&'a mut Command, Error> {
        Ok(program.inherit(self.0.try_clone()?))
    }

    /// Carries out a text in nft's own language, all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Program`], [`Error::Text`]
    pub fn load(&self, text: &str) -> Result<(), Error> {
        let mut program = Command::new("nft");
        super::run(self.pass_to(&mut program)?, text)
    }
}
