//! The API as a tower service: what a connection of the listeners talks to, and `kube::Client` in this process.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::status::Status;
use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tower::Service;

use crate::api_state::Api;
use crate::body::Body;
use crate::call::Call;
use crate::dispatch;
use crate::identity::Identity;
use crate::reply::{Reply, bare};

/// The most that a body may have (`MaxRequestBodyBytes` upstream).
const LIMIT: usize = 3 << 20;

/// So much more is read and thrown away, so that a client that is still sending hears why.
const PATIENCE: usize = 16 << 20;

/// The API, for one user. Cloning is cheap.
#[derive(Clone)]
pub struct ApiService {
    api: Arc<Api>,
    identity: Arc<Identity>,
}

impl ApiService {
    pub(crate) fn new(api: Arc<Api>, identity: Identity) -> Self {
        Self {
            api,
            identity: Arc::new(identity),
        }
    }

    async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body + Send,
    {
        let (parts, body) = request.into_parts();
        let reads = !matches!(parts.method, Method::GET | Method::HEAD);
        let body = if reads {
            read(body).await
        } else {
            Ok(Bytes::new())
        };
        let is_head = parts.method == Method::HEAD;
        let identity = Identity::clone(&self.identity).impersonated(&parts.headers);
        let mut response = match body {
            Ok(body) => dispatch::answer(self.api, Call::new(parts, body, identity)).await,
            Err(status) => bare(Reply::from(status)),
        };
        if is_head {
            *response.body_mut() = Body::Full(Bytes::new());
        }
        response
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.clone().answer(request).map(Ok).boxed()
    }
}

async fn read<B: http_body::Body>(body: B) -> Result<Bytes, Status> {
    let mut body = std::pin::pin!(body);
    let (mut out, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Status::bad_request("the body of the request could not be read"))?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        seen += data.remaining();
        if seen <= LIMIT {
            while data.has_remaining() {
                let chunk = data.chunk();
                out.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
        } else if seen > LIMIT + PATIENCE {
            break;
        }
    }
    if seen <= LIMIT {
        return Ok(out.freeze());
    }
    let text = format!("Request entity too large: limit is {LIMIT}");
    Err(Status::new(413, "RequestEntityTooLarge", text))
}
