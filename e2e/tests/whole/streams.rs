//! `exec` from the client's side: through the API server and a node's agent into a container, and back.

use std::sync::Arc;
use std::time::Duration;

use e2e::{Host, Product};
use futures::{SinkExt, StreamExt};
use kube::client::ConfigExt as _;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use testkit::archive;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Far more than a command takes.
const PATIENCE: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

#[test]
fn commands_in_containers_have_input_output_terminals_and_exit_codes() {
    let host = Host::new();
    let product = Product::new(&host, "data");
    product.up(&["--nodes", "1"]);
    let file = host.path("busybox.tar");
    std::fs::write(&file, archive::busybox()).unwrap();
    product.run(&["image", "load", file.to_str().unwrap()]);
    product.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: box}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         containers: [{{name: main, image: '{}', command: [sleep, '600']}}]\n",
        archive::NAME
    ));
    product.until("the pod is ready", || {
        product.field("pod", "box", "/status/containerStatuses/0/ready") == "true"
    });
    let kubeconfig = product.place().kubeconfig();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let talk = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            let client = Client(config.unwrap());
            tokio::time::timeout(PATIENCE, all(&client)).await.unwrap();
        });
    };
    host.namespace().run(talk).unwrap();
    product.run(&["down"]);
}

async fn all(client: &Client) {
    both_outputs_and_the_exit_code_arrive(client).await;
    what_is_typed_comes_back_whole(client).await;
    a_terminal_has_a_size(client).await;
    what_cannot_run_says_why(client).await;
    a_request_that_is_no_websocket_is_told(client).await;
}

async fn both_outputs_and_the_exit_code_arrive(client: &Client) {
    let script = "echo out; echo bad >&2; exit 3";
    let socket = client.shell(script, "stdout=true&stderr=true").await;
    let said = Said::read(socket).await;
    assert_eq!(
        (said.text(1), said.text(2)),
        ("out\n".into(), "bad\n".into())
    );
    let status = said.status();
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");
}

async fn what_is_typed_comes_back_whole(client: &Client) {
    let socket = client
        .shell("cat; echo end >&2", "stdin=true&stdout=true&stderr=true")
        .await;
    let (mut sink, source) = socket.split();
    let typed: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let sent = typed.clone();
    let sending = async move {
        for chunk in sent.chunks(30_000) {
            let message = [&[0], chunk].concat();
            sink.send(Message::Binary(message.into())).await.unwrap();
        }
        // The end of the input alone, as version 5 of the protocol has it.
        sink.send(Message::Binary(vec![255, 0].into()))
            .await
            .unwrap();
        sink
    };
    let (_sink, said) = tokio::join!(sending, Said::read(source));
    assert!(said.of(1) == typed, "{} bytes came back", said.of(1).len());
    assert_eq!(said.text(2), "end\n");
    assert_eq!(said.status()["status"], "Success");
}

async fn a_terminal_has_a_size(client: &Client) {
    let script = "read line; stty size; test -t 1 && echo [$line]";
    let mut socket = client
        .shell(script, "stdin=true&stdout=true&tty=true")
        .await;
    let size = [&[4], br#"{"Width":99,"Height":33}"#.as_slice()].concat();
    socket.send(Message::Binary(size.into())).await.unwrap();
    let typed = b"\x00hello\r".to_vec();
    socket.send(Message::Binary(typed.into())).await.unwrap();
    let said = Said::read(socket).await;
    assert_eq!(said.text(1), "hello\r\n33 99\r\n[hello]\r\n");
    assert_eq!(said.status()["status"], "Success");
}

async fn what_cannot_run_says_why(client: &Client) {
    let socket = client.open("command=nonsense&stdout=true").await;
    let said = Said::read(socket).await;
    let message = said.status()["message"].to_string();
    let why = "executable file not found in $PATH";
    assert!(message.contains(why), "{message}");
}

async fn a_request_that_is_no_websocket_is_told(client: &Client) {
    let plain = kube::Client::try_from(client.0.clone()).unwrap();
    let path = "/api/v1/namespaces/default/pods/box/exec?command=true&stdout=true";
    let asked = plain.request::<Value>(http::Request::get(path).body(Vec::new()).unwrap());
    let error = asked.await.unwrap_err().to_string();
    assert!(error.contains("Upgrade request required"), "{error}");
}

/// Opens streams to the pod.
struct Client(Config);

impl Client {
    async fn shell(&self, script: &str, streams: &str) -> Socket {
        let script = utf8_percent_encode(script, NON_ALPHANUMERIC);
        self.open(&format!("command=sh&command=-c&command={script}&{streams}"))
            .await
    }

    async fn open(&self, query: &str) -> Socket {
        let uri = &self.0.cluster_url;
        let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
        let address =
            format!("wss://{host}:{port}/api/v1/namespaces/default/pods/box/exec?{query}");
        let mut request = address.into_client_request().unwrap();
        let protocols = "v5.channel.k8s.io, v4.channel.k8s.io".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols);
        let tls = Arc::new(self.0.rustls_client_config().unwrap());
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let stream = TcpStream::connect((host, port)).await.unwrap();
        let stream = TlsConnector::from(tls).connect(name, stream).await.unwrap();
        let (socket, answer) = tokio_tungstenite::client_async(request, stream)
            .await
            .unwrap();
        assert_eq!(
            answer.headers()["sec-websocket-protocol"],
            "v5.channel.k8s.io"
        );
        socket
    }
}

/// Everything that came, by channels.
#[derive(Default)]
struct Said([Vec<u8>; 4]);

impl Said {
    async fn read<S>(mut socket: S) -> Self
    where
        S: futures::Stream<Item = tokio_tungstenite::tungstenite::Result<Message>> + Unpin,
    {
        let mut said = Self::default();
        while let Some(message) = socket.next().await {
            match message.unwrap() {
                Message::Binary(bytes) => {
                    said.0[usize::from(bytes[0])].extend_from_slice(&bytes[1..]);
                }
                Message::Close(_) => break,
                _ => {}
            }
        }
        said
    }

    fn of(&self, channel: usize) -> &[u8] {
        &self.0[channel]
    }

    fn text(&self, channel: usize) -> String {
        String::from_utf8_lossy(self.of(channel)).into_owned()
    }

    fn status(&self) -> Value {
        serde_json::from_slice(self.of(3)).unwrap()
    }
}
