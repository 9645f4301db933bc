//! The server: loads what is stored, listens, and ends in order.

mod listen;
mod service;

pub use service::ApiService;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use store::{Store, StoreError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::api_state::Api;
use crate::builtin;
use crate::config::Config;
use crate::expiry;
use crate::identity::Identity;
use crate::kubelet::Kubelet;
use crate::metrics::Metrics;
use crate::openapi::Documents;
use crate::pki::{self, Authority, PkiError, Use};
use crate::quota::Locks;
use crate::registry::Registry;
use crate::service as allocation;

/// Open connections get this long to finish what they are answering.
const DRAIN: Duration = Duration::from_secs(5);

/// Names that a serving certificate always has.
const OWN_NAMES: [&str; 7] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    "::1",
];

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store could not be read.
    #[error("what is stored cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Certificates could not be read or made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// TLS does not take the certificates.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A listener cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Its address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// An object that every cluster has could not be made.
    #[error("cannot make the cluster's own objects: {0}")]
    Builtin(String),
}

/// A running API server.
pub struct Server {
    api: Arc<Api>,
    authority: Authority,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    listening: JoinSet<()>,
    background: Vec<JoinHandle<()>>,
}

impl Server {
    /// Loads the store, makes certificates and the cluster's own objects, and serves on the listeners, which may
    /// come from other network namespaces. Without any it serves in this process only ([`Server::service`]).
    ///
    /// # Errors
    /// When anything of that fails.
    pub async fn start(
        config: Config,
        store: Arc<dyn Store>,
        listeners: Vec<TcpListener>,
    ) -> Result<Self, StartError> {
        let authority = Authority::open(&config.data_dir.join("pki"))?;
        let addresses = listeners
            .iter()
            .map(address)
            .collect::<Result<Vec<_>, _>>()?;
        let registry = Registry::load(store).await?;
        let stop = watch::Sender::new(false);
        let credentials =
            authority.issue_client("kube-apiserver-kubelet-client", &["system:masters"])?;
        let api = Arc::new(Api {
            hooks: allocation::hooks(&config, &registry),
            registry: registry.clone(),
            metrics: Metrics::default(),
            documents: Documents::default(),
            quota_locks: Locks::default(),
            kubelet: Some(Kubelet::new(&credentials)?),
            address: addresses
                .first()
                .map(SocketAddr::to_string)
                .unwrap_or_default(),
            stop: stop.subscribe(),
            config,
        });
        let mut background = vec![tokio::spawn(registry.follow())];
        builtin::ensure(&api).await.map_err(StartError::Builtin)?;
        api.registry.begin().await?;
        background.push(tokio::spawn(builtin::keep(api.clone())));
        background.push(tokio::spawn(expiry::run(api.clone())));
        background.push(tokio::spawn(allocation::keep_repaired(api.clone())));
        let tls = Arc::new(serving(&api.config, &authority, &addresses)?);
        let mut listening = JoinSet::new();
        for (listener, address) in listeners.into_iter().zip(&addresses) {
            let listener = listen::prepare(listener);
            let listener = listener.map_err(|source| fault(&address.to_string(), source))?;
            listening.spawn(listen::run(
                listener,
                tls.clone(),
                api.clone(),
                stop.subscribe(),
            ));
            tracing::info!(%address, "serving the API");
        }
        Ok(Self {
            api,
            authority,
            addresses,
            stop,
            listening,
            background,
        })
    }

    /// The API without a socket, as the administrator: a transport for `kube::Client`.
    pub fn service(&self) -> ApiService {
        self.service_as(Identity::administrator())
    }

    /// The API without a socket, as somebody else.
    pub fn service_as(&self, identity: Identity) -> ApiService {
        ApiService::new(self.api.clone(), identity)
    }

    /// Where the listeners are bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The authority, to issue certificates for nodes and balancers.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The caches, for what runs in this process.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.api.registry
    }

    /// Ends watches, lets answers finish, and stops. Whether all finished in time.
    pub async fn shutdown(mut self) -> bool {
        self.stop.send_replace(true);
        let drained = async { while self.listening.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(DRAIN, drained).await.is_ok();
        self.listening.shutdown().await;
        for task in self.background {
            task.abort();
        }
        in_time
    }
}

/// Writes a kubeconfig of the administrator for a server at this address.
///
/// # Errors
/// When the certificate or the file cannot be made.
pub fn write_admin_kubeconfig(
    authority: &Authority,
    path: &std::path::Path,
    address: SocketAddr,
) -> Result<(), PkiError> {
    let credentials = authority.issue_client("kubernetes-admin", &["system:masters"])?;
    pki::kubeconfig(path, &format!("https://{address}"), authority, &credentials)
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|source| fault("a listener", source))
}

fn fault(address: &str, source: std::io::Error) -> StartError {
    StartError::Listen {
        address: address.to_owned(),
        source,
    }
}

fn serving(
    config: &Config,
    authority: &Authority,
    addresses: &[SocketAddr],
) -> Result<ServerConfig, StartError> {
    let mut names: Vec<String> = OWN_NAMES.iter().map(|name| (*name).to_owned()).collect();
    let bound = addresses
        .iter()
        .map(SocketAddr::ip)
        .filter(|ip| !ip.is_unspecified());
    names.extend(bound.map(|ip| ip.to_string()));
    names.extend(config.advertise.map(|(ip, _)| ip.to_string()));
    let ranges = config.service_cidrs.iter();
    names.extend(
        ranges
            .filter_map(builtin::first_address)
            .map(|ip| ip.to_string()),
    );
    names.extend(config.subject_alt_names.iter().cloned());
    names.sort();
    names.dedup();
    let credentials = authority.issue("kube-apiserver", &[], &names, Use::Server)?;
    Ok(listen::tls(authority, &credentials)?)
}
