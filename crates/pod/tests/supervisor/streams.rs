//! Commands whose streams somebody holds: pipes, a terminal, and what a lost connection means.

use std::io::{BufRead, BufReader, IoSlice, PipeReader, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use pod::protocol::{Message, Outcome, Request, StreamSpec, Verb};
use rustix::fs::{Mode, OFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use crate::agent::{Agent, shell, wait_until};
use crate::bundle::{Image, agent};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_command_in_a_container_has_streams", pipes),
    ("a_command_beside_a_process_has_streams", beside_a_process),
    ("a_command_may_have_a_terminal", terminal),
    ("a_command_nobody_hears_is_killed", hang_up),
    ("announced_streams_must_come", missing),
];

/// A connection for one command.
struct Call(BufReader<UnixStream>);

impl Call {
    fn send(agent: &Agent, script: &str, streams: [Option<OwnedFd>; 3]) -> Self {
        let [stdin, stdout, stderr] = streams.each_ref().map(Option::is_some);
        let spec = StreamSpec {
            container: "web".into(),
            command: vec!["sh".into(), "-c".into(), script.into()],
            stdin,
            stdout,
            stderr,
        };
        Self::send_spec(
            agent,
            spec,
            &streams.into_iter().flatten().collect::<Vec<_>>(),
        )
    }

    fn send_spec(agent: &Agent, spec: StreamSpec, beside: &[OwnedFd]) -> Self {
        let stream = UnixStream::connect(agent.run_directory().join(pod::SOCKET_FILE)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let verb = Verb::Stream(spec);
        let mut line = serde_json::to_vec(&Request { id: 5, verb }).unwrap();
        line.push(b'\n');
        let borrowed: Vec<_> = beside.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut buffer = SendAncillaryBuffer::new(&mut space);
        assert!(borrowed.is_empty() || buffer.push(SendAncillaryMessage::ScmRights(&borrowed)));
        let lines = [IoSlice::new(&line)];
        let sent = sendmsg(&stream, &lines, &mut buffer, SendFlags::empty());
        assert_eq!(sent, Ok(line.len()));
        Self(BufReader::new(stream))
    }

    fn outcome(mut self) -> Outcome {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        match serde_json::from_str(&line).unwrap() {
            Message::Reply(reply) if reply.id == 5 => reply.outcome,
            other => panic!("{other:?}"),
        }
    }
}

fn pipes_of(agent: &Agent, script: &str) -> (Call, PipeWriter, PipeReader, PipeReader) {
    let pipe = || std::io::pipe().unwrap();
    let ((theirs, input), (output, out), (errors, error)) = (pipe(), pipe(), pipe());
    let streams = [theirs.into(), out.into(), error.into()].map(Some);
    (Call::send(agent, script, streams), input, output, errors)
}

fn read(mut pipe: PipeReader) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

fn ended(code: i32) -> Outcome {
    Outcome::Exec {
        exit_code: Some(code),
        output: String::new(),
    }
}

const SCRIPT: &str = "read line; echo $GREETING $line; echo bad >&2; cat; exit 7";

fn has_streams(agent: &Agent) {
    let descriptors = agent.descriptors();
    let (call, mut input, output, errors) = pipes_of(agent, SCRIPT);
    input.write_all(b"you\nand the rest").unwrap();
    drop(input);
    let said = (read(output), read(errors));
    assert_eq!(said, ("hello you\nand the rest".into(), "bad\n".into()));
    assert_eq!(call.outcome(), ended(7));
    wait_until("its descriptors are closed", || {
        agent.descriptors() == descriptors
    });
}

fn pipes() {
    let image = Image::busybox();
    let mut agent = agent("pipes");
    agent.run(image.shell(&agent, "web", "exec sleep 600").attempt(0));
    has_streams(&agent);
    // Without input and errors.
    let (output, out) = std::io::pipe().unwrap();
    let call = Call::send(
        &agent,
        "cat; echo gone >&2; echo $$",
        [None, Some(out.into()), None],
    );
    assert!(read(output).trim().parse::<u32>().unwrap() > 1);
    assert_eq!(call.outcome(), ended(0));
}

fn beside_a_process() {
    let mut agent = Agent::start("beside");
    agent.run(shell("web", 0, &agent.log("web"), "exec sleep 600"));
    has_streams(&agent);
}

fn terminal() {
    let image = Image::busybox();
    let mut agent = agent("tty");
    let state = agent.run(image.shell(&agent, "web", "exec sleep 600").attempt(0));
    let path = format!("/proc/{}/root/dev/ptmx", state.pid.unwrap());
    let ours = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    let second = theirs.try_clone().unwrap();
    // A program that is not of a session with the terminal cannot open /dev/tty.
    let script = "tty; echo said >/dev/tty; read line; echo \"[$line]\"; kill -INT $$";
    let call = Call::send(&agent, script, [Some(theirs), Some(second), None]);
    let (mut text, mut ours) = (String::new(), BufReader::new(std::fs::File::from(ours)));
    ours.read_line(&mut text).unwrap();
    ours.read_line(&mut text).unwrap();
    ours.get_mut().write_all(b"typed\n").unwrap();
    // The terminal's echo of it, and the answer.
    ours.read_line(&mut text).unwrap();
    ours.read_line(&mut text).unwrap();
    assert_eq!(text, "/dev/pts/0\r\nsaid\r\ntyped\r\n[typed]\r\n");
    assert_eq!(call.outcome(), ended(130));
}

fn hang_up() {
    let image = Image::busybox();
    let mut agent = agent("gone");
    agent.run(image.shell(&agent, "web", "exec sleep 600").attempt(0));
    let (call, _input, mut output, _errors) = pipes_of(&agent, "echo up; exec sleep 500");
    let mut up = [0; 3];
    output.read_exact(&mut up).unwrap();
    drop(call);
    // The end of the pipe is the command's.
    assert_eq!(read(output), "");
    let others = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let command = |path: &Path| std::fs::read(path.join("cmdline")).unwrap_or_default();
        all.filter(|entry| command(&entry.path()) == b"sleep\x00500\x00")
            .count()
    };
    wait_until("the command has gone", || others() == 0);
}

fn missing() {
    let image = Image::busybox();
    let mut agent = agent("missing-streams");
    agent.run(image.shell(&agent, "web", "exec sleep 600").attempt(0));
    let spec = StreamSpec {
        container: "web".into(),
        command: vec!["true".into()],
        stdin: true,
        stdout: true,
        stderr: false,
    };
    let (reader, _writer) = std::io::pipe().unwrap();
    let outcome = Call::send_spec(&agent, spec, &[reader.into()]).outcome();
    let message = "2 streams were announced and 1 came".to_owned();
    assert_eq!(outcome, Outcome::Failed { message });
}
