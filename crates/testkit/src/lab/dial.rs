//! Dialling from inside a namespace, and what the echo program says.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use kernel::NetNs;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// An answer takes a millisecond; one that is to come is waited for this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that is not to come.
const SILENCE: Duration = Duration::from_millis(400);

/// Somebody who dials.
#[derive(Clone)]
pub struct Dialler {
    namespace: NetNs,
    patience: Duration,
    source: Option<IpAddr>,
}

/// What the echo program said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// The pod that answered.
    pub pod: String,
    /// The node it is on.
    pub node: String,
    /// Whom it saw.
    pub client: SocketAddr,
}

/// A connection, or a socket that sends datagrams always from the same port.
pub struct Conversation {
    socket: Wire,
    patience: Duration,
}

enum Wire {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Dialler {
    pub(super) fn new(namespace: NetNs) -> Self {
        Self {
            namespace,
            patience: PATIENCE,
            source: None,
        }
    }

    /// The same from one of several addresses.
    #[must_use]
    pub fn from(&self, source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..self.clone()
        }
    }

    /// The same, but not waiting long: for what should get no answer.
    #[must_use]
    pub fn impatient(&self) -> Self {
        Self {
            patience: SILENCE,
            ..self.clone()
        }
    }

    /// Opens a TCP connection.
    pub fn connect(&self, to: SocketAddr) -> io::Result<Conversation> {
        let socket = self.socket(to, Type::STREAM, Protocol::TCP)?;
        socket.connect_timeout(&SockAddr::from(to), self.patience)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        Ok(self.conversation(Wire::Tcp(stream)))
    }

    /// Opens a socket for datagrams.
    pub fn datagrams(&self, to: SocketAddr) -> io::Result<Conversation> {
        let socket = self.socket(to, Type::DGRAM, Protocol::UDP)?;
        socket.connect(&SockAddr::from(to))?;
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(self.patience))?;
        Ok(self.conversation(Wire::Udp(socket)))
    }

    /// One question over a connection of its own.
    pub fn ask_tcp(&self, to: SocketAddr) -> io::Result<Said> {
        self.connect(to)?.ask()
    }

    /// One datagram and its answer, from a port of its own.
    pub fn ask_udp(&self, to: SocketAddr) -> io::Result<Said> {
        self.datagrams(to)?.ask()
    }

    /// One question over TCP or UDP.
    pub fn ask(&self, protocol: &str, to: SocketAddr) -> io::Result<Said> {
        match protocol {
            "TCP" => self.ask_tcp(to),
            _ => self.ask_udp(to),
        }
    }

    /// Waits for the answer to an ICMP echo request.
    pub fn ping(&self, to: IpAddr) -> io::Result<()> {
        let to = SocketAddr::new(to, 0);
        // Types of request and answer, RFC 792 and RFC 4443; the kernel fills in checksum and number.
        let (protocol, request, answer) = if to.is_ipv4() {
            (Protocol::ICMPV4, 8, 0)
        } else {
            (Protocol::ICMPV6, 128, 129)
        };
        let mut socket = self.socket(to, Type::DGRAM, protocol)?;
        socket.set_read_timeout(Some(self.patience))?;
        socket.connect(&SockAddr::from(to))?;
        socket.send(&[request, 0, 0, 0, 0, 0, 0, 1])?;
        let mut buffer = [0; 64];
        let length = socket.read(&mut buffer)?;
        if buffer[..length].starts_with(&[answer]) {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// The answer to an HTTP GET: status and body.
    pub fn get(&self, to: SocketAddr, path: &str) -> io::Result<(u16, String)> {
        let Wire::Tcp(mut stream) = self.connect(to)?.socket else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, text))
    }

    /// Asks again and again until it is as hoped for.
    ///
    /// # Panics
    /// When it never is.
    pub fn until(
        &self,
        what: &str,
        protocol: &str,
        to: SocketAddr,
        hope: impl Fn(&io::Result<Said>) -> bool,
    ) -> io::Result<Said> {
        let begun = Instant::now();
        loop {
            let answer = self.impatient().ask(protocol, to);
            if hope(&answer) {
                return answer;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "not seen in time: {what}; the last is {answer:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn socket(&self, to: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let open = || Socket::new(Domain::for_address(to), kind, Some(protocol));
        let socket = self.namespace.run(open).map_err(io::Error::other)??;
        if let Some(source) = self.source {
            socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        }
        Ok(socket)
    }

    fn conversation(&self, socket: Wire) -> Conversation {
        Conversation {
            socket,
            patience: self.patience,
        }
    }
}

impl Conversation {
    /// Says something and waits for the answer.
    pub fn ask(&mut self) -> io::Result<Said> {
        let mut buffer = [0; 512];
        let length = match &mut self.socket {
            Wire::Tcp(stream) => {
                stream.write_all(b"hello\n")?;
                stream.read(&mut buffer)?
            }
            Wire::Udp(socket) => {
                socket.send(b"hello\n")?;
                socket.recv(&mut buffer)?
            }
        };
        Said::read(&String::from_utf8_lossy(&buffer[..length]))
    }

    /// Asks again and again until there is an answer that is as hoped for.
    ///
    /// # Panics
    /// When there never is.
    pub fn until(&mut self, what: &str, hope: impl Fn(&Said) -> bool) -> Said {
        let begun = Instant::now();
        loop {
            let answer = self.ask();
            match answer {
                Ok(said) if hope(&said) => return said,
                other if begun.elapsed() > PATIENCE.max(self.patience) => {
                    panic!("not seen in time: {what}; the last is {other:?}")
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// How long to wait for answers from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
        let set = match &self.socket {
            Wire::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Wire::Udp(socket) => socket.set_read_timeout(Some(patience)),
        };
        set.expect("a socket takes a timeout");
    }

    /// Our own address and port.
    pub fn local(&self) -> SocketAddr {
        let address = match &self.socket {
            Wire::Tcp(stream) => stream.local_addr(),
            Wire::Udp(socket) => socket.local_addr(),
        };
        address.expect("a socket has an address")
    }
}

impl Said {
    fn read(text: &str) -> io::Result<Self> {
        let word = |key: &str| {
            let mut words = text.split_whitespace();
            words
                .find_map(|word| word.strip_prefix(key))
                .map(str::to_owned)
        };
        let said = || {
            Some(Self {
                pod: word("pod=")?,
                node: word("node=")?,
                client: word("client=")?.parse().ok()?,
            })
        };
        said().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("no answer of an echo program: {text:?}"),
            )
        })
    }
}
