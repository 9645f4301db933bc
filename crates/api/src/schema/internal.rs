//! Objects as Kubernetes' internal types print them: that is how its messages show a part of a pod.
//!
//! The internal types have no JSON names, so Go's own appear, every field is there, and what is unset is null or
//! zero. `schema/internal.tsv` is made by `schema/internal.py`, which tells its form.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::print;

const TEXT: &str = include_str!("../../schema/internal.tsv");

struct Field {
    /// Go's name; `<` for an embedded struct.
    go: &'static str,
    /// The name in v1.
    json: &'static str,
    ty: &'static str,
}

type Table = BTreeMap<&'static str, Vec<Field>>;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table::new();
        let mut last = "";
        for line in TEXT.lines() {
            let Some(field) = line.strip_prefix('\t') else {
                last = line;
                table.insert(line, Vec::new());
                continue;
            };
            let parts: Vec<&str> = field.split(' ').collect();
            let field = match parts.as_slice() {
                [go, json, ty] => Field { go, json, ty },
                [go, ty] => Field { go, json: "", ty },
                _ => unreachable!("a field of the table has two or three words"),
            };
            if let Some(fields) = table.get_mut(last) {
                fields.push(field);
            }
        }
        table
    })
}

/// One line, as Go's `json.Marshal`.
pub(crate) fn line(ty: &str, value: &Value) -> String {
    let mut out = String::new();
    Printer {
        out: &mut out,
        indent: None,
    }
    .value(ty, value, &Value::Null);
    out
}

/// Many lines, as Go's `json.MarshalIndent` with one blank.
pub(crate) fn pretty(ty: &str, value: &Value) -> String {
    let mut out = String::new();
    Printer {
        out: &mut out,
        indent: Some(0),
    }
    .value(ty, value, &Value::Null);
    out
}

struct Printer<'o> {
    out: &'o mut String,
    /// Depth; none for one line.
    indent: Option<usize>,
}

impl Printer<'_> {
    fn value(&mut self, ty: &str, value: &Value, outer: &Value) {
        if let Some(inner) = ty.strip_prefix('*') {
            return match value {
                Value::Null if !wants_outer(inner) => self.out.push_str("null"),
                Value::Null if outer.is_null() => self.out.push_str("null"),
                value => self.value(inner, value, outer),
            };
        }
        if let Some(element) = ty.strip_prefix('[') {
            return match value.as_array() {
                Some(items) => {
                    let each = items.iter().map(|item| (None, element, item));
                    self.many('[', ']', each, outer);
                }
                None => self.out.push_str("null"),
            };
        }
        if let Some(element) = ty.strip_prefix('{') {
            return match value.as_object() {
                Some(map) => self.map(element, map, outer),
                None => self.out.push_str("null"),
            };
        }
        match ty {
            "s" => self.scalar(&json!(value.as_str().unwrap_or_default())),
            "i" => self.scalar(&json!(value.as_i64().unwrap_or_default())),
            "b" => self.scalar(&json!(value.as_bool().unwrap_or_default())),
            "Q" => self.scalar(&json!(value.as_str().unwrap_or("0"))),
            "I" if value.is_null() => self.out.push('0'),
            "I" | "T" => self.scalar(value),
            "LabelSelector" => self.out_of_v1(value),
            known => self.structure(known, value, outer),
        }
    }

    fn scalar(&mut self, value: &Value) {
        self.out.push_str(&print::go_json_untyped(value));
    }

    /// A type that the internal ones share with v1.
    fn out_of_v1(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let members = ["matchLabels", "matchExpressions"].into_iter();
                let members: Vec<_> = members
                    .filter_map(|name| Some((Some(name), "v1", map.get(name)?)))
                    .collect();
                self.many('{', '}', members.into_iter(), &Value::Null);
            }
            _ => self.out.push_str("null"),
        }
    }

    fn structure(&mut self, name: &str, value: &Value, outer: &Value) {
        let mut members = Vec::new();
        flatten(name, value, outer, &mut members);
        let each = members
            .iter()
            .map(|(go, ty, value)| (Some(*go), *ty, *value));
        self.many('{', '}', each, value);
    }

    fn map(&mut self, element: &str, map: &Map<String, Value>, outer: &Value) {
        let mut sorted: Vec<_> = map.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| key.as_str());
        let each = sorted
            .into_iter()
            .map(|(key, value)| (Some(key.as_str()), element, value));
        self.many('{', '}', each, outer);
    }

    fn many<'v>(
        &mut self,
        open: char,
        close: char,
        members: impl ExactSizeIterator<Item = (Option<&'v str>, &'v str, &'v Value)>,
        outer: &Value,
    ) {
        self.out.push(open);
        if members.len() == 0 {
            self.out.push(close);
            return;
        }
        self.indent = self.indent.map(|depth| depth + 1);
        for (i, (name, ty, value)) in members.enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.new_line();
            if let Some(name) = name {
                self.scalar(&name.into());
                self.out
                    .push_str(if self.indent.is_some() { ": " } else { ":" });
            }
            match ty {
                "v1" => self.any(value),
                ty => self.value(ty, value, outer),
            }
        }
        self.indent = self.indent.map(|depth| depth - 1);
        self.new_line();
        self.out.push(close);
    }

    /// Values whose form is the same everywhere.
    fn any(&mut self, value: &Value) {
        match value {
            Value::Object(map) if map.contains_key("operator") => {
                let members = ["key", "operator", "values"].into_iter();
                let members: Vec<_> = members
                    .filter_map(|name| Some((Some(name), "v1", map.get(name)?)))
                    .collect();
                self.many('{', '}', members.into_iter(), &Value::Null);
            }
            Value::Object(map) => self.map("v1", map, &Value::Null),
            Value::Array(items) => {
                let each = items.iter().map(|item| (None, "v1", item));
                self.many('[', ']', each, &Value::Null);
            }
            other => self.scalar(other),
        }
    }

    fn new_line(&mut self) {
        if let Some(depth) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', depth));
        }
    }
}

/// Whether a struct has fields that v1 keeps in the struct around it.
fn wants_outer(ty: &str) -> bool {
    let fields = table().get(ty).into_iter().flatten();
    fields.into_iter().any(|field| field.json.starts_with('^'))
}

/// The fields of a struct and of those embedded in it.
fn flatten<'v>(
    name: &str,
    value: &'v Value,
    outer: &'v Value,
    into: &mut Vec<(&'static str, &'static str, &'v Value)>,
) {
    for field in table().get(name).into_iter().flatten() {
        if field.go == "<" {
            flatten(field.ty, value, outer, into);
            continue;
        }
        let member = match field.json.strip_prefix('^') {
            Some(of_outer) => &outer[of_outer],
            None => &value[field.json],
        };
        into.push((field.go, field.ty, member));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_there_with_gos_name() {
        let profile = json!({"type": "Unconfined", "localhostProfile": "x<"});
        assert_eq!(
            line("SeccompProfile", &profile),
            "{\"Type\":\"Unconfined\",\"LocalhostProfile\":\"x\\u003c\"}"
        );
        let volume = pretty(
            "Volume",
            &json!({"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}),
        );
        let head = "{\n \"Name\": \"v\",\n \"HostPath\": null,\n \"EmptyDir\": {\n  \"Medium\": \"\",\n  \
                    \"SizeLimit\": \"1Gi\"\n },\n";
        assert!(volume.starts_with(head), "{volume}");
    }

    #[test]
    fn the_hosts_namespaces_are_part_of_the_security_context() {
        let spec = json!({"hostNetwork": true, "securityContext": {"runAsUser": 7}});
        let shown = line("PodSpec", &spec);
        assert!(shown.contains("\"SecurityContext\":{\"HostNetwork\":true,\"HostPID\":false,"));
        assert!(shown.contains("\"RunAsUser\":7"));
        assert!(shown.contains("\"Volumes\":null"));
    }
}
