//! One request, read: who asks, how, and with what body.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;

use crate::identity::Identity;
use crate::query::Query;

/// A request whose body has been read.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Percent signs not decoded.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) identity: Identity,
    warnings: Mutex<Vec<String>>,
    /// The connection itself, if the client wants to go on with another protocol.
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl Call {
    pub(crate) fn new(mut parts: http::request::Parts, body: Bytes, identity: Identity) -> Self {
        Self {
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            path: parts.uri.path().to_owned(),
            method: parts.method,
            headers: parts.headers,
            body,
            identity,
            warnings: Mutex::default(),
            upgrade: Mutex::new(parts.extensions.remove()),
        }
    }

    /// `/api/v1/watch/…` is an older way to say `watch=1`; below an object it means that one alone.
    pub(crate) fn modernise(&mut self) {
        let segments: Vec<&str> = self.path.split('/').collect();
        let at = match segments.as_slice() {
            ["", "api", _, "watch", ..] => 3,
            ["", "apis", _, _, "watch", ..] => 4,
            _ => return,
        };
        let (head, tail) = (&segments[..at], &segments[at + 1..]);
        let named = match tail {
            ["namespaces", _, _, name] | [_, name] => Some(*name),
            _ => None,
        };
        if let Some(name) = named {
            self.query
                .add("fieldSelector", format!("metadata.name={name}"));
        }
        self.query.add("watch", "true".to_owned());
        let kept = tail.len() - usize::from(named.is_some());
        self.path = [head, &tail[..kept]].concat().join("/");
    }

    /// A header as text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Content-Type` without parameters, in lower case; JSON where there is none.
    ///
    /// # Errors
    /// The text as it is, when it cannot be read.
    pub(crate) fn content_type(&self) -> Result<String, String> {
        let Some(text) = self.header(CONTENT_TYPE).filter(|text| !text.is_empty()) else {
            return Ok("application/json".to_owned());
        };
        let mut parts = text.split(';');
        let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        // Go's mime parser refuses an empty parameter unless it is the last one.
        let parameters: Vec<&str> = parts.map(str::trim).collect();
        let (last, others) = parameters.split_last().unwrap_or((&"x=", &[]));
        let broken = others.iter().any(|part| !part.contains('='))
            || (!last.is_empty() && !last.contains('='));
        if broken {
            return Err(text.to_owned());
        }
        Ok(kind)
    }

    /// Who manages the fields of this write: the parameter, or the client's program.
    pub(crate) fn field_manager(&self) -> String {
        match self
            .query
            .get("fieldManager")
            .filter(|name| !name.is_empty())
        {
            Some(name) => name.to_owned(),
            None => {
                let agent = self.header(USER_AGENT).unwrap_or("unknown");
                let program = agent.split('/').next().unwrap_or_default();
                program.chars().take(128).collect()
            }
        }
    }

    /// The connection, for whoever goes on with another protocol; once, and only where the client asks.
    pub(crate) fn take_upgrade(&self) -> Option<OnUpgrade> {
        self.header(http::header::UPGRADE)?;
        let mut upgrade = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
        upgrade.take()
    }

    /// Adds a warning header to the answer.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// A further round says its warnings again.
    pub(crate) fn take_warnings_of_round(&self, attempt: u32) {
        if attempt > 0 {
            self.take_warnings();
        }
    }

    /// The warnings so far.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
