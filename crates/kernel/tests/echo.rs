//! The embedded echo program, started as a process of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kernel::Pidfd;
use nix::sys::signal::Signal;

struct Echo {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Echo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("echo");
        std::fs::write(&program, kernel::echo::PROGRAM).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let port = free_port();
        let mut child = Command::new(&program)
            .arg(port.to_string())
            .env_clear()
            .envs([
                ("POD_NAME", "web-1"),
                ("NODE_NAME", "node-1"),
                ("GRACE_SECONDS", "0.5"),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains(&port.to_string()), "{line}");
        Self {
            child,
            folder,
            port,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    fn get(&self, target: &str) -> String {
        let mut stream = self.connect();
        write!(
            stream,
            "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn dial(&self, arguments: &[&str]) -> (String, bool) {
        let output = Command::new(self.folder.path().join("echo"))
            .arg("dial")
            .args(arguments)
            .output()
            .unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            output.status.success(),
        )
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn it_needs_no_interpreter() {
    // A PT_INTERP program header would name the dynamic linker, which an empty root does not have.
    let half = |at: usize| u16::from_le_bytes(kernel::echo::PROGRAM[at..][..2].try_into().unwrap());
    let table = u64::from_le_bytes(kernel::echo::PROGRAM[32..40].try_into().unwrap()) as usize;
    let (size, count) = (usize::from(half(54)), usize::from(half(56)));
    let kinds: Vec<u16> = (0..count)
        .map(|number| half(table + number * size))
        .collect();
    assert!(kinds.contains(&1) && !kinds.contains(&3), "{kinds:?}");
}

#[test]
fn every_protocol_names_pod_node_and_client() {
    let echo = Echo::start();
    let mut stream = echo.connect();
    let client = stream.local_addr().unwrap();
    stream.write_all(b"hello\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert_eq!(
        line,
        format!("pod=web-1 node=node-1 client={client} protocol=tcp\n")
    );

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.send_to(b"x", ("127.0.0.1", echo.port)).unwrap();
    let mut buffer = [0; 200];
    let length = socket.recv(&mut buffer).unwrap();
    let client = socket.local_addr().unwrap();
    assert_eq!(
        std::str::from_utf8(&buffer[..length]).unwrap(),
        format!("pod=web-1 node=node-1 client={client} protocol=udp\n")
    );

    let page = echo.get("/");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(
        page.contains("pod=web-1 node=node-1 client=127.0.0.1:"),
        "{page}"
    );
    assert!(echo.get("/hostname").ends_with("\r\n\r\nweb-1\n"));
}

#[test]
fn readiness_can_be_taken_away_and_given_back() {
    let echo = Echo::start();
    for (target, status) in [
        ("/readyz", 200),
        ("/unready", 200),
        ("/readyz", 503),
        ("/ready", 200),
        ("/readyz", 200),
    ] {
        let page = echo.get(target);
        assert!(
            page.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {page}"
        );
    }
    assert!(echo.get("/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn it_dials_and_says_what_came_of_it() {
    let echo = Echo::start();
    let address = format!("127.0.0.1:{}", echo.port);
    for protocol in ["tcp", "udp", "http"] {
        let (text, good) = echo.dial(&[protocol, &address]);
        assert!(good && text.starts_with("pod=web-1 "), "{protocol}: {text}");
        let asked = format!(
            "/dial?protocol={protocol}&address=127.0.0.1%3A{}",
            echo.port
        );
        assert!(echo.get(&asked).contains(&format!("protocol={protocol}")));
    }
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    assert_eq!(
        echo.dial(&["tcp", &silent]),
        ("REFUSED\n".to_owned(), false)
    );
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let deaf = deaf.local_addr().unwrap().to_string();
    assert_eq!(
        echo.dial(&["udp", &deaf, "0.2"]),
        ("TIMEOUT\n".to_owned(), false)
    );
}

#[test]
fn it_answers_on_after_sigterm_and_then_ends_well() {
    let mut echo = Echo::start();
    let started = Instant::now();
    Pidfd::open(echo.child.id())
        .unwrap()
        .signal(Signal::SIGTERM)
        .unwrap();
    assert!(echo.get("/").contains("pod=web-1"));
    assert!(echo.child.wait().unwrap().success());
    assert!(started.elapsed() >= Duration::from_millis(400));
}
