//! What form the client wants its answer in (`apiserver/pkg/endpoints/handlers/negotiation`).

use api::status::Status;
use serde_json::json;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) yaml: bool,
    pub(crate) shape: Shape,
}

/// What is told of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All.
    Whole,
    /// A row; the version of `meta.k8s.io`.
    Table(&'static str),
    /// Its metadata.
    Metadata(&'static str),
    /// The metadata of a list's objects.
    MetadataList(&'static str),
    /// Aggregated discovery.
    Discovery,
}

/// Which shapes an endpoint has, besides the whole object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offers {
    Objects,
    Discovery,
    Nothing,
}

/// JSON, and the whole object.
pub(crate) const PLAIN: Form = Form {
    yaml: false,
    shape: Shape::Whole,
};

/// What objects can be had as.
const OBJECTS: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// What a collection can be had as besides: streams of events.
const STREAMS: [&str; 2] = [
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];

/// The router's own look at the header, before anything is negotiated: it compares whole media types.
///
/// # Errors
/// 406, when a path has none of them.
pub(crate) fn check_route(accept: Option<&str>, collection: bool) -> Result<(), Status> {
    let known = |clause: &str| {
        let media_type = clause
            .split(';')
            .next()
            .unwrap_or_default()
            .trim_matches(' ');
        media_type == "*/*" || OBJECTS.contains(&media_type)
    };
    let accept = accept.filter(|text| !text.is_empty());
    if accept.is_none_or(|text| text.split(',').any(known)) {
        return Ok(());
    }
    let streams = if collection { &STREAMS[..] } else { &[] };
    let available = [&OBJECTS[..], streams].concat().join(", ");
    let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
    Err(Status::new(406, "NotAcceptable", message).with_details(json!({})))
}

/// The best form of the header that can be had.
///
/// # Errors
/// 406, when there is none.
pub(crate) fn negotiate(accept: Option<&str>, offers: Offers) -> Result<Form, Status> {
    let Some(accept) = accept.filter(|text| !text.is_empty()) else {
        return Ok(PLAIN);
    };
    let clauses = sorted(accept.split(',').filter_map(Clause::read).collect());
    let found = clauses.iter().find_map(|clause| form(clause, offers));
    found.ok_or_else(|| {
        let accepted = OBJECTS.join(", ");
        let message = format!("only the following media types are accepted: {accepted}");
        Status::new(406, "NotAcceptable", message)
    })
}

/// One of the header's media types.
struct Clause<'a> {
    kind: (&'a str, &'a str),
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let blank = |text: &'a str| text.trim_matches(' ');
        let (name, rest) = text.split_once(';').unwrap_or((text, ""));
        let kind = match blank(name).split_once('/') {
            None if blank(name) == "*" => ("*", "*"),
            Some((kind, sub)) if !sub.is_empty() && !sub.contains('/') => (blank(kind), blank(sub)),
            _ => return None,
        };
        let mut clause = Self {
            kind,
            quality: 1.0,
            parameters: Vec::new(),
        };
        let pairs = rest.split(';').filter_map(|part| part.split_once('='));
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty() && !value.contains('=')) {
            if blank(name) == "q" {
                clause.quality = value.parse().unwrap_or_default();
            } else {
                clause.parameters.push((blank(name), blank(value)));
            }
        }
        Some(clause)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let named = |(key, _): &&(&str, &str)| *key == name;
        self.parameters.iter().rfind(named).map(|(_, value)| *value)
    }

    fn goes_before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.kind.0 != "*" && other.kind.0 == "*")
            || (self.kind.1 != "*" && other.kind.1 == "*")
    }
}

/// Go's sort of few elements; the order is no total one, so the way matters.
fn sorted(mut clauses: Vec<Clause<'_>>) -> Vec<Clause<'_>> {
    for end in 1..clauses.len() {
        for at in (1..=end).rev() {
            if !clauses[at].goes_before(&clauses[at - 1]) {
                break;
            }
            clauses.swap(at, at - 1);
        }
    }
    clauses
}

fn form(clause: &Clause<'_>, offers: Offers) -> Option<Form> {
    let yaml = match clause.kind {
        ("application", "json" | "*") | ("*", "*") => false,
        ("application", "yaml") => true,
        _ => return None,
    };
    let value = |name: &str| clause.parameter(name);
    if value("stream").is_some_and(|stream| stream != "watch") || value("sv").is_some() {
        return None;
    }
    let converts = ["as", "g", "v"].iter().any(|name| value(name).is_some());
    let shape = match (value("as"), offers) {
        (None, _) if !converts => Shape::Whole,
        (Some("APIGroupDiscoveryList"), Offers::Discovery) => {
            let wanted = (value("g"), value("v")) == (Some("apidiscovery.k8s.io"), Some("v2"));
            wanted.then_some(Shape::Discovery)?
        }
        (Some(kind), Offers::Objects) if value("g") == Some("meta.k8s.io") => {
            let version = match value("v")? {
                "v1" => "v1",
                "v1beta1" => "v1beta1",
                _ => return None,
            };
            match kind {
                "Table" => Shape::Table(version),
                "PartialObjectMetadata" => Shape::Metadata(version),
                "PartialObjectMetadataList" => Shape::MetadataList(version),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Form { yaml, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_clause_that_can_be_had_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let cases = [
            (None, Some(Shape::Whole)),
            (Some("*/*"), Some(Shape::Whole)),
            (
                Some("application/vnd.kubernetes.protobuf,application/json"),
                Some(Shape::Whole),
            ),
            (Some(table), Some(Shape::Table("v1"))),
            (Some("application/json;as=Table;v=v2;g=meta.k8s.io"), None),
            (
                Some("application/json;as=Nothing;v=v1;g=meta.k8s.io, application/json"),
                Some(Shape::Whole),
            ),
            (Some("text/html"), None),
            (Some("application/json;as=Table"), None),
            (Some("application/json;stream=watch"), Some(Shape::Whole)),
        ];
        for (accept, want) in cases {
            let got = negotiate(accept, Offers::Objects)
                .ok()
                .map(|form| form.shape);
            assert_eq!(got, want, "{accept:?}");
        }
        assert!(negotiate(Some(table), Offers::Nothing).is_err());
    }
    #[test]
    fn what_has_more_quality_goes_first() {
        let yaml = |accept: &str| negotiate(Some(accept), Offers::Objects).unwrap().yaml;
        assert!(yaml("application/json;q=0.5,application/yaml;q=0.9"));
        assert!(yaml("*/*,application/yaml"));
        assert!(!yaml("application/json,application/yaml"));
    }

    #[test]
    fn the_router_compares_whole_media_types() {
        for accept in ["application/*", "text/html", "application/JSON", "json"] {
            let refused = check_route(Some(accept), true).unwrap_err();
            assert!(
                refused
                    .message
                    .ends_with(", application/vnd.kubernetes.protobuf;stream=watch")
            );
        }
        assert!(check_route(Some("image/png, application/json;as=X"), false).is_ok());
        assert!(check_route(None, false).is_ok());
    }
}
