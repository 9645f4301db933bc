//! A cluster for a test: an API of objects, nodes with proxies, a balancer, pods.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use kernel::conntrack::Conntrack;
use serde_json::{Value, json};
use testkit::lab::{Conversation, Dialler, Lab, Pod, Role};
use testkit::objects::Objects;

const TCP: u8 = 6;

/// The balancer's addresses for Service number `n`.
pub(crate) fn held(n: u8) -> [IpAddr; 2] {
    [
        IpAddr::from([198, 18, 1, n]),
        IpAddr::from([0xfd46, 1, 0, 0, 0, 0, 0, u16::from(n)]),
    ]
}

/// What usually takes milliseconds, a second at most, is waited for this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer to a health check is waited for this long where no node is to die: a busy machine's nodes stay
/// in the rings.
const LONG: Duration = Duration::from_secs(10);

/// The cluster, as long as it lives.
pub(crate) struct Place {
    pub(crate) api: Objects,
    proxies: Vec<Option<Role>>,
    balancer: Option<Role>,
    check_patience: Option<Duration>,
    pub(crate) lab: Lab,
}

impl Place {
    /// One whose nodes stay.
    pub(crate) fn new(nodes: u8) -> Self {
        Self::with_check_patience(nodes, Some(LONG))
    }

    /// One whose nodes may die: the balancer notices as fast as it usually does.
    pub(crate) fn mortal(nodes: u8) -> Self {
        Self::with_check_patience(nodes, None)
    }

    fn with_check_patience(nodes: u8, check_patience: Option<Duration>) -> Self {
        let api = Objects::default();
        (1..=nodes).for_each(|n| api.put(Lab::node_object(n)));
        let mut place = Self {
            api,
            proxies: (0..=nodes).map(|_| None).collect(),
            balancer: None,
            check_patience,
            lab: Lab::new(nodes),
        };
        (1..=nodes).for_each(|n| place.start_proxy(n));
        // The balancer finds all nodes healthy at its first look, so its rings are complete from the start.
        (1..=nodes).for_each(|n| place.wait_for_proxy(n));
        place.start_balancer();
        place
    }

    pub(crate) fn start_proxy(&mut self, n: u8) {
        let api = self.api.clone();
        let namespace = self.lab.namespace(&format!("node-{n}"));
        let work = move || {
            let mut config = proxy::Config::new(api.client(), &format!("node-{n}"));
            config.cluster_cidrs = ["10.244.0.0/16", "fd00:10::/48"]
                .map(|r| r.parse().unwrap())
                .to_vec();
            async { proxy::run(config, std::future::pending()).await.unwrap() }
        };
        self.proxies[usize::from(n)] = Some(Role::start(namespace, work));
    }

    fn wait_for_proxy(&self, n: u8) {
        let node = self.lab.dialler(&format!("node-{n}"));
        let healthz = SocketAddr::from(([127, 0, 0, 1], 10256));
        until("a proxy is healthy", || {
            node.get(healthz, "/healthz")
                .is_ok_and(|(status, _)| status == 200)
        });
    }

    pub(crate) fn kill_proxy(&mut self, n: u8) {
        self.proxies[usize::from(n)].take().unwrap().kill();
    }

    pub(crate) fn start_balancer(&mut self) {
        let (api, check_patience) = (self.api.clone(), self.check_patience);
        let work = move || {
            let addresses = Lab::balancer_addresses().to_vec();
            let mut config = balancer::Config::new(api.client(), "eth0", addresses);
            config.check_patience = check_patience.unwrap_or(config.check_patience);
            async { balancer::run(config, std::future::pending()).await.unwrap() }
        };
        self.balancer = Some(Role::start(self.lab.namespace("balancer"), work));
    }

    pub(crate) fn kill_balancer(&mut self) {
        self.balancer.take().unwrap().kill();
    }

    /// A power cut.
    pub(crate) fn kill_node(&mut self, n: u8) {
        self.lab.set_cable(&format!("node-{n}"), false);
        self.kill_proxy(n);
        self.lab.kill_node(n);
    }

    pub(crate) fn client(&self) -> Dialler {
        self.lab.dialler("client")
    }

    /// Puts a Service of type LoadBalancer into the API, with its addresses, and these pods behind every port.
    pub(crate) fn serve(&self, n: u8, pods: &[&Pod], spec: Value) {
        self.api.put(service(n, spec));
        self.set_pods(n, pods);
    }

    /// Says which pods are behind a Service.
    pub(crate) fn set_pods(&self, n: u8, pods: &[&Pod]) {
        let ports = [("tcp", "TCP"), ("udp", "UDP")];
        for slice in Lab::slices(&format!("web-{n}"), pods, &ports) {
            self.api.put(slice);
        }
    }

    /// Waits until a Service answers by every node: they hear of it one after the other.
    pub(crate) fn wait_for(&self, n: u8) {
        let addresses: Vec<_> = (100..116).map(|n| self.lab.add_client_address(n)).collect();
        for (protocol, to) in everywhere(n) {
            let answers = |own: &[IpAddr; 2]| {
                let client = self.client().from(own[usize::from(to.is_ipv6())]);
                client.impatient().ask(protocol, to).is_ok()
            };
            until("every client is answered", || {
                addresses.iter().all(answers) && addresses.iter().all(answers)
            });
        }
    }

    /// Connections, each with the node that it entered by.
    pub(crate) fn talk(&self, to: SocketAddr, count: usize) -> Vec<(Conversation, u8)> {
        let begin = |_| {
            let mut talk = self.client().connect(to).unwrap();
            let said = talk.ask().unwrap();
            let node = self.node_of(TCP, talk.local(), to);
            // What was handed over is not tracked by the balancer; there the pod's node is where it came in.
            let node =
                node.unwrap_or_else(|| said.node.trim_start_matches("node-").parse().unwrap());
            (talk, node)
        };
        (0..count).map(begin).collect()
    }

    /// Waits until every node has its part of a Service's connections.
    pub(crate) fn wait_for_every_node(&self, n: u8) {
        let to = everywhere(n)[0].1;
        let nodes = u8::try_from(self.proxies.len()).unwrap();
        until("every node takes part", || {
            let talks = self.talk(to, 40);
            (1..nodes).all(|n| talks.iter().any(|(_, node)| *node == n))
        });
    }

    /// The node that a translated connection goes to, by the client's side of it and whom it dialled: the
    /// same port of the client may have been another connection's a while ago.
    pub(crate) fn node_of(&self, protocol: u8, client: SocketAddr, to: SocketAddr) -> Option<u8> {
        let connections = || Conntrack::open().unwrap().connections(protocol).unwrap();
        let connections = self.lab.namespace("balancer").run(connections).unwrap();
        let ours = connections
            .iter()
            .find(|c| c.original.source == client && c.original.destination == to)?;
        let node = ours.reply.source.ip();
        (1..=250).find(|n| Lab::node_addresses(*n).contains(&node))
    }
}

fn service(n: u8, mut spec: Value) -> Value {
    let node_port = |base: u16| base + u16::from(n);
    let mut defaults = json!({
        "type": "LoadBalancer", "clusterIP": format!("10.96.0.{n}"),
        "clusterIPs": [format!("10.96.0.{n}"), format!("fd00:96::{n:x}")],
        "ports": [{"name": "tcp", "port": 80, "protocol": "TCP", "nodePort": node_port(30000)},
                  {"name": "udp", "port": 80, "protocol": "UDP", "nodePort": node_port(30000)}],
    });
    if spec["externalTrafficPolicy"] == "Local" {
        spec["healthCheckNodePort"] = node_port(32000).into();
    }
    if spec["allocateLoadBalancerNodePorts"] == false {
        for port in defaults["ports"].as_array_mut().unwrap() {
            port.as_object_mut().unwrap().remove("nodePort");
        }
    }
    defaults
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    let ingress = held(n).map(|ip| json!({"ip": ip, "ipMode": "VIP"}));
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": format!("web-{n}")},
        "spec": defaults, "status": {"loadBalancer": {"ingress": ingress}}})
}

/// Waits until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not seen in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every protocol at every address of a Service.
pub(crate) fn everywhere(n: u8) -> Vec<(&'static str, SocketAddr)> {
    let of = |protocol| held(n).map(|address| (protocol, SocketAddr::new(address, 80)));
    [of("TCP"), of("UDP")].concat()
}
