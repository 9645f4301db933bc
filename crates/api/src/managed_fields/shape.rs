//! How apply sees a type: what is owned as a whole, what by its members, and how members are told apart.

use serde_json::Value;

use super::set::{Element, Scalar};
use crate::schema::table::{Definition, Field, ListKind, Type};

/// How apply sees a type.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// One value.
    Scalar(Kind),
    /// A list; of its members only where it is not atomic.
    List {
        kind: &'static ListKind,
        element: &'static Type,
    },
    /// A map.
    Map {
        atomic: bool,
        element: &'static Type,
    },
    /// A struct.
    Struct {
        atomic: bool,
        known: &'static Definition,
    },
    /// Nothing is known; owned as a whole.
    Any,
}

/// What a scalar may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Bool,
    /// Quantities, times, numbers or strings.
    Any,
}

const ATOMIC: &ListKind = &ListKind::Atomic;

impl Shape {
    /// The shape of a whole object.
    pub(super) fn object(known: &'static Definition) -> Self {
        Self::Struct {
            atomic: false,
            known,
        }
    }

    fn of(ty: &'static Type, field: Option<&'static Field>) -> Self {
        match ty.target() {
            Type::String(_) | Type::Bytes => Self::Scalar(Kind::String),
            Type::Bool(_) => Self::Scalar(Kind::Bool),
            Type::Int32(_) | Type::Int64(_) => Self::Scalar(Kind::Number),
            Type::Quantity | Type::IntOrString | Type::Time | Type::MicroTime => {
                Self::Scalar(Kind::Any)
            }
            Type::FieldsV1 | Type::Raw | Type::Pointer(_) => Self::Any,
            Type::List(element, _) => Self::List {
                kind: field.map_or(ATOMIC, |field| &field.list),
                element,
            },
            Type::Map(element, _) => Self::Map {
                atomic: field.is_some_and(|field| field.atomic_map),
                element,
            },
            Type::Struct(_) => match ty.definition() {
                Some(known) => Self::Struct {
                    atomic: known.atomic || field.is_some_and(|field| field.atomic_map),
                    known,
                },
                None => Self::Any,
            },
        }
    }

    /// The shape of a field or map member; `None` where there is no such field.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Struct { known, .. } => known
                .field(name)
                .map(|field| Self::of(&field.ty, Some(field))),
            Self::Map { element, .. } => Some(Self::of(element, None)),
            _ => Some(Self::Any),
        }
    }

    /// The shape of a list's members.
    pub(super) fn element(self) -> Self {
        match self {
            Self::List { element, .. } => Self::of(element, None),
            _ => Self::Any,
        }
    }

    /// Whether a step goes to a declared field, and the shape there.
    pub(super) fn step(self, element: &Element) -> (bool, Self) {
        match (self, element) {
            (Self::Struct { known, .. }, Element::Field(name)) => match known.field(name) {
                Some(field) => (true, Self::of(&field.ty, Some(field))),
                None => (false, Self::Any),
            },
            (_, Element::Field(name)) => (false, self.member(name).unwrap_or(Self::Any)),
            _ => (false, self.element()),
        }
    }

    /// Whether it is owned as a whole.
    pub(super) fn is_leaf(self) -> bool {
        match self {
            Self::Scalar(_) | Self::Any => true,
            Self::List { kind, .. } => *kind == ListKind::Atomic,
            Self::Map { atomic, .. } | Self::Struct { atomic, .. } => atomic,
        }
    }

    /// How a member of a list with keys or of a set is told from the others.
    pub(super) fn path_element(self, item: &Value) -> Result<Element, String> {
        match self {
            Self::List {
                kind: ListKind::Map(keys),
                element,
            } => keyed(keys, element, item),
            Self::List {
                kind: ListKind::Set,
                ..
            } => in_set(item),
            _ => Err("invalid indexing of non-associative list".to_owned()),
        }
    }
}

fn keyed(keys: &[&'static str], element: &'static Type, item: &Value) -> Result<Element, String> {
    let Value::Object(map) = item else {
        let what = if item.is_null() {
            "a null element"
        } else {
            "non-map elements"
        };
        return Err(format!("associative list with keys may not have {what}"));
    };
    let known = element.definition();
    let mut fields: Vec<(String, Scalar)> = Vec::with_capacity(keys.len());
    for key in keys {
        let default = || known.and_then(|known| known.field(key)?.default.as_ref());
        if let Some(value) = map.get(*key).or_else(default) {
            fields.push(((*key).to_owned(), Scalar::new(value)));
        }
    }
    if fields.is_empty() {
        let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
        let keys = keys.join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{keys}] \
             (and doesn't have default values for any key fields)"
        ));
    }
    fields.sort();
    Ok(Element::Key(fields))
}

fn in_set(item: &Value) -> Result<Element, String> {
    let text = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        _ => return Ok(Element::Value(Scalar::new(item))),
    };
    Err(text.to_owned())
}
