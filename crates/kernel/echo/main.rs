//! `echo`, the program of the image `fairway/echo`: it answers over TCP, UDP and HTTP with the
//! pod's name, the node's name and the client address it sees; told to dial, it prints what came
//! back. Nothing but std, so that it links statically and runs in an empty root.
//!
//! ```text
//! echo [serve] [PORT…]                       default: PORT or PORTS of the environment, or 8080
//! echo dial tcp|udp|http HOST:PORT [PATH] [TIMEOUT]     TIMEOUT in seconds, default 2
//! echo exit STATUS | echo sleep SECONDS
//! ```
//!
//! Each port answers TCP and UDP. A TCP client that sends a line gets one line back; if the line is
//! an HTTP request it gets an HTTP response. Paths: `/`, `/hostname`, `/node`, `/clientip`,
//! `/healthz` (alive), `/readyz` (follows `/ready` and `/unready`), `/live`, `/dead`, `/env`,
//! `/sleep?seconds=N`, `/status?code=N`, `/dial?protocol=P&address=HOST:PORT[&path=/x][&timeout=N]`,
//! `/exit?code=N`.
//!
//! On SIGTERM it answers on for two seconds (`GRACE_SECONDS`), as a server behind a Service should:
//! the nodes learn a little later that it is going.

use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long a client may say nothing before it is dropped.
const IDLE: Duration = Duration::from_secs(60);
/// The longest line read from a client.
const LONGEST_LINE: u64 = 16 * 1024;
/// How many header lines a request may have.
const MOST_HEADERS: usize = 100;

static TERMINATING: AtomicBool = AtomicBool::new(false);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.split_first() {
        Some((&"dial", rest)) => dial_command(rest),
        Some((&"exit", rest)) => exit(rest.first().and_then(|code| code.parse().ok()).unwrap_or(0)),
        Some((&"sleep", rest)) => sleep_command(rest),
        Some((&"serve", rest)) => serve(rest),
        _ => serve(&words),
    }
}

// ---- who we are ----

struct Identity {
    pod: String,
    node: String,
    ready: AtomicBool,
    alive: AtomicBool,
}

impl Identity {
    fn from_environment() -> Self {
        let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let hostname = || {
            let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            text.trim().to_owned()
        };
        Self {
            pod: named("POD_NAME").or_else(|| named("HOSTNAME")).unwrap_or_else(hostname),
            node: named("NODE_NAME").unwrap_or_default(),
            ready: AtomicBool::new(env::var("UNREADY").is_err()),
            alive: AtomicBool::new(true),
        }
    }

    /// The answer in one line, the same over every protocol.
    fn answer(&self, protocol: &str, client: SocketAddr) -> String {
        format!(
            "pod={} node={} client={} protocol={protocol}\n",
            self.pod,
            if self.node.is_empty() { "unknown" } else { &self.node },
            plain(client),
        )
    }
}

/// An IPv4 client of a socket for both families shows as itself.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

// ---- serving ----

fn serve(words: &[&str]) {
    let ports = ports(words);
    signals::block_sigterm();
    let identity = Arc::new(Identity::from_environment());
    let mut threads = Vec::new();
    for port in ports {
        let tcp = listen(port).unwrap_or_else(|error| fail(&format!("cannot listen on {port}: {error}")));
        let udp = bind_udp(port).unwrap_or_else(|error| fail(&format!("cannot bind UDP {port}: {error}")));
        let (for_tcp, for_udp) = (identity.clone(), identity.clone());
        threads.push(thread::spawn(move || serve_tcp(&tcp, &for_tcp)));
        threads.push(thread::spawn(move || serve_udp(&udp, &for_udp)));
        println!("{} listens on port {port} (TCP, HTTP, UDP)", identity.pod);
    }
    end_gracefully_on_sigterm();
}

fn ports(words: &[&str]) -> Vec<u16> {
    let from_environment = || env::var("PORTS").or_else(|_| env::var("PORT")).ok();
    let text = if words.is_empty() {
        from_environment().unwrap_or_else(|| "8080".to_owned())
    } else {
        words.join(",")
    };
    let numbers = text.split([',', ' ']).filter(|word| !word.is_empty());
    numbers
        .map(|word| word.parse().unwrap_or_else(|_| fail(&format!("{word} is not a port"))))
        .collect()
}

/// Both families by one socket where the kernel has IPv6.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
}

fn bind_udp(port: u16) -> io::Result<UdpSocket> {
    UdpSocket::bind(("::", port)).or_else(|_| UdpSocket::bind(("0.0.0.0", port)))
}

fn serve_tcp(listener: &TcpListener, identity: &Arc<Identity>) {
    loop {
        let Ok((stream, client)) = listener.accept() else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let identity = identity.clone();
        let small = thread::Builder::new().stack_size(128 * 1024);
        // When no thread can be had the client sees its connection close, and may try again.
        let _ = small.spawn(move || converse(&stream, client, &identity));
    }
}

fn serve_udp(socket: &UdpSocket, identity: &Identity) {
    let mut buffer = [0; 2048];
    loop {
        if let Ok((_, client)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(identity.answer("udp", client).as_bytes(), client);
        }
    }
}

/// Answers each line with one line, each HTTP request with a response, until the client ends.
fn converse(stream: &TcpStream, client: SocketAddr, identity: &Identity) {
    let _ = stream.set_read_timeout(Some(IDLE));
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    let mut said_anything = false;
    while let Some(line) = read_line(&mut reader) {
        said_anything = true;
        let more = match request_target(&line) {
            Some(target) => {
                let (headers, keep) = read_headers(&mut reader, &line);
                respond(stream, client, identity, &target, &headers).is_ok() && keep
            }
            None => (&*stream).write_all(identity.answer("tcp", client).as_bytes()).is_ok(),
        };
        if !more {
            return;
        }
    }
    // A client that only opens and shuts its side still learns who answered.
    if !said_anything {
        let _ = (&*stream).write_all(identity.answer("tcp", client).as_bytes());
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    let length = reader.take(LONGEST_LINE).read_until(b'\n', &mut bytes).ok()?;
    (length > 0).then(|| String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

// ---- HTTP ----

fn request_target(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (_method, target, version) = (words.next()?, words.next()?, words.next()?);
    version.starts_with("HTTP/1.").then(|| target.to_owned())
}

/// The headers as `(name in lower case, value)`, and whether the connection stays open. A body is
/// read and thrown away.
fn read_headers(reader: &mut impl BufRead, request: &str) -> (Vec<(String, String)>, bool) {
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader).filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if headers.len() > MOST_HEADERS {
            return (headers, false);
        }
    }
    let body = header(&headers, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let drained = io::copy(&mut reader.take(body), &mut io::sink()).is_ok();
    let connection = header(&headers, "connection").unwrap_or_default().to_ascii_lowercase();
    let keep = if request.ends_with("HTTP/1.0") {
        connection == "keep-alive"
    } else {
        connection != "close"
    };
    // A server that is about to end asks its clients to go elsewhere for the next request.
    (headers, keep && drained && !TERMINATING.load(Ordering::Relaxed))
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn respond(
    mut stream: &TcpStream,
    client: SocketAddr,
    identity: &Identity,
    target: &str,
    headers: &[(String, String)],
) -> io::Result<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (status, body) = page(client, identity, path, query, headers);
    let closing = if TERMINATING.load(Ordering::Relaxed) { "Connection: close\r\n" } else { "" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{closing}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

fn page(
    client: SocketAddr,
    identity: &Identity,
    path: &str,
    query: &str,
    headers: &[(String, String)],
) -> (String, String) {
    let ok = |body: String| ("200 OK".to_owned(), body);
    let state = |good: bool, text: &str| match good {
        true => ok("ok\n".to_owned()),
        false => ("503 Service Unavailable".to_owned(), format!("{text}\n")),
    };
    let set = |flag: &AtomicBool, value: bool| {
        flag.store(value, Ordering::Relaxed);
        ok("ok\n".to_owned())
    };
    match path {
        "/healthz" | "/livez" => state(identity.alive.load(Ordering::Relaxed), "told to be dead"),
        "/readyz" => state(identity.ready.load(Ordering::Relaxed), "told to be unready"),
        "/ready" => set(&identity.ready, true),
        "/unready" => set(&identity.ready, false),
        "/live" => set(&identity.alive, true),
        "/dead" => set(&identity.alive, false),
        "/hostname" | "/pod" => ok(format!("{}\n", identity.pod)),
        "/node" => ok(format!("{}\n", identity.node)),
        "/clientip" => ok(format!("{}\n", plain(client))),
        "/headers" => ok(headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()),
        "/env" => ok(env::vars().map(|(name, value)| format!("{name}={value}\n")).collect()),
        "/sleep" => {
            thread::sleep(seconds(parameter(query, "seconds").as_deref(), 1.0));
            ok(identity.answer("http", client))
        }
        "/status" => {
            let code = parameter(query, "code").unwrap_or_else(|| "200".to_owned());
            (format!("{code} As Asked"), format!("status {code}\n"))
        }
        "/dial" => ok(dial_page(query)),
        "/exit" => exit(parameter(query, "code").and_then(|code| code.parse().ok()).unwrap_or(0)),
        _ => ok(identity.answer("http", client)),
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| percent_decoded(value))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn seconds(text: Option<&str>, default: f64) -> Duration {
    let number = text.and_then(|text| text.parse::<f64>().ok()).unwrap_or(default);
    Duration::try_from_secs_f64(number).unwrap_or(Duration::from_secs(1))
}

// ---- dialling ----

struct Dial {
    protocol: String,
    address: String,
    path: String,
    timeout: Duration,
}

fn dial_command(words: &[&str]) {
    let [protocol, address, rest @ ..] = words else {
        fail("usage: dial tcp|udp|http HOST:PORT [PATH] [TIMEOUT]");
    };
    let path = rest.iter().find(|word| word.starts_with('/')).unwrap_or(&"/");
    let timeout = rest.iter().find(|word| !word.starts_with('/')).copied();
    let dial = Dial {
        protocol: (*protocol).to_owned(),
        address: (*address).to_owned(),
        path: (*path).to_owned(),
        timeout: seconds(timeout, 2.0),
    };
    let (text, answered) = dial.report();
    print!("{text}");
    exit(i32::from(!answered));
}

fn dial_page(query: &str) -> String {
    let given = |name: &str| parameter(query, name);
    let dial = Dial {
        protocol: given("protocol").unwrap_or_else(|| "http".to_owned()),
        address: given("address").unwrap_or_default(),
        path: given("path").unwrap_or_else(|| "/".to_owned()),
        timeout: seconds(given("timeout").as_deref(), 2.0),
    };
    dial.report().0
}

impl Dial {
    /// The answer, or one capital word that says why there is none; and whether there is one.
    fn report(&self) -> (String, bool) {
        match self.answer() {
            Ok(answer) if answer.is_empty() => ("CLOSED\n".to_owned(), false),
            Ok(mut answer) => {
                if !answer.ends_with('\n') {
                    answer.push('\n');
                }
                (answer, true)
            }
            Err(error) => (reason(&error), false),
        }
    }

    fn answer(&self) -> io::Result<String> {
        let address = self.address.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::other("no such host"))?;
        match self.protocol.as_str() {
            "tcp" => {
                let mut stream = self.connect(address)?;
                stream.write_all(b"hello\n")?;
                Ok(read_line(&mut BufReader::new(stream)).unwrap_or_default())
            }
            "udp" => self.ask_udp(address),
            "http" => self.ask_http(address),
            other => Err(io::Error::other(format!("unknown protocol {other}"))),
        }
    }

    fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        Ok(stream)
    }

    fn ask_udp(&self, address: SocketAddr) -> io::Result<String> {
        let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(self.timeout))?;
        socket.send(b"hello\n")?;
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The body of the response; its status line goes before it when it is not 200.
    fn ask_http(&self, address: SocketAddr) -> io::Result<String> {
        let mut stream = self.connect(address)?;
        let (path, host) = (&self.path, &self.address);
        stream.write_all(
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut response = String::new();
        stream.take(1 << 20).read_to_string(&mut response)?;
        let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
        let status = head.lines().next().unwrap_or_default();
        let mut answer = String::new();
        if !status.contains(" 200 ") && !status.is_empty() {
            let _ = writeln!(answer, "{status}");
        }
        answer.push_str(body);
        Ok(answer)
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "TIMEOUT\n".to_owned(),
        io::ErrorKind::ConnectionRefused => "REFUSED\n".to_owned(),
        io::ErrorKind::ConnectionReset => "RESET\n".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "UNREACHABLE\n".to_owned()
        }
        _ => format!("ERROR {error}\n"),
    }
}

// ---- ending ----

fn sleep_command(words: &[&str]) {
    let length = seconds(words.first().copied(), 3600.0);
    signals::block_sigterm();
    thread::spawn(|| {
        signals::wait_for_sigterm();
        exit(0);
    });
    thread::sleep(length);
}

/// The signal is blocked in every thread, so it waits here even for pid 1 of a container, to which
/// a signal without a handler would never be delivered.
fn end_gracefully_on_sigterm() -> ! {
    signals::wait_for_sigterm();
    TERMINATING.store(true, Ordering::Relaxed);
    println!("told to end: answering on for a little while");
    let _ = io::stdout().flush();
    thread::sleep(seconds(env::var("GRACE_SECONDS").ok().as_deref(), 2.0));
    exit(0)
}

fn fail(message: &str) -> ! {
    eprintln!("echo: {message}");
    exit(2)
}

mod signals {
    //! SIGTERM without a library: block it in every thread, then wait for it in one.

    const SIGTERM: i32 = 15;
    const SIGINT: i32 = 2;
    const SIG_BLOCK: i32 = 0;
    /// `sigset_t` of Linux' C libraries: 1024 bits.
    type Set = [u64; 16];

    unsafe extern "C" {
        fn sigemptyset(set: *mut Set) -> i32;
        fn sigaddset(set: *mut Set, signal: i32) -> i32;
        fn pthread_sigmask(how: i32, set: *const Set, old: *mut Set) -> i32;
        fn sigwait(set: *const Set, signal: *mut i32) -> i32;
    }

    /// Blocks the ending signals in this thread and those it starts later.
    pub(crate) fn block_sigterm() {
        let set = ending();
        // SAFETY: the set is initialised, and a null old set is allowed.
        unsafe { pthread_sigmask(SIG_BLOCK, &set, std::ptr::null_mut()) };
    }

    /// Returns when a signal that asks to end has come.
    pub(crate) fn wait_for_sigterm() {
        let set = ending();
        let mut signal = 0;
        // SAFETY: the set is initialised and both pointers are to live values.
        while unsafe { sigwait(&set, &mut signal) } != 0 {}
    }

    fn ending() -> Set {
        let mut set = [0; 16];
        // SAFETY: the pointer is to a set of the C library's size.
        unsafe {
            sigemptyset(&mut set);
            sigaddset(&mut set, SIGTERM);
            sigaddset(&mut set, SIGINT);
        }
        set
    }
}
