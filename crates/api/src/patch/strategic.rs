//! Strategic merge patches: lists with a merge key merge by it, and directives steer
//! (`apimachinery/pkg/util/strategicpatch`).
//!
//! | directive | meaning |
//! |---|---|
//! | `$patch: replace`, `delete`, `merge` | of a map or a list's member |
//! | `$deleteFromPrimitiveList/LIST` | values to take out of a list |
//! | `$setElementOrder/LIST` | the order in which the merged list is to be |
//! | `$retainKeys` | all other keys of the map go |

mod lists;

use serde_json::{Map, Value, json};

use super::cannot_be_applied;
use crate::schema::print::go_value;
use crate::schema::table::{Definition, Field, Type};
use crate::status::Status;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Merges a patch into an object.
pub(super) fn merge(
    known: &'static Definition,
    object: Value,
    patch: Value,
) -> Result<Value, Status> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(Status::untyped("expected a map"));
    };
    let merged = merge_maps(object, patch, Shape::Struct(known));
    merged.map(Value::Object).map_err(Status::from)
}

/// Why a patch cannot be merged.
#[derive(Debug, PartialEq)]
enum Fault {
    /// 400.
    BadFormat(&'static str),
    /// 422 without words.
    Unprocessable,
    /// 500 with a bare text.
    Text(String),
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::BadFormat(text) => Self::bad_request(text),
            Fault::Unprocessable => cannot_be_applied(),
            Fault::Text(text) => Self::untyped(text),
        }
    }
}

const BAD_PRIMITIVE_LIST: Fault = Fault::BadFormat("invalid patch format of primitive list");
const BAD_RETAIN_KEYS: Fault = Fault::BadFormat("invalid patch format of retainKeys");
const BAD_ORDER: Fault = Fault::BadFormat("invalid patch format of setElementOrder list");

/// What the schema says of the value that is merged.
#[derive(Clone, Copy)]
enum Shape {
    Struct(&'static Definition),
    /// A map or a scalar: nothing below has merge keys.
    Other(&'static str),
}

impl Shape {
    fn of(ty: &'static Type) -> Self {
        match ty.target() {
            Type::Struct(_) => ty.definition().map_or(Self::Other("struct"), Self::Struct),
            Type::Map(..) => Self::Other("map"),
            Type::List(..) | Type::Bytes => Self::Other("slice"),
            Type::Bool(_) => Self::Other("bool"),
            Type::Int32(_) => Self::Other("int32"),
            Type::Int64(_) => Self::Other("int64"),
            Type::String(_) => Self::Other("string"),
            _ => Self::Other("struct"),
        }
    }

    fn field(self, name: &str) -> Result<&'static Field, Fault> {
        match self {
            Self::Struct(known) => known.field(name).ok_or_else(|| {
                Fault::Text(format!(
                    "unable to find api field in struct {} for the json field {}",
                    known.go_name(),
                    crate::schema::print::go_quote(name)
                ))
            }),
            Self::Other(kind) => Err(Fault::Text(format!(
                "merging an object in json but data type is not struct, instead is: {kind}"
            ))),
        }
    }

    /// A list's field and the shape of its members.
    fn list(self, name: &str) -> Result<(&'static Field, Self), Fault> {
        let field = self.field(name)?;
        match field.ty.target() {
            Type::List(element, _) => Ok((field, Self::of(element))),
            _ => Err(Fault::Text(
                "expected slice or array type, but got: struct".to_owned(),
            )),
        }
    }
}

fn merge_maps(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    shape: Shape,
) -> Result<Map<String, Value>, Fault> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Map::new()),
            _ => Err(bad_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    lists::merge_ordered(&mut original, &mut patch, shape)?;
    for (key, change) in patch {
        match key.strip_prefix(DELETE_FROM) {
            Some(list) => {
                let list = list.strip_prefix('/').ok_or(BAD_PRIMITIVE_LIST)?;
                delete_from_list(&mut original, list, change, shape)?;
            }
            None => merge_member(&mut original, key, change, shape)?,
        }
    }
    Ok(original)
}

fn delete_from_list(
    original: &mut Map<String, Value>,
    name: &str,
    change: Value,
    shape: Shape,
) -> Result<(), Fault> {
    if change.is_null() {
        original.remove(name);
        return Ok(());
    }
    let Some(Value::Array(items)) = original.get_mut(name) else {
        return Ok(());
    };
    let Value::Array(gone) = change else {
        return Ok(());
    };
    let (field, member) = shape.list(name)?;
    *items = lists::merge(std::mem::take(items), gone, member, field, true)?;
    Ok(())
}

fn merge_member(
    original: &mut Map<String, Value>,
    key: String,
    change: Value,
    shape: Shape,
) -> Result<(), Fault> {
    match (original.get_mut(&key), change) {
        (_, Value::Null) => {
            original.remove(&key);
        }
        (Some(Value::Object(map)), Value::Object(change)) => {
            let field = shape.field(&key)?;
            *map = merge_maps(std::mem::take(map), change, Shape::of(&field.ty))?;
        }
        (Some(Value::Array(items)), Value::Array(change)) => {
            let (field, member) = shape.list(&key)?;
            *items = if field.merge {
                lists::merge(std::mem::take(items), change, member, field, false)?
            } else {
                change
            };
        }
        (found, mut change) => {
            if !matches!((&found, &change), (Some(old), new) if same_kind(old, new)) {
                drop_nulls(&mut change);
            }
            match without_directives(change) {
                Some(value) => {
                    original.insert(key, value);
                }
                None => {
                    original.remove(&key);
                }
            }
        }
    }
    Ok(())
}

/// Takes `$retainKeys` out of a patch and what it does not name out of the original.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retained) = retained else {
        return Err(BAD_RETAIN_KEYS);
    };
    let is_retained = |key: &str| retained.iter().any(|one| one == key);
    for (key, value) in patch.iter() {
        let directive = key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
        if !value.is_null() && !directive && !is_retained(key) {
            return Err(BAD_RETAIN_KEYS);
        }
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

/// A value as it is stored: members with a directive are dropped; `None` when it is one itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            let kept = map.into_iter();
            let kept = kept.filter_map(|(key, value)| Some((key, without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items.into_iter().filter_map(without_directives).collect();
            Some(kept.into())
        }
        other => Some(other),
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Whether Go has the same type for both.
fn same_kind(one: &Value, other: &Value) -> bool {
    go_kind(one) == go_kind(other)
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

fn bad_directive(directive: &Value, map: &Map<String, Value>) -> Fault {
    let (directive, map) = (go_value(directive), go_value(&json!(map)));
    Fault::Text(format!("unknown patch type: {directive} in map: {map}"))
}
