//! Conflicts of an apply with other managers.

use serde_json::{Value, json};

use super::managers::Manager;
use super::set::Set;
use crate::status::Status;

/// What an apply would take from others.
#[derive(Debug, PartialEq)]
pub(super) struct Conflicts(pub(super) Vec<(Manager, Set)>);

impl Conflicts {
    /// All paths, whoever owns them.
    pub(super) fn paths(&self) -> Set {
        let sets = self.0.iter().map(|(_, set)| set);
        sets.fold(Set::default(), |all, set| all.union(set))
    }

    /// Without some paths; `None` when nothing is left.
    pub(super) fn without(self, allowed: &Set) -> Option<Self> {
        let rest = self
            .0
            .into_iter()
            .map(|(manager, set)| (manager, set.difference(allowed)));
        let rest: Vec<(Manager, Set)> = rest.filter(|(_, set)| !set.is_empty()).collect();
        (!rest.is_empty()).then_some(Self(rest))
    }

    /// 409, one cause for each field.
    pub(super) fn status(&self) -> Status {
        let mut causes: Vec<Value> = Vec::new();
        let mut lines = Vec::new();
        let mut sorted: Vec<&(Manager, Set)> = self.0.iter().collect();
        sorted.sort_by_key(|(manager, _)| manager.identifier());
        for (manager, set) in sorted {
            let shown = manager.shown();
            lines.push(format!("conflicts with {shown}:"));
            for path in set.paths() {
                lines.push(format!("- {path}"));
                causes.push(json!({
                    "reason": "FieldManagerConflict", "field": path,
                    "message": format!("conflict with {shown}"),
                }));
            }
        }
        let message = match causes.as_slice() {
            [one] => {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                let (message, field) = (text("message"), text("field"));
                format!("Apply failed with 1 conflict: {message}: {field}")
            }
            many => format!(
                "Apply failed with {} conflicts: {}",
                many.len(),
                lines.join("\n")
            ),
        };
        Status::new(409, "Conflict", message).with_details(json!({"causes": causes}))
    }
}
