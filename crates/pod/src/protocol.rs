//! The conversation between agent and supervisor: JSON lines over a unix socket.
//!
//! A supervisor keeps the program it was started with until its pod ends, so an upgraded agent talks to old
//! supervisors: the protocol is small, has a version, and only grows. Unknown fields are ignored on both
//! sides; an unknown verb is answered with [`Outcome::Failed`].
//!
//! ```text
//! → {"id":1,"verb":"hello","version":2}
//! ← {"type":"reply","id":1,"outcome":"hello","version":2,"pid":4711,"uid":"…"}
//! → {"id":2,"verb":"start","name":"web","attempt":0,"log":"…/0.log","program":{"kind":"process",…}}
//! ← {"type":"state","name":"web","attempt":0,"pid":4712,"phase":"running","startedAt":"…"}
//! ← {"type":"reply","id":2,"outcome":"done"}
//! ```

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The protocol's version. It rises when an agent must know that a verb exists.
pub const VERSION: u32 = 2;

/// A line from the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the agent, repeated in the reply.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub verb: Verb,
}

/// What an agent can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "verb",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Verb {
    /// The first line. From then on the connection also gets every change of a state.
    Hello {
        /// The agent's protocol version.
        version: u32,
    },
    /// The newest two attempts of every container.
    States,
    /// Start an attempt of a container. Repeating it for the same attempt changes nothing.
    Start(Box<ContainerSpec>),
    /// SIGTERM now, SIGKILL after the grace period. The reply does not wait for the end.
    Stop {
        /// The container's name.
        container: String,
        /// The grace period; a later, shorter one wins.
        grace_millis: u64,
    },
    /// SIGKILL now.
    Kill {
        /// The container's name.
        container: String,
    },
    /// Run a command beside a container's program, in its environment, and wait for its end.
    Exec(ExecSpec),
    /// The same with streams that its caller holds the other ends of. It is killed when the connection that
    /// asked for it ends, so such a command has a connection of its own.
    Stream(StreamSpec),
    /// Kill what runs and end. The namespaces go with the supervisor.
    End,
}

/// One attempt to run a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSpec {
    /// The container's name in its pod.
    pub name: String,
    /// How often it has been started before.
    pub attempt: u32,
    /// The log file of this attempt.
    pub log: PathBuf,
    /// What to run.
    pub program: Program,
}

/// What runs: a plain process in the pod's namespaces, or a container made from an OCI bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Program {
    /// A child process that shares the node's file system.
    Process(Process),
    /// A container.
    Bundle(Bundle),
}

/// A plain child process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The program file.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory; `/` when absent.
    pub directory: Option<PathBuf>,
}

/// A container from an OCI bundle: a directory with a `config.json` of the OCI runtime specification, 1.x.
///
/// The agent plans `config.json` and writes it before [`Verb::Start`]; the supervisor hands it to the runtime,
/// with `HOME` added to the environment where it is missing. In it:
///
/// * `root.path` is `rootfs`. The supervisor makes that directory in the bundle and mounts the overlay of
///   `layers` and `writable` there (nodev, `volatile`), in its own mount namespace only; nobody unmounts it.
///   `root.readonly` works.
/// * `process` holds `args`, `env` (with `PATH`), an absolute `cwd` (made in the root where it is missing),
///   `user`, `capabilities` (none that the agent itself lacks), `noNewPrivileges`, `rlimits`.
///   No `terminal`, and no `oomScoreAdj`: that is [`Bundle::oom_score_adj`], because lowering needs a right that
///   not every machine gives.
/// * `linux.namespaces` lists `mount`, `cgroup` and `pid`. `network`, `ipc` and `uts` are left out, and with them
///   `hostname` and `domainname`: the supervisor lives in the pod's, and containers inherit them.
///   `pid` has no `path`; with [`crate::Config::share_process_namespace`] its path is
///   `<run directory>/`[`crate::PID_NAMESPACE_FILE`]; for the machine's processes (`hostPID`) it is left out.
/// * `linux.cgroupsPath` is `/<the pod's group, without the mount point of cgroup version 2>/<container>`. The
///   same path is used in every hierarchy of version 1. The runtime makes the group and writes the limits of
///   `linux.resources` (not `memory.swap` where the machine's version 1 has no `memory.memsw` files); the
///   supervisor removes it after the container's end. The groups above it are the agent's to remove
///   (`kernel::cgroup::remove_everywhere`).
/// * `mounts` are all there are, in order: `/proc`, `/dev` (tmpfs; the usual devices are made in it),
///   `/dev/pts`, `/dev/mqueue`, `/sys`, `/sys/fs/cgroup`, then volumes, `/etc/hosts`, `/etc/hostname`,
///   `/etc/resolv.conf`, the termination log and `/dev/shm` as binds. Sources are paths as the supervisor sees
///   them: the agent's own as they were when the supervisor started, and those of [`crate::Config::tmpfs`].
///   What the agent mounts later is not seen.
/// * `hooks`, `linux.seccomp` and user namespaces are not supported yet.
///
/// A container that cannot be started has the phase [`Phase::StartFailed`] with the text other runtimes use,
/// such as `exec: "serve": executable file not found in $PATH`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The bundle's directory, one per attempt.
    pub directory: PathBuf,
    /// Read-only layers, topmost first.
    pub layers: Vec<PathBuf>,
    /// An empty directory of this attempt for what the container writes; the supervisor makes `upper` and
    /// `work` in it. The agent removes it after the attempt's end.
    pub writable: PathBuf,
    /// The signal that asks the program to end; SIGTERM when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stop_signal: Option<i32>,
    /// How readily the kernel kills it for want of memory, as far as the machine allows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oom_score_adj: Option<i32>,
}

/// A command to run beside a container's program: with its environment, user, rights, working directory and
/// cgroup, and in a container's case inside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecSpec {
    /// The container's name.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// It is killed after so long.
    pub timeout_millis: u64,
}

/// A command to run beside a container's program, and what it reads and writes.
///
/// The descriptors of the streams that are there come with the line, in the order input, output, errors, as
/// ancillary data of its first byte (`SCM_RIGHTS`, unix(7)). A terminal's other end may be all three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSpec {
    /// The container's name.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it has an input; else it reads nothing.
    pub stdin: bool,
    /// Whether somebody reads its output.
    pub stdout: bool,
    /// Whether somebody reads its errors.
    pub stderr: bool,
}

/// A line from the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Message {
    /// The answer to a request.
    Reply(Reply),
    /// A container's state has changed.
    State(ContainerState),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id; zero when the line could not be read.
    pub id: u64,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a request went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "outcome",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Outcome {
    /// Done, or begun where the verb says so.
    Done,
    /// To [`Verb::Hello`].
    Hello {
        /// The supervisor's protocol version.
        version: u32,
        /// The supervisor's process id.
        pid: u32,
        /// The pod's uid.
        uid: String,
    },
    /// To [`Verb::States`].
    States {
        /// Newest attempt last, per container.
        states: Vec<ContainerState>,
    },
    /// To [`Verb::Exec`] and [`Verb::Stream`].
    Exec {
        /// The command's exit code, 128 + signal; none when it ran out of time.
        exit_code: Option<i32>,
        /// The first [`EXEC_OUTPUT_LIMIT`] bytes of both its streams, where nobody else reads them.
        output: String,
    },
    /// Not done, and why.
    Failed {
        /// For the operator.
        message: String,
    },
}

/// So much of an exec's output is kept, as kubelet does for probes.
pub const EXEC_OUTPUT_LIMIT: usize = 10 * 1024;

/// What is known of one attempt of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// The container's name.
    pub name: String,
    /// Which attempt.
    pub attempt: u32,
    /// The process id of its first process, while it runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<i32>,
    /// How far it is.
    #[serde(flatten)]
    pub phase: Phase,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "phase",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Phase {
    /// Its program runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// Its program has ended.
    Exited {
        /// Since when it ran.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
        /// Its exit code; 128 + signal when a signal ended it.
        exit_code: i32,
        /// The signal that ended it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        signal: Option<i32>,
        /// It was killed, and the kernel killed something in its group for want of memory.
        #[serde(default)]
        out_of_memory: bool,
    },
    /// It could not be started; nothing of it runs.
    StartFailed {
        /// When.
        at: Timestamp,
        /// Why, for the container's status.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_the_head_comment_shows() {
        let hello: Request =
            serde_json::from_str(r#"{"id":1,"verb":"hello","version":1,"new":true}"#).unwrap();
        assert_eq!(hello.verb, Verb::Hello { version: 1 });

        let state = Message::State(ContainerState {
            name: "web".into(),
            attempt: 0,
            pid: Some(4712),
            phase: Phase::Running {
                started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            },
        });
        let line = serde_json::to_string(&state).unwrap();
        assert_eq!(
            line,
            r#"{"type":"state","name":"web","attempt":0,"pid":4712,"phase":"running","startedAt":"2026-01-02T03:04:05Z"}"#
        );
        assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), state);
    }

    #[test]
    fn every_verb_survives_its_own_line() {
        let verbs = [
            Verb::Hello { version: 1 },
            Verb::States,
            Verb::Start(Box::new(ContainerSpec {
                name: "web".into(),
                attempt: 3,
                log: "/x/3.log".into(),
                program: Program::Process(Process {
                    program: "/x/echo".into(),
                    environment: vec![("A".into(), "b".into())],
                    ..Process::default()
                }),
            })),
            Verb::Start(Box::new(ContainerSpec {
                name: "web".into(),
                attempt: 0,
                log: "/x/0.log".into(),
                program: Program::Bundle(Bundle {
                    directory: "/x/web/0".into(),
                    layers: vec!["/x/layers/2".into(), "/x/layers/1".into()],
                    writable: "/x/web/0/writable".into(),
                    stop_signal: Some(2),
                    oom_score_adj: None,
                }),
            })),
            Verb::Stop {
                container: "web".into(),
                grace_millis: 30_000,
            },
            Verb::Kill {
                container: "web".into(),
            },
            Verb::Exec(ExecSpec {
                container: "web".into(),
                command: vec!["true".into()],
                timeout_millis: 1000,
            }),
            Verb::Stream(StreamSpec {
                container: "web".into(),
                command: vec!["sh".into()],
                stdin: true,
                stdout: true,
                stderr: false,
            }),
            Verb::End,
        ];
        for verb in verbs {
            let request = Request { id: 7, verb };
            let line = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        }
    }
}
