//! Containers' logs, served at `/containerLogs/NAMESPACE/POD/CONTAINER` of kubelet's port.

mod find;
mod line;
mod query;
mod stream;
mod tail;

use std::convert::Infallible;

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use jiff::Timestamp;

use crate::context::Context;
use crate::server::{Body, Place, text};

pub(crate) use tail::last_lines;

/// Data frames that wait for a slow reader.
const FRAMES_QUEUE: usize = 4;

/// A log, as it comes.
pub(crate) fn answer(context: &Context, place: &Place, query: &str) -> Response<Body> {
    let options = query::options(query, Timestamp::now());
    let found = options.and_then(|options| Ok((find::find(context, place, &options)?, options)));
    match found {
        Ok((attempt, options)) => {
            let (sender, body) = Channel::new(FRAMES_QUEUE);
            tokio::spawn(stream::send(attempt, options, sender));
            let body = body.map_err(|never: Infallible| match never {}).boxed();
            let mut response = Response::new(body);
            let plain = HeaderValue::from_static("text/plain");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            response
        }
        Err(message) => text(StatusCode::BAD_REQUEST, &message),
    }
}
