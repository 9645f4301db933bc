//! Names, keys and numbers: which texts Kubernetes accepts, and its words for those it does not.
//!
//! Every check returns the texts of its complaints; none means that the value is fine. Lengths are counted
//! in bytes whatever the text calls them, as upstream does.

/// A kind's rule for names; the flag says that the text is a `generateName`, which more will follow.
pub type NameRule = fn(&str, bool) -> Vec<String>;

/// Names that are DNS-1123 labels (Namespaces, Services).
pub fn dns_label_name(name: &str, prefix: bool) -> Vec<String> {
    dns_label(&masked(name, prefix))
}

/// Names that are DNS-1123 subdomains (most kinds).
pub fn dns_subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    dns_subdomain(&masked(name, prefix))
}

/// Names that are DNS-1035 labels: the first character is a letter.
pub fn dns1035_label_name(name: &str, prefix: bool) -> Vec<String> {
    dns1035_label(&masked(name, prefix))
}

/// Names that can stand in a URL's path: the least that is asked of any object.
pub fn path_segment_name(name: &str, prefix: bool) -> Vec<String> {
    if !prefix && (name == "." || name == "..") {
        return vec![format!("may not be '{name}'")];
    }
    let bad = ["/", "%"].into_iter().filter(|part| name.contains(part));
    bad.map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// A trailing dash of a prefix is no fault. Upstream also swallows the character before it.
fn masked(name: &str, prefix: bool) -> String {
    if prefix && name.len() > 1 && name.ends_with('-') && name.is_char_boundary(name.len() - 2) {
        format!("{}a", &name[..name.len() - 2])
    } else {
        name.to_owned()
    }
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', \
                         and must start and end with an alphanumeric character";

/// A DNS-1123 label: at most 63 of `[a-z0-9-]`, no dash at the edges.
pub fn dns_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63);
    if !is_label(value) {
        problems.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
                         or '-', and must start and end with an alphanumeric character";
            regex_error(words, LABEL, &["my-name", "123-abc"])
        });
    }
    problems
}

/// A DNS-1123 subdomain: labels joined by dots, at most 253 bytes.
pub fn dns_subdomain(value: &str) -> Vec<String> {
    subdomain(value, max_length_error(253))
}

/// A name that DNS is searched with: a subdomain that may have underscores.
pub fn dns_search(value: &str) -> Vec<String> {
    const LABEL: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_label = |part: &str| {
        let part = part.strip_prefix('_').unwrap_or(part);
        part.bytes().all(inner) && edge(part.bytes().next()) && edge(part.bytes().last())
    };
    let mut problems = longer_than(value, 253);
    if !value.split('.').all(is_label) {
        let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
                     '_', '-' or '.', and must start and end with an alphanumeric character";
        let regex = format!("{LABEL}(\\.{LABEL})*");
        problems.push(regex_error(words, &regex, &["example.com"]));
    }
    problems
}

/// A DNS-1035 label: a DNS-1123 label that starts with a letter.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63);
    if !is_label(value) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
                     with an alphabetic character, and end with an alphanumeric character";
        problems.push(regex_error(words, LABEL_1035, &["my-name", "abc-123"]));
    }
    problems
}

/// A qualified name: `name` or `dns.prefix/name`; label keys, finalizers, appProtocol.
pub fn qualified_name(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        ["", name] => {
            problems.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            let found = subdomain(prefix, max_bytes_error(253));
            problems.extend(found.iter().map(|text| format!("prefix part {text}")));
            name
        }
        _ => {
            let pattern = key_pattern_error(KEY_WORDS);
            let hint = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {pattern} {hint}")];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push(format!("name part {}", max_bytes_error(63)));
    }
    if !is_key(name) {
        problems.push(format!("name part {}", key_pattern_error(KEY_WORDS)));
    }
    problems
}

/// A label's value: empty, or at most 63 of `[A-Za-z0-9-_.]` with alphanumeric edges.
pub fn label_value(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > 63 {
        problems.push(max_bytes_error(63));
    }
    if !value.is_empty() && !is_key(value) {
        let words = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
                     '_' or '.', and must start and end with an alphanumeric character";
        let examples = ["MyValue", "my_value", "12345"];
        problems.push(regex_error(words, &format!("({KEY})?"), &examples));
    }
    problems
}

/// A port's number.
pub fn port_number(value: i64) -> Vec<String> {
    in_range(value, 1, 65535)
}

/// A number within limits, both included.
pub fn in_range(value: i64, min: i64, max: i64) -> Vec<String> {
    if (min..=max).contains(&value) {
        Vec::new()
    } else {
        vec![format!("must be between {min} and {max}, inclusive")]
    }
}

/// An IANA service name (RFC 6335), as named target ports are.
pub fn port_name(value: &str) -> Vec<String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let charset = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    let complaints = [
        (value.len() > 15, "must be no more than 15 characters"),
        (value.is_empty() || !value.bytes().all(allowed), charset),
        (
            !value.bytes().any(|b| b.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (value.contains("--"), "must not contain consecutive hyphens"),
        (
            value.starts_with('-') || value.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ];
    let found = complaints.into_iter().filter(|(wrong, _)| *wrong);
    found.map(|(_, text)| text.to_owned()).collect()
}

/// An identifier of the C language.
pub fn c_identifier(value: &str) -> Vec<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let first_is_digit = value.starts_with(|c: char| c.is_ascii_digit());
    if !value.is_empty() && !first_is_digit && value.bytes().all(word) {
        return Vec::new();
    }
    let words = "a valid C identifier must start with alphabetic character or '_', followed by a string \
                 of alphanumeric characters or '_'";
    let examples = ["my_name", "MY_NAME", "MyName"];
    vec![regex_error(words, "[A-Za-z_][A-Za-z0-9_]*", &examples)]
}

/// An environment variable's name, by the old narrow rule.
pub fn env_var_name(value: &str) -> Vec<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let first_is_digit = value.starts_with(|c: char| c.is_ascii_digit());
    let mut problems = Vec::new();
    if value.is_empty() || first_is_digit || !value.bytes().all(allowed) {
        let words = "a valid environment variable name must consist of alphabetic characters, digits, \
                     '_', '-', or '.', and must not start with a digit";
        let examples = ["my.env-name", "MY_ENV.NAME", "MyEnvName1"];
        let regex = "[-._a-zA-Z][-._a-zA-Z0-9]*";
        problems.push(regex_error(words, regex, &examples));
    }
    problems.extend(parent_folder(value));
    problems
}

/// An environment variable's name: printable ASCII without `=`.
pub fn relaxed_env_var_name(value: &str) -> Vec<String> {
    let printable = |b: u8| (b' '..=b'~').contains(&b) && b != b'=';
    if value.is_empty() {
        vec!["environment variable name must be non-empty".to_owned()]
    } else if value.bytes().all(printable) {
        Vec::new()
    } else {
        let words = "a valid environment variable name must consist only of printable ASCII characters \
                     other than '='";
        vec![words.to_owned()]
    }
}

/// A key of a ConfigMap or a Secret.
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if value.is_empty() || !value.bytes().all(allowed) {
        let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        let examples = ["key.name", "KEY_NAME", "key-name"];
        problems.push(regex_error(words, "[-._a-zA-Z0-9]+", &examples));
    }
    problems.extend(parent_folder(value));
    problems
}

/// A percentage such as `25%`.
pub fn percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or("");
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let words = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![regex_error(words, "[0-9]+%", &["1%", "93%"])]
}

/// The name of an HTTP header.
pub fn http_header_name(value: &str) -> Vec<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !value.is_empty() && value.bytes().all(allowed) {
        return Vec::new();
    }
    let words = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![regex_error(words, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// `words (e.g. 'a',  or 'b', regex used for validation is 'r')`: upstream's comma and two blanks included.
pub fn regex_error(words: &str, regex: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{words} (regex used for validation is '{regex}')");
    }
    let shown: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    let shown = shown.join(" or ");
    format!("{words} (e.g. {shown}regex used for validation is '{regex}')")
}

/// The text for DNS names that are too long.
pub fn max_length_error(length: usize) -> String {
    format!("must be no more than {length} characters")
}

fn max_bytes_error(length: usize) -> String {
    format!("must be no more than {length} bytes")
}

fn longer_than(value: &str, length: usize) -> Vec<String> {
    let too_long = value.len() > length;
    too_long
        .then(|| max_length_error(length))
        .into_iter()
        .collect()
}

fn key_pattern_error(words: &str) -> String {
    regex_error(words, KEY, &["MyName", "my.name", "123-abc"])
}

fn subdomain(value: &str, too_long: String) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > 253 {
        problems.push(too_long);
    }
    if !is_subdomain(value) {
        let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
                     '-' or '.', and must start and end with an alphanumeric character";
        problems.push(regex_error(words, SUBDOMAIN, &["example.com"]));
    }
    problems
}

fn is_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !value.is_empty()
        && value.bytes().all(inner)
        && !value.starts_with('-')
        && !value.ends_with('-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_key(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(value.bytes().next()) && edge(value.bytes().last()) && value.bytes().all(inner)
}

fn parent_folder(value: &str) -> Option<String> {
    match value {
        "." | ".." => Some(format!("must not be '{value}'")),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
