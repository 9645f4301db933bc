//! The canonical form: an object as Go prints it after a trip through the store.
//!
//! Go leaves out what is empty and marked `omitempty`, and prints the zero value of everything else
//! (`status: {loadBalancer: {}}`, `resources: {}`). Lists and maps that are empty come back from
//! protobuf as nil, so an empty one without `omitempty` is printed as null.

use serde_json::{Map, Value};

use super::quantity;
use super::table::{Definition, Field, Type, definition};

/// Brings an object that code has changed into canonical form. Unknown fields are dropped.
pub fn normalise(definition_name: &str, object: &mut Value) {
    if let (Some(known), Value::Object(map)) = (definition(definition_name), object) {
        normalise_struct(known, map);
    }
}

/// Drops what Go does not print of a struct and adds what it prints; its members are canonical already. An empty
/// list that is printed all the same stays as it was said, because whoever said so manages it.
pub(super) fn complete(known: &Definition, map: &mut Map<String, Value>) {
    for field in known.fields() {
        match map.get(field.name) {
            None => {
                if let Some(zero) = printed_zero(field) {
                    map.insert(field.name.to_owned(), zero);
                }
            }
            Some(value) if is_empty(&field.ty, value) => match printed_zero(field) {
                Some(_) if value.is_array() => {}
                Some(zero) => {
                    map.insert(field.name.to_owned(), zero);
                }
                None => {
                    map.remove(field.name);
                }
            },
            Some(_) => {}
        }
    }
}

/// The zero value of a member of a list or map, where null stands for it.
pub(super) fn zero(ty: &Type) -> Value {
    match ty {
        Type::String(_) | Type::Bytes => "".into(),
        Type::Bool(_) => false.into(),
        Type::Int32(_) | Type::Int64(_) | Type::IntOrString => 0.into(),
        Type::Quantity => "0".into(),
        Type::Struct(_) => ty.definition().map_or(Value::Null, zero_struct),
        _ => Value::Null,
    }
}

fn zero_struct(known: &'static Definition) -> Value {
    let mut map = Map::new();
    complete(known, &mut map);
    map.into()
}

fn printed_zero(field: &Field) -> Option<Value> {
    let leaves_out = match &field.ty {
        Type::Struct(_) | Type::Quantity | Type::IntOrString | Type::Raw | Type::FieldsV1 => {
            field.omit_zero
        }
        Type::Time | Type::MicroTime => field.omit_zero,
        _ => field.omit_empty,
    };
    if leaves_out {
        return None;
    }
    Some(match &field.ty {
        Type::Bytes => Value::Null,
        other => zero(other),
    })
}

/// Whether `omitempty` would leave it out, or nothing is there.
fn is_empty(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (_, Value::Null) => true,
        (Type::String(_) | Type::Bytes, Value::String(text)) => text.is_empty(),
        (Type::Bool(_), Value::Bool(bool)) => !bool,
        (Type::Int32(_) | Type::Int64(_), Value::Number(number)) => number.as_i64() == Some(0),
        (Type::List(..), Value::Array(items)) => items.is_empty(),
        (Type::Map(..), Value::Object(map)) => map.is_empty(),
        _ => false,
    }
}

fn normalise_struct(known: &'static Definition, map: &mut Map<String, Value>) {
    map.retain(|name, value| match known.field(name) {
        Some(field) => {
            normalise_value(&field.ty, value);
            true
        }
        None => false,
    });
    complete(known, map);
}

fn normalise_value(ty: &Type, value: &mut Value) {
    if matches!(ty, Type::List(..)) && value.as_array().is_some_and(Vec::is_empty) {
        *value = Value::Null;
    }
    match (ty, value) {
        (Type::Pointer(inner), value) => normalise_value(inner, value),
        (Type::Struct(_), Value::Object(map)) => {
            if let Some(known) = ty.definition() {
                normalise_struct(known, map);
            }
        }
        (Type::List(element, _), Value::Array(items)) => {
            for item in items {
                normalise_member(element, item);
            }
        }
        (Type::Map(element, _), Value::Object(map)) => {
            for member in map.values_mut() {
                normalise_member(element, member);
            }
        }
        (Type::Quantity, Value::String(text)) => {
            if let Ok(canonical) = quantity::canonical(text) {
                *text = canonical;
            }
        }
        (Type::Quantity, value @ Value::Number(_)) => {
            if let Ok(canonical) = quantity::canonical(&value.to_string()) {
                *value = canonical.into();
            }
        }
        _ => {}
    }
}

fn normalise_member(element: &Type, member: &mut Value) {
    if member.is_null() {
        *member = zero(element);
    } else {
        normalise_value(element, member);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empties_go_and_zero_structs_come() {
        let mut object = json!({
            "metadata": {"name": "a", "labels": {}, "finalizers": []},
            "spec": {"ports": [{"port": 80, "name": ""}], "selector": null, "type": "ClusterIP"},
            "unknown": 1,
        });
        normalise("io.k8s.api.core.v1.Service", &mut object);
        let expected = json!({
            "metadata": {"name": "a"},
            "spec": {"ports": [{"port": 80, "targetPort": 0}], "type": "ClusterIP"},
            "status": {"loadBalancer": {}},
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn lists_that_are_always_printed_are_null_when_empty() {
        let mut object = json!({"addressType": "IPv4", "endpoints": [], "ports": []});
        normalise("io.k8s.api.discovery.v1.EndpointSlice", &mut object);
        let expected =
            json!({"metadata": {}, "addressType": "IPv4", "endpoints": null, "ports": null});
        assert_eq!(object, expected);
    }

    #[test]
    fn quantities_become_canonical() {
        let mut object = json!({"spec": {"containers": [
            {"name": "c", "resources": {"limits": {"cpu": "1000m", "memory": 1024}}},
        ]}});
        normalise("io.k8s.api.core.v1.Pod", &mut object);
        let limits = &object["spec"]["containers"][0]["resources"]["limits"];
        assert_eq!(*limits, json!({"cpu": "1", "memory": "1024"}));
    }
}
