//! A pod's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, and the name it goes by (kubelet,
//! `pkg/kubelet/kubelet_pods.go` and `pkg/kubelet/network/dns/dns.go`).
//!
//! There is no cluster DNS yet, and `resolv.conf` is honest about it: it holds the node's own servers, as kubelet's
//! does when it knows no cluster DNS, and whatever the pod's `dnsConfig` says.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{HostAlias, Pod, PodDNSConfig, PodSpec};

use super::status::is_on_host_network;

/// The domain of pods that have a `subdomain`.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The longest host name that Linux and the rules of DNS labels allow.
const LONGEST_NAME: usize = 63;

/// The most that a resolver reads of each (resolv.conf(5)).
const MOST_NAMESERVERS: usize = 3;

/// The lines about local names that every hosts file begins with.
const LOCAL_NAMES: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
";

/// What a pod is called inside: its short name, and its domain if it has a `subdomain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) host: String,
    pub(crate) domain: Option<String>,
}

impl Names {
    /// The node's name for pods on its network, else the given one, else the pod's own as far as a host name goes.
    pub(crate) fn of(pod: &Pod, node: &str) -> Self {
        let spec = pod.spec.as_ref();
        let text = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
        if is_on_host_network(pod) {
            return Self {
                host: node.to_owned(),
                domain: None,
            };
        }
        if let Some(host) = text(spec.and_then(|spec| spec.hostname_override.as_ref())) {
            return Self { host, domain: None };
        }
        let given = text(spec.and_then(|spec| spec.hostname.as_ref()));
        let host = given.unwrap_or_else(|| pod.metadata.name.clone().unwrap_or_default());
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let subdomain = text(spec.and_then(|spec| spec.subdomain.as_ref()));
        Self {
            host: shortened(&host),
            domain: subdomain
                .map(|subdomain| format!("{subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}")),
        }
    }

    /// What `hostname` prints: with the domain if the pod wants that.
    pub(crate) fn hostname(&self, pod: &Pod) -> String {
        let wants_domain = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.set_hostname_as_fqdn)
            .unwrap_or(false);
        match &self.domain {
            Some(domain) if wants_domain => format!("{}.{domain}", self.host),
            _ => self.host.clone(),
        }
    }
}

fn shortened(name: &str) -> String {
    let end = name.len().min(LONGEST_NAME);
    name[..end].trim_end_matches(['-', '.']).to_owned()
}

/// A pod's hosts file; on the node's network it is the node's own with the pod's aliases.
pub(crate) fn hosts(pod: &Pod, names: &Names, addresses: &[IpAddr], node_hosts: &str) -> String {
    let aliases = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.host_aliases.as_deref())
        .unwrap_or_default();
    let mut text = if is_on_host_network(pod) {
        format!("# Kubernetes-managed hosts file (host network).\n{node_hosts}")
    } else {
        own_hosts(names, addresses)
    };
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        text.push_str(&alias_line(alias));
    }
    text
}

fn own_hosts(names: &Names, addresses: &[IpAddr]) -> String {
    let mut text = format!("# Kubernetes-managed hosts file.\n{LOCAL_NAMES}");
    let host = &names.host;
    for address in addresses {
        text.push_str(&match &names.domain {
            Some(domain) => format!("{address}\t{host}.{domain}\t{host}\n"),
            None => format!("{address}\t{host}\n"),
        });
    }
    text
}

fn alias_line(alias: &HostAlias) -> String {
    let names = alias.hostnames.clone().unwrap_or_default();
    format!("{}\t{}\n", alias.ip, names.join("\t"))
}

/// A pod's resolv.conf, from the node's and the pod's own settings.
pub(crate) fn resolv_conf(pod: &Pod, node: &str) -> String {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let mut resolver = match policy {
        "None" => Resolver::default(),
        _ => Resolver::parse(node),
    };
    if let Some(config) = &spec.dns_config {
        resolver.extend(config);
    }
    let mut text = String::new();
    let wants_cluster = match policy {
        "ClusterFirst" => !is_on_host_network(pod),
        policy => policy == "ClusterFirstWithHostNet",
    };
    if wants_cluster {
        text.push_str(
            "# This cluster has no DNS server yet, so names of Services are not found; these are the node's servers.\n",
        );
    }
    resolver.write(&mut text);
    text
}

/// A resolv.conf, taken apart.
#[derive(Debug, Default)]
struct Resolver {
    nameservers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Resolver {
    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => resolver.nameservers.extend(words.next()),
                // The last one counts.
                Some("search") => resolver.searches = words.collect(),
                Some("options") => resolver.options = words.collect(),
                _ => {}
            }
        }
        resolver
    }

    /// Adds the pod's settings; of two options of one name the pod's counts.
    fn extend(&mut self, config: &PodDNSConfig) {
        self.nameservers
            .extend(config.nameservers.iter().flatten().cloned());
        self.searches
            .extend(config.searches.iter().flatten().cloned());
        for list in [&mut self.nameservers, &mut self.searches] {
            let mut seen = std::collections::BTreeSet::new();
            list.retain(|one| seen.insert(one.clone()));
        }
        for option in config.options.iter().flatten() {
            let Some(name) = &option.name else { continue };
            self.options
                .retain(|known| known.split(':').next() != Some(name));
            self.options.push(match &option.value {
                Some(value) if !value.is_empty() => format!("{name}:{value}"),
                _ => name.clone(),
            });
        }
    }

    fn write(&self, text: &mut String) {
        if !self.searches.is_empty() {
            text.push_str(&format!("search {}\n", self.searches.join(" ")));
        }
        for server in self.nameservers.iter().take(MOST_NAMESERVERS) {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: &Value) -> Pod {
        let mut spec = spec.clone();
        spec["containers"] = json!([]);
        let meta = json!({"name": "web-1", "namespace": "shop"});
        serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
    }

    #[test]
    fn a_pod_has_a_name_and_maybe_a_domain() {
        let fqdn = json!({"hostname": "db", "subdomain": "sub", "setHostnameAsFQDN": true});
        let cases = [
            (json!({}), "web-1", "web-1"),
            (json!({"hostname": "db"}), "db", "db"),
            (fqdn, "db", "db.sub.shop.svc.cluster.local"),
            (json!({"hostNetwork": true}), "node-1", "node-1"),
            (json!({"hostnameOverride": "a.b"}), "a.b", "a.b"),
        ];
        for (spec, host, hostname) in cases {
            let pod = pod(&spec);
            let names = Names::of(&pod, "node-1");
            assert_eq!(names.host, host, "{spec}");
            assert_eq!(names.hostname(&pod), hostname, "{spec}");
        }
        assert_eq!(shortened(&format!("{}-x", "a".repeat(62))).len(), 62);
    }

    #[test]
    fn hosts_files_read_as_kubelets() {
        let aliases = json!([{"ip": "10.1.2.3", "hostnames": ["foo", "foo.remote"]}]);
        let spec = json!({"hostAliases": aliases, "subdomain": "sub"});
        let pod = pod(&spec);
        let names = Names::of(&pod, "node-1");
        let addresses = ["10.244.1.5".parse().unwrap(), "fd00::5".parse().unwrap()];
        let text = hosts(&pod, &names, &addresses, "");
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\t"));
        assert!(text.ends_with(
            "fe00::2\tip6-allrouters
10.244.1.5\tweb-1.sub.shop.svc.cluster.local\tweb-1
fd00::5\tweb-1.sub.shop.svc.cluster.local\tweb-1

# Entries added by HostAliases.
10.1.2.3\tfoo\tfoo.remote
"
        ));
    }

    #[test]
    fn on_the_nodes_network_the_nodes_hosts_file_counts() {
        let pod = pod(&json!({"hostNetwork": true}));
        let text = hosts(&pod, &Names::of(&pod, "n"), &[], "127.0.0.1 here\n");
        let expected = "# Kubernetes-managed hosts file (host network).\n127.0.0.1 here\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn resolvers_are_the_nodes_and_the_pods_own() {
        const NODE: &str = "domain old\nsearch corp\nnameserver 192.0.2.1\noptions ndots:2 edns0\n";
        let own = json!({
            "nameservers": ["192.0.2.2"], "searches": ["x.y"],
            "options": [{"name": "ndots", "value": "5"}, {"name": "rotate"}],
        });
        let merged = "search corp x.y\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0 ndots:5 rotate\n";
        let alone = "search x.y\nnameserver 192.0.2.2\noptions ndots:5 rotate\n";
        let cases = [
            (
                json!({"dnsPolicy": "Default"}),
                "search corp\nnameserver 192.0.2.1\noptions ndots:2 edns0\n",
            ),
            (json!({"dnsPolicy": "Default", "dnsConfig": own}), merged),
            (json!({"dnsPolicy": "None", "dnsConfig": own}), alone),
        ];
        for (spec, expected) in cases {
            assert_eq!(resolv_conf(&pod(&spec), NODE), expected, "{spec}");
        }
        let text = resolv_conf(&pod(&json!({})), NODE);
        assert!(
            text.starts_with("# This cluster has no DNS server yet"),
            "{text}"
        );
        assert!(text.ends_with("options ndots:2 edns0\n"), "{text}");
    }
}
