//! What an Event may say (`apis/core/validation/events.go`).

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{present, text};

const MAX_NAME: usize = 128;
const MAX_MESSAGE: usize = 1_024;
const ELSEWHERE: &str = "does not match event.namespace";

/// Problems of an Event of the core group: new ones have an `eventTime` and are held to more.
pub(super) fn core(event: &Value) -> Problems {
    let namespace = text(event, "/metadata/namespace");
    let about = text(event, "/involvedObject/namespace");
    let is_new = present(event, "/eventTime");
    let fits = match about {
        "" if is_new => matches!(namespace, "default" | "kube-system"),
        "" => matches!(namespace, "" | "default"),
        _ => is_new || about == namespace,
    };
    let mut problems = Problems::new();
    if !fits {
        let at = Path::new("involvedObject.namespace");
        problems.push(Problem::invalid(at, about, ELSEWHERE));
    }
    if is_new {
        problems.extend(reported(event));
    }
    problems.extend(check::dns_subdomain(namespace, &Path::new("namespace")));
    problems
}

fn reported(event: &Value) -> Problems {
    let whole = Path::default();
    let mut problems = check::needed(event, "reportingComponent", &whole);
    let component = text(event, "/reportingComponent");
    problems.extend(check::qualified_name(
        component,
        &Path::new("reportingComponent"),
    ));
    for member in ["reportingInstance", "action", "reason"] {
        problems.extend(check::needed(event, member, &whole));
        problems.extend(too_long(event, member, MAX_NAME));
    }
    problems.extend(too_long(event, "message", MAX_MESSAGE));
    problems
}

fn too_long(event: &Value, member: &str, limit: usize) -> Option<Problem> {
    let words = format!("can have at most {limit} characters");
    let long = text(event, &format!("/{member}")).len() > limit;
    long.then(|| Problem::invalid(Path::new(member), "", words))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::core;

    fn told(event: &Value) -> Vec<String> {
        core(event).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_old_event_is_where_its_object_is() {
        let of = |place: &str| json!({"metadata": {"namespace": "n"}, "involvedObject": {"namespace": place}});
        assert!(told(&of("n")).is_empty());
        let wanted =
            "involvedObject.namespace: Invalid value: \"m\": does not match event.namespace";
        assert_eq!(told(&of("m")), [wanted]);
    }

    #[test]
    fn a_new_event_says_who_reports_what() {
        let time = "2020-01-01T00:00:00.000000Z";
        let event = json!({"metadata": {"namespace": "n"}, "involvedObject": {"namespace": "n"}, "eventTime": time,
            "reason": "x".repeat(129)});
        let wanted = [
            "reportingComponent: Required value",
            "reportingComponent: Invalid value: \"\": name part must be non-empty",
            "reportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or \
             '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \
             regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "reportingInstance: Required value",
            "action: Required value",
            "reason: Invalid value: \"\": can have at most 128 characters",
        ];
        assert_eq!(told(&event), wanted);
    }
}
