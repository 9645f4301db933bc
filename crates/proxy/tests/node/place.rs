//! Two nodes with proxies, and an API of objects.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::lab::{Dialler, Lab, Pod, Role};
use testkit::objects::Objects;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Place {
    pub(crate) api: Objects,
    proxies: Vec<Option<Role>>,
    settings: fn(&mut proxy::Config),
    pub(crate) lab: Lab,
}

impl Place {
    /// Nodes with kube-proxy's defaults.
    pub(crate) fn new(nodes: u8) -> Self {
        Self::with(nodes, |_| ())
    }

    /// Nodes whose proxies are told something else.
    pub(crate) fn with(nodes: u8, settings: fn(&mut proxy::Config)) -> Self {
        let api = Objects::default();
        (1..=nodes).for_each(|n| api.put(Lab::node_object(n)));
        let mut place = Self {
            api,
            proxies: (0..=nodes).map(|_| None).collect(),
            settings,
            lab: Lab::new(nodes),
        };
        (1..=nodes).for_each(|n| place.start_proxy(n));
        place
    }

    pub(crate) fn start_proxy(&mut self, n: u8) {
        let (api, settings) = (self.api.clone(), self.settings);
        let work = move || {
            let mut config = proxy::Config::new(api.client(), &format!("node-{n}"));
            config.cluster_cidrs = ["10.244.0.0/16", "fd00:10::/48"]
                .map(|r| r.parse().unwrap())
                .to_vec();
            settings(&mut config);
            async { proxy::run(config, std::future::pending()).await.unwrap() }
        };
        self.proxies[usize::from(n)] =
            Some(Role::start(self.lab.namespace(&format!("node-{n}")), work));
    }

    pub(crate) fn kill_proxy(&mut self, n: u8) {
        self.proxies[usize::from(n)].take().unwrap().kill();
    }

    /// A Service `web` with these pods behind its ports `tcp` and `udp`, both number 80.
    pub(crate) fn serve(&self, pods: &[&Pod], spec: &Value) {
        let mut whole = json!({
            "type": "NodePort", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00:96::10"],
            "externalIPs": ["198.18.1.9", "fd46:1::9"],
            "ports": [{"name": "tcp", "port": 80, "protocol": "TCP", "nodePort": 30080},
                      {"name": "udp", "port": 80, "protocol": "UDP", "nodePort": 30080}],
        });
        whole
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        self.api.put(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "default", "name": "web"}, "spec": whole}));
        self.set_pods(pods);
    }

    pub(crate) fn set_pods(&self, pods: &[&Pod]) {
        let ports = [("tcp", "TCP"), ("udp", "UDP")];
        Lab::slices("web", pods, &ports)
            .into_iter()
            .for_each(|slice| self.api.put(slice));
    }

    /// Changes the conditions of every endpoint of a pod.
    pub(crate) fn set_conditions(&self, pod: &Pod, conditions: &Value) {
        for slice in ["web-IPv4", "web-IPv6"] {
            self.api.change("EndpointSlice", slice, |slice| {
                for endpoint in slice["endpoints"].as_array_mut().unwrap() {
                    let address: IpAddr =
                        endpoint["addresses"][0].as_str().unwrap().parse().unwrap();
                    if pod.addresses.contains(&address) {
                        endpoint["conditions"] = conditions.clone();
                    }
                }
            });
        }
    }

    /// Everything that can be dialled, and from where: a pod knows cluster IPs, the client node ports.
    pub(crate) fn ways(&self, pod: &Pod) -> Vec<(Dialler, SocketAddr)> {
        let (inside, outside) = (self.lab.dialler(&pod.name), self.lab.dialler("client"));
        let mut ways = vec![
            (inside.clone(), "10.96.0.10:80".parse().unwrap()),
            (inside, "[fd00:96::10]:80".parse().unwrap()),
        ];
        ways.extend(
            Lab::node_addresses(1)
                .map(|address| (outside.clone(), SocketAddr::new(address, 30080))),
        );
        ways
    }
}

/// Waits until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not seen in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
