//! Values as Go prints them, for the messages that quote them.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::table::{Definition, Type, definition};

/// One line of JSON with struct fields in Go's order, map keys sorted and HTML's characters escaped.
pub fn go_json(definition_name: &str, object: &Value) -> String {
    match definition(definition_name) {
        Some(known) => go_json_value(known, object, None),
        None => go_json_untyped(object),
    }
}

/// A tree over the members of a value: where it has a part, that part's keys are printed sorted.
pub(crate) trait Members {
    /// The tree below a member.
    fn member(&self, name: &str) -> Option<&dyn Members>;
}

/// As [`go_json`], with parts that are printed as maps.
pub(crate) fn go_json_value(
    known: &'static Definition,
    object: &Value,
    sorted: Option<&dyn Members>,
) -> String {
    let mut out = String::new();
    print_struct(known, object, sorted, &mut out);
    out
}

/// JSON of a value without a schema: keys sorted.
pub fn go_json_untyped(value: &Value) -> String {
    let mut out = String::new();
    print_any(value, &mut out);
    out
}

/// A string as Go's `%q` has it.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            control if (control as u32) < 0x20 || control == '\x7f' => {
                write_infallible(&mut out, format_args!("\\x{:02x}", control as u32));
            }
            other if is_printable(other) => out.push(other),
            other if (other as u32) < 0x1_0000 => {
                write_infallible(&mut out, format_args!("\\u{:04x}", other as u32));
            }
            other => write_infallible(&mut out, format_args!("\\U{:08x}", other as u32)),
        }
    }
    out.push('"');
    out
}

/// A value as Go's `%v` prints what JSON decoded to: `map[a:b c:[1 2]]`.
pub fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => go_number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_value(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
    }
}

/// A float as Go's `%v` prints it: shortest digits, an exponent from 1e21 on and below 1e-4.
fn go_number(number: &serde_json::Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Close to Go's `strconv.IsPrint`: no control, format, separator or unassigned characters that occur.
fn is_printable(char: char) -> bool {
    let code = char as u32;
    let hidden = matches!(code, 0x80..=0xa0 | 0xad | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f)
        || matches!(code, 0x3000 | 0xfeff | 0xfff0..=0xfffb | 0xe000..=0xf8ff | 0xf_0000..);
    !hidden
}

fn print_struct(
    known: &'static Definition,
    value: &Value,
    tree: Option<&dyn Members>,
    out: &mut String,
) {
    let Value::Object(map) = value else {
        return print_any(value, out);
    };
    let mut members: Vec<Member<'_>> = Vec::with_capacity(map.len());
    if tree.is_some() {
        members.extend(sorted(map).map(|(key, value)| {
            let ty = known.field(key).map(|field| &field.ty);
            (key.as_str(), ty, value)
        }));
    } else {
        let declared = known.fields().filter_map(|field| {
            let value = map.get(field.name)?;
            Some((field.name, Some(&field.ty), value))
        });
        members.extend(declared);
        let others = sorted(map).filter(|(key, _)| known.field(key).is_none());
        members.extend(others.map(|(key, value)| (key.as_str(), None, value)));
    }
    print_members(members.into_iter(), tree, out);
}

/// A member's name, its type where it has one, and its value.
type Member<'v> = (&'v str, Option<&'static Type>, &'v Value);

fn print_typed(ty: &'static Type, value: &Value, tree: Option<&dyn Members>, out: &mut String) {
    match (ty, value) {
        (Type::Pointer(inner), _) => print_typed(inner, value, tree, out),
        (Type::Struct(_), Value::Object(_)) => {
            if let Some(known) = ty.definition() {
                print_struct(known, value, tree, out);
            }
        }
        (Type::List(element, _), Value::Array(items)) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let below = tree.and_then(|tree| tree.member(&index.to_string()));
                print_typed(element, item, below, out);
            }
            out.push(']');
        }
        (Type::Map(element, _), Value::Object(map)) => {
            let members = sorted(map).map(|(key, value)| (key.as_str(), Some(&**element), value));
            print_members(members, tree, out);
        }
        _ => print_any(value, out),
    }
}

fn print_members<'v>(
    members: impl Iterator<Item = Member<'v>>,
    tree: Option<&dyn Members>,
    out: &mut String,
) {
    out.push('{');
    for (index, (key, ty, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        print_string(key, out);
        out.push(':');
        match ty {
            Some(ty) => print_typed(ty, value, tree.and_then(|tree| tree.member(key)), out),
            None => print_any(value, out),
        }
    }
    out.push('}');
}

fn print_any(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => print_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                print_any(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            print_members(
                sorted(map).map(|(key, value)| (key.as_str(), None, value)),
                None,
                out,
            );
        }
        other => write_infallible(out, format_args!("{other}")),
    }
}

fn print_string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                write_infallible(out, format_args!("\\u{:04x}", char as u32));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn sorted(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by_key(|(key, _)| *key);
    members.into_iter()
}

fn write_infallible(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structs_are_printed_in_gos_order_and_maps_sorted() {
        let value = json!({"metadata": {"uid": "u", "name": "a<b", "labels": {"b": "1", "a": "2"}}, "kind": "Pod"});
        assert_eq!(
            go_json("io.k8s.api.core.v1.Pod", &value),
            r#"{"kind":"Pod","metadata":{"name":"a\u003cb","uid":"u","labels":{"a":"2","b":"1"}}}"#
        );
    }

    #[test]
    fn values_are_printed_as_go_prints_them() {
        let value = json!({"b": [1, true, null], "a": {"x": "y"}, "c": 1.5, "d": 1e30});
        assert_eq!(
            go_value(&value),
            "map[a:map[x:y] b:[1 true <nil>] c:1.5 d:1e+30]"
        );
        assert_eq!(go_quote("a\"\n\u{1}é"), "\"a\\\"\\n\\x01é\"");
    }
}
