//! A command that the pod's supervisor runs, with our ends of its streams.

use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use pod::protocol::{Message, Outcome, Phase, Reply, Request, StreamSpec, Verb};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, Lines};
use tokio::net::unix::pipe;

use super::request::Options;
use super::terminal::{self, Terminal};
use crate::supervisor;

/// Something to read from.
pub(super) type Source = Box<dyn AsyncRead + Send + Unpin>;
/// Something to write to.
pub(super) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// A command that runs.
pub(super) struct Process {
    pub(super) streams: Streams,
    pub(super) end: End,
}

/// Our ends of the streams; those of a terminal are the terminal.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) stdin: Option<Sink>,
    pub(super) stdout: Option<Source>,
    pub(super) stderr: Option<Source>,
    pub(super) terminal: Option<Terminal>,
}

/// The command's end, some day. The command is killed when this is dropped before.
pub(super) struct End(Conversation);

impl Process {
    /// Starts a command in a running container. The error is for the user.
    pub(super) async fn start(
        directory: &Path,
        container: &str,
        options: &Options,
    ) -> Result<Self, String> {
        let mut conversation = Conversation::open(directory)
            .await
            .map_err(|error| format!("the pod's supervisor does not answer: {error}"))?;
        let pid = conversation.pid_of(container).await?;
        let (streams, theirs) =
            Streams::make(pid, options).map_err(|error| format!("cannot make streams: {error}"))?;
        let verb = Verb::Stream(StreamSpec {
            container: container.to_owned(),
            command: options.command.clone(),
            stdin: options.stdin,
            stdout: options.stdout,
            stderr: options.stderr,
        });
        let sent = conversation.send(verb, &theirs).await;
        sent.map_err(|error| error.to_string())?;
        drop(theirs);
        let end = End(conversation);
        Ok(Self { streams, end })
    }
}

impl End {
    /// Waits for the exit code; the error says why there is none.
    pub(super) async fn wait(&mut self) -> Result<i32, String> {
        match self.0.outcome().await? {
            Outcome::Exec {
                exit_code: Some(code),
                ..
            } => Ok(code),
            other => Err(format!("the pod's supervisor said {other:?}")),
        }
    }
}

impl Streams {
    /// Gives our ends, and the command's in the protocol's order.
    fn make(pid: i32, options: &Options) -> io::Result<(Self, Vec<OwnedFd>)> {
        if options.tty {
            return Self::make_terminal(pid, options);
        }
        let (mut ours, mut theirs) = (Self::default(), Vec::new());
        if options.stdin {
            let (reader, writer) = io::pipe()?;
            ours.stdin = Some(Box::new(pipe::Sender::from_owned_fd(writer.into())?));
            theirs.push(reader.into());
        }
        let mut output = |wanted: bool| -> io::Result<Option<Source>> {
            if !wanted {
                return Ok(None);
            }
            let (reader, writer) = io::pipe()?;
            theirs.push(writer.into());
            let reader = pipe::Receiver::from_owned_fd(reader.into())?;
            Ok(Some(Box::new(reader) as Source))
        };
        ours.stdout = output(options.stdout)?;
        ours.stderr = output(options.stderr)?;
        Ok((ours, theirs))
    }

    fn make_terminal(pid: i32, options: &Options) -> io::Result<(Self, Vec<OwnedFd>)> {
        let (terminal, slave) = terminal::open_in(pid)?;
        let mut ours = Self {
            terminal: Some(terminal.clone()),
            ..Self::default()
        };
        let mut theirs = Vec::new();
        if options.stdin {
            ours.stdin = Some(Box::new(terminal.clone()));
            theirs.push(slave.try_clone()?);
        }
        if options.stdout {
            ours.stdout = Some(Box::new(terminal));
            theirs.push(slave);
        }
        Ok((ours, theirs))
    }
}

/// A connection to the supervisor for one command.
struct Conversation {
    lines: Lines<BufReader<tokio::net::UnixStream>>,
    /// The same connection, for descriptors.
    writer: UnixStream,
    asked: u64,
}

impl Conversation {
    async fn open(directory: &Path) -> io::Result<Self> {
        let stream = supervisor::open(directory).await?.into_std()?;
        let writer = stream.try_clone()?;
        let stream = tokio::net::UnixStream::from_std(stream)?;
        Ok(Self {
            lines: BufReader::new(stream).lines(),
            writer,
            asked: 0,
        })
    }

    /// The first process of a container that runs.
    async fn pid_of(&mut self, container: &str) -> Result<i32, String> {
        let sent = self.send(Verb::States, &[]).await;
        sent.map_err(|error| error.to_string())?;
        let Outcome::States { states } = self.outcome().await? else {
            return Err("the pod's supervisor does not know its containers".to_owned());
        };
        let running = states
            .iter()
            .rev()
            .find(|state| state.name == container && matches!(state.phase, Phase::Running { .. }));
        running
            .and_then(|state| state.pid)
            .ok_or_else(|| format!("container not found ({container:?})"))
    }

    /// Sends a request, with descriptors beside its first byte.
    async fn send(&mut self, verb: Verb, descriptors: &[OwnedFd]) -> io::Result<()> {
        self.asked += 1;
        let id = self.asked;
        let mut line = serde_json::to_vec(&Request { id, verb })?;
        line.push(b'\n');
        let mut rest = line.as_slice();
        if !descriptors.is_empty() {
            let sent = send_beside(&self.writer, rest, descriptors)?;
            rest = &rest[sent..];
        }
        // The supervisor reads at once, and a line is short: this hardly ever waits.
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.lines.get_ref().get_ref().writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The answer to the last request; a refusal is the error.
    async fn outcome(&mut self) -> Result<Outcome, String> {
        loop {
            let line = self.lines.next_line().await;
            let line = line.map_err(|error| error.to_string())?;
            let line = line.ok_or("the pod's supervisor has hung up")?;
            match serde_json::from_str(&line).map_err(|error| error.to_string())? {
                Message::Reply(Reply { id, outcome }) if id == self.asked => {
                    return match outcome {
                        Outcome::Failed { message } => Err(message),
                        other => Ok(other),
                    };
                }
                _ => {}
            }
        }
    }
}

fn send_beside(socket: &UnixStream, bytes: &[u8], beside: &[OwnedFd]) -> io::Result<usize> {
    let borrowed: Vec<BorrowedFd<'_>> = beside.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    if !buffer.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("more descriptors than a message holds"));
    }
    let bytes = [IoSlice::new(bytes)];
    Ok(sendmsg(socket, &bytes, &mut buffer, SendFlags::NOSIGNAL)?)
}
