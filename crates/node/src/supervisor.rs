//! The agent's side of a pod's supervisor: starts it, finds it again, asks it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pod::protocol::{ContainerState, Message, Outcome, Request, VERSION, Verb};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::{Error, IoContext};

/// A supervisor that is not ready by then will not be.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Changes of states that wait for the pod's worker; it is never far behind.
const STATES_QUEUE: usize = 64;

/// The longest path that a socket's address holds (unix(7)), without the final zero.
const LONGEST_SOCKET_PATH: usize = 107;

/// Where a supervisor's complaints go.
const ERRORS_FILE: &str = "supervisor.log";

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

/// A connection to a pod's supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) pid: u32,
    socket: PathBuf,
    writer: tokio::sync::Mutex<(u64, OwnedWriteHalf)>,
    pending: Pending,
}

/// Changes of containers' states; it ends when the supervisor does.
pub(crate) type States = mpsc::Receiver<ContainerState>;

/// Starts a supervisor and waits until its namespaces exist. Returns its process id.
pub(crate) async fn launch(command: &[OsString], config: &pod::Config) -> Result<u32, Error> {
    let directory = &config.run_directory;
    fs::create_dir_all(directory).context("create", directory)?;
    let path = directory.join(pod::CONFIG_FILE);
    let text = serde_json::to_vec(config).expect("a configuration is plain data");
    fs::write(&path, text).context("write", &path)?;
    let errors = directory.join(ERRORS_FILE);
    let errors_file = fs::File::create(&errors).context("create", &errors)?;

    let (program, arguments) = command.split_first().expect("a supervisor is some command");
    let mut child = Command::new(program)
        .args(arguments)
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors_file)
        .spawn()
        .context("run", Path::new(program))?;
    let pid = child.id().expect("a child that was not awaited has an id");
    let stdout = child.stdout.take().expect("the output was asked for");
    let mut lines = BufReader::new(stdout).lines();
    let first = timeout(READY_WITHIN, lines.next_line()).await;
    if !matches!(&first, Ok(Ok(Some(line))) if line == pod::READY_LINE) {
        let _ = child.start_kill();
        let _ = child.wait().await;
        let said = fs::read_to_string(&errors).unwrap_or_default();
        return Err(Error::Launch(said.trim().to_owned()));
    }
    // Only to reap it: its end is noticed by its connection.
    tokio::spawn(async move { child.wait().await });
    Ok(pid)
}

impl Supervisor {
    /// Connects to the supervisor of a pod's run directory and makes sure that it is that pod's.
    pub(crate) async fn connect(directory: &Path, uid: &str) -> Result<(Self, States), Error> {
        let socket = directory.join(pod::SOCKET_FILE);
        let failed = |message: String| Error::Supervisor {
            path: socket.clone(),
            message,
        };
        let stream = open(directory)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let (reader, writer) = stream.into_split();
        let pending = Pending::default();
        let (states, receiver) = mpsc::channel(STATES_QUEUE);
        tokio::spawn(read(reader, pending.clone(), states));
        let mut supervisor = Self {
            pid: 0,
            socket: socket.clone(),
            writer: tokio::sync::Mutex::new((0, writer)),
            pending,
        };
        match supervisor.ask(Verb::Hello { version: VERSION }).await? {
            Outcome::Hello {
                pid, uid: found, ..
            } if found == uid => supervisor.pid = pid,
            other => {
                return Err(failed(format!(
                    "it is not this pod's supervisor: {other:?}"
                )));
            }
        }
        Ok((supervisor, receiver))
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, verb: Verb) -> Result<Outcome, Error> {
        let answer = self
            .send(verb)
            .await
            .map_err(|error| self.lost(&error.to_string()))?;
        let outcome = answer.await.map_err(|_| self.lost("it has hung up"))?;
        match outcome {
            Outcome::Failed { message } => Err(Error::Refused(message)),
            other => Ok(other),
        }
    }

    async fn send(&self, verb: Verb) -> std::io::Result<oneshot::Receiver<Outcome>> {
        let mut guard = self.writer.lock().await;
        let (last_id, writer) = &mut *guard;
        *last_id += 1;
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(*last_id, sender);
        let mut line = serde_json::to_vec(&Request { id: *last_id, verb })?;
        line.push(b'\n');
        writer.write_all(&line).await?;
        Ok(receiver)
    }

    fn lost(&self, message: &str) -> Error {
        Error::Supervisor {
            path: self.socket.clone(),
            message: message.to_owned(),
        }
    }
}

/// Connects to the supervisor of a pod's run directory. A socket with a long path is opened by way of its
/// directory's descriptor.
pub(crate) async fn open(directory: &Path) -> std::io::Result<UnixStream> {
    let socket = directory.join(pod::SOCKET_FILE);
    if socket.as_os_str().len() <= LONGEST_SOCKET_PATH {
        return UnixStream::connect(socket).await;
    }
    let directory = fs::File::open(directory)?;
    let number = directory.as_raw_fd();
    UnixStream::connect(format!("/proc/self/fd/{number}/{}", pod::SOCKET_FILE)).await
}

/// Hands out answers and states until the supervisor hangs up; then nobody waits any longer.
async fn read(reader: OwnedReadHalf, pending: Pending, states: mpsc::Sender<ContainerState>) {
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Message::Reply(reply)) => {
                let waiting = lock(&pending).remove(&reply.id);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(reply.outcome);
                }
            }
            Ok(Message::State(state)) => {
                if states.send(state).await.is_err() {
                    break;
                }
            }
            Err(error) => tracing::warn!(%error, line, "a supervisor's line is not understood"),
        }
    }
    lock(&pending).clear();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
