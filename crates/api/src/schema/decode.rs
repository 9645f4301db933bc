//! JSON into the canonical value of a struct, as Go decodes it into its types.
//!
//! Go goes on after a value of the wrong type and reports the first such; a type with its own decoder (a
//! time, a quantity) ends the decoding at once. Unknown and repeated fields are collected apart: they are
//! errors or warnings as the request wants (`sigs.k8s.io/json`).

use serde_json::{Map, Value};

use super::read::{Reader, Start};
use super::table::{Definition, Field, Type};
use super::{base64, canonical, print, quantity, time};

/// No more unknown and repeated fields than this are reported.
const MAX_STRICT: usize = 100;

/// Decodes a text that is known to be JSON and begins with an object or null. Also gives what is unknown
/// or repeated, when asked to look for it.
pub(super) fn decode(
    known: &'static Definition,
    text: &[u8],
    strict: bool,
) -> Result<(Map<String, Value>, Vec<String>), String> {
    let mut decoder = Decoder {
        reader: Reader::new(text),
        path: Vec::new(),
        owner: "",
        first: None,
        strict: strict.then(Vec::new),
    };
    let mut map = Map::new();
    if decoder.reader.start() == Start::Object {
        decoder.object_of(known, &mut map)?;
    } else {
        canonical::complete(known, &mut map);
    }
    match decoder.first {
        Some(error) => Err(error),
        None => Ok((map, decoder.strict.unwrap_or_default())),
    }
}

struct Decoder<'t> {
    reader: Reader<'t>,
    path: Vec<Step>,
    /// The struct whose field is being read, by its Go name.
    owner: &'static str,
    /// The first value of a wrong type.
    first: Option<String>,
    strict: Option<Vec<String>>,
}

enum Step {
    /// A field, and the embedded struct it comes from.
    Field(&'static str, Option<&'static str>),
    Key(String),
    Index(usize),
}

impl Decoder<'_> {
    /// Reads a value into what was there before (null: nothing).
    fn value(&mut self, ty: &'static Type, into: &mut Value) -> Result<(), String> {
        match ty {
            Type::Pointer(inner) => {
                if self.reader.start() == Start::Null {
                    self.reader.raw();
                    *into = Value::Null;
                    return Ok(());
                }
                return self.value(inner, into);
            }
            Type::Struct(_) => return self.structure(ty, into),
            Type::List(element, _) => return self.list(ty, element, into),
            Type::Map(element, _) => return self.map(ty, element, into),
            Type::Raw | Type::FieldsV1 => *into = self.reader.any(),
            Type::String(_) | Type::Bool(_) | Type::Int32(_) | Type::Int64(_) | Type::Bytes => {
                self.scalar(ty, into);
            }
            Type::Time | Type::MicroTime => *into = self.time(ty)?,
            Type::Quantity => *into = self.quantity()?,
            Type::IntOrString => *into = self.int_or_string()?,
        }
        Ok(())
    }

    fn structure(&mut self, ty: &'static Type, into: &mut Value) -> Result<(), String> {
        let known = ty.definition();
        let known = known.expect("a struct type of the table names a struct of the table");
        match self.reader.start() {
            Start::Object => {
                if !into.is_object() {
                    *into = Map::new().into();
                }
                if let Value::Object(map) = into {
                    self.object_of(known, map)?;
                }
            }
            Start::Null => {
                self.reader.raw();
            }
            other => self.skip_mismatch(other, known.go_type),
        }
        Ok(())
    }

    fn object_of(
        &mut self,
        known: &'static Definition,
        map: &mut Map<String, Value>,
    ) -> Result<(), String> {
        let outer = self.owner;
        let mut seen = vec![
            false;
            if self.strict.is_some() {
                known.fields().count()
            } else {
                0
            }
        ];
        let mut inside = self.reader.enter();
        while inside {
            let key = self.reader.key();
            match known.position(&key) {
                Some(position) => {
                    self.repeated(&mut seen, position, &key);
                    let field = known.field_at(position);
                    self.path
                        .push(Step::Field(field.name, known.embedded_at(position)));
                    self.owner = known.go_name();
                    self.field(field, map)?;
                    self.path.pop();
                    self.owner = outer;
                }
                None => {
                    self.strict_problem("unknown", &key);
                    self.reader.raw();
                }
            }
            inside = self.reader.more();
        }
        canonical::complete(known, map);
        Ok(())
    }

    fn field(&mut self, field: &'static Field, map: &mut Map<String, Value>) -> Result<(), String> {
        let mut value = map.remove(field.name).unwrap_or(Value::Null);
        self.value(&field.ty, &mut value)?;
        if !value.is_null() {
            map.insert(field.name.to_owned(), value);
        }
        Ok(())
    }

    fn list(
        &mut self,
        ty: &'static Type,
        element: &'static Type,
        into: &mut Value,
    ) -> Result<(), String> {
        match self.reader.start() {
            Start::Array => {}
            Start::Null => {
                self.reader.raw();
                *into = Value::Null;
                return Ok(());
            }
            other => {
                self.skip_mismatch(other, &ty.go_type());
                return Ok(());
            }
        }
        let mut before = match into.take() {
            Value::Array(items) => items.into_iter(),
            _ => Vec::new().into_iter(),
        };
        let mut items = Vec::new();
        let mut inside = self.reader.enter();
        while inside {
            let mut item = before.next().unwrap_or(Value::Null);
            self.path.push(Step::Index(items.len()));
            self.member(element, &mut item)?;
            self.path.pop();
            items.push(item);
            inside = self.reader.more();
        }
        if items.is_empty() && ty.go_type() == "[]v1.ManagedFieldsEntry" {
            // An empty list asks for a reset, as one with an empty entry does; only that survives here.
            items.push(Map::new().into());
        }
        *into = items.into();
        Ok(())
    }

    fn map(
        &mut self,
        ty: &'static Type,
        element: &'static Type,
        into: &mut Value,
    ) -> Result<(), String> {
        match self.reader.start() {
            Start::Object => {}
            Start::Null => {
                self.reader.raw();
                *into = Value::Null;
                return Ok(());
            }
            other => {
                self.skip_mismatch(other, &ty.go_type());
                return Ok(());
            }
        }
        let mut map = match into.take() {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let before = map.len();
        let mut inside = self.reader.enter();
        while inside {
            let key = self.reader.key();
            if before == 0 && self.strict.is_some() && map.contains_key(&key) {
                self.strict_problem("duplicate", &key);
            }
            let mut value = Value::Null;
            if element.definition().is_some() {
                self.path.push(Step::Key(key.clone()));
                self.member(element, &mut value)?;
                self.path.pop();
            } else {
                self.member(element, &mut value)?;
            }
            map.insert(key, value);
            inside = self.reader.more();
        }
        *into = map.into();
        Ok(())
    }

    /// A member of a list or map: null is the zero value there.
    fn member(&mut self, element: &'static Type, into: &mut Value) -> Result<(), String> {
        self.value(element, into)?;
        if into.is_null() {
            *into = canonical::zero(element);
        }
        Ok(())
    }

    fn scalar(&mut self, ty: &Type, into: &mut Value) {
        match (self.reader.start(), ty) {
            (Start::Null, Type::Bytes) => {
                self.reader.raw();
                *into = Value::Null;
            }
            (Start::Null, _) => {
                self.reader.raw();
            }
            (Start::String, Type::String(_)) => *into = self.reader.string().into(),
            (Start::String, Type::Bytes) => {
                let text = self.reader.string();
                match base64::canonical(&text) {
                    Ok(text) => *into = text.into(),
                    Err(error) => self.save(error),
                }
            }
            (Start::Bool, Type::Bool(_)) => *into = (self.reader.raw() == b"true").into(),
            (Start::Number, Type::Int32(name) | Type::Int64(name)) => {
                let raw = str::from_utf8(self.reader.raw()).unwrap_or_default();
                match integer(ty, raw) {
                    Some(number) => *into = number.into(),
                    None => {
                        let error = self.mismatch(&format!("number {raw}"), name);
                        self.save(error);
                    }
                }
            }
            (other, _) => self.skip_mismatch(other, &ty.go_type()),
        }
    }

    fn time(&mut self, ty: &Type) -> Result<Value, String> {
        let text = match self.reader.start() {
            Start::Null => {
                self.reader.raw();
                return Ok(Value::Null);
            }
            Start::String => self.reader.string(),
            other => return Err(self.mismatch(other.word(), "string")),
        };
        let time = match ty {
            Type::MicroTime => time::canonical_micro_time(&text)?,
            _ => time::canonical_time(&text)?,
        };
        Ok(time.map_or(Value::Null, Value::String))
    }

    fn quantity(&mut self) -> Result<Value, String> {
        let raw = str::from_utf8(self.reader.raw()).unwrap_or_default();
        if raw == "null" {
            return Ok(Value::Null);
        }
        let inner = raw
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let text = quantity::canonical(inner.unwrap_or(raw).trim())?;
        Ok(text.into())
    }

    fn int_or_string(&mut self) -> Result<Value, String> {
        let start = self.reader.start();
        if start == Start::String {
            return Ok(self.reader.string().into());
        }
        let raw = str::from_utf8(self.reader.raw()).unwrap_or_default();
        match start {
            Start::Null => Ok(0.into()),
            Start::Number => match raw.parse::<i32>() {
                Ok(number) => Ok(number.into()),
                Err(_) => Err(self.mismatch(&format!("number {raw}"), "int32")),
            },
            other => Err(self.mismatch(other.word(), "int32")),
        }
    }

    fn skip_mismatch(&mut self, start: Start, go_type: &str) {
        let error = self.mismatch(start.word(), go_type);
        self.save(error);
        self.reader.raw();
    }

    fn save(&mut self, error: String) {
        self.first.get_or_insert(error);
    }

    fn mismatch(&self, what: &str, go_type: &str) -> String {
        let mut fields = Vec::new();
        for step in &self.path {
            if let Step::Field(name, embedded) = step {
                fields.extend(*embedded);
                fields.push(*name);
            }
        }
        let (owner, path) = (self.owner, fields.join("."));
        format!(
            "json: cannot unmarshal {what} into Go struct field {owner}.{path} of type {go_type}"
        )
    }

    fn repeated(&mut self, seen: &mut [bool], position: usize, key: &str) {
        if let Some(seen) = seen.get_mut(position)
            && std::mem::replace(seen, true)
        {
            self.strict_problem("duplicate", key);
        }
    }

    fn strict_problem(&mut self, what: &str, key: &str) {
        let Some(problems) = &mut self.strict else {
            return;
        };
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Field(name, _) => dotted(&mut path, name),
                Step::Key(name) => dotted(&mut path, name),
            }
        }
        dotted(&mut path, key);
        let problem = format!("{what} field {}", print::go_quote(&path));
        if problems.len() < MAX_STRICT && !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

fn dotted(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn integer(ty: &Type, raw: &str) -> Option<i64> {
    let number: i64 = raw.parse().ok()?;
    let fits = matches!(ty, Type::Int64(_)) || i32::try_from(number).is_ok();
    fits.then_some(number)
}
