//! The supervisor's loop: waits for agents, outputs, ends and deadlines, and does what each asks.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SigSet, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::config::{Config, READY_LINE, SOCKET_FILE};
use crate::connection::Connection;
use crate::container::Container;
use crate::error::{Error, IoContext, SystemContext};
use crate::exec::Exec;
use crate::log::Stream;
use crate::protocol::{
    ContainerSpec, ContainerState, Message, Outcome, Reply, Request, VERSION, Verb,
};
use crate::{isolation, pid_namespace, record};

/// So many agents may be connected; one is usual, two while an agent is replaced.
const MOST_CONNECTIONS: usize = 16;

/// After [`Verb::End`], so long is waited for killed programs to be gone.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs a pod's supervisor until it is told to end.
///
/// Must be called in a process with one thread: namespaces belong to threads, and containers are made by
/// cloning this process.
///
/// # Errors
/// When the namespaces, the cgroup or the socket cannot be made. Later failures become states and replies.
pub fn run(config: Config) -> Result<(), Error> {
    isolation::make_namespaces(&config)?;
    // Before the first link exists: a link takes its settings from the namespace's defaults.
    isolation::write_sysctls(&config)?;
    let mut supervisor = Supervisor::listen(config)?;
    announce_ready();
    isolation::join_cgroup(&supervisor.config)?;
    pid_namespace::share(&supervisor.config)?;
    supervisor.serve()
}

/// Tells the agent that the namespaces are there, and lets go of its pipe.
fn announce_ready() {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{READY_LINE}");
    let _ = stdout.flush();
    if let Ok(nowhere) = fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(nowhere);
    }
}

/// What the loop can wait for.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Listener,
    Signals,
    Connection(u64),
    Output(String, Stream),
    Exec(u64),
}

struct Supervisor {
    config: Config,
    listener: UnixListener,
    signals: SignalFd,
    connections: BTreeMap<u64, Connection>,
    containers: BTreeMap<String, Container>,
    execs: BTreeMap<u64, Exec>,
    next_key: u64,
    end_by: Option<Instant>,
}

impl Supervisor {
    fn listen(config: Config) -> Result<Self, Error> {
        let directory = config.run_directory.clone();
        fs::create_dir_all(&directory).context("create", &directory)?;
        // Bound by its short name from inside: a socket's path has at most 107 bytes.
        std::env::set_current_dir(&directory).context("enter", &directory)?;
        let _ = fs::remove_file(SOCKET_FILE);
        let socket = config.socket();
        let listener = UnixListener::bind(SOCKET_FILE).context("listen on", &socket)?;
        listener
            .set_nonblocking(true)
            .context("listen on", &socket)?;
        Ok(Self {
            config,
            listener,
            signals: watch_signals()?,
            connections: BTreeMap::new(),
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            next_key: 1,
            end_by: None,
        })
    }

    fn serve(&mut self) -> Result<(), Error> {
        while !self.has_ended() {
            for source in self.wait()? {
                self.handle(source);
            }
            self.pass_deadlines(Instant::now());
        }
        isolation::remove_other_groups(&self.config);
        let socket = self.config.socket();
        fs::remove_file(&socket).context("remove", &socket)
    }

    fn has_ended(&self) -> bool {
        self.end_by.is_some_and(|by| {
            Instant::now() >= by || !self.containers.values().any(Container::is_running)
        })
    }

    /// Waits until something can be done, and says what.
    fn wait(&self) -> Result<Vec<Source>, Error> {
        let (sources, mut polled): (Vec<Source>, Vec<PollFd>) = self
            .sources()
            .map(|(source, fd, flags)| (source, PollFd::new(fd, flags)))
            .unzip();
        match poll(&mut polled, self.timeout()) {
            Err(nix::Error::EINTR) => return Ok(Vec::new()),
            other => other.doing("wait for events")?,
        };
        let ready = |fd: &PollFd| fd.any().unwrap_or(true);
        Ok(sources
            .into_iter()
            .zip(&polled)
            .filter(|(_, fd)| ready(fd))
            .map(|(source, _)| source)
            .collect())
    }

    fn sources(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>, PollFlags)> {
        let own = [
            (Source::Listener, self.listener.as_fd(), PollFlags::POLLIN),
            (Source::Signals, self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let connections = self.connections.iter().map(|(key, connection)| {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, connection.wants_to_write());
            (Source::Connection(*key), connection.as_fd(), flags)
        });
        let outputs = self.containers.iter().flat_map(|(name, container)| {
            container
                .outputs()
                .map(|(stream, fd)| (Source::Output(name.clone(), stream), fd, PollFlags::POLLIN))
        });
        let execs = self
            .execs
            .iter()
            .filter_map(|(key, exec)| Some((Source::Exec(*key), exec.as_fd()?, PollFlags::POLLIN)));
        own.into_iter()
            .chain(connections)
            .chain(outputs)
            .chain(execs)
    }

    fn timeout(&self) -> PollTimeout {
        let kills = self.containers.values().filter_map(Container::kill_at);
        let execs = self.execs.values().filter_map(|exec| exec.deadline);
        let Some(next) = kills.chain(execs).chain(self.end_by).min() else {
            return PollTimeout::NONE;
        };
        // One more millisecond, or the last one would be spent in a busy loop.
        let left = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Listener => self.accept(),
            Source::Signals => self.take_signals(),
            Source::Connection(key) => self.converse(key),
            Source::Output(name, stream) => {
                if let Some(container) = self.containers.get_mut(&name) {
                    container.copy_output(stream);
                }
            }
            Source::Exec(key) => {
                if let Some(exec) = self.execs.get_mut(&key) {
                    exec.read_output();
                }
            }
        }
    }

    fn pass_deadlines(&mut self, now: Instant) {
        for container in self.containers.values_mut() {
            if container.kill_at().is_some_and(|at| at <= now) {
                container.kill();
            }
        }
        for exec in self.execs.values_mut() {
            if exec.deadline.is_some_and(|at| at <= now) {
                exec.give_up();
                exec.deadline = Some(now + END_WITHIN);
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.connections.len() >= MOST_CONNECTIONS {
                continue;
            }
            if let Ok(connection) = Connection::new(stream) {
                let key = self.key();
                self.connections.insert(key, connection);
            }
        }
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// Reads and answers what a connection sent. A connection that fails is forgotten; its agent comes back.
    fn converse(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        if connection.flush().is_err() {
            return self.hang_up(key);
        }
        match connection.read_lines() {
            Ok(lines) => lines.iter().for_each(|line| self.take_line(key, line)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.hang_up(key),
        }
    }

    /// Forgets a connection, and ends what only it had a use for.
    fn hang_up(&mut self, key: u64) {
        self.connections.remove(&key);
        let useless = |exec: &&Exec| exec.needs_connection && exec.connection == key;
        self.execs.values().filter(useless).for_each(Exec::kill);
    }

    fn take_line(&mut self, key: u64, line: &[u8]) {
        let request: Request = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(error) => {
                let id = id_of(line);
                return self.reply(key, id, failed(format!("not understood: {error}")));
            }
        };
        if let Some(outcome) = self.perform(key, request.id, request.verb) {
            self.reply(key, request.id, outcome);
        }
    }

    /// Does what is asked; `None` when the reply comes later.
    fn perform(&mut self, key: u64, id: u64, verb: Verb) -> Option<Outcome> {
        Some(match verb {
            Verb::Hello { .. } => self.hello(key),
            Verb::States => Outcome::States {
                states: self.states(),
            },
            Verb::Start(spec) => self.start(*spec),
            Verb::Stop {
                container,
                grace_millis,
            } => self.with_container(&container, |container| {
                container.stop(Duration::from_millis(grace_millis), Instant::now());
            }),
            Verb::Kill { container } => self.with_container(&container, Container::kill),
            Verb::Exec(spec) => {
                let start = |container: &Container| Exec::start(container, &spec, (key, id));
                return self.exec(&spec.container, start);
            }
            Verb::Stream(spec) => {
                let connection = self.connections.get_mut(&key);
                let descriptors = connection.map(Connection::take_descriptors);
                let descriptors = descriptors.unwrap_or_default();
                let start = |container: &Container| {
                    Exec::start_with_streams(container, &spec, descriptors, (key, id))
                };
                return self.exec(&spec.container, start);
            }
            Verb::End => self.end(),
        })
    }

    fn hello(&mut self, key: u64) -> Outcome {
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.greeted = true;
        }
        Outcome::Hello {
            version: VERSION,
            pid: std::process::id(),
            uid: self.config.uid.clone(),
        }
    }

    fn states(&self) -> Vec<ContainerState> {
        self.containers
            .values()
            .flat_map(|container| container.previous.iter().chain([&container.state]))
            .cloned()
            .collect()
    }

    fn start(&mut self, spec: ContainerSpec) -> Outcome {
        let name = spec.name.clone();
        let previous = match self.containers.get(&name) {
            Some(container) if container.spec.attempt == spec.attempt => return Outcome::Done,
            Some(container) if container.is_running() => {
                let attempt = container.spec.attempt;
                return failed(format!("attempt {attempt} of {name:?} still runs"));
            }
            Some(container) => Some(container.state.clone()),
            None => None,
        };
        let container = Container::start(spec, previous, &self.config.run_directory);
        self.containers.insert(name.clone(), container);
        self.publish(&name);
        Outcome::Done
    }

    fn with_container(&mut self, name: &str, act: impl FnOnce(&mut Container)) -> Outcome {
        match self.containers.get_mut(name) {
            Some(container) => {
                act(container);
                Outcome::Done
            }
            None => failed(format!("this pod has no container {name:?}")),
        }
    }

    /// Starts a command; `None` when the reply comes at its end.
    fn exec(
        &mut self,
        name: &str,
        start: impl FnOnce(&Container) -> Result<Exec, String>,
    ) -> Option<Outcome> {
        let Some(container) = self.containers.get(name) else {
            return Some(failed(format!("this pod has no container {name:?}")));
        };
        match start(container) {
            Ok(exec) => {
                let key = self.key();
                self.execs.insert(key, exec);
                None
            }
            Err(message) => Some(failed(message)),
        }
    }

    fn end(&mut self) -> Outcome {
        self.end_by = Some(Instant::now() + END_WITHIN);
        self.containers.values_mut().for_each(Container::kill);
        self.execs.values().for_each(Exec::kill);
        Outcome::Done
    }

    fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGTERM as u32 {
                self.end();
            }
        }
        self.reap();
    }

    /// Collects every child that has ended, orphans of containers included.
    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.process_ended(pid, code, None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    let number = signal as i32;
                    self.process_ended(pid, 128 + number, Some(number));
                }
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn process_ended(&mut self, pid: Pid, code: i32, signal: Option<i32>) {
        let container = self
            .containers
            .values_mut()
            .find(|container| container.is_process(pid));
        if let Some(container) = container {
            container.ended(code, signal);
            let name = container.spec.name.clone();
            return self.publish(&name);
        }
        let key = self.execs.iter().find(|(_, exec)| exec.pid == pid);
        if let Some(key) = key.map(|(key, _)| *key) {
            let exec = self.execs.remove(&key).expect("the key was just found");
            let (connection, request) = (exec.connection, exec.request);
            self.reply(connection, request, exec.finish(code));
        }
    }

    /// Records a container's state and tells every greeted agent.
    fn publish(&mut self, name: &str) {
        let state = self.containers[name].state.clone();
        if let Err(error) = record::write(&self.config.run_directory, &state) {
            eprintln!("pod {}: {error}", self.config.pod);
        }
        let message = Message::State(state);
        self.connections
            .retain(|_, connection| !connection.greeted || connection.send(&message).is_ok());
    }

    fn reply(&mut self, key: u64, id: u64, outcome: Outcome) {
        let message = Message::Reply(Reply { id, outcome });
        if let Some(connection) = self.connections.get_mut(&key)
            && connection.send(&message).is_err()
        {
            self.hang_up(key);
        }
    }
}

/// Ends of children and the wish to end arrive as readable events; containers unblock them at their start.
fn watch_signals() -> Result<SignalFd, Error> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.thread_block().doing("block signals")?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .doing("watch for signals")
}

fn failed(message: String) -> Outcome {
    Outcome::Failed { message }
}

/// The id of a line whose verb is not known, so that its sender learns of it.
fn id_of(line: &[u8]) -> u64 {
    #[derive(serde::Deserialize)]
    struct Id {
        id: u64,
    }
    serde_json::from_slice::<Id>(line).map_or(0, |id| id.id)
}
