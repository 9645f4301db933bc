//! IPAddress: a cluster IP that is taken, and by whom (KEP-1880).
//!
//! The name is the address in canonical form, so that two claims to one address collide in the store.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::age;
use crate::field::{Path, Problem, Problems};
use crate::printer::{NAME, column};
use crate::resource::{Column, Part, Rules, Strategy};
use crate::service::families::Family;
use crate::validation::json::{present, text};
use crate::validation::{ip, labels, metadata, names};

/// The label that says the family.
pub const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";

/// The label that says who made the object.
pub const MANAGER_LABEL: &str = "ipaddress.kubernetes.io/managed-by";

/// The value of [`MANAGER_LABEL`] of those that the allocator made.
pub const MANAGER: &str = "ipallocator.k8s.io";

/// The object that books an address for a Service.
pub fn of_service(address: &str, service: &Value) -> Value {
    json!({
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": address,
            "labels": {FAMILY_LABEL: Family::of(address).name(), MANAGER_LABEL: MANAGER},
        },
        "spec": {"parentRef": {
            "resource": "services",
            "namespace": text(service, "/metadata/namespace"),
            "name": text(service, "/metadata/name"),
        }},
    })
}

/// The strategy of `networking.k8s.io/v1 IPAddress`.
pub struct IpAddress;

const COLUMNS: &[Column] = &[NAME, column("ParentRef", "string")];

impl Strategy for IpAddress {
    fn rules(&self) -> Rules {
        Rules {
            random_names: false,
            ..Rules::default()
        }
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, false, name);
        problems.extend(parent(object));
        problems
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = self.validate_create(new);
        problems.extend(metadata::update(new, old));
        problems.extend(same_parent(new, old));
        problems
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    /// As upstream, one cell more than there are columns.
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            text(object, "/metadata/name").into(),
            parent_cell(object).into(),
            age::of(object, now),
        ]
    }
}

fn name(value: &str, _prefix: bool) -> Vec<String> {
    let problems = ip::ip(&Path::default(), value);
    problems.into_iter().map(|problem| problem.detail).collect()
}

fn parent(object: &Value) -> Problems {
    let path = Path::new("spec.parentRef");
    if !present(object, "/spec/parentRef") {
        return vec![Problem::required(path, "")];
    }
    let part = |member: &str| text(object, &format!("/spec/parentRef/{member}"));
    let mut problems = Problems::new();
    let group = part("group");
    if !group.is_empty() {
        let found = names::dns_subdomain(group);
        problems.extend(labels::invalid(&path.child("group"), group, found));
    }
    for (member, needed) in [("resource", true), ("name", true), ("namespace", false)] {
        let (at, value) = (path.child(member), part(member));
        match value {
            "" if needed => problems.push(Problem::required(at, "")),
            "" => {}
            _ => {
                let found = names::path_segment_name(value, false);
                problems.extend(labels::invalid(&at, value, found));
            }
        }
    }
    problems
}

fn same_parent(new: &Value, old: &Value) -> Option<Problem> {
    let (now, before) = (&new["spec"]["parentRef"], &old["spec"]["parentRef"]);
    let at = Path::new("spec.parentRef");
    (now != before).then(|| Problem::invalid_as(at, go_parent(now), "field is immutable"))
}

/// The Go structure, with its own field names.
fn go_parent(parent: &Value) -> String {
    if parent.is_null() {
        return "null".to_owned();
    }
    let members = ["Group", "Resource", "Namespace", "Name"];
    let shown: Vec<String> = members
        .iter()
        .map(|member| {
            let value = text(parent, &format!("/{}", member.to_lowercase()));
            format!("\"{member}\":{}", Value::from(value))
        })
        .collect();
    format!("{{{}}}", shown.join(","))
}

fn parent_cell(object: &Value) -> String {
    if !present(object, "/spec/parentRef") {
        return "<none>".to_owned();
    }
    let part = |member: &str| text(object, &format!("/spec/parentRef/{member}"));
    let mut shown = part("resource").to_lowercase();
    if !part("group").is_empty() {
        shown.push('.');
        shown.push_str(&part("group").to_lowercase());
    }
    for part in [part("namespace"), part("name")] {
        if !part.is_empty() {
            shown.push('/');
            shown.push_str(part);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
