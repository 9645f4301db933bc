//! The server on kubelet's port.

use std::convert::Infallible;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::query::{self, Options, Place};
use super::stream::{self, Attempt};
use super::tls;
use crate::context::Context;
use crate::error::Error;

/// Readers at the same time; more wait in the listener's queue.
const MOST_CONNECTIONS: usize = 256;

/// A client that has not finished its TLS greeting by then is dropped.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Data frames that wait for a slow reader.
const FRAMES_QUEUE: usize = 4;

type Body = BoxBody<Bytes, Infallible>;

/// Serves logs for ever. Does nothing when the cluster's certificate authority is not known.
pub(crate) async fn serve(context: Arc<Context>) -> Result<(), Error> {
    let Some(client_ca) = &context.config.client_ca else {
        tracing::warn!("no certificate authority for clients: logs are not served");
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
        async move { Ok::<_, Infallible>(answer(&context, &request)) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(context: &Context, request: &Request<Incoming>) -> Response<Body> {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    if request.uri().path() == "/healthz" {
        return text(StatusCode::OK, "ok");
    }
    let Some(place) = query::place(request.uri().path()) else {
        return text(
            StatusCode::NOT_FOUND,
            "this node serves /containerLogs and /healthz",
        );
    };
    let options = query::options(request.uri().query().unwrap_or_default(), Timestamp::now());
    let found = options.and_then(|options| Ok((find(context, &place, &options)?, options)));
    match found {
        Ok((attempt, options)) => {
            let (sender, body) = Channel::new(FRAMES_QUEUE);
            tokio::spawn(stream::send(attempt, options, sender));
            let body = body.map_err(|never: Infallible| match never {}).boxed();
            let mut response = Response::new(body);
            let plain = http::HeaderValue::from_static("text/plain");
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, plain);
            response
        }
        Err(message) => text(StatusCode::BAD_REQUEST, &message),
    }
}

/// The attempt whose log is asked for; the error is for the user.
fn find(context: &Context, place: &Place, options: &Options) -> Result<Attempt, String> {
    let Place {
        namespace,
        pod,
        container,
    } = place;
    let uid = context
        .pod_uid(namespace, pod)
        .ok_or_else(|| format!("pod \"{pod}\" is not on this node"))?;
    let directory = context.config.pod_data_directory(&uid).join(container);
    let attempts = attempts(&directory);
    let number = if options.previous {
        attempts.get(1)
    } else {
        attempts.first()
    };
    let number = *number.ok_or_else(|| {
        if options.previous {
            format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
        } else {
            format!(
                "container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating"
            )
        }
    })?;
    Ok(Attempt {
        number,
        log: context.config.log(&uid, container, number),
        run_directory: context.config.pod_run_directory(&uid),
        container: container.clone(),
    })
}

/// The attempts that have a log, newest first.
fn attempts(directory: &Path) -> Vec<u32> {
    let mut found: Vec<u32> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".log")?
                .parse()
                .ok()
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

fn text(status: StatusCode, message: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(message.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
}
