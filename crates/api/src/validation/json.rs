//! Reading canonical objects without ceremony: what is absent reads as its zero value, as in Go.

use serde_json::Value;

/// The text at a JSON pointer; empty when it is not there.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// The number at a JSON pointer; 0 when it is not there.
pub fn integer(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The boolean at a JSON pointer, where there is one.
pub fn boolean(object: &Value, pointer: &str) -> Option<bool> {
    object.pointer(pointer).and_then(Value::as_bool)
}

/// The list at a JSON pointer; empty when it is not there.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    match object.pointer(pointer) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

/// The list at a JSON pointer, to be changed; empty when it is not there.
pub fn list_mut<'a>(object: &'a mut Value, pointer: &str) -> &'a mut [Value] {
    match object.pointer_mut(pointer) {
        Some(Value::Array(items)) => items,
        _ => &mut [],
    }
}

/// Gives a member of an object a value where it has none.
pub fn default(object: &mut Value, member: &str, value: impl Into<Value>) {
    let unset = match object.get(member) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if unset && let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
}

/// Makes a member what it is in another object, absent included.
pub fn restore(object: &mut Value, parent: &str, member: &str, from: &Value) {
    match from.pointer(&format!("{parent}/{member}")) {
        None | Some(Value::Null) => drop(remove(object, parent, member)),
        Some(value) => set(object, parent, member, value.clone()),
    }
}

/// The texts of the list at a JSON pointer.
pub fn texts<'a>(object: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(object, pointer)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// The key-value pairs at a JSON pointer whose values are texts, in the order of the keys.
pub fn pairs<'a>(object: &'a Value, pointer: &str) -> Vec<(&'a str, &'a str)> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let members = map.into_iter().flatten();
    let mut pairs: Vec<_> = members
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// Whether a value is there and not null.
pub fn present(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).is_some_and(|v| !v.is_null())
}

/// Sets a member of the object at `parent`, which is made when it is missing.
pub fn set(object: &mut Value, parent: &str, member: &str, value: impl Into<Value>) {
    let mut at = object;
    for part in parent.split('/').filter(|part| !part.is_empty()) {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        at = &mut at[part];
    }
    if !at.is_object() {
        *at = Value::Object(serde_json::Map::new());
    }
    at[member] = value.into();
}

/// Removes a member of the object at `parent`, and says whether it was there.
pub fn remove(object: &mut Value, parent: &str, member: &str) -> bool {
    let map = object.pointer_mut(parent).and_then(Value::as_object_mut);
    map.is_some_and(|map| map.remove(member).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_reads_as_zero() {
        let empty = json!({});
        assert_eq!(text(&empty, "/spec/type"), "");
        assert_eq!(integer(&empty, "/spec/port"), 0);
        assert_eq!(boolean(&empty, "/spec/flag"), None);
        assert!(list(&empty, "/spec/ports").is_empty());
        assert!(pairs(&empty, "/metadata/labels").is_empty());
        assert!(!present(&json!({"a": null}), "/a"));
    }

    #[test]
    fn setting_makes_the_way_and_removing_says_what_was_there() {
        let mut object = json!({"spec": null});
        set(&mut object, "/spec/inner", "name", "x");
        assert_eq!(object, json!({"spec": {"inner": {"name": "x"}}}));
        assert!(remove(&mut object, "/spec/inner", "name"));
        assert!(!remove(&mut object, "/spec/inner", "name"));
    }
}
