//! JSON pointers with three additions: `#` is a list's length, `key=value` the member with that key, and,
//! in [`drop_at`] and [`spread`], `*` is every member.

use serde_json::{Map, Value, json};

/// The value at a pointer.
pub(super) fn point(document: &Value, pointer: &str) -> Option<Value> {
    parts(pointer)
        .iter()
        .try_fold(document.clone(), |value, part| member(&value, part))
}

fn member(value: &Value, part: &str) -> Option<Value> {
    match value {
        _ if part == "#" => Some(json!(value.as_array().map_or(0, Vec::len))),
        Value::Array(items) => match part.split_once('=') {
            Some((key, wanted)) => items
                .iter()
                .find(|item| item.get(key).map(plain).as_deref() == Some(wanted))
                .cloned(),
            None => items.get(part.parse::<usize>().ok()?).cloned(),
        },
        Value::Object(map) => map.get(part).cloned(),
        _ => None,
    }
}

/// Whether this value is there; null also means that nothing is.
pub(super) fn holds(document: &Value, pointer: &str, wanted: &Value) -> bool {
    point(document, pointer).map_or(wanted.is_null(), |value| value == *wanted)
}

/// The pointers that one with `*` members stands for.
pub(super) fn spread(document: &Value, pointer: &str) -> Vec<String> {
    let Some((head, tail)) = pointer.split_once("/*") else {
        return vec![pointer.to_owned()];
    };
    let length = point(document, head)
        .and_then(|v| v.as_array().map(Vec::len))
        .unwrap_or(0);
    (0..length)
        .flat_map(|i| spread(document, &format!("{head}/{i}{tail}")))
        .collect()
}

/// A mutable place, by a plain pointer.
pub(super) fn place<'a>(document: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    if pointer == "/" {
        Some(document)
    } else {
        document.pointer_mut(pointer)
    }
}

/// Removes what a pointer names.
pub(super) fn drop_at(document: &mut Value, pointer: &str) {
    drop_parts(document, &parts(pointer));
}

fn drop_parts(document: &mut Value, path: &[String]) {
    let Some((head, rest)) = path.split_first() else {
        return;
    };
    match document {
        Value::Array(items) if head == "*" && !rest.is_empty() => {
            items.iter_mut().for_each(|item| drop_parts(item, rest));
        }
        Value::Object(map) if head == "*" && !rest.is_empty() => {
            map.values_mut().for_each(|value| drop_parts(value, rest));
        }
        Value::Array(items) if !rest.is_empty() => {
            let item = head
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get_mut(index));
            item.into_iter().for_each(|item| drop_parts(item, rest));
        }
        Value::Object(map) if rest.is_empty() => {
            map.remove(head);
        }
        Value::Object(map) => {
            map.get_mut(head)
                .into_iter()
                .for_each(|value| drop_parts(value, rest));
        }
        _ => {}
    }
}

/// A value reduced to what these pointers name; list indices become keys, what is absent is left out.
pub(super) fn only(document: &Value, pointers: &[String]) -> Value {
    let mut kept = Value::Object(Map::new());
    for pointer in pointers {
        let Some(value) = point(document, pointer) else {
            continue;
        };
        let raw: Vec<&str> = pointer.trim_matches('/').split('/').collect();
        let Some((last, path)) = raw.split_last() else {
            continue;
        };
        let mut into = &mut kept;
        for part in path {
            into = &mut into[*part];
            if into.is_null() {
                *into = Value::Object(Map::new());
            }
        }
        into[last.replace("~1", "/")] = value;
    }
    kept
}

fn parts(pointer: &str) -> Vec<String> {
    let trimmed = pointer.trim_matches('/');
    if trimmed.is_empty() {
        return Vec::new();
    }
    trimmed
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// A scalar as text, without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_members_lengths_and_keys() {
        let document =
            json!({"items": [{"type": "A", "n": 1}, {"type": "B", "n": 2}], "a/b": true});
        let cases = [
            ("/items/1/n", Some(json!(2))),
            ("/items/type=B/n", Some(json!(2))),
            ("/items/#", Some(json!(2))),
            ("/a~1b", Some(json!(true))),
            ("/items/type=C/n", None),
            ("/items/7", None),
        ];
        for (pointer, wanted) in cases {
            assert_eq!(point(&document, pointer), wanted, "{pointer}");
        }
        assert!(holds(&document, "/nothing", &Value::Null));
        assert_eq!(
            spread(&document, "/items/*/n"),
            ["/items/0/n", "/items/1/n"]
        );
    }

    #[test]
    fn drops_and_keeps() {
        let mut document = json!({"items": [{"a": 1, "b": 2}, {"a": 3}]});
        assert_eq!(
            only(&document, &["/items/0/a".to_owned()]),
            json!({"items": {"0": {"a": 1}}})
        );
        drop_at(&mut document, "/items/*/a");
        assert_eq!(document, json!({"items": [{"b": 2}, {}]}));
    }
}
