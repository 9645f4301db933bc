//! OpenAPI, made at the first request and kept compressed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use api::openapi;
use api::resources;
use api::status::Status;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, VARY};

use crate::api_state::Api;
use crate::call::Call;
use crate::reply::{Reply, gzip};

/// The version in the documents.
const VERSION: &str = "v1.36.3";

/// The documents that have been made, by path, compressed.
#[derive(Default)]
pub(crate) struct Documents(Mutex<BTreeMap<String, Bytes>>);

pub(crate) async fn serve(api: &Arc<Api>, call: &Call, parts: &[&str]) -> Result<Reply, Status> {
    let path = parts[1..].join("/");
    if path == "v3" {
        // A real server calls this one text.
        let index = openapi::index(resources::all(), VERSION);
        return Ok(Reply::text(200, index.to_string()));
    }
    let packed = match api.documents.get(&path) {
        Some(packed) => packed,
        // A real server says no more than this of a document that it has not.
        None if is_unknown(&path) => return Ok(Reply::full(404, "", Bytes::new())),
        None => make(api, path).await?,
    };
    let takes_gzip = call
        .header(ACCEPT_ENCODING)
        .is_some_and(|text| text.contains("gzip"));
    let mut reply = if takes_gzip {
        let reply = Reply::json(200, packed);
        reply.with(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    } else {
        Reply::json(200, unpack(&packed))
    };
    reply = reply.with(VARY, HeaderValue::from_static("Accept-Encoding"));
    if call.query.get("hash").is_some() {
        // The hash in the address changes with the document.
        let for_ever = HeaderValue::from_static("public, immutable, max-age=31536000");
        reply = reply.with(CACHE_CONTROL, for_ever);
    }
    Ok(reply)
}

fn is_unknown(path: &str) -> bool {
    let group_version = path.strip_prefix("v3/");
    group_version.is_some_and(|one| !openapi::has(resources::all(), one))
}

async fn make(api: &Arc<Api>, path: String) -> Result<Bytes, Status> {
    let wanted = path.clone();
    let made = tokio::task::spawn_blocking(move || {
        let document = match wanted.split_once('/') {
            None if wanted == "v2" => Some(openapi::v2(resources::all(), VERSION)),
            Some(("v3", group_version)) => openapi::v3(resources::all(), group_version, VERSION),
            _ => None,
        };
        document.and_then(|document| gzip(document.to_string().as_bytes()).ok())
    });
    let packed = made
        .await
        .ok()
        .flatten()
        .ok_or_else(crate::dispatch::nothing_here)?;
    api.documents.put(path, packed.clone());
    Ok(packed)
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // What was packed here can be unpacked.
    let _ = GzDecoder::new(packed).read_to_end(&mut out);
    out
}

impl Documents {
    fn get(&self, path: &str) -> Option<Bytes> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }

    fn put(&self, path: String, packed: Bytes) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path, packed);
    }
}
