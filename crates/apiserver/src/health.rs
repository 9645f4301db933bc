//! Health, and which Kubernetes this is.

use api::status::Status;
use bytes::Bytes;
use http::header::{ACCEPT, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method};
use serde_json::json;

use crate::accept::{Offers, negotiate};
use crate::api_state::Api;
use crate::call::Call;
use crate::reply::Reply;

/// The checks, each of which can be asked for by itself (`/readyz/ping`). `etcd` is the store, by the name that
/// probes know.
const CHECKS: [&str; 3] = ["ping", "log", "etcd"];

/// What `/readyz` looks at besides.
const READINESS: [&str; 3] = ["etcd-readiness", "informer-sync", "shutdown"];

/// `/healthz`, `/livez`, `/readyz`: this process answers only after its caches are loaded.
pub(crate) fn check(api: &Api, call: &Call, parts: &[&str]) -> Result<Reply, Status> {
    let stopping = parts[0] == "readyz" && api.is_stopping();
    match parts {
        [which, check] if checks(which).any(|known| known == *check) => Ok(plain(200, "ok")),
        [_] if stopping => Ok(plain(500, "[-]shutdown failed: the server is stopping\n")),
        [which] => {
            let verbose = call.query.get("verbose").is_some();
            Ok(plain(
                200,
                if verbose {
                    told(which)
                } else {
                    "ok".to_owned()
                },
            ))
        }
        _ => Ok(no_page()),
    }
}

/// Text that is not to be taken for anything else.
fn plain(code: u16, text: impl Into<Bytes>) -> Reply {
    let nosniff = HeaderValue::from_static("nosniff");
    Reply::text(code, text).with(X_CONTENT_TYPE_OPTIONS, nosniff)
}

/// 404 of a path that no part of the server knows.
pub(crate) fn no_page() -> Reply {
    plain(404, "404 page not found\n")
}

fn checks(which: &str) -> impl Iterator<Item = &'static str> {
    let ready = if which == "readyz" {
        &READINESS[..]
    } else {
        &[]
    };
    CHECKS.iter().chain(ready).copied()
}

fn told(which: &str) -> String {
    let lines: String = checks(which)
        .map(|check| format!("[+]{check} ok\n"))
        .collect();
    format!("{lines}{which} check passed\n")
}

/// `/version`: the API is that of this Kubernetes.
pub(crate) fn version(call: &Call) -> Result<Reply, Status> {
    if call.method != Method::GET {
        return Err(crate::dispatch::method_not_allowed());
    }
    let accept = call.header(ACCEPT);
    let plain = accept.and_then(|text| text.split(';').next());
    if negotiate(plain, Offers::Nothing).is_err() {
        let text = "406: Not Acceptable\n\nAvailable representations: application/json";
        return Err(Status::new(406, "NotAcceptable", text).with_details(json!({})));
    }
    let version = json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35", "gitVersion": "v1.36.3",
        "gitCommit": concat!("fairway-", env!("CARGO_PKG_VERSION")), "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform()),
    });
    Ok(Reply::value(200, &version))
}

/// The architecture in Go's words.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
