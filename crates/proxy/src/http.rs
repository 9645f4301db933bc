//! A server of small answers over HTTP/1.1: health, metrics.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// An answer in one piece.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Content types.
pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";
/// As above.
pub(crate) const JSON: &str = "application/json";

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a port here, such that it can be opened again at once after a restart.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = kernel::socket::listen_tcp(address).map_err(std::io::Error::other)?;
    TcpListener::from_std(listener)
}

/// Answers by path for ever.
pub(crate) async fn serve(
    listener: TcpListener,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: let some go.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE);
            // The client went away: nothing to be done about it.
            server
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
            drop(place);
        });
    }
}

/// Nothing is there.
pub(crate) fn not_found() -> Answer {
    answer(404, PLAIN, "404 page not found\n")
}

/// An answer with a type.
pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("x-content-type-options", "nosniff")
        .body(Full::new(body.into()))
        .expect("status and headers are well-formed")
}
