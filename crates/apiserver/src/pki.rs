//! The cluster's own certificate authority, in `<data-dir>/pki`.
//!
//! It is made once and kept; every certificate that it signs can be made again at any time. A client is who
//! its certificate says: the common name is the user, the organizations are the groups.

mod files;
mod kubeconfig;

pub use kubeconfig::kubeconfig;

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// What may go wrong with certificates.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("{path}: {source}; check that the data directory is yours and has space")]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A certificate or key could not be made or read.
    #[error("{what}: {source}; remove the file to have it made anew")]
    Certificate {
        /// Which.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// TLS does not take a certificate or key.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
    /// A PEM text without what it should hold.
    #[error("not a PEM text: {0}")]
    Pem(String),
}

/// The authority.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its private key, both as PEM.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To show who asks.
    Client,
    /// To be asked, under these names and addresses.
    Server,
}

impl Authority {
    /// The authority in this directory, made if it is not there.
    ///
    /// # Errors
    /// When its files can be neither read nor written.
    pub fn open(directory: &Path) -> Result<Self, PkiError> {
        let (certificate_file, key_file) = (directory.join("ca.crt"), directory.join("ca.key"));
        let key = match files::read(&key_file)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|source| broken(&key_file, source))?,
            None => new_key()?,
        };
        let certificate = match files::read(&certificate_file)? {
            Some(pem) => pem,
            None => {
                let signed = authority_params().self_signed(&key);
                let pem = signed
                    .map_err(|source| broken(&certificate_file, source))?
                    .pem();
                files::write(&key_file, &key.serialize_pem(), true)?;
                files::write(&certificate_file, &pem, false)?;
                pem
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate, key);
        let issuer = issuer.map_err(|source| broken(&certificate_file, source))?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// The authority's own certificate, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A client certificate for this user (`system:node:a`) in these groups (`system:nodes`).
    ///
    /// # Errors
    /// When the key or certificate cannot be made.
    pub fn issue_client(&self, name: &str, groups: &[&str]) -> Result<Credentials, PkiError> {
        self.issue(name, groups, &[], Use::Client)
    }

    /// A certificate for this common name, these organizations, and these names and addresses.
    ///
    /// # Errors
    /// When a name is malformed, or the key or certificate cannot be made.
    pub fn issue(
        &self,
        name: &str,
        organizations: &[&str],
        subject_alt_names: &[String],
        purpose: Use,
    ) -> Result<Credentials, PkiError> {
        let fault = |source| PkiError::Certificate {
            what: name.to_owned(),
            source,
        };
        let mut params = CertificateParams::new(subject_alt_names.to_vec()).map_err(fault)?;
        params.distinguished_name = subject(name, organizations);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![match purpose {
            Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let key = new_key()?;
        let signed = params.signed_by(&key, &self.issuer).map_err(fault)?;
        Ok(Credentials {
            certificate: signed.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Credentials {
    /// The certificate as TLS takes it.
    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, PkiError> {
        certificates(&self.certificate)
    }

    /// The key as TLS takes it.
    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, PkiError> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|e| PkiError::Pem(e.to_string()))
    }
}

/// The certificates of a PEM text.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.map_err(|error| PkiError::Pem(error.to_string()))
}

fn new_key() -> Result<KeyPair, PkiError> {
    let fault = |source| PkiError::Certificate {
        what: "a new key".to_owned(),
        source,
    };
    KeyPair::generate().map_err(fault)
}

fn broken(file: &Path, source: rcgen::Error) -> PkiError {
    PkiError::Certificate {
        what: file.display().to_string(),
        source,
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("fairway-ca", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}

fn subject(name: &str, organizations: &[&str]) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for organization in organizations {
        subject.push(DnType::OrganizationName, *organization);
    }
    subject.push(DnType::CommonName, name);
    subject
}

/// Who a verified certificate speaks for: common name and organizations.
pub(crate) fn subject_of(certificate: &CertificateDer<'_>) -> Option<(String, Vec<String>)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let organizations = subject.iter_organization().filter_map(|o| o.as_str().ok());
    Some((name, organizations.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_made_once_and_signs_who_is_who() {
        let directory = tempfile::tempdir().unwrap();
        let first = Authority::open(directory.path()).unwrap();
        let again = Authority::open(directory.path()).unwrap();
        assert_eq!(first.certificate(), again.certificate());
        let node = again
            .issue_client("system:node:a", &["system:nodes"])
            .unwrap();
        let (name, groups) = subject_of(&node.chain().unwrap()[0]).unwrap();
        assert_eq!(
            (name.as_str(), groups.as_slice()),
            ("system:node:a", &["system:nodes".to_owned()][..])
        );
    }
}
