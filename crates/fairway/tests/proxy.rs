//! `fairway proxy` as a command, in a network namespace of its own (root).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kernel::NetNs;
use kernel::command::CommandSteps as _;
use testkit::lab::Lab;
use testkit::objects::Objects;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fairway");
const KUBECONFIG: &str = "kubeconfig";

/// A namespace with a loopback, and an API of objects on it.
struct Host {
    folder: tempfile::TempDir,
    namespace: NetNs,
    _runtime: tokio::runtime::Runtime,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let namespace = NetNs::create(&folder.path().join("host")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (api, address) = runtime.block_on(async {
            let netlink = kernel::Netlink::in_namespace(&namespace).unwrap();
            let loopback = netlink.link("lo").await.unwrap().index;
            netlink.set_up(loopback, true).await.unwrap();
            let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let listener = namespace.run(|| TcpListener::bind(any)).unwrap().unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            (
                tokio::net::TcpListener::from_std(listener).unwrap(),
                address,
            )
        });
        let objects = Objects::default();
        objects.put(Lab::node_object(1));
        runtime.spawn(objects.serve(api));
        let kubeconfig = format!(
            "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], \
             clusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}], users: [{{name: a, user: {{}}}}]}}"
        );
        std::fs::write(folder.path().join(KUBECONFIG), kubeconfig).unwrap();
        Self {
            folder,
            namespace,
            _runtime: runtime,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, program: &str, arguments: &str) -> Output {
        let mut command = Command::new(program);
        let command = command
            .args(arguments.split(' '))
            .in_namespace(&self.namespace);
        command.output().unwrap()
    }

    fn start_proxy(&self, more: &[&str]) -> Child {
        let mut command = Command::new(PROGRAM);
        command
            .args(["proxy", "--node-name", "node-1", "--kubeconfig"])
            .arg(self.path().join(KUBECONFIG))
            .args(more)
            .stdin(Stdio::null())
            .in_namespace(&self.namespace)
            .spawn()
            .unwrap()
    }

    fn tables(&self) -> String {
        String::from_utf8(self.run("nft", "list tables").stdout).unwrap()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "not seen in time: {what}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        NetNs::delete(&self.path().join("host")).ok();
    }
}

#[test]
fn rules_outlive_the_proxy_until_they_are_cleaned_up_and_nobody_elses_go() {
    let host = Host::new();
    assert!(host.run("nft", "add table inet other").status.success());
    let mut proxy = host.start_proxy(&[]);
    let ours = "table inet fairway\n";
    host.until("the proxy has its rules", |host| {
        host.tables().contains(ours)
    });
    let refused = host.run(
        PROGRAM,
        "proxy --node-name node-1 --cleanup --data-plane ebpf",
    );
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert!(host.tables().contains(ours), "{}", host.tables());
    // Twice: there may be nothing left to clean up.
    for _ in 0..2 {
        let cleaned = host.run(PROGRAM, "proxy --node-name node-1 --cleanup");
        assert!(cleaned.status.success(), "{cleaned:?}");
        assert_eq!(host.tables(), "table inet other\n");
    }
}

#[test]
fn the_proxy_serves_where_it_is_told_and_says_what_it_was_told() {
    let host = Host::new();
    let mut proxy = host.start_proxy(&[
        "--healthz-bind-address",
        "127.0.0.1:7001",
        "--metrics-bind-address",
        "[::1]:7002",
        "--nodeport-addresses",
        "198.18.0.0/24,fd46::/64",
        "--masquerade-all",
    ]);
    let get = |host: &Host, url: &str| {
        let said = host.run("curl", &format!("-sg --max-time 10 {url}"));
        String::from_utf8(said.stdout).unwrap()
    };
    host.until("it is healthy", |host| {
        get(host, "http://127.0.0.1:7001/healthz").contains("\"healthy\":true")
    });
    let configz = get(&host, "http://[::1]:7002/configz");
    for part in [
        r#""nodePortAddresses":["198.18.0.0/24","fd46::/64"]"#,
        r#""masqueradeAll":true"#,
        r#""healthzBindAddress":"127.0.0.1:7001""#,
        r#""hostnameOverride":"node-1""#,
    ] {
        assert!(configz.contains(part), "{part} in {configz}");
    }
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    let mixed =
        "proxy --node-name n --kubeconfig /dev/null --nodeport-addresses primary,10.0.0.0/8";
    let refused = host.run(PROGRAM, mixed);
    assert!(!refused.status.success(), "{refused:?}");
    let wrong = host.run(PROGRAM, "proxy --node-name n --nodeport-addresses eth0");
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("neither \"primary\" nor a range"), "{text}");
}
