//! Sockets: accepting, TLS with client certificates, and HTTP/1.1 or HTTP/2 on top.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ApiService;
use crate::api_state::Api;
use crate::identity::Identity;
use crate::pki::{self, Authority, Credentials, PkiError};

/// Connections at once; further ones wait in the socket's queue.
const CONNECTIONS: usize = 4_096;

/// A client has this long to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After a failed accept (no more file descriptors, mostly).
const PAUSE: Duration = Duration::from_millis(50);

/// Requests at once on one HTTP/2 connection, as upstream.
const STREAMS: u32 = 250;

/// A listener of this runtime.
pub(super) fn prepare(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// TLS that asks for a certificate of the authority and goes on without one.
pub(super) fn tls(
    authority: &Authority,
    credentials: &Credentials,
) -> Result<ServerConfig, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in pki::certificates(authority.certificate())? {
        roots.add(certificate).map_err(PkiError::Tls)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = verifier.allow_unauthenticated().build();
    let verifier = verifier.map_err(|error| PkiError::Pem(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(PkiError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(credentials.chain()?, credentials.private_key()?)
        .map_err(PkiError::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts until told to stop, then waits for the open connections.
pub(super) async fn run(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    api: Arc<Api>,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        let permit = room
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((socket, _)) => {
                let serving = serve(
                    socket,
                    acceptor.clone(),
                    api.clone(),
                    permit,
                    graceful.clone(),
                );
                tokio::spawn(serving);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // Connections that are being set up hold the other references; they end by themselves.
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        graceful.shutdown().await;
    }
}

async fn serve(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    api: Arc<Api>,
    permit: OwnedSemaphorePermit,
    graceful: Arc<GracefulShutdown>,
) {
    let _ = socket.set_nodelay(true);
    let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await;
    let Ok(Ok(stream)) = shaken else {
        tracing::debug!("a connection failed before its first request");
        return;
    };
    let service = ApiService::new(api, who(&stream));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let watched = graceful.watch(connection.into_owned());
    drop(graceful);
    if let Err(error) = watched.await {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}

fn who(stream: &TlsStream<TcpStream>) -> Identity {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    match certificate.and_then(pki::subject_of) {
        Some((name, organizations)) => Identity::certified(name, organizations),
        None => Identity::anonymous(),
    }
}
