//! Containers' logs, served where the API server looks for them: `/containerLogs/NAMESPACE/POD/CONTAINER` on
//! kubelet's port, over TLS, to clients with a certificate of the cluster.

mod line;
mod query;
mod server;
mod stream;
mod tail;
mod tls;

pub(crate) use server::serve;
pub(crate) use tail::last_lines;
