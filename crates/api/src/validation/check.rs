//! The small checks that kinds' rules are made of: a text that is needed, one of a closed list, a number
//! within limits.

use serde_json::Value;

use super::{json, labels, names};
use crate::field::{Path, Problem, Problems};

/// A text that may not be empty.
pub fn needed(object: &Value, member: &str, path: &Path) -> Problems {
    match json::text(object, &format!("/{member}")) {
        "" => vec![Problem::required(path.child(member), "")],
        _ => Problems::new(),
    }
}

/// A text out of a closed list, which may not be empty either.
pub fn one_of(value: &str, at: Path, supported: &[&str]) -> Problems {
    match value {
        "" => vec![Problem::required(at, "")],
        _ => known(value, at, supported),
    }
}

/// A text out of a closed list.
pub fn known(value: &str, at: Path, supported: &[&str]) -> Problems {
    if supported.contains(&value) {
        Problems::new()
    } else {
        vec![Problem::not_supported(at, value, supported)]
    }
}

/// A text out of a closed list, where it is set at all.
pub fn known_if_set(object: &Value, member: &str, path: &Path, supported: &[&str]) -> Problems {
    match object[member].as_str() {
        Some(value) => known(value, path.child(member), supported),
        None => Problems::new(),
    }
}

/// A number within limits, both included.
pub fn within(value: i64, at: &Path, min: i64, max: i64) -> Problems {
    let complaints = names::in_range(value, min, max).into_iter();
    let problem = |text| Problem::invalid(at.clone(), value, text);
    complaints.map(problem).collect()
}

/// As [`within`], for a member that may be missing.
pub fn within_if_set(object: &Value, member: &str, path: &Path, min: i64, max: i64) -> Problems {
    let value = object[member].as_i64();
    let check = |value| within(value, &path.child(member), min, max);
    value.map(check).unwrap_or_default()
}

/// What is said of a number below zero.
pub const NEGATIVE: &str = "must be greater than or equal to 0";
/// What is said of a number that has to be above zero.
pub const NOT_POSITIVE: &str = "must be greater than zero";

/// A number that is not below zero.
pub fn not_negative(object: &Value, member: &str, path: &Path) -> Problems {
    let value = json::integer(object, &format!("/{member}"));
    if value >= 0 {
        return Problems::new();
    }
    vec![Problem::invalid(path.child(member), value, NEGATIVE)]
}

/// A number above zero.
pub fn positive(value: i64, at: &Path) -> Problems {
    if value > 0 {
        return Problems::new();
    }
    vec![Problem::invalid(at.clone(), value, NOT_POSITIVE)]
}

/// A DNS label.
pub fn dns_label(value: &str, at: &Path) -> Problems {
    labels::invalid(at, value, names::dns_label(value))
}

/// A DNS subdomain.
pub fn dns_subdomain(value: &str, at: &Path) -> Problems {
    labels::invalid(at, value, names::dns_subdomain(value))
}

/// A qualified name.
pub fn qualified_name(value: &str, at: &Path) -> Problems {
    labels::invalid(at, value, names::qualified_name(value))
}

/// A port, by number or by name.
pub fn port(value: &Value, at: &Path) -> Problems {
    match value {
        Value::String(name) => labels::invalid(at, name, names::port_name(name)),
        number => within(number.as_i64().unwrap_or(0), at, 1, 65_535),
    }
}

/// A path without `..` in it.
pub fn no_backsteps(value: &str, at: &Path) -> Problems {
    if value.split('/').any(|part| part == "..") {
        return vec![Problem::invalid(at.clone(), value, "must not contain '..'")];
    }
    Problems::new()
}

/// A relative path without `..` in it.
pub fn descending_path(value: &str, at: &Path) -> Problems {
    let mut problems = Problems::new();
    if value.starts_with('/') {
        problems.push(Problem::invalid(
            at.clone(),
            value,
            "must be a relative path",
        ));
    }
    problems.extend(no_backsteps(value, at));
    problems
}

/// As [`descending_path`], and not beginning with two dots, which the node keeps for itself.
pub fn free_path(value: &str, at: &Path) -> Problems {
    let mut problems = descending_path(value, at);
    if value.starts_with("..") && !value.starts_with("../") {
        problems.push(Problem::invalid(
            at.clone(),
            value,
            "must not start with '..'",
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(problems: &Problems) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_text_is_missing_and_another_one_unknown() {
        let at = Path::new("f");
        assert_eq!(told(&one_of("", at.clone(), &["a"])), ["f: Required value"]);
        let unknown = one_of("b", at.clone(), &["a", "c"]);
        assert_eq!(
            told(&unknown),
            ["f: Unsupported value: \"b\": supported values: \"a\", \"c\""]
        );
        assert!(one_of("a", at, &["a"]).is_empty());
    }

    #[test]
    fn numbers_have_limits() {
        let (object, path) = (json!({"n": -1}), Path::new("p"));
        assert_eq!(
            told(&not_negative(&object, "n", &path)),
            [format!("p.n: Invalid value: -1: {NEGATIVE}")]
        );
        assert!(not_negative(&object, "m", &path).is_empty());
        let found = within_if_set(&object, "n", &path, 0, 9);
        assert_eq!(
            told(&found),
            ["p.n: Invalid value: -1: must be between 0 and 9, inclusive"]
        );
        assert_eq!(
            told(&positive(0, &path)),
            [format!("p: Invalid value: 0: {NOT_POSITIVE}")]
        );
    }

    #[test]
    fn paths_stay_where_they_are() {
        let at = Path::new("f");
        let cases = [
            ("a/b", 0),
            ("/a", 1),
            ("a/../b", 1),
            ("/..", 2),
            ("..a", 1),
            ("..", 2),
        ];
        for (path, count) in cases {
            assert_eq!(free_path(path, &at).len(), count, "{path}");
        }
    }
}
