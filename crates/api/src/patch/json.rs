//! JSON patches, with the library's ways that differ from RFC 6902: `replace` of a missing member adds it,
//! `test` of null passes where nothing is, `copy` of nothing copies null, a negative index counts from the
//! end (`evanphx/json-patch` v4).

use serde_json::{Map, Value};

use super::{Patched, cannot_be_applied, touched::Touched, word};
use crate::schema::{self, print};
use crate::status::Status;

/// More operations are too large a request.
const MAX_OPERATIONS: usize = 10_000;
/// `copy` may add so many bytes in all.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Applies a JSON patch.
pub(super) fn apply(current: &Value, body: &[u8], strict: bool) -> Result<Patched, Status> {
    let refuse = |error: String| Status::bad_request(format!("error decoding patch: {error}"));
    schema::check_json(body).map_err(refuse)?;
    let (patch, repeated) = schema::any_noting_repeated(body);
    let mut repeated: Vec<String> = repeated
        .iter()
        .map(|text| format!("json patch {text}"))
        .collect();
    let operations = check(&patch, &mut repeated).map_err(refuse)?;
    if operations.len() > MAX_OPERATIONS {
        return Err(too_many(operations.len()));
    }
    let mut object = current.clone();
    let mut touched = Touched::default();
    let mut copied = 0;
    for operation in operations {
        run(&mut object, operation, &mut copied).ok_or_else(cannot_be_applied)?;
        for path in ["path", "from"]
            .iter()
            .filter_map(|name| text(operation, name))
        {
            let steps: Vec<String> = steps(path);
            let parents = steps.iter().take(steps.len().saturating_sub(1));
            touched.mark(parents.map(String::as_str));
        }
    }
    if !strict {
        repeated.clear();
    }
    Ok(Patched {
        object,
        touched,
        repeated,
    })
}

fn too_many(count: usize) -> Status {
    let message = format!(
        "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}"
    );
    Status::new(413, "RequestEntityTooLarge", message)
}

/// The operations, when they have the right types; notes fields that no operation has.
fn check<'p>(
    patch: &'p Value,
    notes: &mut Vec<String>,
) -> Result<Vec<&'p Map<String, Value>>, String> {
    let items = match patch {
        Value::Array(items) => items,
        Value::Null => return Ok(Vec::new()),
        other => {
            let word = word(other);
            return Err(format!(
                "json: cannot unmarshal {word} into Go value of type []handlers.jsonPatchOp"
            ));
        }
    };
    let mut operations = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Object(operation) = item else {
            let word = word(item);
            return Err(format!(
                "json: cannot unmarshal {word} into Go value of type handlers.jsonPatchOp"
            ));
        };
        for (name, value) in operation {
            match name.as_str() {
                "value" => {}
                "op" | "path" | "from" if value.is_string() || value.is_null() => {}
                "op" | "path" | "from" => {
                    let word = word(value);
                    return Err(format!(
                        "json: cannot unmarshal {word} into Go struct field jsonPatchOp.{name} of type string"
                    ));
                }
                _ => {
                    let path = print::go_quote(&format!("[{index}].{name}"));
                    notes.push(format!("json patch unknown field {path}"));
                }
            }
        }
        operations.push(operation);
    }
    Ok(operations)
}

/// Carries one operation out; `None` when it cannot be done.
fn run(object: &mut Value, operation: &Map<String, Value>, copied: &mut usize) -> Option<()> {
    let path = text(operation, "path")?;
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    match text(operation, "op")? {
        "add" => {
            let (container, key) = find(object, path)?;
            add(container, &key, value())
        }
        "remove" => {
            let (container, key) = find(object, path)?;
            remove(container, &key).map(drop)
        }
        "replace" if path.is_empty() => {
            let value = value();
            let whole = value.is_object() || value.is_array();
            whole.then(|| *object = value)
        }
        "replace" => {
            let (container, key) = find(object, path)?;
            replace(container, &key, value())
        }
        "move" => {
            let (container, key) = find(object, text(operation, "from")?)?;
            let value = remove(container, &key)?;
            let (container, key) = find(object, path)?;
            add(container, &key, value)
        }
        "copy" => {
            let (container, key) = find(object, text(operation, "from")?)?;
            let value = get(container, &key)?.unwrap_or(Value::Null);
            *copied += value.to_string().len();
            let (container, key) = find(object, path)?;
            (*copied <= MAX_COPIED).then_some(())?;
            add(container, &key, value)
        }
        "test" if path.is_empty() => (*object == value()).then_some(()),
        "test" => {
            let (container, key) = find(object, path)?;
            let found = get(container, &key)?.unwrap_or(Value::Null);
            (found == value()).then_some(())
        }
        _ => None,
    }
}

/// The object or list that holds the path's last step, and that step.
fn find<'o>(object: &'o mut Value, path: &str) -> Option<(&'o mut Value, String)> {
    let mut steps = steps(path);
    let last = steps.pop()?;
    let mut at = object;
    for step in steps {
        at = match at {
            Value::Object(map) => map.get_mut(&step)?,
            Value::Array(items) => {
                let index = index(&step, items.len())?;
                items.get_mut(index)?
            }
            _ => return None,
        };
    }
    (at.is_object() || at.is_array()).then_some((at, last))
}

/// The steps of a path; none where it does not begin with a slash.
fn steps(path: &str) -> Vec<String> {
    let steps = path.split('/').skip(1);
    steps
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn text<'o>(operation: &'o Map<String, Value>, name: &str) -> Option<&'o str> {
    operation.get(name).and_then(Value::as_str)
}

/// An index of a list of that length; a negative one counts from the end.
fn index(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    (index < length)
        .then_some(index)
        .and_then(|index| usize::try_from(index).ok())
}

/// A member; `Some(None)` where an object has none, `None` where a list has none.
fn get(container: &Value, key: &str) -> Option<Option<Value>> {
    match container {
        Value::Object(map) => Some(map.get(key).cloned()),
        Value::Array(items) => Some(items.get(index(key, items.len())?).cloned()),
        _ => None,
    }
}

fn add(container: &mut Value, key: &str, value: Value) -> Option<()> {
    match container {
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(key, items.len() + 1)?;
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn replace(container: &mut Value, key: &str, value: Value) -> Option<()> {
    match container {
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        Value::Array(items) => {
            let index = index(key, items.len())?;
            *items.get_mut(index)? = value;
        }
        _ => return None,
    }
    Some(())
}

fn remove(container: &mut Value, key: &str) -> Option<Value> {
    match container {
        Value::Object(map) => map.remove(key),
        Value::Array(items) => {
            let index = index(key, items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}
