//! Commands in containers, served at `/exec/NAMESPACE/POD/CONTAINER` of kubelet's port, over WebSocket
//! (KEP-4006).
//!
//! The command's streams are pipes or a terminal that this agent makes; their other ends go to the pod's
//! supervisor with the request, so nothing that flows passes through the supervisor.

mod channels;
mod process;
mod request;
mod status;
mod terminal;

use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::context::Context;
use crate::server::{Body, Place, text};
use process::Process;
use request::{Options, Protocol};

/// Starts the command and gives its streams to the client, once the connection is a WebSocket.
pub(crate) fn answer(
    context: &Arc<Context>,
    place: &Place,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let options = Options::read(request.uri().query().unwrap_or_default());
    let handshake = Handshake::read(&request);
    let found = options.and_then(|options| Ok((options, handshake?, place.uid(context)?)));
    let (options, handshake, uid) = match found {
        Ok(found) => found,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let directory = context.config.pod_run_directory(&uid);
    let (container, protocol) = (place.container.clone(), handshake.protocol);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let stream = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let started = Process::start(&directory, &container, &options).await;
        channels::serve(socket, started, protocol).await;
    });
    handshake.accepted()
}

/// What the client says about the protocol it wants to go on with.
struct Handshake {
    key: HeaderValue,
    protocol: Protocol,
}

impl Handshake {
    /// The error is for the client.
    fn read(request: &Request<Incoming>) -> Result<Self, String> {
        let word = |name: header::HeaderName| {
            let value = request.headers().get(name);
            value.and_then(|value| value.to_str().ok())
        };
        let wants = word(header::UPGRADE).unwrap_or_default();
        if !wants.eq_ignore_ascii_case("websocket") {
            return Err(format!(
                "exec is served over WebSocket, and the client asked to upgrade to {wants:?}: use kubectl 1.30 or newer"
            ));
        }
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let offered = offered.iter().filter_map(|value| value.to_str().ok());
        let protocol = Protocol::choose(offered)?;
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
        let key = key.cloned().ok_or("Sec-WebSocket-Key is missing")?;
        Ok(Self { key, protocol })
    }

    fn accepted(&self) -> Response<Body> {
        let body = Full::new(Bytes::new()).map_err(|never| match never {});
        let mut response = Response::new(body.boxed());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let accept = derive_accept_key(self.key.as_bytes());
        let accept = HeaderValue::from_str(&accept).expect("base64 is plain text");
        let name = HeaderValue::from_static(self.protocol.name());
        let fields = [
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
            (header::SEC_WEBSOCKET_PROTOCOL, name),
        ];
        response.headers_mut().extend(fields);
        response
    }
}
