//! Holding an answer to a recorded one, placeholders bound along the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::pointer::plain;

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{([a-z]+)(?::(\d+))?\}\}").expect("a valid pattern"));

/// A port number in a request is a number, not a text.
static NODE_PORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""(\{\{nodeport:\d+\}\})""#).expect("a valid pattern"));

/// What a placeholder's kind looks like.
fn pattern(kind: &str) -> &'static str {
    match kind {
        "uid" => "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "rv" | "listrv" | "nodeport" => "[0-9]+",
        "ip" => "[0-9a-f.:]+",
        "name" => "[a-z0-9.-]+",
        "continue" | "token" => r"\S+",
        "time" => r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
        "age" => r"(?:<unknown>|(?:\d+[smhdy])+)",
        "hash" => "[bcdf4-9]{4,10}",
        _ => ".+",
    }
}

/// What placeholders have turned out to be, by their whole text.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings(BTreeMap<String, String>);

impl Bindings {
    /// Bindings that know the namespace.
    pub(super) fn new(namespace: &str) -> Self {
        Self(BTreeMap::from([(
            "{{ns}}".to_owned(),
            namespace.to_owned(),
        )]))
    }

    /// A recorded request value, as it has to be asked here.
    pub(super) fn put(&self, value: &Value) -> Value {
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(k, v)| (self.put_text(k), self.put(v)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Array(items) => items.iter().map(|item| self.put(item)).collect(),
            Value::String(text) => match PLACEHOLDER.captures(text) {
                Some(found) if found[0] == **text && &found[1] == "nodeport" => self
                    .0
                    .get(text)
                    .and_then(|n| n.parse::<u16>().ok())
                    .unwrap_or(0)
                    .into(),
                _ => self.put_text(text).into(),
            },
            other => other.clone(),
        }
    }

    /// A recorded JSON text, as it has to be asked here; its keys keep their order.
    pub(super) fn put_json(&self, text: &str) -> String {
        let numbered = NODE_PORT.replace_all(text, |found: &regex::Captures<'_>| {
            self.0
                .get(&found[1])
                .cloned()
                .unwrap_or_else(|| "0".to_owned())
        });
        self.put_text(&numbered)
    }

    fn put_text(&self, text: &str) -> String {
        let bound = |found: &regex::Captures<'_>| {
            self.0
                .get(&found[0])
                .cloned()
                .unwrap_or_else(|| found[0].to_owned())
        };
        PLACEHOLDER.replace_all(text, bound).into_owned()
    }

    /// Adds every difference to `found`, each with its pointer.
    pub(super) fn same(&mut self, want: &Value, got: &Value, at: &str, found: &mut Vec<String>) {
        match (want, got) {
            (Value::Object(want), Value::Object(got)) => self.same_objects(want, got, at, found),
            (Value::Array(want), Value::Array(got)) => {
                if want.len() != got.len() {
                    let (n, m) = (got.len(), want.len());
                    found.push(format!(
                        "{at}: {n} items, want {m}: {}",
                        short(&got.clone().into())
                    ));
                }
                for (i, (want, got)) in want.iter().zip(got).enumerate() {
                    self.same(want, got, &format!("{at}/{i}"), found);
                }
            }
            // What was masked here, too, is the placeholder itself.
            _ if want == got => {}
            (Value::String(text), _) if PLACEHOLDER.is_match(text) => {
                self.same_text(text, got, at, found);
            }
            _ => found.push(format!("{at}: {}, want {}", short(got), short(want))),
        }
    }

    fn same_text(&mut self, want: &str, got: &Value, at: &str, found: &mut Vec<String>) {
        if !self.matches(want, &plain(got)) {
            let bound = self.put_text(want);
            found.push(format!("{at}: {}, want {want} ({bound})", short(got)));
        }
    }

    fn same_objects(
        &mut self,
        want: &serde_json::Map<String, Value>,
        got: &serde_json::Map<String, Value>,
        at: &str,
        found: &mut Vec<String>,
    ) {
        let want: BTreeMap<String, &Value> =
            want.iter().map(|(k, v)| (self.put_text(k), v)).collect();
        let keys: BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        for key in keys {
            let here = format!("{at}/{key}");
            match (want.get(key), got.get(key)) {
                (Some(want), Some(got)) => self.same(want, got, &here, found),
                (Some(want), None) => found.push(format!("{here}: missing, want {}", short(want))),
                (None, Some(got)) => found.push(format!("{here}: not expected: {}", short(got))),
                (None, None) => {}
            }
        }
    }

    /// Whether `got` fits a text with placeholders; binds those seen for the first time. What differed
    /// when it was recorded must differ: no two `{{uid:N}}` or `{{rv:N}}` may be equal.
    fn matches(&mut self, want: &str, got: &str) -> bool {
        let (mut names, mut expression, mut last) = (Vec::new(), String::from("(?s)^"), 0);
        for found in PLACEHOLDER.captures_iter(want) {
            let whole = found.get(0).expect("group 0 is the match");
            expression.push_str(&regex::escape(&want[last..whole.start()]));
            last = whole.end();
            if let Some(bound) = self.0.get(whole.as_str()) {
                expression.push_str(&regex::escape(bound));
            } else {
                expression.push_str(&format!("({})", pattern(&found[1])));
                names.push(whole.as_str().to_owned());
            }
        }
        expression.push_str(&regex::escape(&want[last..]));
        expression.push('$');
        let Some(captures) = Regex::new(&expression).ok().and_then(|e| e.captures(got)) else {
            return false;
        };
        for (i, name) in names
            .iter()
            .enumerate()
            .filter(|(_, name)| name.contains(':'))
        {
            let value = captures[i + 1].to_owned();
            let kind = name.split(':').next().unwrap_or(name);
            let unique = matches!(kind, "{{uid" | "{{rv");
            if unique
                && self
                    .0
                    .iter()
                    .any(|(n, v)| *v == value && n.split(':').next() == Some(kind))
            {
                return false;
            }
            self.0.insert(name.clone(), value);
        }
        true
    }
}

/// Managed fields are ordered by operation, second, manager; the second is luck, so that order is checked
/// (where `found` is given) and the comparison made without it.
pub(super) fn settle(document: &mut Value, mut found: Option<&mut Vec<String>>) {
    match document {
        Value::Array(items) => {
            for item in items {
                settle(item, found.as_deref_mut());
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                let Value::Array(entries) = value else {
                    settle(value, found.as_deref_mut());
                    continue;
                };
                if key != "managedFields" {
                    entries
                        .iter_mut()
                        .for_each(|entry| settle(entry, found.as_deref_mut()));
                    continue;
                }
                if let Some(found) = found.as_deref_mut()
                    && !entries.is_sorted_by_key(|entry| order(entry, true))
                {
                    found.push("managedFields not in order of operation, time, manager".to_owned());
                }
                entries.sort_by_key(|entry| order(entry, false));
            }
        }
        _ => {}
    }
}

fn order(entry: &Value, with_time: bool) -> [String; 5] {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let time = if with_time {
        text("time")
    } else {
        String::new()
    };
    [
        text("operation"),
        time,
        text("manager"),
        text("apiVersion"),
        text("subresource"),
    ]
}

/// A value for a message.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_placeholder_binds_once_and_two_uids_differ() {
        let uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let mut bindings = Bindings::new("g-1");
        let mut found = Vec::new();
        bindings.same(
            &json!({"uid": "{{uid:1}}", "ns": "{{ns}}"}),
            &json!({"uid": uid, "ns": "g-1"}),
            "",
            &mut found,
        );
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(
            bindings.put(&json!("x/{{uid:1}}")),
            json!(format!("x/{uid}"))
        );
        bindings.same(&json!("{{uid:2}}"), &json!(uid), "/b", &mut found);
        assert_eq!(found.len(), 1, "two placeholders, one value");
    }

    #[test]
    fn every_difference_is_told_with_its_place() {
        let (want, got) = (
            json!({"a": 1, "b": [1, 2]}),
            json!({"a": "1", "b": [1], "c": 0}),
        );
        let mut found = Vec::new();
        Bindings::new("n").same(&want, &got, "", &mut found);
        assert_eq!(
            found,
            [
                "/a: \"1\", want 1",
                "/b: 1 items, want 2: [1]",
                "/c: not expected: 0"
            ]
        );
    }
}
