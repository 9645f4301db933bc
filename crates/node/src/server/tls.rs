//! The server's TLS: a certificate of its own making, as kubelet's by default, and clients that the
//! cluster's certificate authority vouches for.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Config;
use crate::error::{Error, IoContext};

/// The server's side of TLS for a node.
pub(super) fn server_config(config: &Config, client_ca: &[u8]) -> Result<ServerConfig, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(client_ca) {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|error| failed(&error))?;
    let (certificates, key) = own_certificate(config)?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(|error| failed(&error))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate made at the first start, kept so that clients may pin it.
fn own_certificate(config: &Config) -> Result<Identity, Error> {
    let directory = config.data_directory.join("pki");
    let (certificate, key) = (directory.join("kubelet.crt"), directory.join("kubelet.key"));
    if !(certificate.exists() && key.exists()) {
        fs::create_dir_all(&directory).context("create", &directory)?;
        let names = config.addresses.iter().map(ToString::to_string);
        let names: Vec<String> = names.chain([config.node_name.clone()]).collect();
        let made = rcgen::generate_simple_self_signed(names)
            .map_err(|error| Error::Tls(error.to_string()))?;
        write_secret(&key, made.signing_key.serialize_pem().as_bytes())?;
        fs::write(&certificate, made.cert.pem()).context("write", &certificate)?;
    }
    let wrong = |error: rustls::pki_types::pem::Error| {
        Error::Tls(format!(
            "{error} in {}; remove it and start again",
            directory.display()
        ))
    };
    let certificate = CertificateDer::from_pem_file(&certificate).map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(wrong)?;
    Ok((vec![certificate], key))
}

fn write_secret(path: &Path, text: &[u8]) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .context("create", path)?;
    std::io::Write::write_all(&mut file, text).context("write", path)
}
