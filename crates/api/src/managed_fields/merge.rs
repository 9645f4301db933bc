//! An applied configuration merged into the live object, and paths removed from an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{Element, Set};
use super::shape::Shape;

/// Both values in one; where both have a leaf, the applied one's. Lists take the applied one's order.
pub(super) fn merge(shape: Shape, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let hollow = |value: Option<&Value>| match value {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => true,
    };
    if shape.is_leaf() || (hollow(live) && hollow(applied)) {
        return applied.or(live).cloned();
    }
    if let Shape::List { .. } = shape {
        merge_lists(shape, live, applied)
    } else {
        merge_maps(shape, live, applied)
    }
}

fn merge_maps(shape: Shape, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let none = Map::new();
    let live = live.and_then(Value::as_object).unwrap_or(&none);
    let applied = applied.and_then(Value::as_object).unwrap_or(&none);
    let only_applied = applied.keys().filter(|name| !live.contains_key(*name));
    let members = live.keys().chain(only_applied).filter_map(|name| {
        let below = shape.member(name).unwrap_or(Shape::Any);
        let member = merge(below, live.get(name), applied.get(name))?;
        Some((name.clone(), member))
    });
    let merged: Map<String, Value> = members.collect();
    (!merged.is_empty()).then(|| merged.into())
}

/// A list's members with their names.
struct Items<'v> {
    order: Vec<(Element, &'v Value)>,
    /// `None` for a name that occurs more than once.
    by_element: BTreeMap<Element, Option<&'v Value>>,
}

impl<'v> Items<'v> {
    fn of(shape: Shape, list: Option<&'v Value>) -> Self {
        let mut items = Self {
            order: Vec::new(),
            by_element: BTreeMap::new(),
        };
        for item in list.and_then(Value::as_array).into_iter().flatten() {
            let Ok(element) = shape.path_element(item) else {
                continue;
            };
            let seen = items.by_element.contains_key(&element);
            items
                .by_element
                .insert(element.clone(), (!seen).then_some(item));
            items.order.push((element, item));
        }
        items
    }

    fn has(&self, element: &Element) -> bool {
        self.by_element.contains_key(element)
    }

    fn get(&self, element: &Element) -> Option<&'v Value> {
        self.by_element.get(element).copied().flatten()
    }
}

/// Walks both lists at once: members that both have come in the applied order, those that only the live one
/// has keep their place before the next shared one.
fn merge_lists(shape: Shape, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let (live, applied) = (Items::of(shape, live), Items::of(shape, applied));
    let mut shared = applied
        .order
        .iter()
        .map(|(element, _)| element)
        .filter(|one| live.has(one));
    let mut next_shared = shared.next();
    let mut taken: BTreeMap<&Element, ()> = BTreeMap::new();
    let mut merged = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < live.order.len() || r < applied.order.len() {
        if let Some((element, item)) = live.order.get(l) {
            let next_applied = applied.order.get(r).map(|(element, _)| element);
            let waits = next_applied.is_some_and(|next| next != element)
                && applied.has(element)
                && next_shared.is_some_and(|next| next != element);
            if waits {
                l += 1;
                continue;
            }
            if !applied.has(element) {
                merged.extend(merge(shape.element(), Some(item), None));
                l += 1;
                continue;
            }
            if next_applied == Some(element) || taken.contains_key(element) {
                l += 1;
            }
        }
        if let Some((element, item)) = applied.order.get(r) {
            taken.insert(element, ());
            merged.extend(merge(shape.element(), live.get(element), Some(item)));
            r += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    (!merged.is_empty()).then(|| merged.into())
}

/// A value without some paths; nothing where all of it went.
pub(super) fn remove(shape: Shape, value: &Value, gone: &Set) -> Value {
    match value {
        _ if matches!(shape, Shape::Scalar(_) | Shape::Any) => value.clone(),
        Value::Array(_) | Value::Object(_) if shape.is_leaf() => Value::Null,
        Value::Array(items) => remove_items(shape, items, gone),
        Value::Object(map) => remove_members(shape, map, gone),
        _ => Value::Null,
    }
}

fn remove_items(shape: Shape, items: &[Value], gone: &Set) -> Value {
    let kept = items.iter().filter_map(|item| {
        let Ok(element) = shape.path_element(item) else {
            return Some(item.clone());
        };
        if gone.has(&element) {
            return None;
        }
        Some(match gone.below(&element) {
            Some(below) => remove(shape.element(), item, below),
            None => item.clone(),
        })
    });
    let kept: Vec<Value> = kept.collect();
    if kept.is_empty() {
        Value::Null
    } else {
        kept.into()
    }
}

fn remove_members(shape: Shape, map: &Map<String, Value>, gone: &Set) -> Value {
    let kept = map.iter().filter_map(|(name, member)| {
        let element = Element::Field(name.clone());
        if gone.has(&element) {
            return None;
        }
        let member = match gone.below(&element) {
            Some(below) => remove(shape.member(name).unwrap_or(Shape::Any), member, below),
            None => member.clone(),
        };
        Some((name.clone(), member))
    });
    let kept: Map<String, Value> = kept.collect();
    if kept.is_empty() {
        Value::Null
    } else {
        kept.into()
    }
}
