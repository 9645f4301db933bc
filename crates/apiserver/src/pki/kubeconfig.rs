//! Kubeconfigs: how kubectl and the other roles find the server and show who they are.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Authority, Credentials, PkiError, files};

/// Writes a kubeconfig for this server (`https://127.0.0.1:6443`) with these credentials. JSON is YAML.
///
/// # Errors
/// When the file cannot be written.
pub fn kubeconfig(
    path: &Path,
    server: &str,
    authority: &Authority,
    credentials: &Credentials,
) -> Result<(), PkiError> {
    let base64 = |text: &str| STANDARD.encode(text);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fairway", "cluster": {
            "server": server,
            "certificate-authority-data": base64(authority.certificate()),
        }}],
        "users": [{"name": "fairway", "user": {
            "client-certificate-data": base64(&credentials.certificate),
            "client-key-data": base64(&credentials.key),
        }}],
        "contexts": [{"name": "fairway", "context": {"cluster": "fairway", "user": "fairway"}}],
        "current-context": "fairway",
    });
    let text = serde_saphyr::to_string(&config).unwrap_or_else(|_| config.to_string());
    files::write(path, &text, true)
}
