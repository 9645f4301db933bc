//! One question of a probe: a connection, a request or a command.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pod::protocol::{ExecSpec, Outcome, Verb};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::supervisor::Supervisor;

/// So much of an answer is read, as kubelet does.
const LONGEST_BODY: usize = 10 * 1024;

/// Where a container is asked.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: Option<IpAddr>,
    pub(crate) container: Arc<Container>,
    pub(crate) supervisor: Arc<Supervisor>,
}

/// Asks once; an error says what a reader of events should know.
pub(crate) async fn check(probe: &Probe, target: &Target, limit: Duration) -> Result<(), String> {
    if let Some(exec) = &probe.exec {
        return run(exec.command.clone().unwrap_or_default(), target, limit).await;
    }
    let question = async {
        if let Some(get) = &probe.http_get {
            request(get, target).await
        } else if let Some(tcp) = &probe.tcp_socket {
            connect(&address(tcp.host.as_deref(), &tcp.port, target)?)
                .await
                .map(drop)
        } else {
            Err("this kind of probe is not supported yet; exec, httpGet and tcpSocket are".into())
        }
    };
    let late = || format!("no answer within {}s", limit.as_secs());
    timeout(limit, question)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// Runs a command in the container.
pub(crate) async fn run(
    command: Vec<String>,
    target: &Target,
    limit: Duration,
) -> Result<(), String> {
    let verb = Verb::Exec(ExecSpec {
        container: target.container.name.clone(),
        command,
        timeout_millis: limit.as_millis().try_into().unwrap_or(u64::MAX),
    });
    match target.supervisor.ask(verb).await {
        Ok(Outcome::Exec {
            exit_code: Some(0), ..
        }) => Ok(()),
        Ok(Outcome::Exec {
            exit_code: Some(_),
            output,
        }) => Err(output),
        Ok(Outcome::Exec {
            exit_code: None, ..
        }) => Err(format!("command timed out after {}s", limit.as_secs())),
        Ok(other) => Err(format!("the supervisor answered {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Sends an HTTP request; any status from 200 to 399 is a success.
pub(crate) async fn request(get: &HTTPGetAction, target: &Target) -> Result<(), String> {
    if get.scheme.as_deref() == Some("HTTPS") {
        return Err("HTTPS probes are not supported yet; HTTP probes are".into());
    }
    let host = get.host.as_deref().filter(|host| !host.is_empty());
    let address = address(host, &get.port, target)?;
    let path = get
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or("/");
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let failed = |error: hyper::Error| format!("Get \"http://{address}{path}\": {error}");

    let stream = connect(&address)
        .await
        .map_err(|error| format!("Get \"http://{address}{path}\": {error}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let driver = tokio::spawn(connection);
    let response = sender
        .send_request(build(get, &address, &path)?)
        .await
        .map_err(failed)?;
    let status = response.status();
    // Read to the end, or the server may log a broken connection.
    let _ = Limited::new(response.into_body(), LONGEST_BODY)
        .collect()
        .await;
    driver.abort();
    if (200..400).contains(&status.as_u16()) {
        Ok(())
    } else {
        Err(format!(
            "HTTP probe failed with statuscode: {}",
            status.as_u16()
        ))
    }
}

fn build(
    get: &HTTPGetAction,
    address: &SocketAddr,
    path: &str,
) -> Result<http::Request<Empty<Bytes>>, String> {
    let mut host = address.to_string();
    let mut request = http::Request::get(path)
        .header("User-Agent", "kube-probe/1.36")
        .header("Accept", "*/*")
        .header("Connection", "close");
    for header in get.http_headers.iter().flatten() {
        if header.name.eq_ignore_ascii_case("host") {
            host.clone_from(&header.value);
        } else {
            request = request.header(&header.name, &header.value);
        }
    }
    let request = request.header("Host", host).body(Empty::new());
    request.map_err(|error| format!("the probe's request cannot be made: {error}"))
}

async fn connect(address: &SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await;
    stream.map_err(|error| match error.raw_os_error() {
        // As Go words it, which is what readers of events know.
        Some(111) => format!("dial tcp {address}: connect: connection refused"),
        _ => format!("dial tcp {address}: {error}"),
    })
}

fn address(host: Option<&str>, port: &IntOrString, target: &Target) -> Result<SocketAddr, String> {
    let address = match host.filter(|host| !host.is_empty()) {
        Some(host) => host
            .parse()
            .map_err(|_| format!("probe host {host:?} is no address"))?,
        None => target.address.ok_or("the pod has no address yet")?,
    };
    Ok(SocketAddr::new(address, number(port, &target.container)?))
}

/// A port by number, or by its name among the container's ports.
fn number(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let known = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some(name))
            .map(|port| port.container_port),
    };
    let number = known.and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| format!("couldn't find port: {port:?}"))
}
