//! A command's streams as channels of a WebSocket: the first byte of each message says which
//! (`remotecommand` in client-go, KEP-4006).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::process::{End, Process, Sink, Source, Streams};
use super::request::Protocol;
use super::status;
use super::terminal::Terminal;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// Version 5: the message's second byte is a channel that the client closes.
const CLOSE: u8 = 255;

/// One read of an output, and so the longest message.
const CHUNK: usize = 32 * 1024;

/// Messages that wait for a slow client; then the command's output waits in its pipe, and so the command.
const MESSAGES: usize = 4;

/// After the command's end, what it left in its pipes is read; a child of it that lives on may hold them
/// open, so silence for so long ends that.
const SILENCE: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Carries the streams until the command has ended or the client has gone.
pub(super) async fn serve(socket: Socket, started: Result<Process, String>, protocol: Protocol) {
    let (sink, source) = socket.split();
    let (messages, queue) = mpsc::channel(MESSAGES);
    let writing = tokio::spawn(write(queue, sink));
    let (streams, end) = match started {
        Ok(Process { streams, end }) => (streams, Ok(end)),
        Err(why) => (Streams::default(), Err(why)),
    };
    let input = Input {
        stdin: streams.stdin,
        terminal: streams.terminal,
        protocol,
    };
    let outputs = [(STDOUT, streams.stdout), (STDERR, streams.stderr)];
    let mut reading = tokio::spawn(input.take_all(source));
    let status = match end {
        Ok(end) => carry(end, outputs, &mut reading, &messages).await,
        Err(why) => Some(status::of_failure(&why)),
    };
    if let Some(status) = status {
        let _ = messages
            .send(message(ERROR, status.to_string().as_bytes()))
            .await;
    }
    drop(messages);
    let _ = writing.await;
    // What the client still sends is read, or the connection's reset could overtake what it has not read.
    let _ = timeout(SILENCE, &mut reading).await;
    reading.abort();
}

/// Gives the status, or nothing if nobody is left to hear it.
async fn carry(
    mut end: End,
    outputs: [(u8, Option<Source>); 2],
    reading: &mut JoinHandle<()>,
    messages: &mpsc::Sender<Bytes>,
) -> Option<serde_json::Value> {
    let progress = Arc::new(AtomicU64::new(0));
    let mut copies = JoinSet::new();
    for (channel, output) in outputs {
        if let Some(output) = output {
            copies.spawn(copy(output, channel, messages.clone(), progress.clone()));
        }
    }
    let ended = tokio::select! {
        ended = end.wait() => ended,
        _ = reading => return None,
        () = messages.closed() => return None,
    };
    drain(&mut copies, &progress).await;
    Some(match ended {
        Ok(code) => status::of_exit_code(code),
        Err(why) => status::of_failure(&why),
    })
}

/// Waits for the outputs' ends, as long as something still comes.
async fn drain(outputs: &mut JoinSet<()>, progress: &AtomicU64) {
    let mut seen = progress.load(Ordering::Relaxed);
    while !outputs.is_empty() {
        if timeout(SILENCE, outputs.join_next()).await.is_err() {
            let now = progress.load(Ordering::Relaxed);
            if now == seen {
                return outputs.abort_all();
            }
            seen = now;
        }
    }
}

/// Sends what an output brings.
async fn copy(
    mut output: Source,
    channel: u8,
    messages: mpsc::Sender<Bytes>,
    progress: Arc<AtomicU64>,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = output.read(&mut chunk).await {
        progress.fetch_add(1, Ordering::Relaxed);
        if messages
            .send(message(channel, &chunk[..length]))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn message(channel: u8, bytes: &[u8]) -> Bytes {
    [&[channel], bytes].concat().into()
}

/// Writes messages until there are no more, then says goodbye.
async fn write(mut queue: mpsc::Receiver<Bytes>, mut sink: SplitSink<Socket, Message>) {
    while let Some(bytes) = queue.recv().await {
        if sink.send(Message::Binary(bytes)).await.is_err() {
            return;
        }
    }
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    let _ = sink.send(Message::Close(Some(goodbye))).await;
}

/// What the client sends, and where it goes.
struct Input {
    stdin: Option<Sink>,
    terminal: Option<Terminal>,
    protocol: Protocol,
}

/// A terminal's new size, as clients write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

impl Input {
    /// Takes messages until the client has gone.
    async fn take_all(mut self, mut source: SplitStream<Socket>) {
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(bytes) => self.take(&bytes).await,
                Message::Text(text) => self.take(text.as_bytes()).await,
                Message::Close(_) => return,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) {
        match bytes {
            [STDIN, data @ ..] => self.write(data).await,
            [RESIZE, size @ ..] => self.resize(size),
            [CLOSE, STDIN] if self.protocol == Protocol::V5 => self.stdin = None,
            _ => {}
        }
    }

    async fn write(&mut self, data: &[u8]) {
        if let Some(stdin) = &mut self.stdin
            && stdin.write_all(data).await.is_err()
        {
            // The command does not read any more; that is no error.
            self.stdin = None;
        }
    }

    fn resize(&self, size: &[u8]) {
        if let (Some(terminal), Ok(size)) = (&self.terminal, serde_json::from_slice::<Size>(size))
            && let Err(error) = terminal.resize(size.width, size.height)
        {
            tracing::debug!(%error, "a terminal could not be resized");
        }
    }
}
