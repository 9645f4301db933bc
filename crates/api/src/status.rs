//! `Status`: how the API says that something failed (`meta/v1`, `apimachinery/pkg/api/errors`).

use serde_json::{Map, Value, json};

use crate::field::Problem;

/// A failed request's answer. [`Status::body`] is what goes on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason (`NotFound`); empty where Kubernetes sends none.
    pub reason: &'static str,
    /// The text for people.
    pub message: String,
    /// `details`, where the reason has them.
    pub details: Option<Value>,
}

impl Status {
    /// A status without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    /// With `details`.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody has proved who they are.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: `services "x" is forbidden: why`.
    pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let message = format!("{} is forbidden: {why}", subject(group, plural, name));
        Self::new(403, "Forbidden", message).with_details(details(group, plural, name))
    }

    /// 404: `services "x" not found`.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} not found", subject(group, plural, name));
        Self::new(404, "NotFound", message).with_details(details(group, plural, name))
    }

    /// 409: `services "x" already exists`.
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} already exists", subject(group, plural, name));
        Self::new(409, "AlreadyExists", message).with_details(details(group, plural, name))
    }

    /// 409: `Operation cannot be fulfilled on services "x": why`.
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let subject = subject(group, plural, name);
        let message = format!("Operation cannot be fulfilled on {subject}: {why}");
        Self::new(409, "Conflict", message).with_details(details(group, plural, name))
    }

    /// 410: the asked history is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 422: `Service "x" is invalid: …`, one cause per problem. The message says each text once; the
    /// causes are not de-duplicated.
    pub fn invalid(group: &str, kind: &str, name: &str, problems: &[Problem]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for text in problems.iter().map(ToString::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<Value> = problems.iter().map(cause).collect();
        let mut inner = names(group, kind, name);
        inner.insert("causes".into(), causes.into());
        let subject = subject(group, kind, name);
        Self::new(422, "Invalid", format!("{subject} is invalid: {list}"))
            .with_details(inner.into())
    }

    /// 500: `Internal error occurred: why`, with one cause without a field.
    pub fn internal(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
        .with_details(json!({"causes": [{"message": why}]}))
    }

    /// 500 with neither reason nor details, as Go errors without a type come out.
    pub fn untyped(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The JSON object on the wire.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}

fn subject(group: &str, plural: &str, name: &str) -> String {
    if group.is_empty() {
        format!("{plural} \"{name}\"")
    } else {
        format!("{plural}.{group} \"{name}\"")
    }
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    names(group, kind, name).into()
}

fn names(group: &str, kind: &str, name: &str) -> Map<String, Value> {
    let pairs = [("name", name), ("group", group), ("kind", kind)];
    let present = pairs.into_iter().filter(|(_, v)| !v.is_empty());
    present.map(|(k, v)| (k.to_owned(), v.into())).collect()
}

fn cause(problem: &Problem) -> Value {
    json!({
        "reason": problem.kind.reason(),
        "message": problem.message(),
        "field": problem.field.to_string(),
    })
}
