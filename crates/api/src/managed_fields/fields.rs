//! The paths that an applied configuration owns: every leaf, and every list member.

use serde_json::Value;

use super::set::{Element, Set};
use super::shape::Shape;

/// The paths of a value.
pub(super) fn of(shape: Shape, value: &Value) -> Set {
    let mut walk = Walk::default();
    walk.value(shape, value);
    walk.set
}

#[derive(Default)]
struct Walk {
    set: Set,
    path: Vec<Element>,
}

impl Walk {
    fn value(&mut self, shape: Shape, value: &Value) {
        if shape.is_leaf() {
            self.set.insert(&self.path);
            return;
        }
        match value {
            Value::Array(items) => self.items(shape, items),
            Value::Object(map) => {
                for (name, member) in map {
                    let declared = matches!(shape, Shape::Struct { .. });
                    let below = shape.member(name).unwrap_or(Shape::Any);
                    self.path.push(Element::Field(name.clone()));
                    self.value(below, member);
                    let empty = member.is_null()
                        || member.as_object().is_some_and(serde_json::Map::is_empty);
                    if empty || !declared {
                        self.set.insert(&self.path);
                    }
                    self.path.pop();
                }
            }
            _ => {}
        }
    }

    fn items(&mut self, shape: Shape, items: &[Value]) {
        let elements: Vec<Option<Element>> = items
            .iter()
            .map(|item| shape.path_element(item).ok())
            .collect();
        for (item, element) in items.iter().zip(&elements) {
            let Some(element) = element else {
                continue;
            };
            let times = elements
                .iter()
                .flatten()
                .filter(|other| *other == element)
                .count();
            self.path.push(element.clone());
            if times == 1 {
                self.value(shape.element(), item);
            }
            self.set.insert(&self.path);
            self.path.pop();
        }
    }
}
