//! Asking a server: in process, over its tower service.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{Service, ServiceExt as _};

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The JSON body; a list of events for a watch; `{"text": …}` for anything else; null for nothing.
    pub body: Value,
}

/// Something that answers requests.
pub trait Ask: Sync {
    /// Asks. With `events`, reads so many lines of a watch, or what came within `patience`.
    fn ask(
        &self,
        request: Request<Bytes>,
        events: Option<usize>,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Answer, String>>;
}

/// [`Ask`] over a tower service.
#[derive(Clone, Debug)]
pub struct InProcess<S>(pub S);

impl<S, B> Ask for InProcess<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Display + Send,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Display,
{
    fn ask(
        &self,
        request: Request<Bytes>,
        events: Option<usize>,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Answer, String>> {
        let service = self.0.clone();
        Box::pin(async move {
            let response = service
                .oneshot(request.map(Full::new))
                .await
                .map_err(|e| e.to_string())?;
            let (mut head, body) = response.into_parts();
            // What HTTP/1.1 does with a body of unknown length.
            if body.size_hint().exact().is_none() {
                let chunked = HeaderValue::from_static("chunked");
                head.headers.insert(TRANSFER_ENCODING, chunked);
            }
            let body = match events {
                Some(count) if head.status.is_success() => {
                    first_events(body, count, patience).await
                }
                _ => whole(body, patience).await?,
            };
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        })
    }
}

async fn whole<B>(body: B, patience: Duration) -> Result<Value, String>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let read = tokio::time::timeout(patience, body.collect()).await;
    let bytes = read.map_err(|_| "no answer in time".to_owned())?;
    let bytes = bytes.map_err(|e| e.to_string())?.to_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let text = || serde_json::json!({"text": String::from_utf8_lossy(&bytes)});
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

async fn first_events<B>(mut body: B, count: usize, patience: Duration) -> Value
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let deadline = tokio::time::Instant::now() + patience;
    let (mut events, mut rest) = (Vec::new(), Vec::new());
    while events.len() < count {
        let Ok(Some(Ok(frame))) = tokio::time::timeout_at(deadline, body.frame()).await else {
            break;
        };
        rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data.as_ref()));
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            events.extend(serde_json::from_slice::<Value>(&line));
        }
    }
    events.truncate(count);
    events.into()
}
