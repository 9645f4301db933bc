//! Failed requests of a client that keeps sending, while pods, a node and the control plane come and go.

use std::time::Duration;

use e2e::load::Load;
use e2e::workload::{self, settled, web};
use e2e::{Host, Product};
use kernel::{Cgroup, Pidfd};
use nix::sys::signal::Signal;

/// Requests a second, each over a connection of its own.
const RATE: u32 = 100;
/// A while for what comes late.
const AFTER: Duration = Duration::from_secs(3);

fn main() {
    let host = Host::new();
    let product = Product::new(&host, "data");
    product.up(&["--nodes", "3"]);
    product.apply(&web(1, "1", ""));
    settled(&product, 1);
    let address = workload::address(&product);
    product.answer("client", address, 80);

    let load = Load::start(
        &product.member("client"),
        (address, 80).into(),
        RATE,
        "nothing happens",
    );
    std::thread::sleep(AFTER);
    load.phase("scale 1 -> 5");
    product.apply(&web(5, "1", ""));
    after(&product, 5);
    load.phase("scale 5 -> 2");
    product.apply(&web(2, "1", ""));
    after(&product, 2);
    load.phase("scale 2 -> 4");
    product.apply(&web(4, "1", ""));
    after(&product, 4);
    load.phase("rolling update of 4");
    product.apply(&web(4, "2", ""));
    after(&product, 4);
    load.phase("one pod of 4 killed");
    kill_a_pod(&product);
    after(&product, 4);
    load.phase("the API server killed");
    let server = product.role("server").expect("it runs");
    signal(server, Signal::SIGKILL);
    product.until("it is back", || {
        product.role("server").is_some_and(|pid| pid != server)
            && product.says(&["get", "services"]).ok()
    });
    std::thread::sleep(AFTER);
    load.phase("the balancer's process killed");
    signal(product.role("balancer").expect("it runs"), Signal::SIGKILL);
    std::thread::sleep(AFTER);
    load.phase("a node's agent and proxy killed");
    signal(product.role("node-1").expect("it runs"), Signal::SIGKILL);
    std::thread::sleep(AFTER);
    load.phase("one node of 3 killed, with its pods");
    kill_a_node(&product);
    after(&product, 4);
    for phase in load.finish() {
        println!("{phase}");
    }
    product.run(&["down"]);
}

fn after(product: &Product<'_>, replicas: usize) {
    std::thread::sleep(Duration::from_secs(1));
    settled(product, replicas);
    std::thread::sleep(AFTER);
}

fn signal(pid: u32, signal: Signal) {
    let process = Pidfd::open(pid).expect("it runs");
    process.signal(signal).expect("root may");
}

/// Everything of one pod at once, as when memory runs out.
fn kill_a_pod(product: &Product<'_>) {
    let said = product.run(&["get", "pods", "-l", "app=web", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&said).expect("JSON was asked for");
    let pod = &list["items"][0];
    let text = |pointer: &str| {
        let value = pod.pointer(pointer).and_then(serde_json::Value::as_str);
        value.expect("a pod that runs has it").to_owned()
    };
    let group = product
        .cgroup()
        .child(&text("/spec/nodeName"))
        .child("pods");
    let group = Cgroup::at(&group.path().join(text("/metadata/uid")));
    assert!(group.exists(), "{:?}", group.path());
    group.kill().expect("root may");
}

fn kill_a_node(product: &Product<'_>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let stopped = runtime.block_on(cluster::stop_role(product.place(), "node-3"));
    stopped.expect("there are three");
}
