//! What names, label keys and label values may look like, in the words of `apimachinery/pkg/util/validation`.
//!
//! Each check returns the texts of what is wrong; none means that all is well.

/// RFC 1123 label: `my-name`, `123-abc`.
pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut texts = longer_than(value, 63);
    if !is_lower_label(value) {
        texts.push(if is_lower_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '{LABEL}')"
            )
        });
    }
    texts
}

/// RFC 1123 subdomain: `example.com`.
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut texts = longer_than(value, 253);
    if !is_lower_subdomain(value) {
        texts.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '{LABEL}(\\.{LABEL})*')"
        ));
    }
    texts
}

/// RFC 1035 label: as the RFC 1123 one, but it starts with a letter.
pub fn is_dns1035_label(value: &str) -> Vec<String> {
    let mut texts = longer_than(value, 63);
    if !is_lower_label(value) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        texts.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
             validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    texts
}

/// A label's or annotation's key, or a finalizer: `name`, `example.com/name`.
pub fn is_qualified_name(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let name = match *value.split('/').collect::<Vec<_>>() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                texts.push("prefix part must be non-empty".to_owned());
            } else {
                let problems = prefix_problems(prefix);
                texts.extend(problems.iter().map(|text| format!("prefix part {text}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        texts.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        texts.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_word(name) {
        texts.push(format!("name part {QUALIFIED}"));
    }
    texts
}

/// A label's value.
pub fn is_label_value(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    if value.len() > 63 {
        texts.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_word(value) {
        texts.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    texts
}

/// What fits into one segment of a path.
pub fn is_path_segment_name(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    let forbidden = ["/", "%"].into_iter().filter(|part| value.contains(part));
    forbidden
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn longer_than(value: &str, limit: usize) -> Vec<String> {
    if value.len() > limit {
        vec![format!("must be no more than {limit} characters")]
    } else {
        Vec::new()
    }
}

/// The newer `validate/content` package counts bytes in its texts.
fn prefix_problems(prefix: &str) -> Vec<String> {
    let texts = is_dns1123_subdomain(prefix).into_iter();
    texts
        .map(|text| text.replace("253 characters", "253 bytes"))
        .collect()
}

fn is_lower_subdomain(value: &str) -> bool {
    value.split('.').all(is_lower_label)
}

fn is_lower_label(value: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    framed(value, plain) && value.bytes().all(|c| plain(c) || c == b'-')
}

fn is_word(value: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric();
    framed(value, plain) && value.bytes().all(|c| plain(c) || b"-_.".contains(&c))
}

fn framed(value: &str, plain: impl Fn(u8) -> bool) -> bool {
    let ends = value.bytes().next().into_iter().chain(value.bytes().last());
    !value.is_empty() && ends.into_iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let cases: &[(&str, [bool; 4])] = &[
            // value, label, subdomain, 1035, qualified
            ("a", [true, true, true, true]),
            ("1a", [true, true, false, true]),
            ("a.b", [false, true, false, true]),
            ("a-", [false, false, false, false]),
            ("A", [false, false, false, true]),
            ("x.io/a_b", [false, false, false, true]),
            ("/a", [false, false, false, false]),
            ("a/b/c", [false, false, false, false]),
            ("", [false, false, false, false]),
        ];
        for (value, want) in cases {
            let got = [
                is_dns1123_label(value).is_empty(),
                is_dns1123_subdomain(value).is_empty(),
                is_dns1035_label(value).is_empty(),
                is_qualified_name(value).is_empty(),
            ];
            assert_eq!(&got, want, "{value:?}");
        }
    }

    #[test]
    fn a_label_value_may_be_empty_and_has_63_bytes_at_most() {
        assert!(is_label_value("").is_empty());
        assert!(is_label_value(&"v".repeat(63)).is_empty());
        assert_eq!(
            is_label_value(&"v".repeat(64)),
            ["must be no more than 63 bytes"]
        );
    }
}
