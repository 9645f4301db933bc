//! Questions that are asked by creating them: may I, and who am I (`authorization.k8s.io`, `authentication.k8s.io`).

use api::schema::{Kind, Validation};
use api::status::Status;
use http::Method;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::accept::{Offers, negotiate};
use crate::api_state::{Api, now};
use crate::call::Call;
use crate::decode;
use crate::dispatch::method_not_allowed;
use crate::identity::Identity;
use crate::reply::Reply;
use crate::routes::Asked;

/// A kind that is only ever created, and answered at once.
pub(crate) struct Question {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) namespaced: bool,
    definition: &'static str,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// The groups that hold them.
pub(crate) const GROUPS: [&str; 2] = [AUTHENTICATION, AUTHORIZATION];

/// All of them.
pub(crate) const KINDS: &[Question] = &[
    Question {
        group: AUTHENTICATION,
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        namespaced: false,
        definition: "io.k8s.api.authentication.v1.SelfSubjectReview",
    },
    Question {
        group: AUTHORIZATION,
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        namespaced: true,
        definition: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    },
    Question {
        group: AUTHORIZATION,
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        namespaced: false,
        definition: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    },
    Question {
        group: AUTHORIZATION,
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        namespaced: false,
        definition: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    },
    Question {
        group: AUTHORIZATION,
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        namespaced: false,
        definition: "io.k8s.api.authorization.v1.SubjectAccessReview",
    },
];

/// Its line in discovery.
pub(crate) fn entry(question: &Question) -> Value {
    json!({
        "name": question.plural, "singularName": question.kind.to_ascii_lowercase(),
        "namespaced": question.namespaced, "kind": question.kind, "verbs": ["create"],
    })
}

/// Everybody who is known may ask about themselves.
pub(crate) fn is_about_oneself(asked: &Asked) -> bool {
    GROUPS.contains(&asked.group.as_str()) && asked.resource.starts_with("selfsubject")
}

/// Answers, if this is one of the questions.
pub(crate) fn serve(_api: &Api, call: &Call, asked: &Asked) -> Result<Option<Reply>, Status> {
    let ours =
        |question: &&Question| question.group == asked.group && question.plural == asked.resource;
    let Some(question) = KINDS.iter().find(ours).filter(|_| asked.name.is_empty()) else {
        return Ok(None);
    };
    if call.method != Method::POST || asked.version != "v1" {
        return Err(method_not_allowed());
    }
    // An answer is no object of a table, and has no metadata to show alone.
    let form = negotiate(call.header(ACCEPT), Offers::Nothing)?;
    let kind = Kind {
        group: question.group,
        version: "v1",
        kind: question.kind,
        definition: question.definition,
    };
    let mut object = if call.body.is_empty() {
        json!({"kind": question.kind, "apiVersion": format!("{}/v1", question.group), "metadata": {}})
    } else {
        decode::kind(call, &kind, Validation::Warn)?
    };
    answer(question, &call.identity, &mut object);
    let json = object.to_string().into();
    Ok(Some(Reply::either(201, form.yaml, json)))
}

fn answer(question: &Question, identity: &Identity, object: &mut Value) {
    match question.plural {
        "selfsubjectreviews" => {
            object["metadata"] = json!({ "creationTimestamp": now() });
            object["status"] =
                json!({"userInfo": {"username": identity.name, "groups": identity.groups}});
        }
        "selfsubjectrulesreviews" => object["status"] = rules(identity),
        "selfsubjectaccessreviews" => object["status"] = decision(identity.may_do_all()),
        _ => {
            let groups = object["spec"]["groups"].as_array();
            let master = groups.is_some_and(|groups| groups.iter().any(|g| g == "system:masters"));
            object["status"] = decision(master);
        }
    }
}

fn decision(allowed: bool) -> Value {
    json!({ "allowed": allowed })
}

fn rules(identity: &Identity) -> Value {
    let (mut resource_rules, mut other_rules) = (Vec::new(), Vec::new());
    if identity.may_do_all() {
        resource_rules.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        other_rules.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    other_rules.push(json!({"verbs": ["get"], "nonResourceURLs": public}));
    json!({
        "resourceRules": resource_rules, "nonResourceRules": other_rules, "incomplete": false,
    })
}
