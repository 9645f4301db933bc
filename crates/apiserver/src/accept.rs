//! What form the client wants its answer in (`apiserver/pkg/endpoints/handlers/negotiation`).

use api::status::Status;

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

/// The first form of the header that can be had.
///
/// # Errors
/// 406, when there is none.
pub(crate) fn negotiate(accept: Option<&str>, offers: Offers) -> Result<Form, Status> {
    let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else {
        return Ok(PLAIN);
    };
    let found = accept.split(',').find_map(|clause| form(clause, offers));
    found.ok_or_else(|| {
        let message = "only the following media types are accepted: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf";
        Status::new(406, "NotAcceptable", message)
    })
}

fn form(clause: &str, offers: Offers) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    let yaml = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/json" | "application/*" | "*/*" => false,
        "application/yaml" => true,
        _ => return None,
    };
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let value = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, v)| *v)
    };
    let shape = match (value("as"), offers) {
        (None, _) => Shape::Whole,
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
                "PartialObjectMetadata" | "PartialObjectMetadataList" => Shape::Metadata(version),
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
        ];
        for (accept, want) in cases {
            let got = negotiate(accept, Offers::Objects)
                .ok()
                .map(|form| form.shape);
            assert_eq!(got, want, "{accept:?}");
        }
        assert!(negotiate(Some(table), Offers::Nothing).is_err());
    }
}
