//! The server on kubelet's port: where the API server asks for logs and for commands in containers, over TLS,
//! with a certificate of the cluster.

mod tls;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::context::Context;
use crate::error::Error;
use crate::{exec, logs};

/// Clients at the same time; more wait in the listener's queue.
const MOST_CONNECTIONS: usize = 256;

/// A client that has not finished its TLS greeting by then is dropped.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// The body of an answer.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// Serves for ever. Does nothing when the cluster's certificate authority is not known.
pub(crate) async fn serve(context: Arc<Context>) -> Result<(), Error> {
    let Some(client_ca) = &context.config.client_ca else {
        tracing::warn!("no certificate authority for clients: neither logs nor exec are served");
        return Ok(());
    };
    let tls = TlsAcceptor::from(Arc::new(tls::server_config(&context.config, client_ca)?));
    let listener = listen(context.config.log_port).await?;
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let slot = slots
            .clone()
            .acquire_owned()
            .await
            .expect("the slots are never closed");
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, usually; what helps is time.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (context, tls) = (context.clone(), tls.clone());
        tokio::spawn(async move {
            converse(context, tls, stream).await;
            drop(slot);
        });
    }
}

/// Both families by one socket, or IPv4 alone where there is no IPv6.
async fn listen(port: u16) -> Result<TcpListener, Error> {
    let any = [
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::from([0, 0, 0, 0]),
    ];
    let addresses = any.map(|address| SocketAddr::new(address, port));
    TcpListener::bind(&addresses[..])
        .await
        .map_err(|source| Error::Listen { port, source })
}

async fn converse(context: Arc<Context>, tls: TlsAcceptor, stream: TcpStream) {
    let Ok(Ok(stream)) = timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let context = context.clone();
        async move { Ok::<_, Infallible>(answer(&context, request)) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

fn answer(context: &Arc<Context>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let is_get = request.method() == Method::GET;
    if let Some(place) = Place::of(path, "/exec/") {
        // Older clients ask by POST.
        return exec::answer(context, &place, request);
    }
    if !is_get {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    if path == "/healthz" {
        return text(StatusCode::OK, "ok");
    }
    match Place::of(path, "/containerLogs/") {
        Some(place) => logs::answer(context, &place, request.uri().query().unwrap_or_default()),
        None => text(
            StatusCode::NOT_FOUND,
            "this node serves /containerLogs, /exec and /healthz",
        ),
    }
}

/// A container of a pod, as paths name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

impl Place {
    /// Reads `PREFIX` followed by `NAMESPACE/POD/CONTAINER`.
    fn of(path: &str, prefix: &str) -> Option<Self> {
        let mut parts = path.strip_prefix(prefix)?.split('/');
        let mut next = || {
            parts
                .next()
                .filter(|part| is_name(part))
                .map(ToOwned::to_owned)
        };
        let place = Self {
            namespace: next()?,
            pod: next()?,
            container: next()?,
        };
        parts.next().is_none().then_some(place)
    }

    /// The pod's uid, or for the client, that it is not here.
    pub(crate) fn uid(&self, context: &Context) -> Result<String, String> {
        let uid = context.pod_uid(&self.namespace, &self.pod);
        uid.ok_or_else(|| format!("pod \"{}\" is not on this node", self.pod))
    }
}

/// Names become parts of paths, so nothing else passes.
fn is_name(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
}

/// A plain answer.
pub(crate) fn text(status: StatusCode, message: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(message.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_container_and_nothing_else() {
        let of = |path| Place::of(path, "/containerLogs/");
        let found = of("/containerLogs/default/web-1/main").unwrap();
        assert_eq!(
            (found.namespace.as_str(), found.container.as_str()),
            ("default", "main")
        );
        for path in [
            "/containerLogs/default/web-1",
            "/containerLogs/default/web-1/main/x",
            "/containerLogs/default/../main",
            "/containerLogs//a/b",
            "/pods",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
