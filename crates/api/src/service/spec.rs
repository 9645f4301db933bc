//! Reading a Service's `spec`: what is there, and the questions that several rules ask of it.

use serde_json::Value;

use crate::validation::json;

/// What a Service says, as read from its canonical JSON.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a>(&'a Value);

impl<'a> Spec<'a> {
    /// The spec of this Service.
    pub fn of(service: &'a Value) -> Self {
        Self(&service["spec"])
    }

    /// `spec.type`.
    pub fn kind(self) -> &'a str {
        json::text(self.0, "/type")
    }

    /// `spec.clusterIP`.
    pub fn cluster_ip(self) -> &'a str {
        json::text(self.0, "/clusterIP")
    }

    /// `spec.clusterIPs`.
    pub fn cluster_ips(self) -> Vec<&'a str> {
        json::texts(self.0, "/clusterIPs")
    }

    /// `spec.ipFamilies`.
    pub fn families(self) -> Vec<&'a str> {
        json::texts(self.0, "/ipFamilies")
    }

    /// `spec.ipFamilyPolicy`.
    pub fn policy(self) -> Option<&'a str> {
        self.0.get("ipFamilyPolicy").and_then(Value::as_str)
    }

    /// Whether the policy is there and is this one.
    pub fn policy_is(self, policy: &str) -> bool {
        self.policy() == Some(policy)
    }

    /// `spec.ports`.
    pub fn ports(self) -> &'a [Value] {
        json::list(self.0, "/ports")
    }

    /// The node ports that are set, in the order of the ports; a shared one as often as it is shared.
    pub fn node_ports(self) -> Vec<i64> {
        let numbers = self
            .ports()
            .iter()
            .map(|port| json::integer(port, "/nodePort"));
        numbers.filter(|number| *number != 0).collect()
    }

    /// `spec.externalIPs`.
    pub fn external_ips(self) -> Vec<&'a str> {
        json::texts(self.0, "/externalIPs")
    }

    /// `spec.loadBalancerSourceRanges`.
    pub fn source_ranges(self) -> Vec<&'a str> {
        json::texts(self.0, "/loadBalancerSourceRanges")
    }

    /// `spec.healthCheckNodePort`.
    pub fn health_check_port(self) -> i64 {
        json::integer(self.0, "/healthCheckNodePort")
    }

    /// `spec.allocateLoadBalancerNodePorts`.
    pub fn allocate_node_ports(self) -> Option<bool> {
        json::boolean(self.0, "/allocateLoadBalancerNodePorts")
    }

    /// A text member; empty when it is not there.
    pub fn text(self, member: &str) -> &'a str {
        self.0.get(member).and_then(Value::as_str).unwrap_or("")
    }

    /// A text member that may be absent.
    pub fn optional(self, member: &str) -> Option<&'a str> {
        self.0.get(member).and_then(Value::as_str)
    }

    /// A member as it is; null when it is not there.
    pub fn value(self, member: &str) -> Value {
        self.0.get(member).cloned().unwrap_or_default()
    }

    /// Whether the type is `ExternalName`, which needs no addresses.
    pub fn is_external_name(self) -> bool {
        self.kind() == "ExternalName"
    }

    /// Whether the type is `LoadBalancer`.
    pub fn is_load_balancer(self) -> bool {
        self.kind() == "LoadBalancer"
    }

    /// Whether the only cluster IP is `None`.
    pub fn is_headless(self) -> bool {
        self.cluster_ips() == ["None"]
    }

    /// Headless without a selector: the one Service that has both families wherever it is.
    pub fn is_headless_without_selector(self) -> bool {
        let selector = self.0.get("selector").and_then(Value::as_object);
        self.cluster_ip() == "None" && selector.is_none_or(serde_json::Map::is_empty)
    }

    /// Whether clients may come from outside of the cluster.
    pub fn is_externally_accessible(self) -> bool {
        match self.kind() {
            "LoadBalancer" | "NodePort" => true,
            "ClusterIP" => !self.external_ips().is_empty(),
            _ => false,
        }
    }

    /// Whether load balancers ask each node if it has endpoints of this Service.
    pub fn needs_health_check(self) -> bool {
        self.is_load_balancer() && self.text("externalTrafficPolicy") == "Local"
    }

    /// Whether the type can have node ports.
    pub fn may_have_node_ports(self) -> bool {
        matches!(self.kind(), "LoadBalancer" | "NodePort")
    }

    /// Whether ports without a node port are given one.
    pub fn allocates_node_ports(self) -> bool {
        match self.kind() {
            "NodePort" => true,
            "LoadBalancer" => self.allocate_node_ports().unwrap_or(true),
            _ => false,
        }
    }
}
