//! The variables that tell a container where Services are (kubelet, `pkg/kubelet/envvars`).
//!
//! Of a Service only what these variables need is kept, because a node keeps it for every Service of the
//! cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;

/// What the variables need of a Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) name: Box<str>,
    pub(crate) address: IpAddr,
    pub(crate) ports: Box<[Port]>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    pub(crate) name: Option<Box<str>>,
    pub(crate) number: u16,
    pub(crate) protocol: Box<str>,
}

impl Link {
    /// What is kept of a Service; nothing of one without an address of its own.
    pub(crate) fn of(service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        let ports: Option<Vec<Port>> = spec.ports.iter().flatten().map(Port::of).collect();
        Some(Self {
            name: service.metadata.name.as_deref()?.into(),
            address: spec.cluster_ip.as_ref()?.parse().ok()?,
            ports: ports.filter(|ports| !ports.is_empty())?.into(),
        })
    }
}

impl Port {
    fn of(port: &k8s_openapi::api::core::v1::ServicePort) -> Option<Self> {
        Some(Self {
            name: port
                .name
                .as_deref()
                .filter(|name| !name.is_empty())
                .map(Into::into),
            number: port.port.try_into().ok()?,
            protocol: port.protocol.as_deref().unwrap_or("TCP").into(),
        })
    }
}

/// The variables of some Services.
pub(crate) fn variables<'a>(links: impl Iterator<Item = &'a Link>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for link in links {
        add(&mut variables, link);
    }
    variables
}

fn add(variables: &mut BTreeMap<String, String>, link: &Link) {
    let mut set = |name: String, value: String| drop(variables.insert(name, value));
    let prefix = variable_name(&link.name);
    let host = link.address.to_string();
    set(format!("{prefix}_SERVICE_HOST"), host.clone());
    for (index, port) in link.ports.iter().enumerate() {
        let number = port.number.to_string();
        let url = url(link.address, port);
        if index == 0 {
            set(format!("{prefix}_SERVICE_PORT"), number.clone());
            set(format!("{prefix}_PORT"), url.clone());
        }
        if let Some(name) = &port.name {
            let name = variable_name(name);
            set(format!("{prefix}_SERVICE_PORT_{name}"), number.clone());
        }
        let one = format!("{prefix}_PORT_{number}_{}", port.protocol.to_uppercase());
        set(format!("{one}_PROTO"), port.protocol.to_lowercase());
        set(format!("{one}_PORT"), number);
        set(format!("{one}_ADDR"), host.clone());
        set(one, url);
    }
}

fn url(address: IpAddr, port: &Port) -> String {
    let protocol = port.protocol.to_lowercase();
    let number = port.number;
    match address {
        IpAddr::V4(address) => format!("{protocol}://{address}:{number}"),
        IpAddr::V6(address) => format!("{protocol}://[{address}]:{number}"),
    }
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn link(spec: &serde_json::Value) -> Option<Link> {
        let object = json!({"metadata": {"name": "my-db"}, "spec": spec});
        Link::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn services_without_an_address_have_no_variables() {
        let ports = json!([{"port": 80}]);
        assert_eq!(link(&json!({"clusterIP": "None", "ports": ports})), None);
        assert_eq!(link(&json!({"type": "ExternalName"})), None);
        assert_eq!(link(&json!({"clusterIP": "10.0.0.1"})), None);
    }

    #[test]
    fn both_forms_of_variables_are_made() {
        let link = link(&json!({"clusterIP": "fd00::1", "ports": [
            {"name": "web-ui", "port": 80, "protocol": "TCP"},
            {"name": "dns", "port": 53, "protocol": "UDP"},
        ]}));
        let variables = variables(link.iter());
        let lines: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expected = [
            "MY_DB_PORT=tcp://[fd00::1]:80",
            "MY_DB_PORT_53_UDP=udp://[fd00::1]:53",
            "MY_DB_PORT_53_UDP_ADDR=fd00::1",
            "MY_DB_PORT_53_UDP_PORT=53",
            "MY_DB_PORT_53_UDP_PROTO=udp",
            "MY_DB_PORT_80_TCP=tcp://[fd00::1]:80",
            "MY_DB_PORT_80_TCP_ADDR=fd00::1",
            "MY_DB_PORT_80_TCP_PORT=80",
            "MY_DB_PORT_80_TCP_PROTO=tcp",
            "MY_DB_SERVICE_HOST=fd00::1",
            "MY_DB_SERVICE_PORT=80",
            "MY_DB_SERVICE_PORT_DNS=53",
            "MY_DB_SERVICE_PORT_WEB_UI=80",
        ];
        assert_eq!(lines, expected);
    }
}
