//! A request's body into an object, with the whole text of the 400 that a bad one gets.

use serde_json::{Map, Value};

use super::read::{Reader, Start};
use super::table::{Definition, definition};
use super::{decode as typed, kinds, print, scan, yaml};
use crate::resource::Resource;
use crate::status::Status;

/// So much of a body that cannot be understood is quoted back.
const QUOTED: usize = 30;

/// The kind that a path expects.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Version in the group.
    pub version: &'a str,
    /// `Service`.
    pub kind: &'a str,
    /// `io.k8s.api.core.v1.Service`.
    pub definition: &'a str,
}

impl Kind<'_> {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        kinds::group_version(self.group, self.version)
    }
}

impl<'a> From<&'a Resource> for Kind<'a> {
    fn from(resource: &'a Resource) -> Self {
        Self {
            group: resource.group,
            version: resource.version,
            kind: resource.kind,
            definition: resource.definition,
        }
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// What becomes of unknown and repeated fields (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped, with a warning each.
    Warn,
    /// They are an error.
    Strict,
}

/// An object from a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object, canonical.
    pub object: Value,
    /// Texts for Warning headers.
    pub warnings: Vec<String>,
}

/// Decodes a body. Sets `kind` and `apiVersion`; sets no defaults.
pub fn decode(
    kind: &Kind<'_>,
    format: Format,
    body: &[u8],
    validation: Validation,
) -> Result<Decoded, Status> {
    match format {
        Format::Json => decode_json(kind, body, body, Vec::new(), validation),
        Format::Yaml => {
            let read = yaml::read(body)
                .map_err(|error| unrecognised(kind, yaml::plain_error(&error), body))?;
            let mut strict = read.repeated_texts();
            if validation == Validation::Strict && !strict.is_empty() {
                strict = vec![yaml::unmarshal_error(&strict)];
            }
            decode_json(kind, read.json().as_bytes(), body, strict, validation)
        }
        Format::Protobuf => decode_protobuf(kind, body),
    }
}

/// Decodes the JSON of a patched object; errors are the decoder's own texts. Gives the object and what is
/// unknown in it, when asked to look.
pub(crate) fn decode_patched(
    kind: &Kind<'_>,
    json: &[u8],
    strict: bool,
) -> Result<(Value, Vec<String>), String> {
    let meta = Meta::find(json, kind)?;
    let known = meta.definition(json)?;
    let (map, problems) = typed::decode(known, json, strict)?;
    meta.check_conversion(known, kind)?;
    let decoded = finish(kind, map, problems, Validation::Warn)?;
    Ok((decoded.object, decoded.warnings))
}

/// Decodes the body of a DELETE request.
pub fn decode_delete_options(format: Format, body: &[u8]) -> Result<Value, Status> {
    const OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    let default = Kind {
        group: "",
        version: "v1",
        kind: "DeleteOptions",
        definition: OPTIONS,
    };
    let decode = || -> Result<Value, String> {
        if format == Format::Protobuf {
            let (meta, value) = crate::protobuf::decode(body, |_| Some(OPTIONS.to_owned()))?;
            check_options_kind(&Meta::from_protobuf(&meta, &default)?)?;
            return Ok(value);
        }
        let json = match format {
            Format::Yaml => yaml::read(body)?.json(),
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        check_options_kind(&Meta::find(json.as_bytes(), &default)?)?;
        let known = definition(OPTIONS).ok_or("no schema of DeleteOptions")?;
        typed::decode(known, json.as_bytes(), false).map(|(map, _)| map.into())
    };
    decode().map_err(Status::bad_request)
}

/// DeleteOptions are registered in every group.
fn check_options_kind(meta: &Meta) -> Result<(), String> {
    if meta.kind == "DeleteOptions" && kinds::is_group(&meta.group) {
        return Ok(());
    }
    Err(not_registered_text(
        &meta.kind,
        &kinds::group_version(&meta.group, &meta.version),
    ))
}

fn decode_json(
    kind: &Kind<'_>,
    json: &[u8],
    body: &[u8],
    mut problems: Vec<String>,
    validation: Validation,
) -> Result<Decoded, Status> {
    let meta = Meta::find(json, kind).map_err(|error| unrecognised(kind, &error, body))?;
    let fail = |error: String| Status::bad_request(cannot_be_handled(&meta, kind, &error));
    let known = meta.definition(body).map_err(fail)?;
    let strict = validation != Validation::Ignore;
    let (map, found) = typed::decode(known, json, strict).map_err(fail)?;
    if !strict {
        problems.clear();
    }
    problems.extend(found);
    meta.check_conversion(known, kind).map_err(fail)?;
    let decoded = finish(kind, map, problems, validation).map_err(fail)?;
    meta.check_version(kind)?;
    Ok(decoded)
}

fn decode_protobuf(kind: &Kind<'_>, body: &[u8]) -> Result<Decoded, Status> {
    let find = |meta: &crate::protobuf::TypeMeta| {
        let meta = Meta::from_protobuf(meta, kind).ok()?;
        let known = meta.definition(body).ok()?;
        Some(known.name.to_owned())
    };
    let decoded = crate::protobuf::decode(body, find);
    let (found, value) = decoded.map_err(|error| unrecognised(kind, &error, body))?;
    let meta = Meta::from_protobuf(&found, kind);
    let meta = meta.map_err(|error| unrecognised(kind, &error, body))?;
    let fail = |error: String| Status::bad_request(cannot_be_handled(&meta, kind, &error));
    let known = meta.definition(body).map_err(fail)?;
    meta.check_conversion(known, kind).map_err(fail)?;
    let Value::Object(map) = value else {
        return Err(fail("unexpected EOF".to_owned()));
    };
    let decoded = finish(kind, map, Vec::new(), Validation::Ignore).map_err(fail)?;
    meta.check_version(kind)?;
    Ok(decoded)
}

/// Sets kind and version, and decides what becomes of the strict problems.
fn finish(
    kind: &Kind<'_>,
    mut map: Map<String, Value>,
    problems: Vec<String>,
    validation: Validation,
) -> Result<Decoded, String> {
    if validation == Validation::Strict && !problems.is_empty() {
        return Err(format!("strict decoding error: {}", problems.join(", ")));
    }
    map.insert("kind".to_owned(), kind.kind.into());
    map.insert("apiVersion".to_owned(), kind.api_version().into());
    Ok(Decoded {
        object: map.into(),
        warnings: problems,
    })
}

/// What a body says it is, with the path's kind for what it leaves out.
struct Meta {
    group: String,
    version: String,
    kind: String,
}

impl Meta {
    fn find(json: &[u8], default: &Kind<'_>) -> Result<Self, String> {
        let find = || -> Result<(String, String), String> {
            scan::check(json)?;
            find_kind(json)
        };
        let found = find();
        let (api_version, kind) = found
            .map_err(|error| format!("couldn't get version/kind; json parse error: {error}"))?;
        Self::new(&api_version, kind, default)
    }

    fn from_protobuf(meta: &crate::protobuf::TypeMeta, default: &Kind<'_>) -> Result<Self, String> {
        Self::new(&meta.api_version, meta.kind.clone(), default)
    }

    fn new(api_version: &str, kind: String, default: &Kind<'_>) -> Result<Self, String> {
        let (group, version) = split_version(api_version)?;
        let mut meta = Self {
            group,
            version,
            kind,
        };
        if meta.kind.is_empty() {
            default.kind.clone_into(&mut meta.kind);
        }
        let nothing = meta.version.is_empty() && meta.group.is_empty();
        if nothing || (meta.version.is_empty() && meta.group == default.group) {
            default.group.clone_into(&mut meta.group);
            default.version.clone_into(&mut meta.version);
        }
        Ok(meta)
    }

    fn definition(&self, body: &[u8]) -> Result<&'static Definition, String> {
        if self.version.is_empty() {
            let body = String::from_utf8_lossy(body);
            return Err(format!("Object 'apiVersion' is missing in '{body}'"));
        }
        let name = kinds::definition_of(&self.group, &self.version, &self.kind);
        let found = name.and_then(|name| definition(&name));
        found.ok_or_else(|| {
            let api_version = kinds::group_version(&self.group, &self.version);
            not_registered_text(&self.kind, &api_version)
        })
    }

    /// Whether the kind is the one that is expected, in whatever version.
    fn check_conversion(&self, known: &Definition, kind: &Kind<'_>) -> Result<(), String> {
        let ours = kinds::definition_of(kind.group, kind.version, kind.kind);
        if known.name == kind.definition || ours.as_deref() == Some(known.name) {
            return Ok(());
        }
        let (from, to) = (known.go_type, kinds::internal_type(kind.definition));
        Err(format!("converting ({from}) to ({to}): unknown conversion"))
    }

    fn check_version(&self, kind: &Kind<'_>) -> Result<(), Status> {
        if self.group == kind.group && self.version == kind.version {
            return Ok(());
        }
        let (found, expected) = (
            kinds::group_version(&self.group, &self.version),
            kind.api_version(),
        );
        Err(Status::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({expected})"
        )))
    }
}

/// Kind and version by Go's own decoder, which does not mind the case of names.
fn find_kind(json: &[u8]) -> Result<(String, String), String> {
    const GO_TYPE: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
                           Kind string \"json:\\\"kind,omitempty\\\"\" }";
    let mut reader = Reader::new(json);
    let (mut api_version, mut kind) = (String::new(), String::new());
    match reader.start() {
        Start::Object => {}
        Start::Null => return Ok((api_version, kind)),
        other => {
            let word = other.word();
            return Err(format!(
                "json: cannot unmarshal {word} into Go value of type {GO_TYPE}"
            ));
        }
    }
    let mut error = None;
    let mut inside = reader.enter();
    while inside {
        let key = reader.key();
        let (name, into) = match key.to_ascii_lowercase().as_str() {
            "apiversion" => ("apiVersion", &mut api_version),
            "kind" => ("kind", &mut kind),
            _ => {
                reader.raw();
                inside = reader.more();
                continue;
            }
        };
        match reader.start() {
            Start::String => *into = reader.string(),
            Start::Null => {
                reader.raw();
            }
            other => {
                reader.raw();
                let word = other.word();
                error.get_or_insert(format!(
                    "json: cannot unmarshal {word} into Go struct field .{name} of type string"
                ));
            }
        }
        inside = reader.more();
    }
    error.map_or(Ok((api_version, kind)), Err)
}

fn split_version(api_version: &str) -> Result<(String, String), String> {
    if api_version.is_empty() || api_version == "/" {
        return Ok((String::new(), String::new()));
    }
    let mut parts = api_version.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(version), None, _) => Ok((String::new(), version.to_owned())),
        (Some(group), Some(version), None) => Ok((group.to_owned(), version.to_owned())),
        _ => Err(format!("unexpected GroupVersion string: {api_version}")),
    }
}

pub(crate) fn not_registered_text(kind: &str, api_version: &str) -> String {
    format!(
        "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
        print::go_quote(kind),
        print::go_quote(api_version)
    )
}

fn cannot_be_handled(meta: &Meta, kind: &Kind<'_>, error: &str) -> String {
    let (found, version) = (&meta.kind, print::go_quote(&meta.version));
    let expected = kind.kind;
    format!("{found} in version {version} cannot be handled as a {expected}: {error}")
}

fn unrecognised(kind: &Kind<'_>, error: &str, body: &[u8]) -> Status {
    let (kind, body) = (kind.kind, summary(body));
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {error} ({body})"
    ))
}

/// The beginning of a body: as text where it looks like an object, else in hexadecimal digits.
fn summary(body: &[u8]) -> String {
    let head = &body[..body.len().min(QUOTED)];
    let text = match body.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(head).into_owned(),
        Some(_) => head.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > QUOTED {
        format!("{text} ...")
    } else {
        text
    }
}
