//! Real containers: what they see, what they may, and what is left of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pod::protocol::{ContainerState, ExecSpec, Outcome, Phase, Verb};
use serde_json::json;

use crate::agent::{Agent, wait_until};
use crate::bundle::{Image, agent, bind};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_container_has_its_surroundings", surroundings),
    ("what_a_container_writes_never_touches_its_layers", layers),
    ("exit_codes_are_the_programs_own", exit_codes),
    (
        "a_start_that_fails_says_why_in_the_usual_words",
        start_failures,
    ),
    (
        "user_rights_and_paths_are_those_of_the_specification",
        rights,
    ),
    ("the_echo_program_runs_in_an_empty_root", echo),
    ("a_command_runs_inside_the_container", exec),
    ("a_command_ends_with_its_container", exec_ends),
    (
        "a_command_in_a_container_that_fails_says_why",
        exec_failures,
    ),
    ("a_container_stops_by_its_signal_or_after_its_grace", stop),
    ("a_container_without_memory_is_known_for_it", out_of_memory),
    ("limits_are_in_force", limits),
];

/// Runs a script to its end and returns the exit and the log's texts.
fn outcome_of(agent: &mut Agent, image: &Image, script: &str) -> (Phase, Vec<String>) {
    agent.run(image.shell(agent, "web", script).attempt(0));
    let state = agent.wait_for_exit("web");
    (state.phase, agent.texts("web"))
}

fn exit_of(phase: &Phase) -> (i32, Option<i32>, bool) {
    match phase {
        Phase::Exited {
            exit_code,
            signal,
            out_of_memory,
            ..
        } => (*exit_code, *signal, *out_of_memory),
        other => panic!("{other:?}"),
    }
}

fn surroundings() {
    let image = Image::busybox();
    let mut agent = agent("around");
    let script = "hostname; echo $$; echo $GREETING $HOME; pwd; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; \
                  cat /etc/motd; ls -d /dev/null /dev/pts/ptmx; wc -l </proc/mounts >/dev/null; \
                  grep -c ' overlay ' /proc/mounts; echo bad >&2; exit 3";
    let planned = image
        .shell(&agent, "web", script)
        .with("/process/cwd", json!("/base/deep"));
    let before = fs::read_to_string("/proc/self/mounts").unwrap();
    agent.run(planned.attempt(0));
    assert_eq!(exit_of(&agent.wait_for_exit("web").phase), (3, None, false));
    let namespace = |kind: &str| {
        let link = fs::read_link(format!("/proc/{}/ns/{kind}", agent.pid())).unwrap();
        link.to_str().unwrap().to_owned()
    };
    let (net, ipc) = (namespace("net"), namespace("ipc"));
    let expected = [
        "around",
        "1",
        "hello /root",
        "/base/deep",
        &net,
        &ipc,
        "above",
        "/dev/null",
        "/dev/pts/ptmx",
        "1",
        "bad",
    ];
    assert_eq!(agent.texts("web"), expected);
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), before);
    let supervisor = fs::read_to_string(format!("/proc/{}/mounts", agent.pid())).unwrap();
    assert!(!supervisor.contains("rootfs"), "{supervisor}");
}

fn layers() {
    let image = Image::busybox();
    let mut agent = agent("layers");
    let planned = image.shell(
        &agent,
        "web",
        "echo mine >/etc/motd; rm /etc/passwd; touch /new; ls /etc",
    );
    for attempt in 0..2 {
        agent.run(planned.attempt(attempt));
        agent.wait_for_exit("web");
        let upper = planned.writable(attempt).join("upper");
        assert_eq!(
            fs::read_to_string(upper.join("etc/motd")).unwrap(),
            "mine\n"
        );
        assert!(upper.join("new").exists());
    }
    // The second attempt began with a clean root, or there would have been nothing to remove.
    assert_eq!(agent.texts("web"), ["motd", "motd"]);
    let [top, bottom] = image.layers().try_into().unwrap();
    assert_eq!(fs::read_to_string(top.join("etc/motd")).unwrap(), "above\n");
    assert!(bottom.join("etc/passwd").exists() && !bottom.join("new").exists());
}

fn exit_codes() {
    let image = Image::busybox();
    for (number, script, expected) in [
        (0, "exit 0", (0, None, false)),
        (1, "exit 128", (128, None, false)),
        (2, "no-such-command", (127, None, false)),
        (
            3,
            "trap 'exit 143' TERM; kill -TERM $$; sleep 5",
            (143, None, false),
        ),
    ] {
        let mut agent = agent(&format!("code{number}"));
        let (phase, _) = outcome_of(&mut agent, &image, script);
        assert_eq!(exit_of(&phase), expected, "{script}");
    }
    let mut agent = agent("killed");
    agent.run(
        image
            .shell(&agent, "web", "sleep 60 & echo up; wait")
            .attempt(0),
    );
    agent.wait_for_log("web", 1);
    agent.ask(Verb::Kill {
        container: "web".into(),
    });
    let state = agent.wait_for_exit("web");
    assert_eq!(exit_of(&state.phase), (137, Some(9), false));
}

fn start_failures() {
    let image = Image::busybox();
    let mut agent = agent("fails");
    let missing = Path::new("/nowhere/at/all");
    let descriptors = agent.descriptors();
    let cases = [
        (
            image.container(&agent, "a", json!(["serve", "-v"])),
            "unable to start container process: exec: \"serve\": executable file not found in $PATH",
        ),
        (
            image.container(&agent, "b", json!(["/bin/serve"])),
            "unable to start container process: exec: \"/bin/serve\": stat /bin/serve: no such file or directory",
        ),
        (
            image.container(&agent, "c", json!(["/etc/motd"])),
            "unable to start container process: exec: \"/etc/motd\": permission denied",
        ),
        (
            image
                .shell(&agent, "d", "true")
                .mount(bind(missing, "/data")),
            "\"/nowhere/at/all\": No such file or directory",
        ),
        (
            image
                .shell(&agent, "e", "true")
                .with("/linux/namespaces/0/type", json!("network")),
            "config.json: linux.namespaces has network",
        ),
        (
            image
                .shell(&agent, "f", "true")
                .with("/linux/resources/memory", json!({"limit": 4096})),
            "memory limit too low?",
        ),
    ];
    for (planned, expected) in cases {
        let state = agent.run(planned.attempt(0));
        let Phase::StartFailed { message, .. } = &state.phase else {
            panic!("{state:?}")
        };
        assert!(message.contains(expected), "{message}\nlacks {expected}");
        assert_eq!(state.pid, None);
    }
    assert_eq!(agent.descriptors(), descriptors);
    // Nothing of them is left in the way of the next attempt.
    agent.run(image.shell(&agent, "a", "echo works").attempt(1));
    agent.wait_for_exit("a");
    assert_eq!(agent.texts("a"), ["works"]);
}

fn rights() {
    let image = Image::busybox();
    let mut agent = agent("rights");
    let script = "id -u; id -g; id -G; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; \
                  touch /file || echo refused; wc -c </proc/keys; touch /proc/sys/kernel/x || echo refused; \
                  echo 1 >/proc/sys/kernel/panic || echo refused";
    let planned = image
        .shell(&agent, "web", script)
        .with(
            "/process/user",
            json!({"uid": 1000, "gid": 2000, "additionalGids": [3000]}),
        )
        .with("/process/noNewPrivileges", json!(true))
        .with("/process/capabilities", json!({"bounding": ["CAP_CHOWN"]}))
        .with("/root/readonly", json!(true));
    agent.run(planned.attempt(0));
    agent.wait_for_exit("web");
    let texts = agent.texts("web");
    let texts: Vec<&str> = texts
        .iter()
        .map(String::as_str)
        .filter(|text| !text.contains("sh:") && !text.contains("touch:"))
        .collect();
    let expected = [
        "1000",
        "2000",
        "2000 3000",
        "CapBnd:\t0000000000000001",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "refused",
        "0",
        "refused",
        "refused",
    ];
    let mut sorted = texts.clone();
    sorted[3..6].sort_unstable();
    assert_eq!(sorted, expected, "{texts:?}");
}

fn echo() {
    let image = Image::echo();
    let mut agent = agent("echo");
    let planned = image.container(&agent, "web", json!(["/echo", "exit", "3"]));
    let state = agent.run(planned.attempt(0));
    assert!(matches!(state.phase, Phase::Running { .. }), "{state:?}");
    assert_eq!(exit_of(&agent.wait_for_exit("web").phase), (3, None, false));
}

fn command(words: &[&str], timeout_millis: u64) -> Verb {
    Verb::Exec(ExecSpec {
        container: "web".into(),
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        timeout_millis,
    })
}

fn exec() {
    let image = Image::busybox();
    let mut agent = agent("inside");
    let planned = image
        .shell(&agent, "web", "sleep 600")
        .with("/process/user", json!({"uid": 1000, "gid": 2000}))
        .with("/process/cwd", json!("/tmp"));
    agent.run(planned.attempt(0));
    let script =
        "echo $GREETING; pwd; id -u; cat /proc/1/comm; cat /etc/motd; echo bad >&2; exit 7";
    let outcome = agent.ask(command(&["sh", "-c", script], 50_000));
    let expected = Outcome::Exec {
        exit_code: Some(7),
        output: "hello\n/tmp\n1000\nsleep\nabove\nbad\n".into(),
    };
    assert_eq!(outcome, expected);

    let began = Instant::now();
    let outcome = agent.ask(command(&["sleep", "600"], 300));
    assert!(
        matches!(
            outcome,
            Outcome::Exec {
                exit_code: None,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(60));
    let sockets = fs::read_dir(agent.run_directory().join(".containers/web")).unwrap();
    let names: Vec<_> = sockets.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() <= 4, "{names:?}");
}

fn exec_ends() {
    let image = Image::busybox();
    let mut agent = agent("both");
    agent.run(image.shell(&agent, "web", "sleep 600").attempt(0));
    let asked = command(&["sh", "-c", "echo $HOME; sleep 600"], 500_000);
    let line = serde_json::to_string(&pod::protocol::Request {
        id: 77,
        verb: asked,
    })
    .unwrap();
    agent.send_line(&line);
    agent.send_line(r#"{"id":78,"verb":"kill","container":"web"}"#);
    let replies = [agent.next_reply(), agent.next_reply()];
    let ended = replies.iter().find(|reply| reply.id == 77).unwrap();
    assert!(
        matches!(
            ended.outcome,
            Outcome::Exec {
                exit_code: Some(137),
                ..
            }
        ),
        "{ended:?}"
    );
    agent.wait_for_exit("web");
    let group = agent.group().join("web");
    assert_eq!(kernel::cgroup::in_all_hierarchies(&group), []);
}

fn exec_failures() {
    let image = Image::busybox();
    let mut agent = agent("outside");
    agent.run(image.shell(&agent, "web", "sleep 600").attempt(0));
    let descriptors = agent.descriptors();
    for (words, expected) in [
        (
            &["serve"] as &[&str],
            "exec: \"serve\": executable file not found in $PATH",
        ),
        (&["/etc/motd"], "exec: \"/etc/motd\": permission denied"),
        (&[], "empty"),
    ] {
        let outcome = agent.ask(command(words, 50_000));
        let Outcome::Failed { message } = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(message.contains(expected), "{message}");
    }
    let outcome = agent.ask(command(&["true"], 50_000));
    assert!(
        matches!(
            outcome,
            Outcome::Exec {
                exit_code: Some(0),
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(agent.descriptors(), descriptors);
}

fn stop() {
    let image = Image::busybox();
    let script = "trap 'echo asked; exit 0' TERM INT 37; echo up; while :; do sleep 0.05; done";
    // Busybox's shell knows no real-time signals by name, and 37 is what systemd in a container wants.
    for (name, signal) in [("term", None), ("int", Some(2)), ("rt", Some(37))] {
        let mut agent = agent(name);
        let mut planned = image.shell(&agent, "web", script);
        planned.stop_signal = signal;
        assert_eq!(
            stopped(&mut agent, &planned.attempt(0), 60_000),
            (0, None, false)
        );
        assert_eq!(agent.texts("web"), ["up", "asked"]);
    }
    let mut agent = agent("deaf");
    let planned = image.shell(&agent, "web", "echo up; sleep 600 & sleep 600");
    let began = Instant::now();
    // The first process of a pid namespace ignores a signal that it has no handler for.
    assert_eq!(
        stopped(&mut agent, &planned.attempt(0), 300),
        (137, Some(9), false)
    );
    assert!(began.elapsed() >= Duration::from_millis(300));
}

fn stopped(
    agent: &mut Agent,
    spec: &pod::protocol::ContainerSpec,
    grace_millis: u64,
) -> (i32, Option<i32>, bool) {
    agent.run(spec.clone());
    agent.wait_for_log("web", 1);
    let outcome = agent.ask(Verb::Stop {
        container: "web".into(),
        grace_millis,
    });
    assert_eq!(outcome, Outcome::Done);
    exit_of(&agent.wait_for_exit("web").phase)
}

fn out_of_memory() {
    let image = Image::busybox();
    for (name, script, signal) in [
        ("first", "exec tail /dev/zero", Some(9)),
        ("child", "tail /dev/zero; exit $?", None),
    ] {
        let mut agent = agent(name);
        let planned = image
            .shell(&agent, "web", script)
            .with("/linux/resources/memory", json!({"limit": 16 << 20}));
        agent.run(planned.attempt(0));
        assert_eq!(
            exit_of(&agent.wait_for_exit("web").phase),
            (137, signal, true),
            "{name}"
        );
        // The count is the attempt's own.
        agent.run(image.shell(&agent, "web", "exit 137").attempt(1));
        let state: ContainerState = agent.wait_for_exit("web");
        assert_eq!(exit_of(&state.phase), (137, None, false), "{name}");
    }
}

fn limits() {
    let image = Image::busybox();
    let mut agent = agent("limits");
    let script = "(n=0; while [ $n -lt 30 ]; do sleep 600 & n=$((n+1)); done); exec sleep 600";
    let planned = image
        .shell(&agent, "web", script)
        .with("/linux/resources/memory", json!({"limit": 64 << 20}))
        .with(
            "/linux/resources/cpu",
            json!({"quota": 20_000, "period": 100_000, "shares": 512}),
        )
        .with("/linux/resources/pids", json!({"limit": 10}));
    agent.run(planned.attempt(0));
    wait_until("a refused fork", || {
        agent
            .texts("web")
            .iter()
            .any(|text| text.contains("can't fork"))
    });
    let read = |names: &[&str]| {
        let groups = kernel::cgroup::in_all_hierarchies(&agent.group().join("web"));
        let files = groups
            .iter()
            .flat_map(|group| names.iter().map(|name| group.path().join(name)));
        let text = files
            .into_iter()
            .find_map(|file| fs::read_to_string(file).ok());
        text.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(read(&["memory.limit_in_bytes", "memory.max"]), "67108864");
    assert_eq!(read(&["pids.max"]), "10");
    let quota = read(&["cpu.cfs_quota_us", "cpu.max"]);
    assert!(quota == "20000" || quota == "20000 100000", "{quota}");
}
