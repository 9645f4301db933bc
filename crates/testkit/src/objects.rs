//! A Kubernetes API that holds whatever objects it is given: lists and watches, and no rules at all. For
//! tests of processes that only read, where a whole API server would decide too much.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::{Request, Response, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The body of an answer: whole, or a stream of events.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The API; its clones are the same one.
#[derive(Clone)]
pub struct Objects {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    revision: u64,
    /// By kind, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    events: Vec<Event>,
    /// Watches that began before this was raised have ended.
    era: u64,
}

struct Event {
    revision: u64,
    plural: &'static str,
    what: &'static str,
    object: Value,
}

/// What a list or watch asks for.
struct Query {
    plural: &'static str,
    pairs: BTreeMap<String, String>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Objects {
    /// Creates an object, or takes another one's place.
    pub fn put(&self, mut object: Value) {
        let mut state = self.lock();
        state.revision += 1;
        let revision = state.revision;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let key = key(&object);
        let plural = plural(&key.0);
        let what = match state.objects.insert(key, object.clone()) {
            Some(_) => "MODIFIED",
            None => "ADDED",
        };
        state.events.push(Event {
            revision,
            plural,
            what,
            object,
        });
        self.changed.send_replace(revision);
    }

    /// Changes an object that is there.
    ///
    /// # Panics
    /// When it is not.
    pub fn change(&self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(kind, name);
        change(&mut object);
        self.put(object);
    }

    /// An object that is there, of any namespace.
    ///
    /// # Panics
    /// When it is not.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let state = self.lock();
        let mut all = state.objects.iter();
        let found = all.find(|((its_kind, _, its_name), _)| its_kind == kind && its_name == name);
        found
            .unwrap_or_else(|| panic!("there is no {kind} {name}"))
            .1
            .clone()
    }

    /// Every object of a kind.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let state = self.lock();
        let all = state.objects.iter().filter(|((its, ..), _)| its == kind);
        all.map(|(_, object)| object.clone()).collect()
    }

    /// Takes an object away, if it is there.
    pub fn delete(&self, kind: &str, name: &str) {
        let mut state = self.lock();
        let mut keys = state.objects.keys();
        let key = keys.find(|key| key.0 == kind && key.2 == name).cloned();
        let Some(mut object) = key.and_then(|key| state.objects.remove(&key)) else {
            return;
        };
        state.revision += 1;
        let revision = state.revision;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        state.events.push(Event {
            revision,
            plural: plural(kind),
            what: "DELETED",
            object,
        });
        self.changed.send_replace(revision);
    }

    /// Ends every watch, as a server that is started again does.
    pub fn interrupt(&self) {
        let mut state = self.lock();
        state.era += 1;
        self.changed.send_replace(state.revision);
    }

    /// A client that asks it without any socket.
    pub fn client(&self) -> kube::Client {
        let api = self.clone();
        let answer = move |request: Request<kube::client::Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.respond(request).await) }
        };
        kube::Client::new(tower::service_fn(answer), "default")
    }

    /// Answers over HTTP/1.1, for other processes, until the test's process ends.
    pub async fn serve(self, listener: tokio::net::TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let api = self.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(api.respond(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }

    /// The answer to any request: a POST of an object (an event, say) is taken as it is.
    async fn respond<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
    {
        if request.method() != http::Method::POST {
            return self.answer(request.uri());
        }
        let body = request.into_body().collect().await;
        let body = body.expect("the client sends all of its body").to_bytes();
        let object: Value = serde_json::from_slice(&body).expect("a body is an object");
        self.put(object.clone());
        response(201, whole(&object))
    }

    /// The answer to a GET.
    pub fn answer(&self, uri: &Uri) -> Response<Body> {
        let Some(query) = Query::of(uri) else {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                "reason": "NotFound", "message": format!("nothing is at {uri}")});
            return response(404, whole(&status));
        };
        if query.is("watch", "true") || query.is("watch", "1") {
            response(200, self.watch(query))
        } else {
            response(200, whole(&self.list(&query)))
        }
    }

    fn list(&self, query: &Query) -> Value {
        let state = self.lock();
        let all = state.objects.values();
        let items: Vec<&Value> = all.filter(|object| query.wants(object)).collect();
        let version = state.revision.to_string();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items})
    }

    fn watch(&self, query: Query) -> Body {
        let from = query.pairs.get("resourceVersion");
        let from: u64 = from.and_then(|text| text.parse().ok()).unwrap_or(0);
        let era = self.lock().era;
        StreamBody::new(
            self.clone()
                .events(query, from, era)
                .map(Ok::<_, Infallible>),
        )
        .boxed_unsync()
    }

    fn events(self, query: Query, from: u64, era: u64) -> impl Stream<Item = Frame<Bytes>> + Send {
        let changed = self.changed.subscribe();
        stream::unfold((self, query, from, changed), move |mut at| async move {
            loop {
                let (text, revision) = at.0.since(&at.1, at.2, era)?;
                at.2 = revision;
                if !text.is_empty() {
                    return Some((Frame::data(text.into()), at));
                }
                at.3.changed().await.ok()?;
            }
        })
    }

    /// Events after a revision, as lines, and the revision they lead to; `None` when the watch ends.
    fn since(&self, query: &Query, from: u64, era: u64) -> Option<(String, u64)> {
        let state = self.lock();
        let first = state.events.partition_point(|event| event.revision <= from);
        let news = state.events[first..].iter();
        let ours = news.filter(|e| e.plural == query.plural && query.wants(&e.object));
        let text = ours
            .map(|event| format!("{}\n", json!({"type": event.what, "object": event.object})))
            .collect();
        (state.era == era).then_some((text, state.revision))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nobody panics while holding the lock")
    }
}

impl Query {
    /// What a path such as `/api/v1/services` and its parameters ask for.
    fn of(uri: &Uri) -> Option<Self> {
        let plural = match uri.path() {
            "/api/v1/services" => "services",
            "/api/v1/nodes" => "nodes",
            "/apis/discovery.k8s.io/v1/endpointslices" => "endpointslices",
            "/apis/networking.k8s.io/v1/servicecidrs" => "servicecidrs",
            _ => return None,
        };
        let pairs = uri.query().unwrap_or_default().split('&');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        let decoded = |text: &str| {
            text.replace("%3D", "=")
                .replace("%2C", ",")
                .replace("%21", "!")
                .replace("%2F", "/")
        };
        Some(Self {
            plural,
            pairs: pairs
                .map(|(key, value)| (key.to_owned(), decoded(value)))
                .collect(),
        })
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.pairs.get(key).is_some_and(|held| held == value)
    }

    /// Selectors as far as proxies use them: labels that must not be there, and one name.
    fn wants(&self, object: &Value) -> bool {
        let terms = self
            .pairs
            .get("labelSelector")
            .map(String::as_str)
            .unwrap_or_default();
        let mut absent = terms.split(',').filter_map(|term| term.strip_prefix('!'));
        let field = self
            .pairs
            .get("fieldSelector")
            .map(String::as_str)
            .unwrap_or_default();
        let name = field.strip_prefix("metadata.name=");
        object["kind"]
            .as_str()
            .is_some_and(|kind| plural(kind) == self.plural)
            && absent.all(|label| object["metadata"]["labels"].get(label).is_none())
            && name.is_none_or(|name| object["metadata"]["name"] == name)
    }
}

fn key(object: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let meta = &object["metadata"];
    (
        text(&object["kind"]),
        text(&meta["namespace"]),
        text(&meta["name"]),
    )
}

fn plural(kind: &str) -> &'static str {
    match kind {
        "Service" => "services",
        "Node" => "nodes",
        "EndpointSlice" => "endpointslices",
        "ServiceCIDR" => "servicecidrs",
        "Event" => "events",
        other => panic!("the API of objects does not know the kind {other}"),
    }
}

fn whole(value: &Value) -> Body {
    let bytes = serde_json::to_vec(value).expect("a value has a text");
    Full::new(Bytes::from(bytes)).boxed_unsync()
}

fn response(status: u16, body: Body) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response
        .body(body)
        .expect("status and headers are well-formed")
}
