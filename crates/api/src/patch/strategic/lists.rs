//! Merging lists, by merge key or as sets of scalars, and putting them in order.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    BAD_ORDER, DIRECTIVE, Fault, SET_ORDER, Shape, bad_directive, go_kind, merge_maps,
    without_directives,
};
use crate::schema::print::go_value;
use crate::schema::table::Field;

type List = Vec<Value>;

/// Merges the lists of a patch that come with `$setElementOrder`, and takes both out of the patch.
pub(super) fn merge_ordered(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    shape: Shape,
) -> Result<(), Fault> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let order = patch.remove(&directive).unwrap_or(Value::Null);
        let name = directive[SET_ORDER.len()..]
            .strip_prefix('/')
            .ok_or(BAD_ORDER)?;
        merge_one_ordered(original, patch, name, order, shape)?;
    }
    Ok(())
}

fn merge_one_ordered(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    name: &str,
    order: Value,
    shape: Shape,
) -> Result<(), Fault> {
    let order = expect_list(order)?;
    let old = original.get(name).cloned().map(expect_list).transpose()?;
    let new = patch.get(name).cloned().map(expect_list).transpose()?;
    let (field, member) = shape.list(name)?;
    check_order(new.as_deref().unwrap_or_default(), &order, field.merge_key)?;
    let all: Vec<Value> = old.iter().chain(&new).flatten().cloned().collect();
    let server_order = match (&old, &new) {
        (Some(old), Some(new)) if field.merge => order_after_merge(old, new, field.merge_key),
        _ => old.clone().unwrap_or_default(),
    };
    let merged = match (old, new) {
        (Some(old), None) => old,
        (None, Some(new)) => match without_directives(new.into()) {
            Some(Value::Array(new)) => new,
            _ => return Ok(()),
        },
        (Some(old), Some(new)) if field.merge => merge(old, new, member, field, false)?,
        (Some(_), Some(new)) => new,
        (None, None) => return Ok(()),
    };
    let (named, others) = partition(merged, &order, field.merge_key)?;
    element_kind(&[all])?;
    let ordered = put_in_order(named, others, &order, &server_order, field.merge_key)?;
    original.insert(name.to_owned(), ordered.into());
    patch.remove(name);
    Ok(())
}

/// The order that counts as the server's after a merge.
///
/// Upstream deletes and appends in the memory of the old list: what was deleted makes room for as many of the
/// new members, and those then count as members that the server had.
fn order_after_merge(old: &[Value], new: &[Value], merge_key: &str) -> List {
    let mut memory = old.to_vec();
    let mut length = memory.len();
    let directive = |item: &Value| {
        item.get(DIRECTIVE)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if new
        .iter()
        .any(|item| directive(item).as_deref() == Some("replace"))
    {
        return memory;
    }
    for item in new
        .iter()
        .filter(|item| directive(item).as_deref() == Some("delete"))
    {
        while let Some(at) = position(&memory[..length], item, merge_key) {
            memory[at..length].rotate_left(1);
            length -= 1;
            // What is behind the end is what stood last before the deletion.
            if length > 0 {
                memory[length] = memory[length - 1].clone();
            }
        }
    }
    for item in new.iter().filter(|item| directive(item).is_none()) {
        if length < memory.len() && position(&memory[..length], item, merge_key).is_none() {
            memory[length] = item.clone();
            length += 1;
        }
    }
    memory
}

fn position(list: &[Value], item: &Value, merge_key: &str) -> Option<usize> {
    let key = item.get(merge_key)?;
    list.iter()
        .position(|other| other.get(merge_key) == Some(key))
}

/// The members of a patch's list must stand in the given order.
fn check_order(list: &[Value], order: &[Value], merge_key: &str) -> Result<(), Fault> {
    if list.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut staying = Vec::new();
    for item in list {
        let map = item.as_object();
        if map.is_none() && !merge_key.is_empty() {
            return Err(wrong_kind("map", item));
        }
        let directive = map.and_then(|map| map.get(DIRECTIVE));
        if directive.is_none() {
            staying.push(item);
        }
    }
    let mut rest = staying.iter().peekable();
    for expected in order {
        let Some(item) = rest.peek() else {
            return Ok(());
        };
        if key_of(item, merge_key)? == key_of(expected, merge_key)? {
            rest.next();
        }
    }
    if rest.peek().is_none() {
        return Ok(());
    }
    let (list, order) = (go_value(&json!(list)), go_value(&json!(order)));
    Err(Fault::Text(format!(
        "The order in patch list:\n{list}\n doesn't match $setElementOrder list:\n{order}\n"
    )))
}

/// Merges a patch's list into a list; `deleting`: the patch's values are to go.
pub(super) fn merge(
    original: List,
    patch: List,
    member: Shape,
    field: &'static Field,
    deleting: bool,
) -> Result<List, Fault> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let slices = [original, patch];
    let kind = element_kind(&slices)?;
    let [original, patch] = slices;
    if kind != "map" {
        return merge_scalars(original, &patch, deleting);
    }
    let key = field.merge_key;
    if key.is_empty() {
        let name = match member {
            Shape::Struct(known) => known.go_name(),
            Shape::Other(kind) => kind,
        };
        return Err(Fault::Text(format!(
            "cannot merge lists without merge key for {name}"
        )));
    }
    let (original, patch) = take_directives(original, patch, key)?;
    let server_order = original.clone();
    let merged = merge_members(original, patch.clone(), key, member)?;
    let (named, others) = partition(merged, &patch, key)?;
    put_in_order(named, others, &patch, &server_order, key)
}

fn merge_scalars(original: List, patch: &[Value], deleting: bool) -> Result<List, Fault> {
    if deleting {
        let gone: Vec<String> = patch.iter().map(Value::to_string).collect();
        let kept = original.into_iter();
        return Ok(kept
            .filter(|item| !gone.contains(&item.to_string()))
            .collect());
    }
    let mut seen = BTreeMap::new();
    let mut merged = original.clone();
    merged.extend(patch.iter().cloned());
    merged.retain(|item| seen.insert(item.to_string(), ()).is_none());
    let (named, others) = partition(merged, patch, "")?;
    put_in_order(named, others, patch, &original, "")
}

/// Carries out the directives among a patch's members; gives both lists without them.
fn take_directives(mut original: List, patch: List, key: &str) -> Result<(List, List), Fault> {
    let mut plain = Vec::new();
    let mut replace = false;
    for item in patch {
        let Value::Object(map) = &item else {
            return Err(wrong_kind("map", &item));
        };
        match map
            .get(DIRECTIVE)
            .map(|directive| (directive, directive.as_str()))
        {
            None => plain.push(item),
            Some((_, Some("delete"))) => {
                let gone = map.get(key).ok_or_else(|| no_merge_key(&item, key))?;
                original.retain(|item| item.get(key) != Some(gone));
            }
            Some((_, Some("replace"))) => replace = true,
            Some((_, Some("merge"))) => {
                let text = "merging lists cannot yet be specified in the patch";
                return Err(Fault::Text(text.to_owned()));
            }
            Some((directive, _)) => return Err(bad_directive(directive, map)),
        }
    }
    if replace {
        return Ok((plain, Vec::new()));
    }
    Ok((original, plain))
}

/// Merges members with a key that is there and appends the others.
fn merge_members(mut original: List, patch: List, key: &str, member: Shape) -> Result<List, Fault> {
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for (position, item) in original.iter().enumerate() {
        if let Some(value) = item.get(key) {
            positions.entry(value.to_string()).or_insert(position);
        }
    }
    for item in patch {
        let value = item
            .get(key)
            .ok_or_else(|| no_merge_key(&item, key))?
            .to_string();
        match (positions.get(&value), item) {
            (Some(&position), Value::Object(change)) => {
                if let Value::Object(map) = &mut original[position] {
                    *map = merge_maps(std::mem::take(map), change, member)?;
                }
            }
            (_, item) => {
                positions.insert(value, original.len());
                original.push(item);
            }
        }
    }
    Ok(original)
}

/// Splits a list into what another one has too, and the rest.
fn partition(list: List, by: &[Value], merge_key: &str) -> Result<(List, List), Fault> {
    let mut keys = BTreeMap::new();
    for item in by {
        match key_of(item, merge_key) {
            Ok(key) => keys.insert(key, ()),
            Err(Fault::Text(_)) if item.is_object() => None,
            Err(fault) => return Err(fault),
        };
    }
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in list {
        if keys.contains_key(&key_of(&item, merge_key)?) {
            named.push(item);
        } else {
            others.push(item);
        }
    }
    Ok((named, others))
}

/// The patch's members in the patch's order, the others in theirs, and both as close as they can be to
/// the order in which the server had them.
fn put_in_order(
    named: List,
    others: List,
    order: &[Value],
    server_order: &[Value],
    merge_key: &str,
) -> Result<List, Fault> {
    let named = sort(named, order, merge_key)?;
    let others = sort(others, server_order, merge_key)?;
    let places = places(server_order, merge_key)?;
    let place = |item: &Value| {
        let key = key_of(item, merge_key).ok()?;
        places.get(&key).copied()
    };
    let mut merged = Vec::with_capacity(named.len() + others.len());
    let (mut left, mut right) = (others.into_iter().peekable(), named.into_iter().peekable());
    loop {
        let left_first = match (left.peek(), right.peek()) {
            (None, None) => return Ok(merged),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(named)) => match (place(other), place(named)) {
                (Some(other), Some(named)) => other < named,
                _ => false,
            },
        };
        merged.extend(if left_first {
            left.next()
        } else {
            right.next()
        });
    }
}

/// Members in a given order; those that are to be deleted last.
fn sort(list: List, order: &[Value], merge_key: &str) -> Result<List, Fault> {
    let places = places(order, merge_key)?;
    let mut keyed = Vec::with_capacity(list.len());
    let mut last = Vec::new();
    for item in list {
        if item
            .get(DIRECTIVE)
            .is_some_and(|directive| directive == "delete")
        {
            last.push(item);
            continue;
        }
        let place = places.get(&key_of(&item, merge_key)?).copied();
        keyed.push((place, item));
    }
    keyed.sort_by_key(|(place, _)| *place);
    Ok(keyed
        .into_iter()
        .map(|(_, item)| item)
        .chain(last)
        .collect())
}

fn places(order: &[Value], merge_key: &str) -> Result<BTreeMap<String, usize>, Fault> {
    let mut places = BTreeMap::new();
    for (place, item) in order.iter().enumerate() {
        places.entry(key_of(item, merge_key)?).or_insert(place);
    }
    Ok(places)
}

/// What a member is matched by: its merge key's value, or itself.
fn key_of(item: &Value, merge_key: &str) -> Result<String, Fault> {
    if merge_key.is_empty() {
        return Ok(item.to_string());
    }
    let Value::Object(map) = item else {
        return Err(wrong_kind("map", item));
    };
    let key = map
        .get(merge_key)
        .ok_or_else(|| no_merge_key(item, merge_key))?;
    Ok(key.to_string())
}

/// The one type that all members have.
fn element_kind(slices: &[List]) -> Result<&'static str, Fault> {
    let mut found = None;
    for item in slices.iter().flatten() {
        let kind = go_kind(item);
        match found {
            None if kind == "slice" => return Err(Fault::Unprocessable),
            None => found = Some(kind),
            Some(other) if other == kind => {}
            Some(_) => {
                let slices = go_value(&json!(slices));
                return Err(Fault::Text(format!(
                    "list element types are not identical: {slices}"
                )));
            }
        }
    }
    found.ok_or_else(|| Fault::Text("no elements in any of the given slices".to_owned()))
}

fn expect_list(value: Value) -> Result<List, Fault> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_kind("slice", &other)),
    }
}

fn wrong_kind(expected: &str, value: &Value) -> Fault {
    let kind = go_kind(value);
    Fault::Text(format!("expected a {expected}, but received a {kind}"))
}

fn no_merge_key(item: &Value, key: &str) -> Fault {
    let item = go_value(item);
    Fault::Text(format!(
        "map: {item} does not contain declared merge key: {key}"
    ))
}
