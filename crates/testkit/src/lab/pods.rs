//! Pods: a namespace each, with the echo program in it.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use super::*;

/// Where echo programs listen, TCP and UDP.
const PORT: u16 = 8080;
/// The node's end of every pod's link.
const NODE_MAC: Mac = [2, 0xfb, 0, 0, 0, 1];

/// A pod that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name, which it tells its clients.
    pub name: String,
    /// The name of its node, which it tells its clients.
    pub node: String,
    /// One per family.
    pub addresses: [IpAddr; 2],
}

/// The ranges of a node's pods.
pub(super) fn ranges(node: u8) -> [IpNet; 2] {
    let [v4, v6] = [
        format!("10.244.{node}.0/24"),
        format!("fd00:10:0:{node}::/64"),
    ];
    [v4, v6].map(|range| range.parse().expect("a range"))
}

impl Lab {
    /// Starts pod `number` of a node.
    pub fn start_pod(&mut self, node: u8, number: u8) -> Pod {
        let name = format!("pod-{node}-{number}");
        let addresses = [
            IpAddr::from([10, 244, node, number]),
            format!("fd00:10:0:{node}::{number:x}")
                .parse()
                .expect("an address"),
        ];
        let pod = Pod {
            name: name.clone(),
            node: format!("node-{node}"),
            addresses,
        };
        let namespace = self.create(&name);
        self.runtime
            .block_on(connect(&self.netlink(&pod.node), &namespace, &pod, number));
        self.start_echo(&pod);
        pod
    }

    /// Kills a pod's program; its addresses stay, and refuse.
    pub fn stop_echo(&mut self, pod: &Pod) {
        if let Some(mut child) = self.echoes.remove(&pod.name) {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
    }

    /// Starts a pod's program (again).
    pub fn start_echo(&mut self, pod: &Pod) {
        let mut command = Command::new(self.program());
        command
            .arg(PORT.to_string())
            .env_clear()
            .stdout(Stdio::piped())
            .envs([
                ("POD_NAME", pod.name.as_str()),
                ("NODE_NAME", pod.node.as_str()),
                ("GRACE_SECONDS", "0"),
            ]);
        let mut child = self.spawn(&pod.name, &mut command);
        wait_until_it_listens(&mut child);
        self.echoes.insert(pod.name.clone(), child);
    }

    /// Kills a node as a power cut does: its namespace and all its pods are gone.
    pub fn kill_node(&mut self, n: u8) {
        let pods: Vec<String> = self
            .namespaces
            .keys()
            .filter(|name| name.starts_with(&format!("pod-{n}-")))
            .cloned()
            .collect();
        for name in pods.iter().chain([&format!("node-{n}")]) {
            if let Some(mut child) = self.echoes.remove(name) {
                child.kill().expect("our own child");
                child.wait().expect("our own child");
            }
            self.namespaces.remove(name);
            NetNs::delete(&self.path(name)).expect("a namespace that we made");
        }
        // The kernel takes its time to end a namespace; a cable that is cut ends at once.
        let port = format!("node-{n}");
        let lan = self.netlink("lan");
        self.runtime
            .block_on(lan.delete_link(&port))
            .expect("a port that we made");
    }

    /// EndpointSlices, one per family, that name these pods for ports of a Service: (name, protocol).
    pub fn slices(service: &str, pods: &[&Pod], ports: &[(&str, &str)]) -> [Value; 2] {
        let ports: Vec<Value> = ports
            .iter()
            .map(|(name, protocol)| json!({"name": name, "protocol": protocol, "port": PORT}))
            .collect();
        [(0, "IPv4"), (1, "IPv6")].map(|(index, family)| {
            let endpoint = |pod: &&Pod| json!({"addresses": [pod.addresses[index]], "nodeName": pod.node,
                "conditions": {"ready": true, "serving": true, "terminating": false}});
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
                "metadata": {"namespace": "default", "name": format!("{service}-{family}"),
                    "labels": {"kubernetes.io/service-name": service}},
                "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(), "ports": ports})
        })
    }
}

async fn connect(node: &Netlink, namespace: &NetNs, pod: &Pod, number: u8) {
    let link = format!("p{number}");
    let near = VethEnd {
        mac: Some(NODE_MAC),
        ..VethEnd::named(&link)
    };
    let mac: Mac = [2, 0xfc, 0, 0, 0, number];
    let far = VethEnd {
        mac: Some(mac),
        ..VethEnd::named(LINK)
    };
    node.add_veth(&near, &far, namespace)
        .await
        .expect("a pod's link");
    let near = node.link(&link).await.expect("the link just made").index;
    let inside = Netlink::in_namespace(namespace).expect("netlink in a pod");
    inside.set_up(LOOPBACK, true).await.expect("a loopback");
    let far = inside.link(LINK).await.expect("the link just made").index;
    inside.set_up(far, true).await.expect("a link that is up");
    let routers =
        ["169.254.1.1", "fe80::1"].map(|router| router.parse::<IpAddr>().expect("an address"));
    for (address, router) in pod.addresses.iter().zip(routers) {
        set_address(&inside, far, IpNet::from(*address)).await;
        inside
            .set_neighbour(far, router, NODE_MAC)
            .await
            .expect("a fixed neighbour");
        let route = Route {
            onlink: true,
            ..Route::default_via(router, far)
        };
        inside
            .set_route(&route)
            .await
            .expect("a pod's default route");
        node.set_neighbour(near, *address, mac)
            .await
            .expect("a fixed neighbour");
        node.set_route(&Route::on_link(IpNet::from(*address), near))
            .await
            .expect("a route to the pod");
    }
}

fn wait_until_it_listens(child: &mut Child) {
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("its output is a pipe");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("a line can be read");
    assert!(line.contains("listens"), "the echo program says {line:?}");
}
