//! How long the proxy takes beside so many Services: from its start to all rules (cold), from an endpoint
//! that is swapped for another to the first connection that follows, and from a new Service to its first
//! answer. The API is in the same process, so that nothing but the proxy, the kernel and the client count.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::lab::{Dialler, Lab, Pod, Role};
use testkit::objects::Objects;

const ROUNDS: usize = 31;
/// Longer than the proxy gathers, so that each change finds it idle.
const PAUSE: Duration = Duration::from_millis(40);
/// A round that takes this long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let given: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let counts = if given.is_empty() {
        vec![10, 1_000, 10_000]
    } else {
        given
    };
    println!("services  cold ms  flip ms: median  worst  new Service ms: median  worst");
    counts.into_iter().for_each(measure);
}

fn measure(count: u32) {
    let mut lab = Lab::new(1);
    let from = lab.start_pod(1, 9);
    let pods = [lab.start_pod(1, 5), lab.start_pod(1, 6)];
    let api = Objects::default();
    api.put(Lab::node_object(1));
    (0..count).for_each(|n| fill(&api, n));
    api.put(service("subject", "10.96.0.1"));
    api.put(slice("subject", &[pods[0].addresses[0]]));

    let begun = Instant::now();
    let (_proxy, ready) = start(&lab, &api);
    ready
        .recv_timeout(PATIENCE)
        .expect("the proxy is ready in time");
    let cold = begun.elapsed();

    let client = lab.dialler(&from.name);
    let flips = (1..=ROUNDS).map(|round| flip(&api, &client, &pods[round % 2]));
    let flips: Vec<Duration> = flips.collect();
    let news: Vec<Duration> = (0..ROUNDS)
        .map(|n| new(&api, &client, &pods[0], n))
        .collect();
    let (flip, new) = (Figures::of(flips), Figures::of(news));
    println!(
        "{count:8}  {:7.0}  {:15.1}  {:5.1}  {:22.1}  {:5.1}",
        ms(cold),
        ms(flip.median),
        ms(flip.worst),
        ms(new.median),
        ms(new.worst)
    );
}

/// Swaps the subject's endpoint and waits for the first connection that follows.
fn flip(api: &Objects, client: &Dialler, to: &Pod) -> Duration {
    let dialled = SocketAddr::from(([10, 96, 0, 1], 80));
    let begun = Instant::now();
    api.put(slice("subject", &[to.addresses[0]]));
    until_served_by(client, dialled, to);
    let took = begun.elapsed();
    std::thread::sleep(PAUSE);
    took
}

/// Adds a Service and waits for its first answer.
fn new(api: &Objects, client: &Dialler, pod: &Pod, n: usize) -> Duration {
    let name = format!("new-{n}");
    let address = format!("10.96.1.{n}");
    let dialled = format!("{address}:80").parse().expect("an address");
    let begun = Instant::now();
    api.put(service(&name, &address));
    api.put(slice(&name, &[pod.addresses[0]]));
    until_served_by(client, dialled, pod);
    let took = begun.elapsed();
    std::thread::sleep(PAUSE);
    took
}

fn until_served_by(client: &Dialler, dialled: SocketAddr, pod: &Pod) {
    let begun = Instant::now();
    while !client
        .impatient()
        .ask_tcp(dialled)
        .is_ok_and(|said| said.pod == pod.name)
    {
        assert!(
            begun.elapsed() < PATIENCE,
            "{dialled} never led to {}",
            pod.name
        );
    }
}

fn start(lab: &Lab, api: &Objects) -> (Role, mpsc::Receiver<()>) {
    let (ready, wait) = mpsc::channel();
    let api = api.clone();
    let work = move || {
        let mut config = proxy::Config::new(api.client(), "node-1");
        config.cluster_cidrs = vec!["10.244.0.0/16".parse().expect("a range")];
        config.ready = Box::new(move || ready.send(()).unwrap_or_default());
        async {
            let ended = proxy::run(config, std::future::pending()).await;
            ended.expect("the proxy runs until the measurement is over");
        }
    };
    (Role::start(lab.namespace("node-1"), work), wait)
}

/// One of the many: a cluster IP and two endpoints.
fn fill(api: &Objects, n: u32) {
    let [_, high, middle, low] = n.to_be_bytes();
    let name = format!("other-{n}");
    let cluster_ip = IpAddr::from([10, 100 + high, middle, low]).to_string();
    api.put(service(&name, &cluster_ip));
    let endpoint = |last: u8| IpAddr::from([10, 244, 100 + (last & 1), low]);
    api.put(slice(&name, &[endpoint(0), endpoint(1)]));
}

fn service(name: &str, cluster_ip: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": name},
        "spec": {"type": "ClusterIP", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip],
            "ports": [{"port": 80, "protocol": "TCP"}]}})
}

fn slice(name: &str, addresses: &[IpAddr]) -> Value {
    let endpoint = |address: &IpAddr| json!({"addresses": [address], "nodeName": "node-1", "conditions": {"ready": true}});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "default", "name": format!("{name}-4"), "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>()})
}

struct Figures {
    median: Duration,
    worst: Duration,
}

impl Figures {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self {
            median: all[all.len() / 2],
            worst: all[all.len() - 1],
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
