//! Reading a text that [`super::scan`] has found to be JSON.

use serde_json::{Map, Number, Value};

/// How deep a value without a schema may be nested; deeper levels read as null.
const MAX_DEPTH: usize = 200;

/// Reads any JSON.
pub(crate) fn any(text: &[u8]) -> Value {
    Reader::new(text).any()
}

/// Reads any JSON, and names the fields that occur twice: `duplicate field "a.b[0].c"`.
pub(crate) fn any_noting_repeated(text: &[u8]) -> (Value, Vec<String>) {
    let mut repeated = Vec::new();
    let value =
        Reader::new(text).any_within(MAX_DEPTH, &mut String::new(), &mut Some(&mut repeated));
    (value, repeated)
}

/// A place in a well-formed JSON text.
pub(super) struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

/// What a value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Start {
    /// As Go's messages name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Null => "null",
        }
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// What comes next.
    pub(super) fn start(&mut self) -> Start {
        self.blanks();
        match self.peek() {
            b'{' => Start::Object,
            b'[' => Start::Array,
            b'"' => Start::String,
            b't' | b'f' => Start::Bool,
            b'n' => Start::Null,
            _ => Start::Number,
        }
    }

    /// Enters an object or array; false when it is empty and thereby left again.
    pub(super) fn enter(&mut self) -> bool {
        self.blanks();
        self.at += 1;
        self.blanks();
        if matches!(self.peek(), b'}' | b']') {
            self.at += 1;
            return false;
        }
        true
    }

    /// After a member: goes to the next; false when there is none and the object or array was left.
    pub(super) fn more(&mut self) -> bool {
        self.blanks();
        let more = self.peek() == b',';
        self.at += 1;
        more
    }

    /// A member's name, with the colon behind it.
    pub(super) fn key(&mut self) -> String {
        self.blanks();
        let key = self.string();
        self.blanks();
        self.at += 1;
        key
    }

    /// A string, with what is no UTF-8 replaced as Go does.
    pub(super) fn string(&mut self) -> String {
        let raw = self.raw();
        unquote(&raw[1..raw.len() - 1])
    }

    /// The text of the next value.
    pub(super) fn raw(&mut self) -> &'t [u8] {
        self.blanks();
        let from = self.at;
        self.skip();
        &self.text[from..self.at]
    }

    /// Any value.
    pub(super) fn any(&mut self) -> Value {
        self.any_within(MAX_DEPTH, &mut String::new(), &mut None)
    }

    /// Any value that stands at a path, with a note of repeated fields where they are wanted.
    fn any_within(
        &mut self,
        depth: usize,
        path: &mut String,
        repeated: &mut Option<&mut Vec<String>>,
    ) -> Value {
        match self.start() {
            Start::Object | Start::Array if depth == 0 => {
                self.skip();
                Value::Null
            }
            Start::Object => self.any_object(depth, path, repeated),
            Start::Array => {
                let mut items = Vec::new();
                let mut inside = self.enter();
                let length = path.len();
                while inside {
                    if repeated.is_some() {
                        path.push_str(&format!("[{}]", items.len()));
                    }
                    items.push(self.any_within(depth - 1, path, repeated));
                    path.truncate(length);
                    inside = self.more();
                }
                items.into()
            }
            Start::String => self.string().into(),
            Start::Number => number(self.raw()),
            Start::Bool => (self.raw() == b"true").into(),
            Start::Null => {
                self.skip();
                Value::Null
            }
        }
    }

    fn any_object(
        &mut self,
        depth: usize,
        path: &mut String,
        repeated: &mut Option<&mut Vec<String>>,
    ) -> Value {
        let mut map = Map::new();
        let mut inside = self.enter();
        let length = path.len();
        while inside {
            let key = self.key();
            if let Some(repeated) = repeated {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key);
                let text = format!("duplicate field {}", super::print::go_quote(path));
                if map.contains_key(&key) && !repeated.contains(&text) {
                    repeated.push(text);
                }
            }
            let value = self.any_within(depth - 1, path, repeated);
            path.truncate(length);
            map.insert(key, value);
            inside = self.more();
        }
        map.into()
    }

    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b'"' => self.skip_string(),
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                _ => self.skip_literal(),
            }
            if depth == 0 || self.at >= self.text.len() {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        loop {
            match self.peek() {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }

    fn skip_literal(&mut self) {
        while matches!(self.peek(), b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E') {
            self.at += 1;
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// The byte here; behind the end, one that ends everything.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(b'"')
    }
}

/// An integer where it fits and has no point, as `UnmarshalCaseSensitivePreserveInts` reads it.
fn number(raw: &[u8]) -> Value {
    let text = str::from_utf8(raw).unwrap_or_default();
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    let float = text.parse().ok().and_then(Number::from_f64);
    float.map_or(Value::Null, Value::Number)
}

fn unquote(raw: &[u8]) -> String {
    if !raw.contains(&b'\\') {
        return lossy(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        out.push_str(&lossy(&rest[..at]));
        rest = &rest[at + 1..];
        rest = unescape(rest, &mut out);
    }
    out.push_str(&lossy(rest));
    out
}

/// Go replaces each byte that is no UTF-8, Rust each sequence.
fn lossy(raw: &[u8]) -> String {
    if let Ok(text) = str::from_utf8(raw) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

/// Reads what follows a backslash; gives what follows that.
fn unescape<'t>(rest: &'t [u8], out: &mut String) -> &'t [u8] {
    let (letter, rest) = rest.split_first().unwrap_or((&b'"', &[]));
    match letter {
        b'b' => out.push('\x08'),
        b'f' => out.push('\x0c'),
        b'n' => out.push('\n'),
        b'r' => out.push('\r'),
        b't' => out.push('\t'),
        b'u' => return unescape_unicode(rest, out),
        other => out.push(char::from(*other)),
    }
    rest
}

fn unescape_unicode<'t>(rest: &'t [u8], out: &mut String) -> &'t [u8] {
    let (first, rest) = (hex(rest), rest.get(4..).unwrap_or_default());
    if let Some(char) = char::from_u32(first) {
        out.push(char);
        return rest;
    }
    let second = rest.strip_prefix(b"\\u").map_or(0, hex);
    if first < 0xdc00 && (0xdc00..0xe000).contains(&second) {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return rest.get(6..).unwrap_or_default();
    }
    out.push(char::REPLACEMENT_CHARACTER);
    rest
}

fn hex(digits: &[u8]) -> u32 {
    let digits = digits
        .get(..4)
        .and_then(|digits| str::from_utf8(digits).ok());
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    code.unwrap_or(0xfffd)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_value_is_read() {
        let text =
            br#" {"a": [1, -2.5, 1e3, true, null, "x\n\u00e9\ud83d\ude00\ud83d"], "b": {} } "#;
        let value = Reader::new(text).any();
        let expected = json!({"a": [1, -2.5, 1000.0, true, null, "x\né😀\u{fffd}"], "b": {}});
        assert_eq!(value, expected);
    }

    #[test]
    fn broken_utf8_is_replaced_byte_by_byte() {
        assert_eq!(
            Reader::new(b"\"a\xff\xfeb\"").string(),
            "a\u{fffd}\u{fffd}b"
        );
    }

    #[test]
    fn deep_values_are_cut() {
        let text = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
        assert!(Reader::new(text.as_bytes()).any().is_array());
    }
}
