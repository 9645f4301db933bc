//! YAML bodies, read with the rules of YAML 1.1 that Kubernetes' Go library has: `yes`, `y` and `on` are
//! true, `0777` is octal, and repeated keys are noted with their line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};
use serde_json::{Map, Number, Value};

/// Nodes that aliases may add in all; more is an attack.
const MAX_ALIASED: usize = 100_000;
/// How deep collections may be nested.
const MAX_DEPTH: usize = 500;

/// A document.
#[derive(Debug)]
pub(crate) struct Yaml {
    /// What it says; of a repeated key the last.
    pub(crate) value: Value,
    /// Repeated keys with their lines.
    repeated: Vec<(usize, String)>,
}

impl Yaml {
    /// As JSON.
    pub(crate) fn json(&self) -> String {
        self.value.to_string()
    }

    /// Go's error for the repeated keys, if there are any, with what converts YAML named first.
    pub(crate) fn repeated_error(&self) -> Option<String> {
        let lines = self.repeated_texts();
        (!lines.is_empty()).then(|| failed(&unmarshal_error(&lines)))
    }

    /// One text for each repeated key.
    pub(crate) fn repeated_texts(&self) -> Vec<String> {
        let quote = super::print::go_quote;
        let texts = self.repeated.iter();
        let texts =
            texts.map(|(line, key)| format!("line {line}: key {} already set in map", quote(key)));
        texts.collect()
    }
}

/// Reads the first document; nothing is null. The error is Go's.
pub(crate) fn read(text: &[u8]) -> Result<Yaml, String> {
    let text = str::from_utf8(text).map_err(|_| failed("yaml: invalid leading UTF-8 octet"))?;
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| go_error(&error))?;
        let line = span.start.line();
        if builder
            .event(event, line)
            .map_err(|error| failed(&format!("yaml: {error}")))?
        {
            break;
        }
    }
    Ok(Yaml {
        value: builder.document.unwrap_or(Value::Null),
        repeated: builder.repeated,
    })
}

/// What begins an error of the library that converts YAML.
const CONVERTING: &str = "error converting YAML to JSON: ";

fn failed(error: &str) -> String {
    format!("{CONVERTING}{error}")
}

/// An error of [`read`] as the decoder of whole bodies tells it: without what converts.
pub(crate) fn plain_error(error: &str) -> &str {
    error.strip_prefix(CONVERTING).unwrap_or(error)
}

/// Many errors as one.
pub(crate) fn unmarshal_error(lines: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "))
}

/// An error in libyaml's words: what was missing, with the line where it is not the first.
fn go_error(error: &ScanError) -> String {
    let text = error.info();
    let what = text
        .rsplit_once(", ")
        .map_or(text.as_str(), |(_, what)| what);
    let what = match error.kind() {
        ErrorKind::UnclosedFlowCollection { open: '{' }
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => "did not find expected ',' or '}'",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::UnexpectedEofFlowSequence => "did not find expected ',' or ']'",
        _ => what.lines().next().unwrap_or_default(),
    };
    let line = error.marker().line();
    let scanning = what.contains("not allowed in this context");
    if scanning && line <= 1 {
        return failed(&format!("yaml: {what}"));
    }
    failed(&format!("yaml: line {line}: {what}"))
}

#[derive(Default)]
struct Builder {
    document: Option<Value>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Value>,
    aliased: usize,
    repeated: Vec<(usize, String)>,
}

/// A collection that has begun.
enum Open {
    List(Vec<Value>, usize),
    /// The members, the key that waits for its value, values to merge, the anchor.
    Map(Map<String, Value>, Option<String>, Vec<Value>, usize),
}

impl Builder {
    /// Takes an event in; true when the document has ended.
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<bool, String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|tag| tag.suffix().to_owned());
                let value = scalar(text, style, tag.as_deref());
                self.keep(anchor, &value);
                self.node(value, line, style == ScalarStyle::Plain)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Open::List(Vec::new(), anchor))?,
            Event::MappingStart(_, anchor, _) => {
                self.begin(Open::Map(Map::new(), None, Vec::new(), anchor))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(line)?,
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or(Value::Null);
                self.aliased += size(&value);
                if self.aliased > MAX_ALIASED {
                    return Err("document contains excessive aliasing".to_owned());
                }
                self.node(value, line, false)?;
            }
            Event::DocumentEnd | Event::StreamEnd => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn begin(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err("exceeded max depth of 10000".to_owned());
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<(), String> {
        let (value, anchor) = match self.open.pop() {
            Some(Open::List(items, anchor)) => (items.into(), anchor),
            Some(Open::Map(mut map, _, merged, anchor)) => {
                for source in merged {
                    merge_into(&mut map, source);
                }
                (map.into(), anchor)
            }
            None => return Ok(()),
        };
        self.keep(anchor, &value);
        self.node(value, line, false)
    }

    fn keep(&mut self, anchor: usize, value: &Value) {
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
    }

    fn node(&mut self, value: Value, line: usize, plain: bool) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.document = Some(value),
            Some(Open::List(items, _)) => items.push(value),
            Some(Open::Map(map, waiting, merged, _)) => match waiting.take() {
                Some(key) if key == MERGE => merged.push(value),
                Some(key) => {
                    if map.insert(key.clone(), value).is_some() {
                        self.repeated.push((line, key));
                    }
                }
                None if plain && value == "<<" => *waiting = Some(MERGE.to_owned()),
                None => *waiting = Some(key_text(&value)?),
            },
        }
        Ok(())
    }
}

/// Stands for the merge key `<<`; no text of a document is this.
const MERGE: &str = "\0<<";

fn merge_into(map: &mut Map<String, Value>, source: Value) {
    match source {
        Value::Object(source) => {
            for (key, value) in source {
                map.entry(key).or_insert(value);
            }
        }
        Value::Array(sources) => {
            for source in sources {
                merge_into(map, source);
            }
        }
        _ => {}
    }
}

fn key_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Ok("null".to_owned()),
        _ => Err("invalid map key".to_owned()),
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&str>) -> Value {
    let plain = style == ScalarStyle::Plain;
    match tag {
        Some("str" | "binary") => text.into_owned().into(),
        Some("int" | "float" | "bool" | "null") => resolve(text),
        _ if plain => resolve(text),
        _ => text.into_owned().into(),
    }
}

/// What a plain scalar means in YAML 1.1 as `go-yaml` v2 has it.
fn resolve(text: Cow<'_, str>) -> Value {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return true.into();
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return false.into();
        }
        _ => {}
    }
    number(&text).unwrap_or_else(|| text.into_owned().into())
}

fn number(text: &str) -> Option<Value> {
    let first = text.chars().next()?;
    if !first.is_ascii_digit() && !matches!(first, '+' | '-' | '.') {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(integer) = integer(&plain) {
        return Some(integer.into());
    }
    let digits = plain
        .chars()
        .all(|char| char.is_ascii_digit() || ".eE+-".contains(char));
    let float: f64 = plain.parse().ok().filter(|_| digits)?;
    Number::from_f64(float).map(Value::Number)
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', b'o' | b'O', ..] => (&digits[2..], 8),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if !digits.chars().all(|char| char.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(sign * number).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_version_1_1() {
        let text = "a: y\nb: 'y'\nc: 0777\nd: [1, -2.5, 1e3, ~]\ne: {f: 0x10, 1: 2}\ng: 2001-01-01\n\
                    h: &x {i: j}\nk: *x\nl: {<<: *x, m: o}\n";
        let expected = json!({
            "a": true, "b": "y", "c": 511, "d": [1, -2.5, 1000.0, null], "e": {"f": 16, "1": 2},
            "g": "2001-01-01", "h": {"i": "j"}, "k": {"i": "j"}, "l": {"i": "j", "m": "o"},
        });
        assert_eq!(read(text.as_bytes()).unwrap().value, expected);
        assert_eq!(read(b"").unwrap().value, Value::Null);
    }

    #[test]
    fn repeated_keys_are_told_with_their_line() {
        let yaml = read(b"a: 1\nb:\n  c: 1\n  c: 2\n").unwrap();
        assert_eq!(yaml.value, json!({"a": 1, "b": {"c": 2}}));
        let expected = "error converting YAML to JSON: yaml: unmarshal errors:\n  \
                        line 4: key \"c\" already set in map";
        assert_eq!(yaml.repeated_error().as_deref(), Some(expected));
    }

    #[test]
    fn what_is_wrong_is_said_in_libyamls_words() {
        let cases = [
            ("a: b: c", "mapping values are not allowed in this context"),
            ("{no", "line 1: did not find expected ',' or '}'"),
        ];
        for (text, expected) in cases {
            let expected = format!("error converting YAML to JSON: yaml: {expected}");
            assert_eq!(read(text.as_bytes()).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let below = format!("*a{}", level - 1);
            let list = vec![below; 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        let error = read(text.as_bytes()).unwrap_err();
        assert!(error.contains("excessive aliasing"), "{error}");
    }
}
