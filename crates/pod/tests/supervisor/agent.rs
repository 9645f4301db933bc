//! A blocking agent: starts a supervisor, talks to it, and cleans up after it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pod::protocol::{
    ContainerSpec, ContainerState, Message, Outcome, Phase, Process, Program, Reply, Request, Verb,
};
use pod::{CONFIG_FILE, Config, READY_LINE};

pub(crate) struct Agent {
    directory: tempfile::TempDir,
    cgroup: Option<PathBuf>,
    child: Child,
    connection: Option<BufReader<UnixStream>>,
    states: Vec<ContainerState>,
    next_id: u64,
}

impl Agent {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, |_| {})
    }

    /// Starts a supervisor with a configuration that `change` has seen.
    pub(crate) fn start_with(name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cgroup = cgroup_for(name);
        let mut config = Config {
            pod: format!("default/{name}"),
            uid: "uid".into(),
            run_directory: directory.path().join("run"),
            cgroup: cgroup.clone(),
            hostname: name.into(),
            host_network: false,
            private_mounts: false,
            sysctls: vec![("net.ipv4.ip_unprivileged_port_start".into(), "0".into())],
            ..Config::default()
        };
        change(&mut config);
        let path = directory.path().join(CONFIG_FILE);
        fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        let mut child = Command::new("/proc/self/exe")
            .arg("pod")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim_end(), READY_LINE);
        let mut agent = Self {
            directory,
            cgroup,
            child,
            connection: None,
            states: Vec::new(),
            next_id: 0,
        };
        agent.connect();
        agent
    }

    pub(crate) fn connect(&mut self) {
        let stream = UnixStream::connect(self.run_directory().join(pod::SOCKET_FILE)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        self.connection = Some(BufReader::new(stream));
        let hello = self.ask(Verb::Hello { version: 1 });
        assert!(matches!(hello, Outcome::Hello { uid, .. } if uid == "uid"));
    }

    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many descriptors the supervisor has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    pub(crate) fn run_directory(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The pod's group in every hierarchy.
    pub(crate) fn group(&self) -> PathBuf {
        let name = self.cgroup.as_deref().and_then(kernel::cgroup::name_of);
        name.expect("these tests need cgroup version 2, which may be beside version 1")
    }

    pub(crate) fn log(&self, container: &str) -> PathBuf {
        self.directory.path().join(format!("{container}.log"))
    }

    pub(crate) fn send_line(&mut self, line: &str) {
        let stream = self.connection.as_mut().unwrap().get_mut();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn ask(&mut self, verb: Verb) -> Outcome {
        self.next_id += 1;
        let request = Request {
            id: self.next_id,
            verb,
        };
        self.send_line(&serde_json::to_string(&request).unwrap());
        let reply = self.next_reply();
        assert_eq!(reply.id, self.next_id);
        reply.outcome
    }

    pub(crate) fn next_reply(&mut self) -> Reply {
        loop {
            if let Message::Reply(reply) = self.next_message() {
                return reply;
            }
        }
    }

    /// The texts of a container's log, without times and tags; parts of lines are joined.
    pub(crate) fn texts(&self, container: &str) -> Vec<String> {
        let log = fs::read_to_string(self.log(container)).unwrap();
        let mut begun: BTreeMap<&str, String> = BTreeMap::new();
        let mut texts = Vec::new();
        for line in log.lines() {
            let [_, stream, tag, text] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line:?} is no log line")
            };
            begun.entry(stream).or_default().push_str(text);
            if tag == "F" {
                texts.extend(begun.remove(stream));
            }
        }
        texts
    }

    /// Starts a container and returns its first state.
    pub(crate) fn run(&mut self, spec: ContainerSpec) -> ContainerState {
        let name = spec.name.clone();
        assert_eq!(self.ask(Verb::Start(Box::new(spec))), Outcome::Done);
        self.newest(&name).expect("a state comes before the reply")
    }

    pub(crate) fn wait_for_exit(&mut self, name: &str) -> ContainerState {
        loop {
            if let Some(state) = self.newest(name)
                && matches!(state.phase, Phase::Exited { .. })
            {
                return state;
            }
            self.next_message();
        }
    }

    pub(crate) fn wait_for_log(&self, container: &str, lines: usize) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read_to_string(self.log(container)).unwrap_or_default();
            if text.lines().count() >= lines {
                return text;
            }
            assert!(Instant::now() < deadline, "only {text:?} in the log");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn wait_for_supervisor(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn kill_supervisor(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn members_of_cgroup(&self) -> String {
        let Some(cgroup) = &self.cgroup else {
            return String::new();
        };
        fs::read_to_string(cgroup.join("supervisor/cgroup.procs")).unwrap()
    }

    fn newest(&self, name: &str) -> Option<ContainerState> {
        let mut newest_first = self.states.iter().rev();
        newest_first.find(|state| state.name == name).cloned()
    }

    fn next_message(&mut self) -> Message {
        let mut line = String::new();
        let reader = self.connection.as_mut().unwrap();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "hung up");
        let message = serde_json::from_str(&line).unwrap();
        if let Message::State(state) = &message {
            self.states.push(state.clone());
        }
        message
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.cgroup.is_some() {
            for group in kernel::cgroup::in_all_hierarchies(&self.group()) {
                let cleaned = group.kill().and_then(|()| group.remove());
                if !std::thread::panicking() {
                    cleaned.unwrap();
                }
            }
        }
    }
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A container that is a shell script.
pub(crate) fn shell(name: &str, attempt: u32, log: &Path, script: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        attempt,
        log: log.to_owned(),
        program: Program::Process(Process {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("GREETING".into(), "hello".into()),
            ],
            directory: None,
        }),
    }
}

fn cgroup_for(name: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields[2] == "cgroup2")?;
    let id = std::process::id();
    Some(Path::new(mount[1]).join(format!("fairway-test-{id}-{name}")))
}
