//! Answers: status line, headers and body.

use std::io::Write as _;

use api::status::Status;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::Stream;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, WARNING,
};
use http::{HeaderName, HeaderValue, Response};
use serde_json::Value;

use crate::body::Body;
use crate::call::Call;

/// Answers below this size are not compressed, as upstream.
const GZIP_FROM: usize = 128 << 10;

/// An answer before it is a response.
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Body,
    headers: Vec<(HeaderName, HeaderValue)>,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const YAML: &str = "application/yaml";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    /// JSON bytes.
    pub(crate) fn json(code: u16, body: impl Into<Bytes>) -> Self {
        Self::full(code, JSON, body)
    }

    /// A JSON value.
    pub(crate) fn value(code: u16, value: &Value) -> Self {
        Self::json(code, value.to_string())
    }

    /// Plain text.
    pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Self {
        Self::full(code, TEXT, text)
    }

    pub(crate) fn full(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = Body::Full(body.into());
        Self {
            code,
            content_type,
            body,
            headers: Vec::new(),
        }
    }

    /// A body that is written as it comes.
    pub(crate) fn stream(
        code: u16,
        content_type: &'static str,
        stream: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Self {
        let body = Body::Stream(Box::pin(stream));
        Self {
            code,
            content_type,
            body,
            headers: Vec::new(),
        }
    }

    /// With a header more.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// JSON bytes, as YAML if that was asked for.
    pub(crate) fn either(code: u16, yaml: bool, json: Bytes) -> Self {
        if !yaml {
            return Self::json(code, json);
        }
        let value: Value = serde_json::from_slice(&json).unwrap_or_default();
        let text = serde_saphyr::to_string(&value).unwrap_or_else(|_| value.to_string());
        Self::full(code, YAML, text)
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        Self::failed(&status, false)
    }
}

impl Reply {
    /// A refusal, as YAML if that was asked for.
    pub(crate) fn failed(status: &Status, yaml: bool) -> Self {
        let details = status.details.as_ref();
        let retry_after = details.and_then(|details| details["retryAfterSeconds"].as_u64());
        let reply = Self::either(status.code, yaml, status.body().to_string().into());
        match retry_after {
            Some(seconds) => reply.with(RETRY_AFTER, HeaderValue::from(seconds)),
            None => reply,
        }
    }
}

/// The response to a call, with its warnings.
pub(crate) fn respond(call: &Call, reply: Reply) -> Response<Body> {
    let mut response = bare(reply);
    compress(call, &mut response);
    for text in call.take_warnings() {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

/// A response to what is no call yet.
pub(crate) fn bare(reply: Reply) -> Response<Body> {
    let mut response = Response::new(reply.body);
    let code = http::StatusCode::from_u16(reply.code);
    *response.status_mut() = code.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for (name, value) in reply.headers {
        headers.insert(name, value);
    }
    response
}

fn compress(call: &Call, response: &mut Response<Body>) {
    let Body::Full(bytes) = response.body() else {
        return;
    };
    let wanted = call
        .header(ACCEPT_ENCODING)
        .is_some_and(|text| text.contains("gzip"));
    if bytes.len() < GZIP_FROM || !wanted || response.headers().contains_key(CONTENT_ENCODING) {
        return;
    }
    if let Ok(packed) = gzip(bytes) {
        *response.body_mut() = Body::Full(packed);
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Compressed, fast rather than small.
pub(crate) fn gzip(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}
