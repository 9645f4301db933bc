//! Asking a node's agent on its port 10250.
//!
//! The agent demands a certificate of the cluster's CA and shows one that it made itself, which is not
//! verified, as upstream without `--kubelet-certificate-authority`.

use std::io;
use std::sync::Arc;

use api::status::Status;
use futures::StreamExt;
use http_body_util::{BodyExt, BodyStream, Empty};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::pki::{Credentials, PkiError};
use crate::reply::{Reply, TEXT};

const DEFAULT_PORT: u64 = 10_250;

/// How long a node's agent may take to accept a connection.
const CONNECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

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
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let asked = self.ask(node, path).await;
        asked.map_err(|why| {
            Status::internal(format!("the agent of node {name} cannot be asked: {why}"))
        })
    }

    async fn ask(&self, node: &Value, path: &str) -> io::Result<Reply> {
        let (address, port) = place(node)?;
        let connecting = TcpStream::connect((address.as_str(), port));
        let socket = tokio::time::timeout(CONNECT_WITHIN, connecting).await??;
        let server = ServerName::try_from(address.clone()).map_err(io::Error::other)?;
        let stream = self.connector.connect(server, socket).await?;
        let shaking = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaking.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let host = format!("{address}:{port}");
        let request = http::Request::get(path)
            .header("host", host)
            .body(Empty::<bytes::Bytes>::new());
        let answer = sender
            .send_request(request.map_err(io::Error::other)?)
            .await;
        let answer = answer.map_err(io::Error::other)?;
        let code = answer.status().as_u16();
        if code >= 300 {
            let text = answer
                .into_body()
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes();
            return Ok(refusal(code, String::from_utf8_lossy(&text).trim()).into());
        }
        let frames = BodyStream::new(answer.into_body());
        let bytes = frames.filter_map(|frame| async { frame.ok()?.into_data().ok() });
        let keeps_connection = bytes.map(move |bytes| (bytes, &sender).0);
        Ok(Reply::stream(code, TEXT, keeps_connection))
    }
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
