//! Asking a node's agent on its port 10250.
//!
//! The agent demands a certificate of the cluster's CA and shows one that it made itself, which is not
//! verified, as upstream without `--kubelet-certificate-authority`.

use std::io;
use std::sync::Arc;

use api::status::Status;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::call::Call;
use crate::pki::{Credentials, PkiError};
use crate::reply::{Reply, TEXT};

const DEFAULT_PORT: u64 = 10_250;

/// How long a node's agent may take to accept a connection.
const CONNECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// What of a client's wish to upgrade the agent hears.
const UPGRADING: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
];

/// What of the agent's consent the client hears.
const UPGRADED: [HeaderName; 4] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_PROTOCOL,
];

type Nothing = Empty<bytes::Bytes>;

/// A client of the nodes' agents.
pub(crate) struct Kubelet {
    connector: TlsConnector,
}

impl Kubelet {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(PkiError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_client_auth_cert(credentials.chain()?, credentials.private_key()?)
            .map_err(PkiError::Tls)?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// What the agent answers, handed on as it comes.
    pub(crate) async fn get(&self, node: &Value, path: &str) -> Result<Reply, Status> {
        let asked = self.ask(node, path).await;
        asked.map_err(|why| no_answer(node, &why))
    }

    /// Has the agent and the client go on with the protocol that the client asks for, through this server.
    pub(crate) async fn upgrade(
        &self,
        node: &Value,
        path: &str,
        call: &Call,
        client: OnUpgrade,
    ) -> Result<Reply, Status> {
        let asked = self.ask_to_upgrade(node, path, call, client).await;
        asked.map_err(|why| no_answer(node, &why))
    }

    async fn ask_to_upgrade(
        &self,
        node: &Value,
        path: &str,
        call: &Call,
        client: OnUpgrade,
    ) -> io::Result<Reply> {
        let (mut sender, mut request) = self.connect(node, path).await?;
        copy_headers(&UPGRADING, &call.headers, request.headers_mut());
        let answer = sender.send_request(request).await;
        let mut answer = answer.map_err(io::Error::other)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return refused(answer).await;
        }
        let agent = hyper::upgrade::on(&mut answer);
        tokio::spawn(join(client, agent));
        let mut reply = Reply::full(101, "", "");
        for name in UPGRADED {
            for value in answer.headers().get_all(&name) {
                reply = reply.with(name.clone(), value.clone());
            }
        }
        Ok(reply)
    }

    /// A connection, and a GET that is to be sent on it.
    async fn connect(
        &self,
        node: &Value,
        path: &str,
    ) -> io::Result<(SendRequest<Nothing>, http::Request<Nothing>)> {
        let (address, port) = place(node)?;
        let connecting = TcpStream::connect((address.as_str(), port));
        let socket = tokio::time::timeout(CONNECT_WITHIN, connecting).await??;
        let server = ServerName::try_from(address.clone()).map_err(io::Error::other)?;
        let stream = self.connector.connect(server, socket).await?;
        let shaking = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaking.map_err(io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        let host = format!("{address}:{port}");
        let request = http::Request::get(path).header("host", host);
        let request = request.body(Empty::new()).map_err(io::Error::other)?;
        Ok((sender, request))
    }

    async fn ask(&self, node: &Value, path: &str) -> io::Result<Reply> {
        let (mut sender, request) = self.connect(node, path).await?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(io::Error::other)?;
        let code = answer.status().as_u16();
        if code >= 300 {
            return refused(answer).await;
        }
        let frames = BodyStream::new(answer.into_body());
        let bytes = frames.filter_map(|frame| async { frame.ok()?.into_data().ok() });
        let keeps_connection = bytes.map(move |bytes| (bytes, &sender).0);
        Ok(Reply::stream(code, TEXT, keeps_connection))
    }
}

fn no_answer(node: &Value, why: &io::Error) -> Status {
    let name = node["metadata"]["name"].as_str().unwrap_or_default();
    Status::internal(format!("the agent of node {name} cannot be asked: {why}"))
}

/// Carries bytes both ways until both have ended, or one has failed.
async fn join(client: OnUpgrade, agent: OnUpgrade) {
    let Ok((client, agent)) = futures::try_join!(client, agent) else {
        return;
    };
    let (mut client, mut agent) = (TokioIo::new(client), TokioIo::new(agent));
    let ended = tokio::io::copy_bidirectional(&mut client, &mut agent).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a stream to a pod was cut");
    }
}

fn copy_headers(names: &[HeaderName], from: &HeaderMap, to: &mut HeaderMap) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
}

async fn refused(answer: http::Response<Incoming>) -> io::Result<Reply> {
    let code = answer.status().as_u16();
    let text = answer.into_body().collect().await;
    let text = text.map_err(io::Error::other)?.to_bytes();
    Ok(refusal(code, String::from_utf8_lossy(&text).trim()).into())
}

/// What an agent's refusal is to the client (`GenericHttpResponseChecker` in Kubernetes).
fn refusal(code: u16, text: &str) -> Status {
    match code {
        400 => Status::bad_request(text),
        500 => Status::internal(text),
        _ => Status::new(code, "", text),
    }
}

fn place(node: &Value) -> io::Result<(String, u16)> {
    let status = &node["status"];
    let addresses = status["addresses"].as_array().into_iter().flatten();
    let internal = addresses.filter(|address| address["type"] == "InternalIP");
    let address = internal
        .filter_map(|address| address["address"].as_str())
        .next();
    let address = address.ok_or_else(|| io::Error::other("it has no InternalIP"))?;
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        .as_u64()
        .unwrap_or(DEFAULT_PORT);
    Ok((
        address.to_owned(),
        u16::try_from(port).map_err(io::Error::other)?,
    ))
}

/// Takes whatever certificate the agent shows; the signature must fit it.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
