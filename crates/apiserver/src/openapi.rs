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
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, VARY};

use crate::api_state::Api;
use crate::call::Call;
use crate::reply::{Reply, gzip};

/// The version in the documents.
const VERSION: &str = "v1.36.3";

/// How clients ask for protobuf, and how it is called in the answer.
const PROTOBUF_ASKED: &str = "proto-openapi.spec.v2@v1.0+protobuf";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

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
    let accepts = call.header(ACCEPT).unwrap_or_default();
    if path == "v2" && accepts.contains(PROTOBUF_ASKED) {
        return Ok(Reply::full(200, PROTOBUF, Bytes::from(empty_protobuf())));
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

/// A version 2 document in protobuf that describes nothing. Clients ask for it only about kinds that the
/// version 3 documents do not have, and learn from this one that there is nothing to check them by; without
/// it they would give up before they can say that the kind is unknown.
fn empty_protobuf() -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("all contents here are short");
        // Wire type 2: a length, then as many bytes.
        [&[number << 3 | 2, length], content].concat()
    };
    let info = [field(1, b"Kubernetes"), field(2, VERSION.as_bytes())].concat();
    [
        field(1, b"2.0"),
        field(2, &info),
        field(8, &[]),
        field(9, &[]),
    ]
    .concat()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_document_has_version_title_and_no_paths() {
        let bytes = empty_protobuf();
        assert_eq!(&bytes[..5], b"\x0a\x032.0");
        assert_eq!(bytes[5..7], [0x12, 21]);
        assert_eq!(&bytes[7..28], b"\x0a\x0aKubernetes\x12\x07v1.36.3");
        assert_eq!(bytes[28..], [0x42, 0, 0x4a, 0]);
    }
}
