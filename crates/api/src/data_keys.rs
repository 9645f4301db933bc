//! What ConfigMaps and Secrets share: named pieces of data, which may be frozen.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::validation::json::{boolean, pairs};
use crate::validation::labels::invalid;
use crate::validation::names;

/// All data together may not have more bytes than this.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// Problems of the keys below a member.
pub(crate) fn keys(object: &Value, member: &str) -> Problems {
    let path = Path::new(member);
    let members = pairs(object, &format!("/{member}"));
    let of = |(key, _): &(&str, &str)| invalid(&path.key(key), key, names::config_map_key(key));
    members.iter().flat_map(of).collect()
}

/// The bytes of a map's values; `encoded` ones are base64.
pub(crate) fn size(object: &Value, member: &str, encoded: bool) -> usize {
    let values = pairs(object, &format!("/{member}")).into_iter();
    let length = |(_, value): (&str, &str)| match encoded {
        true => value.len() / 4 * 3 - value.bytes().rev().take_while(|b| *b == b'=').count(),
        false => value.len(),
    };
    values.map(length).sum()
}

/// Problems of changing what `immutable` has frozen.
pub(crate) fn frozen(new: &Value, old: &Value, members: &[&str]) -> Problems {
    let is_frozen = |object: &Value| boolean(object, "/immutable") == Some(true);
    if !is_frozen(old) {
        return Problems::new();
    }
    let thawed = (!is_frozen(new)).then_some("immutable");
    let changed = members
        .iter()
        .copied()
        .filter(|member| new[*member] != old[*member]);
    let words = "field is immutable when `immutable` is set";
    let problem = |member: &str| Problem::forbidden(Path::new(member), words);
    thawed.into_iter().chain(changed).map(problem).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{frozen, keys};

    #[test]
    fn keys_are_file_names_and_frozen_data_stays() {
        assert_eq!(
            keys(&json!({"data": {"a b": "", "ok.txt": ""}}), "data").len(),
            1
        );
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let new = json!({"data": {"a": "2"}});
        let found: Vec<String> = frozen(&new, &old, &["data"])
            .iter()
            .map(|p| p.field.to_string())
            .collect();
        assert_eq!(found, ["immutable", "data"]);
        assert!(frozen(&old, &new, &["data"]).is_empty());
    }
}
