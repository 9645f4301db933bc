//! Sets of field paths, as `FieldsV1` writes them.
//!
//! `{"f:spec": {"f:ports": {".": {}, "k:{\"port\":80}": {".": {}, "f:name": {}}}}}` holds three paths:
//! `.spec.ports`, `.spec.ports[port=80]` and `.spec.ports[port=80].name`. A path that is in the set and has
//! others below is marked by `.`; one without others is an empty object.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::schema::print::go_quote;

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// A struct's field or a map's key.
    Field(String),
    /// A list's member by the values of its key fields, sorted by name.
    Key(Vec<(String, Scalar)>),
    /// A list's member by its value.
    Value(Scalar),
    /// A list's member by its position.
    Index(i64),
}

/// A scalar as its JSON text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scalar(String);

impl Scalar {
    pub(super) fn new(value: &Value) -> Self {
        Self(value.to_string())
    }

    fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Value::String(text) => f.write_str(&go_quote(&text)),
            _ => f.write_str(&self.0),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                let fields = fields.iter().map(|(name, value)| format!("{name}={value}"));
                write!(f, "[{}]", fields.collect::<Vec<_>>().join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    nodes: BTreeMap<Element, Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path to here is in the set.
    member: bool,
    below: Set,
}

impl Set {
    /// Adds a path; the empty path is none.
    pub(super) fn insert(&mut self, path: &[Element]) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut at = self;
        for element in parents {
            at = &mut at.nodes.entry(element.clone()).or_default().below;
        }
        at.nodes.entry(last.clone()).or_default().member = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes
            .values()
            .all(|node| !node.member && node.below.is_empty())
    }

    pub(super) fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// The paths below an element.
    pub(super) fn below(&self, element: &Element) -> Option<&Self> {
        let node = self.nodes.get(element)?;
        (!node.below.is_empty()).then_some(&node.below)
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (element, theirs) in &other.nodes {
            let node = all.nodes.entry(element.clone()).or_default();
            node.member |= theirs.member;
            node.below = node.below.union(&theirs.below);
        }
        all
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| {
            let empty = Node::default();
            let theirs = theirs.unwrap_or(&empty);
            Node {
                member: mine.member && theirs.member,
                below: mine.below.intersection(&theirs.below),
            }
        })
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| match theirs {
            None => mine.clone(),
            Some(theirs) => Node {
                member: mine.member && !theirs.member,
                below: mine.below.difference(&theirs.below),
            },
        })
    }

    /// As [`Set::difference`], where a path takes everything below it along.
    pub(super) fn without_all_below(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| match theirs {
            None => mine.clone(),
            Some(theirs) if theirs.member => Node::default(),
            Some(theirs) => Node {
                member: mine.member,
                below: mine.below.without_all_below(&theirs.below),
            },
        })
    }

    fn combine(&self, other: &Self, node: impl Fn(&Node, Option<&Node>) -> Node) -> Self {
        let nodes = self.nodes.iter().filter_map(|(element, mine)| {
            let node = node(mine, other.nodes.get(element));
            let empty = !node.member && node.below.is_empty();
            (!empty).then(|| (element.clone(), node))
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// The same set, with every step to a path that `is_declared` also in it.
    pub(super) fn with_parents<S: Copy>(
        &self,
        shape: S,
        step: &impl Fn(S, &Element) -> (bool, S),
    ) -> Self {
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (is_declared, shape) = step(shape, element);
            let has_below = !node.below.is_empty();
            let node = Node {
                member: node.member || (has_below && is_declared),
                below: node.below.with_parents(shape, step),
            };
            (element.clone(), node)
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// The paths as text, those that end here before those that go on.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let members = self.nodes.iter().filter(|(_, node)| node.member);
        paths.extend(members.map(|(element, _)| format!("{prefix}{element}")));
        for (element, node) in &self.nodes {
            if !node.below.is_empty() {
                node.below
                    .collect_paths(&format!("{prefix}{element}"), paths);
            }
        }
    }

    /// As `FieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let members = self.nodes.iter().filter_map(|(element, node)| {
            let mut below = match node.below.to_json() {
                Value::Object(below) => below,
                _ => Map::new(),
            };
            if !node.member && below.is_empty() {
                return None;
            }
            if node.member && !below.is_empty() {
                below.insert(".".to_owned(), Map::new().into());
            }
            Some((element_text(element), below.into()))
        });
        Value::Object(members.collect())
    }

    /// From `FieldsV1`; `None` when it is none.
    pub(super) fn from_json(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (text, below) in fields.as_object()? {
            if text == "." {
                continue;
            }
            let element = parse_element(text)?;
            let members = below.as_object()?;
            let node = Node {
                member: members.is_empty() || members.contains_key("."),
                below: Self::from_json(below)?,
            };
            set.nodes.insert(element, node);
        }
        Some(set)
    }
}

fn element_text(element: &Element) -> String {
    match element {
        Element::Field(name) => format!("f:{name}"),
        Element::Key(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), value.value()));
            format!("k:{}", Value::Object(fields.collect()))
        }
        Element::Value(value) => format!("v:{}", value.0),
        Element::Index(index) => format!("i:{index}"),
    }
}

fn parse_element(text: &str) -> Option<Element> {
    let (kind, rest) = text.split_once(':')?;
    Some(match kind {
        "f" => Element::Field(rest.to_owned()),
        "k" => {
            let fields: Map<String, Value> = serde_json::from_str(rest).ok()?;
            let mut fields: Vec<(String, Scalar)> = fields
                .iter()
                .map(|(name, value)| (name.clone(), Scalar::new(value)))
                .collect();
            fields.sort();
            Element::Key(fields)
        }
        "v" => Element::Value(Scalar::new(&serde_json::from_str(rest).ok()?)),
        "i" => Element::Index(rest.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_back() {
        let fields = json!({
            "f:spec": {"f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}},
            "f:metadata": {"f:finalizers": {"v:\"e.com/a\"": {}}},
        });
        let set = Set::from_json(&fields).unwrap();
        assert_eq!(set.to_json(), fields);
        let expected = [
            ".metadata.finalizers[=\"e.com/a\"]",
            ".spec.ports",
            ".spec.ports[port=80,protocol=\"TCP\"]",
            ".spec.ports[port=80,protocol=\"TCP\"].name",
        ];
        assert_eq!(set.paths(), expected);
    }

    fn any_set() -> impl Strategy<Value = Set> {
        let element = prop_oneof![
            "[a-c]".prop_map(Element::Field),
            (0_i64..3).prop_map(|number| Element::Value(Scalar::new(&number.into()))),
        ];
        let path = proptest::collection::vec(element, 1..4);
        proptest::collection::vec(path, 0..6).prop_map(|paths| {
            let mut set = Set::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn sets_obey_the_laws_of_sets(a in any_set(), b in any_set()) {
            prop_assert_eq!(a.union(&b).to_json(), b.union(&a).to_json());
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            let parts = a.difference(&b).union(&a.intersection(&b));
            prop_assert_eq!(parts.to_json(), a.to_json());
            prop_assert!(a.difference(&a).is_empty());
            let again = Set::from_json(&a.to_json()).unwrap();
            prop_assert_eq!(again.to_json(), a.to_json());
        }
    }
}
