//! Whether an applied configuration has the types of the schema, in the words of `structured-merge-diff`.

use serde_json::Value;

use super::set::Element;
use super::shape::{Kind, Shape};
use crate::schema::print::{go_quote, go_value};
use crate::schema::table::ListKind;

/// All faults in one text, or `Ok`.
pub(super) fn validate(shape: Shape, value: &Value) -> Result<(), String> {
    let mut walk = Walk::default();
    walk.value(shape, value);
    match walk.faults.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

#[derive(Default)]
struct Walk {
    path: Vec<Element>,
    faults: Vec<String>,
}

impl Walk {
    fn value(&mut self, shape: Shape, value: &Value) {
        match (shape, value) {
            (_, Value::Null) | (Shape::Any, _) => {}
            (Shape::Scalar(kind), _) => self.scalar(kind, value),
            (Shape::List { .. }, Value::Array(items)) => self.list(shape, items),
            (Shape::List { .. }, other) => {
                self.fault(&format!("expected list, got &{{{}}}", go_value(other)));
            }
            (Shape::Map { .. } | Shape::Struct { .. }, Value::Object(map)) => {
                for (name, member) in map {
                    self.path.push(Element::Field(name.clone()));
                    match shape.member(name) {
                        Some(below) => self.value(below, member),
                        None => {
                            self.fault("field not declared in schema");
                            self.path.pop();
                            return;
                        }
                    }
                    self.path.pop();
                }
            }
            (_, other) => self.fault(&format!("expected map, got &{{{}}}", go_value(other))),
        }
    }

    fn list(&mut self, shape: Shape, items: &[Value]) {
        let atomic = matches!(
            shape,
            Shape::List {
                kind: ListKind::Atomic,
                ..
            }
        );
        let mut seen: Vec<Element> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let element = if atomic {
                Element::Index(i64::try_from(index).unwrap_or(i64::MAX))
            } else {
                match shape.path_element(item) {
                    Ok(element) => element,
                    Err(error) => {
                        self.fault(&format!("element {index}: {error}"));
                        return;
                    }
                }
            };
            if seen.binary_search(&element).is_ok() {
                self.fault(&format!("duplicate entries for key {element}"));
            }
            if !atomic && let Err(place) = seen.binary_search(&element) {
                seen.insert(place, element.clone());
            }
            self.path.push(element);
            self.value(shape.element(), item);
            self.path.pop();
        }
    }

    fn scalar(&mut self, kind: Kind, value: &Value) {
        let fault = match (kind, value) {
            (Kind::Number | Kind::Any, Value::Number(_))
            | (Kind::String | Kind::Any, Value::String(_))
            | (Kind::Bool | Kind::Any, Value::Bool(_)) => return,
            (Kind::Number, other) => {
                format!("expected numeric (int or float), got {}", go_type(other))
            }
            (Kind::String, other) => {
                let other = go_syntax(other);
                format!("expected string, got &value.valueUnstructured{{Value:{other}}}")
            }
            (Kind::Bool, other) => format!("expected boolean, got &{{{}}}", go_value(other)),
            (Kind::Any, other) => format!("expected any scalar, got &{{{}}}", go_value(other)),
        };
        self.fault(&fault);
    }

    fn fault(&mut self, text: &str) {
        let path: String = self.path.iter().map(ToString::to_string).collect();
        let colon = if path.is_empty() { "" } else { ": " };
        self.faults.push(format!("{path}{colon}{text}"));
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%#v` has it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => go_quote(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let members = map
                .iter()
                .map(|(key, value)| format!("{}:{}", go_quote(key), go_syntax(value)));
            format!(
                "map[string]interface {{}}{{{}}}",
                members.collect::<Vec<_>>().join(", ")
            )
        }
        other => other.to_string(),
    }
}
