//! Protobuf bodies, as client-go's typed clients send them: read, never written.
//!
//! A body is the magic `k8s\0` and a `runtime.Unknown`: the kind and version, and the message itself. The
//! message is walked along the schema table; no code is generated.

mod wire;

use serde_json::{Map, Value};

use self::wire::{Field, Fields};
use crate::schema::table::{Definition, Type, definition};
use crate::schema::{normalise, time};

const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may be nested; the deepest served kind has some twenty levels.
const MAX_DEPTH: usize = 64;

/// What a body says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeMeta {
    /// `v1`, `apps/v1`; may be empty.
    pub api_version: String,
    /// `Service`; may be empty.
    pub kind: String,
}

/// Decodes a body; `find` names the definition of what it says it is. Gives the canonical object without
/// kind and version; an unknown kind gives null.
pub fn decode(
    body: &[u8],
    find: impl FnOnce(&TypeMeta) -> Option<String>,
) -> Result<(TypeMeta, Value), String> {
    if body.is_empty() {
        return Err("empty data".to_owned());
    }
    let unknown = body.strip_prefix(MAGIC).ok_or(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    )?;
    let (meta, raw) = read_unknown(unknown)?;
    let Some(name) = find(&meta) else {
        return Ok((meta, Value::Null));
    };
    let Some(known) = definition(&name) else {
        return Ok((meta, Value::Null));
    };
    let mut object = message(known, raw, MAX_DEPTH)?.into();
    normalise(known.name, &mut object);
    Ok((meta, object))
}

/// `runtime.Unknown`: 1 typeMeta {1 apiVersion, 2 kind}, 2 raw, 3 contentEncoding, 4 contentType.
fn read_unknown(bytes: &[u8]) -> Result<(TypeMeta, &[u8]), String> {
    let (mut meta, mut raw): (TypeMeta, &[u8]) = (TypeMeta::default(), &[]);
    for entry in Fields::new(bytes) {
        match entry? {
            (1, Field::Bytes(bytes)) => {
                for entry in Fields::new(bytes) {
                    match entry? {
                        (1, Field::Bytes(bytes)) => meta.api_version = text(bytes),
                        (2, Field::Bytes(bytes)) => meta.kind = text(bytes),
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    Ok((meta, raw))
}

fn message(
    known: &'static Definition,
    bytes: &[u8],
    depth: usize,
) -> Result<Map<String, Value>, String> {
    let mut map = Map::new();
    if depth == 0 {
        return Err("proto: exceeded max recursion depth".to_owned());
    }
    for entry in Fields::new(bytes) {
        let (tag, value) = entry?;
        let field = known.members.iter().find(|field| field.tag == tag);
        let Some(field) = field.filter(|_| tag != 0) else {
            continue;
        };
        if field.embedded {
            let (Some(inner), Field::Bytes(bytes)) = (field.ty.definition(), value) else {
                return Err(wrong_type(field.name));
            };
            map.extend(message(inner, bytes, depth - 1)?);
            continue;
        }
        let slot = map.entry(field.name).or_insert(Value::Null);
        take_in(&field.ty, value, slot, depth).map_err(|error| match error {
            Problem::WrongType => wrong_type(field.name),
            Problem::Text(text) => text,
        })?;
    }
    Ok(map)
}

enum Problem {
    WrongType,
    Text(String),
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

fn wrong_type(field: &str) -> String {
    format!("proto: wrong wireType for field {field}")
}

/// Takes one occurrence of a field in: repeated ones add up.
fn take_in(
    ty: &'static Type,
    value: Field<'_>,
    slot: &mut Value,
    depth: usize,
) -> Result<(), Problem> {
    match ty {
        Type::Pointer(inner) => take_in(inner, value, slot, depth),
        Type::List(element, _) => {
            if slot.is_null() {
                *slot = Value::Array(Vec::new());
            }
            let Value::Array(items) = slot else {
                return Err(Problem::WrongType);
            };
            match (&**element, value) {
                (Type::Int32(_) | Type::Int64(_), Field::Bytes(packed)) => {
                    for number in wire::varints(packed) {
                        items.push(integer(element, number?));
                    }
                }
                _ => items.push(single(element, value, depth)?),
            }
            Ok(())
        }
        Type::Map(element, _) => {
            if slot.is_null() {
                *slot = Map::new().into();
            }
            let (Value::Object(map), Field::Bytes(bytes)) = (slot, value) else {
                return Err(Problem::WrongType);
            };
            let (key, value) = map_entry(element, bytes, depth)?;
            map.insert(key, value);
            Ok(())
        }
        _ => {
            *slot = single(ty, value, depth)?;
            Ok(())
        }
    }
}

fn map_entry(
    element: &'static Type,
    bytes: &[u8],
    depth: usize,
) -> Result<(String, Value), Problem> {
    let (mut key, mut value) = (String::new(), Value::Null);
    for entry in Fields::new(bytes) {
        match entry? {
            (1, Field::Bytes(bytes)) => key = text(bytes),
            (2, field) => match element {
                // A list as a map's value (`ExtraValue`) is a message whose field 1 repeats.
                Type::List(inner, _) => value = list_message(inner, field, depth)?,
                _ => value = single(element, field, depth)?,
            },
            _ => {}
        }
    }
    Ok((key, value))
}

fn list_message(inner: &'static Type, field: Field<'_>, depth: usize) -> Result<Value, Problem> {
    let Field::Bytes(bytes) = field else {
        return Err(Problem::WrongType);
    };
    let mut items = Vec::new();
    for entry in Fields::new(bytes) {
        if let (1, field) = entry? {
            items.push(single(inner, field, depth)?);
        }
    }
    Ok(items.into())
}

fn single(ty: &'static Type, value: Field<'_>, depth: usize) -> Result<Value, Problem> {
    let value = match (ty, value) {
        (Type::Pointer(inner), value) => return single(inner, value, depth),
        (Type::String(_), Field::Bytes(bytes)) => text(bytes).into(),
        (Type::Bytes, Field::Bytes(bytes)) => crate::schema::encode_bytes(bytes).into(),
        (Type::Bool(_), Field::Varint(number)) => (number != 0).into(),
        (Type::Int32(_) | Type::Int64(_), Field::Varint(number)) => integer(ty, number),
        (Type::Struct(_), Field::Bytes(bytes)) => match ty.definition() {
            Some(known) => message(known, bytes, depth - 1)?.into(),
            None => Value::Null,
        },
        (Type::Time, Field::Bytes(bytes)) => moment(bytes, time::print_time)?,
        (Type::MicroTime, Field::Bytes(bytes)) => moment(bytes, time::print_micro_time)?,
        (Type::Quantity, Field::Bytes(bytes)) => first_text(bytes)?.into(),
        (Type::FieldsV1 | Type::Raw, Field::Bytes(bytes)) => json(bytes)?,
        (Type::IntOrString, Field::Bytes(bytes)) => int_or_string(bytes)?,
        _ => return Err(Problem::WrongType),
    };
    Ok(value)
}

fn integer(ty: &Type, number: u64) -> Value {
    match ty {
        Type::Int32(_) => (number as i32).into(),
        _ => (number as i64).into(),
    }
}

/// `Time`: 1 seconds, 2 nanoseconds; nothing is the zero time.
fn moment(bytes: &[u8], print: fn(jiff::Timestamp) -> String) -> Result<Value, Problem> {
    let (mut seconds, mut nanoseconds) = (0_i64, 0_i32);
    for entry in Fields::new(bytes) {
        match entry? {
            (1, Field::Varint(number)) => seconds = number as i64,
            (2, Field::Varint(number)) => nanoseconds = number as i32,
            _ => {}
        }
    }
    if seconds == 0 && nanoseconds == 0 {
        return Ok(Value::Null);
    }
    let time = jiff::Timestamp::new(seconds, nanoseconds);
    Ok(time.map_or(Value::Null, |time| print(time).into()))
}

/// `IntOrString`: 1 type (1 is a string), 2 the number, 3 the string.
fn int_or_string(bytes: &[u8]) -> Result<Value, Problem> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    for entry in Fields::new(bytes) {
        match entry? {
            (1, Field::Varint(kind)) => is_text = kind == 1,
            (2, Field::Varint(value)) => number = value as i32,
            (3, Field::Bytes(bytes)) => string = text(bytes),
            _ => {}
        }
    }
    Ok(if is_text {
        string.into()
    } else {
        number.into()
    })
}

/// The JSON in field 1 of `FieldsV1` and `RawExtension`.
fn json(bytes: &[u8]) -> Result<Value, Problem> {
    let raw = first(bytes)?;
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    let value = serde_json::from_slice(raw).map_err(|error| error.to_string())?;
    Ok(value)
}

fn first_text(bytes: &[u8]) -> Result<String, Problem> {
    first(bytes).map(text)
}

fn first(bytes: &[u8]) -> Result<&[u8], Problem> {
    let mut found: &[u8] = &[];
    for entry in Fields::new(bytes) {
        if let (1, Field::Bytes(bytes)) = entry? {
            found = bytes;
        }
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
