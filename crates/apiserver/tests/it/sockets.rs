//! TLS: a certificate of the cluster's authority, and what is seen without one.

use std::net::TcpListener;
use std::sync::Arc;

use apiserver::{Config, Server};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use store::Embedded;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn a_certificate_of_the_authority_may_do_all_and_its_absence_little() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(data.path().join("store.redb")).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(Config::new(data.path()), store, vec![listener])
        .await
        .unwrap();
    let authority = server.authority();
    let roots = pem_certificates(authority.certificate());
    let me = authority.issue_client("me", &["some"]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(me.key.as_bytes()).unwrap();
    let known = config(&roots, Some((pem_certificates(&me.certificate), key)));
    let unknown = config(&roots, None);
    let address = server.addresses()[0];
    assert_eq!(get(address, &known, "/api/v1/namespaces").await, 200);
    assert_eq!(get(address, &unknown, "/api/v1/namespaces").await, 403);
    assert_eq!(get(address, &unknown, "/version").await, 200);
    assert!(server.shutdown().await);
}

fn pem_certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn config(roots: &[CertificateDer<'static>], own: Option<Own>) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store);
    Arc::new(match own {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    })
}

async fn get(address: std::net::SocketAddr, config: &Arc<ClientConfig>, path: &str) -> u16 {
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(config.clone())
        .connect(name, socket)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "localhost")
        .body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let code = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    code
}
