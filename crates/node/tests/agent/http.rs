//! One HTTP request, by hand.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The answer's body.
pub(crate) async fn get(ip: &str, port: u16, path: &str) -> std::io::Result<String> {
    let ip: IpAddr = ip.parse().unwrap();
    let address = SocketAddr::new(ip, port);
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        loop {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).await?;
            answer.push_str(&String::from_utf8_lossy(&chunk[..length]));
            if let Some(body) = whole_body(&answer).or((length == 0).then_some("")) {
                return Ok(body.to_owned());
            }
        }
    };
    timeout(Duration::from_secs(5), asked).await?
}

/// The body, when all of it is there.
fn whole_body(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?;
    (body.len() >= length.parse().unwrap()).then_some(body)
}
