//! The downward API: what a container may learn of its own pod.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What `fieldRef` can name besides the object itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) pod_addresses: Vec<IpAddr>,
    pub(crate) node_addresses: Vec<IpAddr>,
    /// The node's processors and memory, for containers without limits.
    pub(crate) cpu_millis: u64,
    pub(crate) memory_bytes: u64,
}

/// The value of a `fieldRef`; `None` for a path that does not exist.
pub(crate) fn field(pod: &Pod, around: &Surroundings, path: &str) -> Option<String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
    match path {
        "metadata.name" => text(&meta.name),
        "metadata.namespace" => text(&meta.namespace),
        "metadata.uid" => text(&meta.uid),
        "metadata.labels" => Some(lines(meta.labels.as_ref())),
        "metadata.annotations" => Some(lines(meta.annotations.as_ref())),
        "spec.nodeName" => text(&spec?.node_name),
        "spec.serviceAccountName" => text(&spec?.service_account_name),
        "status.hostIP" => first(&around.node_addresses),
        "status.hostIPs" => Some(joined(&around.node_addresses)),
        "status.podIP" => first(&around.pod_addresses),
        "status.podIPs" => Some(joined(&around.pod_addresses)),
        _ => subscripted(pod, path),
    }
}

/// `metadata.labels['key']` and `metadata.annotations['key']`.
fn subscripted(pod: &Pod, path: &str) -> Option<String> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    let map = match map {
        "metadata.labels" => &pod.metadata.labels,
        "metadata.annotations" => &pod.metadata.annotations,
        _ => return None,
    };
    let value = map.as_ref().and_then(|map| map.get(key));
    Some(value.cloned().unwrap_or_default())
}

/// `key="value"` lines in the order of keys, values escaped.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}

fn first(addresses: &[IpAddr]) -> Option<String> {
    Some(
        addresses
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    )
}

fn joined(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// The value of a `resourceFieldRef`, in units of its divisor, rounded up.
pub(crate) fn resource(
    container: &Container,
    around: &Surroundings,
    selector: &ResourceFieldSelector,
) -> Option<String> {
    let (list, name) = selector.resource.split_once('.')?;
    let resources = container.resources.as_ref();
    let given = |limits: bool| {
        let list = if limits {
            &resources?.limits
        } else {
            &resources?.requests
        };
        millis(list.as_ref()?.get(name)?)
    };
    let whole_node = match name {
        "cpu" => u128::from(around.cpu_millis),
        "memory" => u128::from(around.memory_bytes) * 1000,
        _ => 0,
    };
    let value = match list {
        "limits" => given(true).unwrap_or(whole_node),
        "requests" => given(false).unwrap_or(0),
        _ => return None,
    };
    let divisor = selector
        .divisor
        .as_ref()
        .and_then(millis)
        .filter(|divisor| *divisor > 0);
    Some(value.div_ceil(divisor.unwrap_or(1000)).to_string())
}

/// A quantity in thousandths.
pub(crate) fn millis(quantity: &Quantity) -> Option<u128> {
    let text = quantity.0.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = scale_of(suffix)?;
    let digits = fraction.len().min(9);
    let unit = 10u128.pow(digits.try_into().ok()?);
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: u128 = if digits == 0 {
        0
    } else {
        fraction[..digits].parse().ok()?
    };
    Some(((whole * unit + fraction) * scale).div_ceil(unit))
}

/// What a suffix multiplies by, in thousandths.
fn scale_of(suffix: &str) -> Option<u128> {
    let binary = |power: u32| 1000 * 1024u128.pow(power);
    Some(match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        _ => {
            let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            1000 * 10u128.checked_pow(exponent.min(18))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web-1", "labels": {"app": "a\"b", "z": "1"}},
            "spec": {"nodeName": "n1", "containers": []},
        }))
        .unwrap()
    }

    #[test]
    fn fields_by_path() {
        let around = Surroundings {
            pod_addresses: vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()],
            ..Surroundings::default()
        };
        let cases = [
            ("metadata.name", Some("web-1")),
            ("metadata.namespace", Some("")),
            ("metadata.labels", Some("app=\"a\\\"b\"\nz=\"1\"")),
            ("metadata.labels['app']", Some("a\"b")),
            ("metadata.annotations['none']", Some("")),
            ("spec.nodeName", Some("n1")),
            ("status.podIP", Some("10.0.0.5")),
            ("status.podIPs", Some("10.0.0.5,fd00::5")),
            ("status.phase", None),
        ];
        for (path, expected) in cases {
            assert_eq!(field(&pod(), &around, path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn quantities_in_thousandths() {
        let cases = [
            ("100m", Some(100)),
            ("1", Some(1000)),
            ("1.5", Some(1500)),
            ("64Mi", Some(64 * 1024 * 1024 * 1000)),
            ("1e3", Some(1_000_000)),
            (".5", Some(500)),
            ("5x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(millis(&Quantity(text.into())), expected, "{text}");
        }
    }

    #[test]
    fn resources_are_divided_and_rounded_up() {
        let container: Container = serde_json::from_value(json!({
            "name": "a", "resources": {"limits": {"cpu": "250m"}, "requests": {"memory": "100Mi"}},
        }))
        .unwrap();
        let around = Surroundings {
            cpu_millis: 2000,
            memory_bytes: 4096,
            ..Surroundings::default()
        };
        let cases = [
            ("limits.cpu", "0", "1"),
            ("limits.cpu", "1m", "250"),
            ("limits.memory", "0", "4096"),
            ("requests.memory", "1Mi", "100"),
            ("requests.cpu", "1", "0"),
        ];
        for (name, divisor, expected) in cases {
            let selector = ResourceFieldSelector {
                resource: name.into(),
                divisor: Some(Quantity(divisor.into())),
                container_name: None,
            };
            let value = resource(&container, &around, &selector);
            assert_eq!(value.as_deref(), Some(expected), "{name} / {divisor}");
        }
    }
}
