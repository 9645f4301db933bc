//! What a namespace's status says while it is being emptied
//! (`pkg/controller/namespace/deletion/status_condition_utils.go`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::NamespaceCondition;
use kube::core::DynamicObject;

use crate::discovery::Kind;
use crate::error::Result;
use crate::namespaces::Holders;
use crate::time::now;

/// What is left in a namespace.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// By `plural.group`; the core group is empty, so its kinds end in a dot.
    left: BTreeMap<String, usize>,
    held: Holders,
    problems: Vec<String>,
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.problems.is_empty()
    }

    pub(super) fn add(&mut self, kind: &Kind, left: Result<Vec<DynamicObject>>) {
        match left {
            Err(problem) => self.problems.push(problem.to_string()),
            Ok(left) if left.is_empty() => {}
            Ok(left) => {
                let name = format!("{}.{}", kind.resource.plural, kind.resource.group);
                self.left.insert(name, left.len());
                for finalizer in left
                    .into_iter()
                    .flat_map(|object| object.metadata.finalizers.unwrap_or_default())
                {
                    *self.held.entry(finalizer).or_default() += 1;
                }
            }
        }
    }
}

/// The conditions, with those of before where nothing changed.
pub(super) fn conditions(
    old: Vec<NamespaceCondition>,
    content: &Content,
) -> Vec<NamespaceCondition> {
    let mut conditions = old;
    for (kind, reason, message, is_true) in said(content) {
        let status = if is_true { "True" } else { "False" };
        let fresh = || NamespaceCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            last_transition_time: Some(now()),
            ..NamespaceCondition::default()
        };
        let index = conditions
            .iter()
            .position(|condition| condition.type_ == kind);
        let index = index.unwrap_or_else(|| {
            conditions.push(fresh());
            conditions.len() - 1
        });
        let condition = &mut conditions[index];
        if condition.status != status {
            *condition = fresh();
        }
        condition.reason = Some(reason.to_owned());
        condition.message = Some(message);
    }
    conditions
}

/// Type, reason, message and whether it is true.
type Said = (&'static str, &'static str, String, bool);

fn said(content: &Content) -> [Said; 5] {
    let fine = |kind, reason, text: &str| (kind, reason, text.to_owned(), false);
    [
        fine(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        failure(content).unwrap_or_else(|| {
            let text = "All content successfully deleted, may be waiting on finalization";
            fine("NamespaceDeletionContentFailure", "ContentDeleted", text)
        }),
        remaining(content).unwrap_or_else(|| {
            let text = "All content successfully removed";
            fine("NamespaceContentRemaining", "ContentRemoved", text)
        }),
        held(content).unwrap_or_else(|| {
            let text = "All content-preserving finalizers finished";
            fine(
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                text,
            )
        }),
    ]
}

fn failure(content: &Content) -> Option<Said> {
    let (count, all) = (content.problems.len(), content.problems.join(", "));
    let text = format!("Failed to delete all resource types, {count} remaining: {all}");
    (count > 0).then_some((
        "NamespaceDeletionContentFailure",
        "ContentDeletionFailed",
        text,
        true,
    ))
}

fn remaining(content: &Content) -> Option<Said> {
    let text = format!(
        "Some resources are remaining: {}",
        list(&content.left, "has")
    );
    let any = !content.left.is_empty();
    any.then_some((
        "NamespaceContentRemaining",
        "SomeResourcesRemain",
        text,
        true,
    ))
}

fn held(content: &Content) -> Option<Said> {
    let list = list(&content.held, "in");
    let text = format!("Some content in the namespace has finalizers remaining: {list}");
    let any = !content.held.is_empty();
    any.then_some((
        "NamespaceFinalizersRemaining",
        "SomeFinalizersRemain",
        text,
        true,
    ))
}

fn list(counts: &BTreeMap<String, usize>, verb: &str) -> String {
    let texts = counts
        .iter()
        .map(|(name, count)| format!("{name} {verb} {count} resource instances"));
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_and_what_is_over_too() {
        let content = Content {
            left: [("configmaps.".to_owned(), 1)].into(),
            held: [("example.com/hold".to_owned(), 1)].into(),
            problems: Vec::new(),
        };
        let first = conditions(Vec::new(), &content);
        let texts = |all: &[NamespaceCondition]| {
            all.iter()
                .map(|one| format!("{} {}", one.status, one.message.as_deref().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            texts(&first),
            [
                "False All resources successfully discovered",
                "False All legacy kube types successfully parsed",
                "False All content successfully deleted, may be waiting on finalization",
                "True Some resources are remaining: configmaps. has 1 resource instances",
                "True Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
            ]
        );
        assert_eq!(conditions(first.clone(), &content), first);
        let last = conditions(first, &Content::default());
        assert!(last.iter().all(|condition| condition.status == "False"));
    }
}
