//! The schema table: what Go's types and the real server's OpenAPI say about every struct of a served kind.
//!
//! `schema/table.tsv` is made by `schema/generate.sh`. A line without indent is a struct: its name in
//! OpenAPI, its Go type, and `atomic` where apply treats it as one value. An indented line is a field: its
//! JSON name (or `<` and the Go name of an embedded struct, whose fields JSON shows as the outer one's), its
//! type, its protobuf number and its facts, blank-separated:
//!
//! | fact | meaning |
//! |---|---|
//! | `o`, `z`, `r` | `omitempty`, `omitzero`, required |
//! | `l=map\|port\|protocol` | list type and keys |
//! | `m=atomic` | map type |
//! | `k=port`, `p=merge\|retainKeys` | patch merge key and strategies |
//! | `d="TCP"`, `e=A\|B`, `i=A\|B` | default, values of an enum, of a list's members |
//!
//! Types: `s` string, `b` bool, `i` int32, `l` int64, `y` bytes, `Q` Quantity, `I` IntOrString, `T` Time,
//! `M` MicroTime, `F` FieldsV1, `R` RawExtension; `*`, `[`, `{` before an element: pointer, list, map; a
//! Go type that is not spelled so follows in brackets; anything else is a struct's name.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

/// The table as it is committed.
pub(crate) const TEXT: &str = include_str!("../../schema/table.tsv");

/// A struct.
#[derive(Debug)]
pub struct Definition {
    /// `io.k8s.api.core.v1.ServicePort`.
    pub name: &'static str,
    /// `v1.ServicePort`, as Go's messages spell it.
    pub go_type: &'static str,
    /// Apply owns it as a whole.
    pub atomic: bool,
    /// The fields as declared, embedded structs as one.
    pub members: Vec<Field>,
    /// The fields as JSON has them, in Go's printing order: member, and in an embedded one its member.
    flat: Vec<(usize, Option<usize>)>,
    /// Positions in `flat` by JSON name.
    by_name: BTreeMap<&'static str, usize>,
}

/// A field of a struct.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON; of an embedded struct, its Go name.
    pub name: &'static str,
    /// Whether it is an embedded struct.
    pub embedded: bool,
    /// What it holds.
    pub ty: Type,
    /// Its number in protobuf; 0 where it has none.
    pub tag: u32,
    /// Not printed when empty (Go's `omitempty`, which does nothing for structs).
    pub omit_empty: bool,
    /// Not printed when zero, structs included.
    pub omit_zero: bool,
    /// OpenAPI demands it.
    pub required: bool,
    /// How apply treats a list.
    pub list: ListKind,
    /// Whether OpenAPI says how; it need not where the list is atomic.
    pub list_is_told: bool,
    /// Apply owns a map or struct here as a whole.
    pub atomic_map: bool,
    /// Strategic merge: the key by which members of a list are matched.
    pub merge_key: &'static str,
    /// Strategic merge: members are merged instead of the list being replaced.
    pub merge: bool,
    /// Strategic merge: `$retainKeys` is understood.
    pub retain_keys: bool,
    /// OpenAPI's default.
    pub default: Option<Value>,
    /// The values of an enum.
    pub values: Vec<&'static str>,
    /// The values of a list's members.
    pub element_values: Vec<&'static str>,
}

/// How apply treats a list.
#[derive(Debug, PartialEq, Eq)]
pub enum ListKind {
    /// As one value.
    Atomic,
    /// Each value is owned by itself.
    Set,
    /// Members are owned by their keys.
    Map(Vec<&'static str>),
}

/// What a field holds.
#[derive(Debug)]
pub enum Type {
    /// A string, with its Go type.
    String(&'static str),
    /// A bool, with its Go type.
    Bool(&'static str),
    /// An int32, with its Go type.
    Int32(&'static str),
    /// An int64, with its Go type.
    Int64(&'static str),
    /// Bytes, base64 in JSON.
    Bytes,
    /// `resource.Quantity`.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// `metav1.Time`.
    Time,
    /// `metav1.MicroTime`.
    MicroTime,
    /// A set of field paths.
    FieldsV1,
    /// Any JSON.
    Raw,
    /// A struct, by its position in the table.
    Struct(usize),
    /// A pointer, which may be null.
    Pointer(Box<Type>),
    /// A list, with its Go type where it has a name.
    List(Box<Type>, Option<&'static str>),
    /// A map from strings, with its Go type where it is not plain.
    Map(Box<Type>, Option<&'static str>),
}

/// The struct of that name.
pub fn definition(name: &str) -> Option<&'static Definition> {
    let table = table();
    table
        .by_name
        .get(name)
        .map(|&position| &table.definitions[position])
}

impl Definition {
    /// `ServicePort`: the Go type without its package.
    pub fn go_name(&self) -> &'static str {
        self.go_type.rsplit('.').next().unwrap_or(self.go_type)
    }

    /// The field of that JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|position| self.field_at(position))
    }

    /// Where a field of that JSON name stands among [`Definition::fields`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The field at that position.
    pub fn field_at(&self, position: usize) -> &Field {
        match self.flat[position] {
            (outer, None) => &self.members[outer],
            (outer, Some(inner)) => &self.members[outer].embedded_definition().members[inner],
        }
    }

    /// The Go name of the embedded struct that brings the field at that position.
    pub fn embedded_at(&self, position: usize) -> Option<&'static str> {
        let (outer, inner) = self.flat[position];
        inner.map(|_| self.members[outer].name)
    }

    /// The fields as JSON has them, in Go's printing order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        (0..self.flat.len()).map(|position| self.field_at(position))
    }
}

impl Field {
    fn embedded_definition(&self) -> &'static Definition {
        self.ty
            .definition()
            .expect("an embedded field of the table is a struct")
    }
}

impl Type {
    /// The struct, also behind a pointer.
    pub fn definition(&self) -> Option<&'static Definition> {
        match self {
            Self::Struct(position) => Some(&table().definitions[*position]),
            Self::Pointer(inner) => inner.definition(),
            _ => None,
        }
    }

    /// The type behind pointers.
    pub fn target(&self) -> &Self {
        match self {
            Self::Pointer(inner) => inner.target(),
            other => other,
        }
    }

    /// The element's type of a list or map.
    pub fn element(&self) -> Option<&Self> {
        match self.target() {
            Self::List(element, _) | Self::Map(element, _) => Some(element),
            _ => None,
        }
    }

    /// As Go's messages spell it.
    pub fn go_type(&self) -> String {
        match self {
            Self::String(name) | Self::Bool(name) | Self::Int32(name) | Self::Int64(name) => {
                (*name).to_owned()
            }
            Self::Bytes => "[]uint8".to_owned(),
            Self::Quantity => "resource.Quantity".to_owned(),
            Self::IntOrString => "intstr.IntOrString".to_owned(),
            Self::Time => "v1.Time".to_owned(),
            Self::MicroTime => "v1.MicroTime".to_owned(),
            Self::FieldsV1 => "v1.FieldsV1".to_owned(),
            Self::Raw => "runtime.RawExtension".to_owned(),
            Self::Struct(position) => table().definitions[*position].go_type.to_owned(),
            Self::Pointer(inner) => format!("*{}", inner.go_type()),
            Self::List(_, Some(name)) | Self::Map(_, Some(name)) => (*name).to_owned(),
            Self::List(element, None) => format!("[]{}", element.go_type()),
            Self::Map(element, None) => format!("map[string]{}", element.go_type()),
        }
    }
}

struct Table {
    definitions: Vec<Definition>,
    by_name: BTreeMap<&'static str, usize>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| parse(TEXT))
}

fn parse(text: &'static str) -> Table {
    let heads = text.lines().filter(|line| !line.starts_with('\t'));
    let by_name: BTreeMap<&str, usize> = heads
        .enumerate()
        .map(|(position, line)| (column(line, 0), position))
        .collect();
    let mut definitions: Vec<Definition> = Vec::with_capacity(by_name.len());
    for line in text.lines() {
        if let Some(field) = line.strip_prefix('\t') {
            let last = definitions.last_mut();
            let last = last.expect("the table begins with a struct");
            last.members.push(parse_field(field, &by_name));
        } else {
            definitions.push(parse_head(line));
        }
    }
    for position in 0..definitions.len() {
        let flat = flatten(&definitions, position);
        let names = flat.iter().enumerate().map(|(index, &(outer, inner))| {
            let member = &definitions[position].members[outer];
            let name = match inner {
                None => member.name,
                Some(inner) => embedded(&definitions, member).members[inner].name,
            };
            (name, index)
        });
        definitions[position].by_name = names.collect();
        definitions[position].flat = flat;
    }
    Table {
        definitions,
        by_name,
    }
}

fn flatten(definitions: &[Definition], position: usize) -> Vec<(usize, Option<usize>)> {
    let mut flat = Vec::new();
    for (outer, member) in definitions[position].members.iter().enumerate() {
        if member.embedded {
            let inner = 0..embedded(definitions, member).members.len();
            flat.extend(inner.map(|inner| (outer, Some(inner))));
        } else {
            flat.push((outer, None));
        }
    }
    flat
}

fn embedded<'t>(definitions: &'t [Definition], member: &Field) -> &'t Definition {
    let Type::Struct(position) = member.ty.target() else {
        panic!("the embedded field {} is no struct", member.name)
    };
    &definitions[*position]
}

fn parse_head(line: &'static str) -> Definition {
    Definition {
        name: column(line, 0),
        go_type: column(line, 1),
        atomic: column(line, 2) == "atomic",
        members: Vec::new(),
        flat: Vec::new(),
        by_name: BTreeMap::new(),
    }
}

fn parse_field(line: &'static str, structs: &BTreeMap<&str, usize>) -> Field {
    let name = column(line, 0);
    let mut field = Field {
        name: name.strip_prefix('<').unwrap_or(name),
        embedded: name.starts_with('<'),
        ty: parse_type(column(line, 1), structs),
        tag: column(line, 2).parse().unwrap_or(0),
        omit_empty: false,
        omit_zero: false,
        required: false,
        list: ListKind::Atomic,
        list_is_told: false,
        atomic_map: false,
        merge_key: "",
        merge: false,
        retain_keys: false,
        default: None,
        values: Vec::new(),
        element_values: Vec::new(),
    };
    for fact in column(line, 3).split(' ') {
        add_fact(&mut field, fact);
    }
    field
}

fn add_fact(field: &mut Field, fact: &'static str) {
    let (letter, value) = fact.split_once('=').unwrap_or((fact, ""));
    match letter {
        "o" => field.omit_empty = true,
        "z" => field.omit_zero = true,
        "r" => field.required = true,
        "l" => {
            field.list = list_kind(value);
            field.list_is_told = true;
        }
        "m" => field.atomic_map = value == "atomic",
        "k" => field.merge_key = value,
        "p" => {
            field.merge = value.split('|').any(|one| one == "merge");
            field.retain_keys = value.split('|').any(|one| one == "retainKeys");
        }
        "d" => field.default = serde_json::from_str(value).ok(),
        "e" => field.values = value.split('|').collect(),
        "i" => field.element_values = value.split('|').collect(),
        _ => {}
    }
}

fn list_kind(value: &'static str) -> ListKind {
    let mut parts = value.split('|');
    match parts.next() {
        Some("set") => ListKind::Set,
        Some("map") => ListKind::Map(parts.collect()),
        _ => ListKind::Atomic,
    }
}

fn parse_type(text: &'static str, structs: &BTreeMap<&str, usize>) -> Type {
    let boxed = |rest| Box::new(parse_type(rest, structs));
    if let Some(&position) = structs.get(text) {
        return Type::Struct(position);
    }
    let (head, rest) = text.split_at(1);
    match head {
        "*" => Type::Pointer(boxed(rest)),
        "[" => {
            let (name, element) = go_name(rest);
            Type::List(boxed(element), name)
        }
        "{" => {
            let (name, element) = go_name(rest);
            Type::Map(boxed(element), name)
        }
        "s" => Type::String(go_name(rest).0.unwrap_or("string")),
        "b" => Type::Bool(go_name(rest).0.unwrap_or("bool")),
        "i" => Type::Int32(go_name(rest).0.unwrap_or("int32")),
        "l" => Type::Int64(go_name(rest).0.unwrap_or("int64")),
        "y" => Type::Bytes,
        "Q" => Type::Quantity,
        "I" => Type::IntOrString,
        "T" => Type::Time,
        "M" => Type::MicroTime,
        "F" => Type::FieldsV1,
        "R" => Type::Raw,
        _ => panic!("the schema table has a type {text} that nothing explains"),
    }
}

/// The Go type in brackets, and what follows it.
fn go_name(text: &'static str) -> (Option<&'static str>, &'static str) {
    let inside = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    inside.map_or((None, text), |(name, rest)| (Some(name), rest))
}

fn column(line: &'static str, index: usize) -> &'static str {
    line.split('\t').nth(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_knows_its_facts() {
        let spec = definition("io.k8s.api.core.v1.ServiceSpec").unwrap();
        let ports = spec.field("ports").unwrap();
        assert_eq!(ports.list, ListKind::Map(vec!["port", "protocol"]));
        assert_eq!((ports.merge_key, ports.merge, ports.tag), ("port", true, 1));
        assert_eq!(ports.ty.go_type(), "[]v1.ServicePort");
        let port = ports.ty.element().unwrap().definition().unwrap();
        assert_eq!(port.go_name(), "ServicePort");
        let protocol = port.field("protocol").unwrap();
        assert_eq!(protocol.default, Some("TCP".into()));
        assert_eq!(protocol.ty.go_type(), "v1.Protocol");
        assert!(spec.field("selector").unwrap().atomic_map);
    }

    #[test]
    fn fields_of_embedded_structs_are_found_under_the_outer_one() {
        let volume = definition("io.k8s.api.core.v1.Volume").unwrap();
        let position = volume.position("emptyDir").unwrap();
        assert_eq!(volume.embedded_at(position), Some("VolumeSource"));
        assert_eq!(volume.field_at(position).name, "emptyDir");
        let kind = definition("io.k8s.api.core.v1.Pod").unwrap().fields();
        let names: Vec<&str> = kind.map(|field| field.name).collect();
        assert_eq!(names, ["kind", "apiVersion", "metadata", "spec", "status"]);
    }

    #[test]
    fn every_struct_that_is_named_is_in_the_table() {
        for one in &table().definitions {
            for field in one.fields() {
                assert!(!field.ty.go_type().is_empty(), "{}", one.name);
            }
        }
    }
}
