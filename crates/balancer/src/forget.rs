//! Ending translated connections to nodes that are gone. The kernel's tracking would send their packets
//! there for as long as clients send any; forgotten, the next packet takes the ring: a datagram finds another
//! node, and a TCP connection is refused there at once instead of hanging. A connection that nobody has
//! answered yet is like a datagram: the client's next try finds another node.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use kernel::conntrack::{Connection, Conntrack};

use crate::model::{Model, Protocol};

/// What is to be forgotten.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forget {
    /// Nodes that answer nothing: datagrams to them, and what they have not answered.
    pub(crate) silent: HashSet<IpAddr>,
    /// Nodes that are dead: every connection to them.
    pub(crate) dead: HashSet<IpAddr>,
}

impl Forget {
    /// Adds a node by its name.
    pub(crate) fn add(&mut self, model: &Model, node: &str, dead: bool) {
        let nodes = model.nodes.iter().filter(|known| known.name == node);
        let addresses = nodes.flat_map(|node| node.addresses.iter().copied());
        let set = if dead {
            &mut self.dead
        } else {
            &mut self.silent
        };
        set.extend(addresses);
    }

    /// Forgets them and says how many there were. It lists connections, so it may take its time.
    pub(crate) fn carry_out(&self, frontends: &HashSet<SocketAddr>) -> io::Result<u64> {
        let mut conntrack = Conntrack::open()?;
        let mut forgotten = 0;
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Sctp] {
            for connection in conntrack.connections(protocol as u8)? {
                if self.wants(&connection, frontends) && conntrack.delete(&connection)? {
                    forgotten += 1;
                }
            }
        }
        Ok(forgotten)
    }

    fn wants(&self, connection: &Connection, frontends: &HashSet<SocketAddr>) -> bool {
        let node = connection.reply.source.ip();
        let light = connection.protocol == Protocol::Udp as u8 || !connection.answered;
        let gone = self.dead.contains(&node) || light && self.silent.contains(&node);
        gone && frontends.contains(&connection.original.destination)
    }
}
