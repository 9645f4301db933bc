//! Numbers that may be a share, such as `25%` (`apps/validation`).

use serde_json::Value;

use super::names;
use crate::field::{Path, Problem, Problems};

/// Problems of a number or share that may not be negative, nor more than 100%.
pub fn problems(value: &Value, at: &Path) -> Problems {
    let mut problems = well_formed(value, at);
    if share(value).is_some_and(|share| share > 100) {
        let words = "must not be greater than 100%";
        problems.push(Problem::invalid(at.clone(), value.clone(), words));
    }
    problems
}

fn well_formed(value: &Value, at: &Path) -> Problems {
    let invalid = |words: String| Problem::invalid(at.clone(), value.clone(), words);
    match value {
        Value::String(text) => names::percent(text).into_iter().map(invalid).collect(),
        Value::Number(number) if number.as_i64().unwrap_or_default() < 0 => {
            vec![invalid("must be greater than or equal to 0".to_owned())]
        }
        _ => Problems::new(),
    }
}

/// The number before the `%`.
fn share(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    names::percent(text).is_empty().then_some(())?;
    text.trim_end_matches('%').parse().ok()
}

/// Whether it comes to nothing, whatever it is a share of.
pub fn is_zero(value: &Value) -> bool {
    value.as_i64().or_else(|| share(value)).unwrap_or_default() == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_shares_are_checked() {
        let cases = [
            (json!(3), 0, false),
            (json!(0), 0, true),
            (json!(-1), 1, false),
            (json!("25%"), 0, false),
            (json!("0%"), 0, true),
            (json!("101%"), 1, false),
            (json!("x"), 1, true),
        ];
        for (value, count, zero) in cases {
            assert_eq!(problems(&value, &Path::new("x")).len(), count, "{value}");
            assert_eq!(is_zero(&value), zero, "{value}");
        }
    }
}
