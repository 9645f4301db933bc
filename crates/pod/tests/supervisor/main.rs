//! Real supervisors with real processes in real namespaces; needs root.
//!
//! The test program is its own supervisor: started as `supervisor pod CONFIG` it runs [`pod::run`], for which
//! it must have one thread, so there is no harness and the tests run one after another.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

mod agent;
mod bundle;
mod containers;
mod life;
mod streams;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use agent::{Agent, shell, wait_until};
use pod::protocol::{ExecSpec, Outcome, Phase, Verb};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, config] = arguments.as_slice()
        && mode == "pod"
    {
        let config = pod::Config::read(Path::new(config)).unwrap();
        return pod::run(config).unwrap();
    }
    let tests: &[(&str, fn())] = &[
        ("a_container_lives_in_the_pods_namespaces", namespaces),
        (
            "a_pod_on_the_nodes_network_has_the_nodes_name",
            on_the_nodes_network,
        ),
        (
            "logs_and_exit_are_on_disk_without_an_agent",
            without_an_agent,
        ),
        (
            "a_program_that_ignores_sigterm_is_killed_after_its_grace",
            grace,
        ),
        ("a_container_starts_again_as_its_next_attempt", next_attempt),
        ("a_command_runs_beside_the_program", exec),
        ("a_command_that_takes_too_long_is_killed", exec_timeout),
        ("a_program_that_does_not_exist_is_a_state", missing_program),
        ("an_unknown_verb_is_refused_by_name", unknown_verb),
        ("nothing_runs_after_the_end", end),
        ("children_die_with_a_killed_supervisor", killed),
    ];
    // As with any test program, an argument chooses tests by their names.
    let wanted = arguments.get(1).filter(|word| !word.starts_with('-'));
    let chosen = tests
        .iter()
        .chain(containers::TESTS)
        .chain(life::TESTS)
        .chain(streams::TESTS)
        .filter(|(name, _)| wanted.is_none_or(|wanted| name.contains(wanted.as_str())));
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in chosen {
        if std::panic::catch_unwind(test).is_ok() {
            println!("test {name} ... ok");
            passed += 1;
        } else {
            println!("test {name} ... FAILED");
            failed.push(name);
        }
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    let count = failed.len();
    println!("test result: {result}. {passed} passed; {count} failed");
    assert!(failed.is_empty(), "{failed:?}");
}

fn namespaces() {
    let mut agent = Agent::start("namespaces");
    agent.run(shell(
        "a",
        0,
        &agent.log("a"),
        "hostname; readlink /proc/self/ns/net; sleep 60",
    ));
    let log = agent.wait_for_log("a", 2);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let pods = fs::read_link(format!("/proc/{}/ns/net", agent.pid())).unwrap();
    assert_ne!(own, pods);
    let texts: Vec<&str> = log
        .lines()
        .map(|line| line.splitn(4, ' ').nth(3).unwrap())
        .collect();
    assert_eq!(texts, ["namespaces", pods.to_str().unwrap()]);
}

fn on_the_nodes_network() {
    let mut agent = Agent::start_with("on-node", |config| {
        config.host_network = true;
        config.hostname = "node-7".into();
        config.sysctls.clear();
    });
    let script = "hostname; readlink /proc/self/ns/net; sleep 60";
    agent.run(shell("a", 0, &agent.log("a"), script));
    agent.wait_for_log("a", 2);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(agent.texts("a"), ["node-7", own.to_str().unwrap()]);
    let before = nix::unistd::gethostname().unwrap();
    assert_ne!(before, "node-7", "the machine keeps its name");
}

fn without_an_agent() {
    let mut agent = Agent::start("alone");
    let script = "for i in 1 2 3; do echo line $i; sleep 0.1; done; echo bad >&2; exit 3";
    agent.run(shell("a", 0, &agent.log("a"), script));
    agent.hang_up();
    let deadline = Instant::now() + Duration::from_secs(10);
    let exited = loop {
        let states = pod::record::read_all(&agent.run_directory());
        if let [state] = states.as_slice()
            && let Phase::Exited {
                exit_code, signal, ..
            } = state.phase
        {
            break (exit_code, signal);
        }
        assert!(Instant::now() < deadline, "no exit in {states:?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(exited, (3, None));
    let log = fs::read_to_string(agent.log("a")).unwrap();
    let tails: Vec<&str> = log
        .lines()
        .map(|line| line.split_once('Z').unwrap().1)
        .collect();
    let expected = [
        " stdout F line 1",
        " stdout F line 2",
        " stdout F line 3",
        " stderr F bad",
    ];
    assert_eq!(tails, expected);

    agent.connect();
    let Outcome::States { states } = agent.ask(Verb::States) else {
        panic!("no states")
    };
    assert!(matches!(
        states[0].phase,
        Phase::Exited { exit_code: 3, .. }
    ));
}

fn grace() {
    let mut agent = Agent::start("grace");
    agent.run(shell(
        "a",
        0,
        &agent.log("a"),
        "trap '' TERM; echo up; while :; do sleep 0.05; done",
    ));
    agent.wait_for_log("a", 1);
    let began = Instant::now();
    let outcome = agent.ask(Verb::Stop {
        container: "a".into(),
        grace_millis: 300,
    });
    assert_eq!(outcome, Outcome::Done);
    let state = agent.wait_for_exit("a");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(matches!(
        state.phase,
        Phase::Exited {
            exit_code: 137,
            signal: Some(9),
            ..
        }
    ));
}

fn next_attempt() {
    let mut agent = Agent::start("again");
    agent.run(shell("a", 0, &agent.log("a"), "exit 1"));
    agent.wait_for_exit("a");
    agent.run(shell("a", 1, &agent.log("a"), "sleep 60"));
    let outcome = agent.ask(Verb::Start(Box::new(shell(
        "a",
        2,
        &agent.log("a"),
        "true",
    ))));
    assert!(matches!(outcome, Outcome::Failed { message } if message.contains("still runs")));
    let Outcome::States { states } = agent.ask(Verb::States) else {
        panic!("no states")
    };
    let attempts: Vec<u32> = states.iter().map(|state| state.attempt).collect();
    assert_eq!(attempts, [0, 1]);
    assert!(matches!(states[1].phase, Phase::Running { .. }));
}

fn exec() {
    let mut agent = Agent::start("exec");
    agent.run(shell("a", 0, &agent.log("a"), "sleep 60"));
    let outcome = agent.ask(command("a", "echo $GREETING; echo bad >&2; exit 7", 5000));
    let expected = Outcome::Exec {
        exit_code: Some(7),
        output: "hello\nbad\n".into(),
    };
    assert_eq!(outcome, expected);
    let outcome = agent.ask(command("b", "true", 5000));
    assert!(
        matches!(outcome, Outcome::Failed { message } if message.contains("no container \"b\""))
    );
}

fn exec_timeout() {
    let mut agent = Agent::start("slow");
    agent.run(shell("a", 0, &agent.log("a"), "sleep 60"));
    let began = Instant::now();
    let outcome = agent.ask(command("a", "sleep 60", 200));
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
    assert!(began.elapsed() < Duration::from_secs(5));
}

fn command(container: &str, script: &str, timeout_millis: u64) -> Verb {
    Verb::Exec(ExecSpec {
        container: container.into(),
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        timeout_millis,
    })
}

fn missing_program() {
    let mut agent = Agent::start("missing");
    let mut spec = shell("a", 0, &agent.log("a"), "");
    let pod::protocol::Program::Process(process) = &mut spec.program else {
        unreachable!()
    };
    process.program = "/no/such/program".into();
    agent.run(spec);
    let Outcome::States { states } = agent.ask(Verb::States) else {
        panic!("no states")
    };
    let Phase::StartFailed { message, .. } = &states[0].phase else {
        panic!("{states:?}")
    };
    assert!(message.contains("/no/such/program"), "{message}");
}

fn unknown_verb() {
    let mut agent = Agent::start("verbs");
    agent.send_line(r#"{"id":9,"verb":"dance"}"#);
    let reply = agent.next_reply();
    assert_eq!(reply.id, 9);
    assert!(matches!(reply.outcome, Outcome::Failed { message } if message.contains("dance")));
}

fn end() {
    let mut agent = Agent::start("end");
    agent.run(shell("a", 0, &agent.log("a"), "sleep 60 & wait"));
    assert_eq!(agent.ask(Verb::End), Outcome::Done);
    agent.wait_for_supervisor();
    assert!(!agent.run_directory().join(pod::SOCKET_FILE).exists());
    wait_until("the end of what was killed", || {
        agent.members_of_cgroup().is_empty()
    });
}

fn killed() {
    let mut agent = Agent::start("killed");
    let state = agent.run(shell("a", 0, &agent.log("a"), "exec sleep 60"));
    agent.kill_supervisor();
    let proc = format!("/proc/{}", state.pid.unwrap());
    let deadline = Instant::now() + Duration::from_secs(5);
    while Path::new(&proc).exists() {
        assert!(Instant::now() < deadline, "{proc} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}
