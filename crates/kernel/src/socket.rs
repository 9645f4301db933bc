//! Sockets opened in another namespace and handed over: a socket stays where it was opened, so the
//! process that uses it need not be there.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::NetNs;
use crate::namespace::NamespaceError;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The address is taken, or is not this namespace's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nobody there, or no way to get there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address dialled.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A TCP listener inside `namespace`, non-blocking and with `SO_REUSEADDR`, ready for
/// `tokio::net::TcpListener::from_std`. IPv6 sockets take IPv6 only.
///
/// # Errors
/// [`SocketError::Listen`], [`SocketError::Namespace`]
pub fn listen_tcp_in(namespace: &NetNs, address: SocketAddr) -> Result<TcpListener, SocketError> {
    namespace.run(|| listen_tcp(address))?
}

/// The same in the calling thread's namespace.
///
/// # Errors
/// [`SocketError::Listen`]
pub fn listen_tcp(address: SocketAddr) -> Result<TcpListener, SocketError> {
    let listen = || {
        let socket = bound(address, Type::STREAM, Protocol::TCP)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| SocketError::Listen { address, source })
}

/// A UDP socket inside `namespace`, non-blocking, ready for `tokio::net::UdpSocket::from_std`.
///
/// # Errors
/// [`SocketError::Listen`], [`SocketError::Namespace`]
pub fn bind_udp_in(namespace: &NetNs, address: SocketAddr) -> Result<UdpSocket, SocketError> {
    let bind = || bound(address, Type::DGRAM, Protocol::UDP).map(Into::into);
    namespace
        .run(bind)?
        .map_err(|source| SocketError::Listen { address, source })
}

/// Connects from inside `namespace`. It blocks the caller for up to `timeout`, so call it from a
/// thread that may wait (`spawn_blocking` is fine: the namespace is entered by a thread of its own).
///
/// # Errors
/// [`SocketError::Connect`], [`SocketError::Namespace`]
pub fn connect_tcp_in(
    namespace: &NetNs,
    address: SocketAddr,
    timeout: Duration,
) -> Result<TcpStream, SocketError> {
    namespace
        .run(|| TcpStream::connect_timeout(&address, timeout))?
        .map_err(|source| SocketError::Connect { address, source })
}

fn bound(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
