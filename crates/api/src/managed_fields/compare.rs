//! What differs between two objects, as sets of paths.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{Element, Set};
use super::shape::Shape;

/// The difference between two objects; no path is in more than one of the sets.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: Set,
    pub(super) modified: Set,
    pub(super) added: Set,
}

impl Comparison {
    /// What `right` changes.
    pub(super) fn of(shape: Shape, left: &Value, right: &Value) -> Self {
        let mut walk = Walk::default();
        walk.compare(shape, Some(left), Some(right));
        walk.found
    }

    /// Without some paths and all below them.
    pub(super) fn without(self, ignored: &Set) -> Self {
        Self {
            removed: self.removed.without_all_below(ignored),
            modified: self.modified.without_all_below(ignored),
            added: self.added.without_all_below(ignored),
        }
    }
}

/// Whether two values are equal; an integer may equal a float.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(key, value): (&String, &Value)| {
                right.get(key).is_some_and(|other| equal(value, other))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

#[derive(Default)]
struct Walk {
    path: Vec<Element>,
    found: Comparison,
}

impl Walk {
    fn compare(&mut self, shape: Shape, left: Option<&Value>, right: Option<&Value>) {
        if shape.is_leaf() || (is_hollow(shape, left) && is_hollow(shape, right)) {
            return self.leaf(left, right);
        }
        if let Shape::List { .. } = shape {
            self.lists(shape, left, right);
        } else {
            self.maps(shape, left, right);
        }
        match (left, right) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            _ => {}
        }
    }

    fn leaf(&mut self, left: Option<&Value>, right: Option<&Value>) {
        match (left, right) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(left), Some(right)) if !equal(left, right) => {
                self.found.modified.insert(&self.path);
            }
            _ => {}
        }
    }

    fn maps(&mut self, shape: Shape, left: Option<&Value>, right: Option<&Value>) {
        let none = Map::new();
        let left = left.and_then(Value::as_object).unwrap_or(&none);
        let right = right.and_then(Value::as_object).unwrap_or(&none);
        let only_right = right.keys().filter(|name| !left.contains_key(*name));
        for name in left.keys().chain(only_right) {
            let below = shape.member(name).unwrap_or(Shape::Any);
            self.path.push(Element::Field(name.clone()));
            self.compare(below, left.get(name), right.get(name));
            self.path.pop();
        }
    }

    fn lists(&mut self, shape: Shape, left: Option<&Value>, right: Option<&Value>) {
        let (left, right) = (by_element(shape, left), by_element(shape, right));
        let none = Vec::new();
        let only_right = right.keys().filter(|element| !left.contains_key(*element));
        for element in left.keys().chain(only_right) {
            let left = left.get(element).unwrap_or(&none);
            let right = right.get(element).unwrap_or(&none);
            self.path.push(element.clone());
            self.items(shape.element(), left, right);
            self.path.pop();
        }
    }

    /// The members of one name; there should be one on each side at most, but old objects may have more.
    fn items(&mut self, shape: Shape, left: &[&Value], right: &[&Value]) {
        match (left, right) {
            (&[] | &[_], &[] | &[_]) => {
                self.compare(shape, left.first().copied(), right.first().copied());
            }
            (&[_, _, ..], &[_, _, ..]) => {
                let same = left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|(left, right)| equal(left, right));
                if !same {
                    self.found.modified.insert(&self.path);
                }
            }
            (&[_, _, ..], _) => {
                if let Some(right) = right.first() {
                    self.compare(shape, None, Some(right));
                }
                self.found.removed.insert(&self.path);
            }
            _ => {
                if let Some(left) = left.first() {
                    self.compare(shape, Some(left), None);
                }
                self.found.added.insert(&self.path);
            }
        }
    }
}

/// Whether nothing is in it: two such are compared as one value, so that `null`, `{}` and nothing differ.
fn is_hollow(shape: Shape, value: Option<&Value>) -> bool {
    match (shape, value) {
        (Shape::List { .. }, Some(Value::Array(items))) => items.is_empty(),
        (Shape::List { .. }, _) => true,
        (_, Some(Value::Object(map))) => map.is_empty(),
        _ => true,
    }
}

fn by_element(shape: Shape, list: Option<&Value>) -> BTreeMap<Element, Vec<&Value>> {
    let mut found: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(element) = shape.path_element(item) {
            found.entry(element).or_default().push(item);
        }
    }
    found
}
