//! Reads a case: objects as Kubernetes YAML, a node, packets with what is to become of them. The
//! format is described in `cases/README.md`.

use forwarding::{Node, Packet, Protocol, Service, ServiceName, Snapshot};
use proxy::{objects, snapshot};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    pub(crate) steps: Vec<Step>,
}

/// One section of packets, with what holds for it.
pub(crate) struct Step {
    /// Changes with every `-- node --`; the same number means that the node lives on.
    pub(crate) node_number: usize,
    pub(crate) snapshot: Snapshot,
    pub(crate) packets: Vec<Line>,
}

/// One line of packets.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) packet: Packet,
    pub(crate) expected: Expected,
}

/// What is to become of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    To(Delivered),
    Drop,
    Reject,
    Pass,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) masqueraded: bool,
    /// One candidate is the source itself, and the source becomes the node's only there.
    pub(crate) hairpin: bool,
    pub(crate) sticky: Option<u32>,
    /// Every line with this name goes to the same candidate.
    pub(crate) name: Option<String>,
}

/// Every case in the project's folder, in order.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "case")
    });
    paths.sort();
    assert!(
        paths.len() >= 60,
        "the cases are not all there: {} files",
        paths.len()
    );
    paths.into_iter().map(|path| read(&path)).collect()
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let mut reader = Reader {
        path: path.to_owned(),
        ..Reader::default()
    };
    let mut sections: Vec<(String, Vec<&str>)> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        match line
            .strip_prefix("-- ")
            .and_then(|line| line.strip_suffix(" --"))
        {
            Some(head) => sections.push((head.to_owned(), Vec::new())),
            None => sections
                .last_mut()
                .into_iter()
                .for_each(|(_, lines)| lines.push(line)),
        }
    }
    sections
        .iter()
        .for_each(|(head, lines)| reader.section(head, lines));
    assert!(!reader.steps.is_empty(), "{} asks nothing", path.display());
    Case {
        path: path.to_owned(),
        steps: reader.steps,
    }
}

#[derive(Default)]
struct Reader {
    path: PathBuf,
    services: BTreeMap<ServiceName, Service>,
    node: Node,
    node_number: usize,
    steps: Vec<Step>,
}

impl Reader {
    fn section(&mut self, head: &str, lines: &[&str]) {
        match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["objects"] => self.services = services(lines),
            ["node", name, options @ ..] => {
                self.node = node(name, options);
                self.node_number += 1;
            }
            ["packets"] => {
                let written = lines.iter().filter(|line| !line.trim().is_empty());
                self.steps.push(Step {
                    node_number: self.node_number,
                    snapshot: Snapshot {
                        node: self.node.clone(),
                        services: self.services.clone(),
                    },
                    packets: written.map(|line| packets(line)).collect(),
                });
            }
            _ => panic!("{}: no such section: {head}", self.path.display()),
        }
    }
}

/// Node a is number 1: address 192.0.2.1 and 2001:db8::1, pods 10.0.1.0/24 and fd00:10:1::/64.
pub(crate) fn number(node: &str) -> u8 {
    node.as_bytes()[0] - b'a' + 1
}

fn node(name: &str, options: &[&str]) -> Node {
    let n = number(name);
    let addresses = vec![ip(&format!("192.0.2.{n}")), ip(&format!("2001:db8::{n:x}"))];
    let mut node = Node {
        name: name.into(),
        zone: None,
        node_port_addresses: addresses.clone(),
        local_addresses: addresses,
        local_cidrs: vec![net("10.0.0.0/16"), net("fd00:10::/48")],
        masquerade_all: false,
        service_cidrs: vec![net("10.96.0.0/16"), net("fd00:96::/112")],
    };
    for option in options {
        match option.split_once('=') {
            Some(("zone", zone)) => node.zone = Some(zone.into()),
            Some(("detect-local", cidr)) => node.local_cidrs = vec![net(cidr)],
            Some(("node-ports-at", list)) => {
                node.node_port_addresses = list.split(',').map(ip).collect();
            }
            None if *option == "no-detect-local" => node.local_cidrs.clear(),
            None if *option == "masquerade-all" => node.masquerade_all = true,
            None if *option == "no-service-cidrs" => node.service_cidrs.clear(),
            _ => panic!("no such option of a node: {option}"),
        }
    }
    node
}

fn services(lines: &[&str]) -> BTreeMap<ServiceName, Service> {
    let (short, yaml): (Vec<&str>, Vec<&str>) = lines
        .iter()
        .partition(|line| line.starts_with("endpoints "));
    let mut services = BTreeMap::new();
    let mut slices: Vec<objects::EndpointSlice> = short.iter().flat_map(|l| endpoints(l)).collect();
    for document in yaml
        .join("\n")
        .split("\n---")
        .filter(|text| !text.trim().is_empty())
    {
        let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
        let kind = value["kind"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "Service" => {
                let object: objects::Service = serde_json::from_value(value).unwrap();
                if let Some(service) = snapshot::service(&object) {
                    services.insert(snapshot::service_name(&object), service);
                }
            }
            "EndpointSlice" => slices.push(serde_json::from_value(value).unwrap()),
            other => panic!("no such kind in a case: {other}"),
        }
    }
    let mut joined: BTreeMap<ServiceName, Vec<snapshot::Slice>> = BTreeMap::new();
    for slice in &slices {
        if let Some(name) = snapshot::service_of_slice(slice) {
            joined.entry(name).or_default().push(snapshot::slice(slice));
        }
    }
    for (name, service) in &mut services {
        let slices = joined.get(name);
        snapshot::join(service, &slices.into_iter().flatten());
    }
    services
}

/// `endpoints web[:PORTNAME][/UDP] ADDRESS:PORT on NODE [state…], …` is one slice per family.
fn endpoints(line: &str) -> Vec<objects::EndpointSlice> {
    let (target, list) = line["endpoints ".len()..].trim().split_once(' ').unwrap();
    let (target, protocol) = target.split_once('/').unwrap_or((target, "TCP"));
    let (service, port_name) = target.split_once(':').unwrap_or((target, ""));
    let mut slices: BTreeMap<(bool, u16), objects::EndpointSlice> = BTreeMap::new();
    for text in list.split(',') {
        let words: Vec<&str> = text.split_whitespace().collect();
        let socket: SocketAddr = words[0].parse().unwrap_or_else(|_| panic!("{line}"));
        let slice = slices
            .entry((socket.is_ipv4(), socket.port()))
            .or_insert_with(|| {
                let mut slice = objects::EndpointSlice {
                    address_type: if socket.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
                    ports: vec![objects::EndpointPort {
                        name: Some(port_name.to_owned()),
                        protocol: Some(protocol.to_owned()),
                        port: Some(socket.port()),
                    }],
                    ..objects::EndpointSlice::default()
                };
                let label = ("kubernetes.io/service-name".to_owned(), service.to_owned());
                slice.metadata.namespace = Some("default".to_owned());
                slice.metadata.labels = Some(BTreeMap::from([label]));
                slice
            });
        slice.endpoints.push(endpoint(socket, &words[1..]));
    }
    slices.into_values().collect()
}

fn endpoint(socket: SocketAddr, words: &[&str]) -> objects::Endpoint {
    let mut endpoint = objects::Endpoint {
        addresses: vec![socket.ip().to_string()],
        ..Default::default()
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let conditions = &mut endpoint.conditions;
        let hints = endpoint.hints.get_or_insert_default();
        let named = |names: &str| {
            names
                .split('+')
                .map(|name| objects::Named {
                    name: name.to_owned(),
                })
                .collect()
        };
        match word.split_once('=') {
            Some(("zones", names)) => hints.for_zones = named(names),
            Some(("nodes", names)) => hints.for_nodes = named(names),
            None if *word == "on" => endpoint.node_name = words.next().map(|n| (*n).to_owned()),
            None if *word == "not-ready" => {
                (conditions.ready, conditions.serving) = (Some(false), Some(false));
            }
            None if *word == "terminating" => {
                (conditions.ready, conditions.terminating) = (Some(false), Some(true));
            }
            None if *word == "ended" => {
                (conditions.ready, conditions.serving) = (Some(false), Some(false));
                conditions.terminating = Some(true);
            }
            None if *word == "terminating-but-ready" => conditions.terminating = Some(true),
            _ => panic!("no such word about an endpoint: {word}"),
        }
    }
    endpoint
}

/// `SOURCE -> ADDRESS:PORT[/UDP] => VERDICT`; a destination without a port is pinged.
fn packets(line: &str) -> Line {
    let unreadable = format!("cannot read this line of packets: {line}");
    let (source, rest) = line.split_once("->").expect(&unreadable);
    let (destination, verdict) = rest.split_once("=>").expect(&unreadable);
    let destination = destination.trim();
    let (dialled, protocol) = destination.split_once('/').unwrap_or((destination, "TCP"));
    let protocol: Protocol = protocol.parse().expect(&unreadable);
    let (destination, port) = match dialled.parse::<SocketAddr>() {
        Ok(socket) => (socket.ip(), Some((protocol, socket.port()))),
        Err(_) => (ip(dialled), None),
    };
    Line {
        text: line.trim().to_owned(),
        packet: Packet {
            source: ip(source.trim()),
            destination,
            port,
        },
        expected: expected(verdict),
    }
}

fn expected(verdict: &str) -> Expected {
    let words: Vec<&str> = verdict.split_whitespace().collect();
    match words.as_slice() {
        ["drop"] => Expected::Drop,
        ["reject"] => Expected::Reject,
        ["pass"] => Expected::Pass,
        ["to", rest @ ..] => Expected::To(delivered(rest)),
        _ => panic!("no such verdict: {verdict}"),
    }
}

fn delivered(words: &[&str]) -> Delivered {
    let mut delivered = Delivered::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "masqueraded" => delivered.masqueraded = true,
            "hairpin" => delivered.hairpin = true,
            "sticky" => delivered.sticky = words.next().map(|seconds| seconds.parse().unwrap()),
            "as" => delivered.name = words.next().map(|name| (*name).to_owned()),
            socket => delivered.candidates.push(socket.parse().unwrap()),
        }
    }
    delivered.candidates.sort();
    delivered
}

fn ip(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("no address: {text:?}"))
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse()
        .unwrap_or_else(|_| panic!("no range: {text:?}"))
}
