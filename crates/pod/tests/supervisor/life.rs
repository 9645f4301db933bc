//! Pods of containers as wholes: what they share, and what outlives whom.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pod::protocol::{ContainerState, Outcome, Phase, Verb};
use pod::{PID_NAMESPACE_FILE, Tmpfs};
use serde_json::json;

use crate::agent::{Agent, wait_until};
use crate::bundle::{Image, agent, agent_with, bind};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_container_runs_on_while_its_agent_is_away", agent_away),
    ("nothing_is_left_of_a_killed_supervisor", killed),
    ("nothing_is_left_after_the_end", ended),
    ("containers_share_a_file_system_in_memory", memory),
    (
        "containers_share_a_pid_namespace_if_they_want",
        shared_processes,
    ),
    ("a_pod_on_the_hosts_network_has_its_own_ipc", host_network),
    ("containers_are_in_the_pods_group", group),
    ("readiness_to_be_killed_is_the_containers_own", oom_score),
];

const LOOP: &str = "echo up; exec sleep 600";

fn pid_of(state: &ContainerState) -> i32 {
    state.pid.unwrap_or_else(|| panic!("{state:?}"))
}

fn agent_away() {
    let image = Image::busybox();
    let mut agent = agent("away");
    let script = "n=0; while [ $n -lt 20 ]; do echo line $n; n=$((n+1)); sleep 0.05; done; exit 3";
    let pid = pid_of(&agent.run(image.shell(&agent, "web", script).attempt(0)));
    agent.wait_for_log("web", 1);
    agent.hang_up();
    std::thread::sleep(Duration::from_millis(200));
    agent.connect();
    let Outcome::States { states } = agent.ask(Verb::States) else {
        panic!("no states")
    };
    assert!(states[0].pid.is_none_or(|now| now == pid), "{states:?}");
    agent.hang_up();
    wait_until("the container's end on disk", || {
        let states = pod::record::read_all(&agent.run_directory());
        matches!(states[0].phase, Phase::Exited { exit_code: 3, .. })
    });
    let expected: Vec<_> = (0..20).map(|n| format!("line {n}")).collect();
    assert_eq!(agent.texts("web"), expected);
}

fn killed() {
    let image = Image::busybox();
    let mut agent = agent("lost");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let pid = pid_of(&agent.run(image.shell(&agent, "web", LOOP).attempt(0)));
    agent.wait_for_log("web", 1);
    agent.kill_supervisor();
    wait_until("the container's death", || {
        !Path::new(&format!("/proc/{pid}")).exists()
    });
    for group in kernel::cgroup::in_all_hierarchies(&agent.group()) {
        assert_eq!(group.processes(), [0_u32; 0], "{group:?}");
        group.remove().unwrap();
    }
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), mounts);
}

fn ended() {
    let image = Image::busybox();
    let mut agent = agent("over");
    agent.run(image.shell(&agent, "web", LOOP).attempt(0));
    agent.run(image.shell(&agent, "done", "true").attempt(0));
    agent.wait_for_exit("done");
    let done = agent.group().join("done");
    assert_eq!(kernel::cgroup::in_all_hierarchies(&done), []);
    assert_eq!(agent.ask(Verb::End), Outcome::Done);
    agent.wait_for_supervisor();
    // The supervisor's own group is left: nobody can leave it and remove it.
    let left = kernel::cgroup::in_all_hierarchies(&agent.group());
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].processes(), [0_u32; 0]);
}

fn memory() {
    let image = Image::busybox();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shm");
    let mut agent = agent_with("memory", |config| {
        config.tmpfs = vec![Tmpfs {
            path: path.clone(),
            bytes: Some(1 << 20),
            mode: 0o1770,
            group: Some(2000),
        }];
    });
    let script = "stat -c '%a %g' /dev/shm; echo shared >/dev/shm/file; \
                  head -c 2000000 /dev/zero >/dev/shm/big || echo full";
    let planned = image
        .shell(&agent, "a", script)
        .mount(bind(&path, "/dev/shm"));
    agent.run(planned.attempt(0));
    agent.wait_for_exit("a");
    let texts = agent.texts("a");
    assert_eq!(texts[0], "1770 2000");
    assert!(texts.iter().any(|text| text == "full"), "{texts:?}");
    let planned = image
        .shell(&agent, "b", "cat /dev/shm/file")
        .mount(bind(&path, "/dev/shm"));
    agent.run(planned.attempt(0));
    agent.wait_for_exit("b");
    assert_eq!(agent.texts("b"), ["shared"]);
    assert!(fs::read_dir(&path).unwrap().next().is_none());
}

fn shared_processes() {
    let image = Image::busybox();
    let mut agent = agent_with("shared", |config| config.share_process_namespace = true);
    let link = agent.run_directory().join(PID_NAMESPACE_FILE);
    let plan = |agent: &Agent, name: &str, script: &str| {
        image
            .shell(agent, name, script)
            .with("/linux/namespaces/0", json!({"type": "pid", "path": link}))
    };
    let planned = plan(&agent, "a", "sleep 601 & sleep 602 & echo up; wait");
    agent.run(planned.attempt(0));
    agent.wait_for_log("a", 1);
    let planned = plan(&agent, "b", "echo $$; cat /proc/*/cmdline | grep -c sleep");
    agent.run(planned.attempt(0));
    agent.wait_for_exit("b");
    let texts = agent.texts("b");
    assert_ne!(texts[0], "1");
    assert_eq!(texts[1], "1", "the other container's programs are seen");
    agent.ask(Verb::Kill {
        container: "a".into(),
    });
    agent.wait_for_exit("a");
    let group = agent.group().join("a");
    wait_until("the end of the whole container", || {
        let groups = kernel::cgroup::in_all_hierarchies(&group);
        groups.iter().all(|group| group.processes().is_empty())
    });
    // The namespace outlives the container.
    agent.run(plan(&agent, "b", "echo again").attempt(1));
    agent.wait_for_exit("b");
    assert_eq!(agent.texts("b").last().unwrap(), "again");
}

fn host_network() {
    let image = Image::busybox();
    let mut agent = agent_with("hostnet", |config| {
        config.host_network = true;
        config.sysctls.clear();
    });
    let script = "for kind in net uts ipc; do readlink /proc/self/ns/$kind; done";
    agent.run(image.shell(&agent, "web", script).attempt(0));
    agent.wait_for_exit("web");
    let own = ["net", "uts", "ipc"].map(|kind| {
        let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        link.to_str().unwrap().to_owned()
    });
    let texts = agent.texts("web");
    assert_eq!(texts[0], own[0]);
    // Its name is the node's, which need not be the machine's.
    assert_ne!(texts[1], own[1]);
    assert_ne!(texts[2], own[2]);
}

fn group() {
    let image = Image::busybox();
    let mut agent = agent("group");
    let pid = pid_of(&agent.run(image.shell(&agent, "web", LOOP).attempt(0)));
    let pid = u32::try_from(pid).unwrap();
    let pods = kernel::cgroup::in_all_hierarchies(&agent.group());
    assert!(!pods.is_empty());
    for group in &pods {
        assert!(group.processes().contains(&pid), "{group:?}");
    }
    // One write in the tree of version 2 ends the whole pod, on any machine.
    let unified = kernel::cgroup::unified_mount().unwrap();
    let unified = pods
        .iter()
        .find(|group| group.path().starts_with(&unified))
        .unwrap();
    unified.kill().unwrap();
    wait_until("the container's death", || {
        !Path::new(&format!("/proc/{pid}")).exists()
    });
}

fn oom_score() {
    let image = Image::busybox();
    let mut agent = agent("score");
    let read = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().to_owned()
    };
    let usual = read(agent.pid());
    let mut planned = image.shell(&agent, "web", LOOP);
    planned.oom_score_adj = Some(1000);
    let pid = pid_of(&agent.run(planned.attempt(0)));
    assert_eq!(read(u32::try_from(pid).unwrap()), "1000");
    assert_eq!(read(agent.pid()), usual);
    // Lower than may be without a right that this machine may not give: it starts all the same.
    let mut planned = image.shell(&agent, "low", LOOP);
    planned.oom_score_adj = Some(-998);
    let state = agent.run(planned.attempt(0));
    assert!(matches!(state.phase, Phase::Running { .. }), "{state:?}");
}
