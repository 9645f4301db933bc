//! A value in memory into the canonical value of a struct, as Go's converter for unstructured objects does
//! it after a strategic merge (`apimachinery/pkg/runtime/converter.go`).
//!
//! Its words differ from those of the JSON decoder, it stops at the first fault in the struct's order, and
//! it reports unknown fields sorted.

use serde_json::{Map, Value};

use super::table::{Definition, Type};
use super::{base64, canonical, print, quantity, time};

/// Converts an object in place; gives its unknown fields, which are dropped.
pub(crate) fn convert(
    known: &'static Definition,
    object: &mut Value,
) -> Result<Vec<String>, String> {
    let mut converter = Converter {
        path: String::new(),
        unknown: Vec::new(),
    };
    converter.structure(known, object)?;
    canonical::normalise(known.name, object);
    converter.unknown.sort();
    Ok(converter.unknown)
}

struct Converter {
    path: String,
    unknown: Vec<String>,
}

impl Converter {
    fn structure(&mut self, known: &'static Definition, value: &mut Value) -> Result<(), String> {
        let word = kind_of(value);
        let Value::Object(map) = value else {
            return Err(format!("cannot restore struct from: {word}"));
        };
        for field in known.fields() {
            if let Some(member) = map.get_mut(field.name) {
                self.below(field.name, |this| this.value(&field.ty, member))?;
            }
        }
        self.note_unknown(known, map);
        Ok(())
    }

    fn note_unknown(&mut self, known: &Definition, map: &Map<String, Value>) {
        for name in map.keys().filter(|name| known.field(name).is_none()) {
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{name}", self.path);
            self.unknown
                .push(format!("unknown field {}", print::go_quote(&path)));
        }
    }

    fn value(&mut self, ty: &'static Type, value: &mut Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        match ty {
            Type::Pointer(inner) => self.value(inner, value),
            Type::Struct(_) => match ty.definition() {
                Some(known) => self.structure(known, value),
                None => Ok(()),
            },
            Type::List(element, _) => {
                let word = kind_of(value);
                let Value::Array(items) = value else {
                    return Err(format!("cannot restore slice from {word}"));
                };
                for (index, item) in items.iter_mut().enumerate() {
                    let length = self.path.len();
                    self.path.push_str(&format!("[{index}]"));
                    self.value(element, item)?;
                    self.path.truncate(length);
                }
                Ok(())
            }
            Type::Map(element, _) => {
                let word = kind_of(value);
                let Value::Object(map) = value else {
                    return Err(format!("cannot restore map from {word}"));
                };
                for (key, member) in map {
                    self.below(key, |this| this.value(element, member))?;
                }
                Ok(())
            }
            _ => leaf(ty, value),
        }
    }

    fn below(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        act(self)?;
        self.path.truncate(length);
        Ok(())
    }
}

fn leaf(ty: &Type, value: &mut Value) -> Result<(), String> {
    match ty {
        Type::String(_) | Type::Bool(_) | Type::Int32(_) | Type::Int64(_) => simple(ty, value),
        Type::Bytes => match value {
            Value::String(text) => {
                let decoded = base64::canonical(text);
                *text = decoded.map_err(|error| format!("error decoding from json: {error}"))?;
                Ok(())
            }
            other => Err(format!("cannot restore slice from {}", kind_of(other))),
        },
        Type::Quantity => {
            let text = match value {
                Value::String(text) => text.trim().to_owned(),
                ref other => other.to_string(),
            };
            *value = quantity::canonical(&text)?.into();
            Ok(())
        }
        Type::Time | Type::MicroTime => {
            let Value::String(text) = value else {
                return Err(wrong(value, "string"));
            };
            let time = match ty {
                Type::MicroTime => time::canonical_micro_time(text)?,
                _ => time::canonical_time(text)?,
            };
            *value = time.map_or(Value::Null, Value::String);
            Ok(())
        }
        Type::IntOrString => match value {
            Value::String(_) => Ok(()),
            Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {
                Ok(())
            }
            other => Err(wrong(other, "int32")),
        },
        _ => Ok(()),
    }
}

/// The words of `encoding/json` for a type with a decoder of its own.
fn wrong(value: &Value, go_type: &str) -> String {
    let what = match value {
        Value::Number(number) if go_type != "string" => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Array(_) => "array".to_owned(),
        _ => "object".to_owned(),
    };
    format!("json: cannot unmarshal {what} into Go value of type {go_type}")
}

/// The first number beyond 64 bits with a sign.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

fn simple(ty: &Type, value: &mut Value) -> Result<(), String> {
    match (&*value, ty) {
        (Value::String(_), Type::String(_)) | (Value::Bool(_), Type::Bool(_)) => Ok(()),
        (Value::Number(number), Type::Int32(_) | Type::Int64(_)) => {
            let integer = match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => integer,
                // What does not fit is the smallest integer, as on the processors that Go runs on.
                (None, Some(float)) if float.trunc() == float => {
                    let fits = (-TWO_TO_63..TWO_TO_63).contains(&float);
                    if fits { float as i64 } else { i64::MIN }
                }
                _ => return Err(format!("cannot convert float64 to {}", ty.go_type())),
            };
            // Go's conversion does not look at the range.
            *value = match ty {
                Type::Int32(_) => (integer as i32).into(),
                _ => integer.into(),
            };
            Ok(())
        }
        (Value::Number(number), Type::String(_)) if number.is_i64() => {
            Err(format!("cannot convert int64 to {}", ty.go_type()))
        }
        _ => {
            let kind = match ty {
                Type::String(_) => "string",
                Type::Bool(_) => "bool",
                Type::Int32(_) => "int32",
                _ => "int64",
            };
            Err(format!("unrecognized type: {kind}"))
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}
