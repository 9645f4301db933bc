//! Names of images in their full form: `nginx` is `docker.io/library/nginx:latest` (the distribution project's
//! `reference` package).

/// Completes a name with registry, `library/` and tag; `None` for what is no image name.
pub(crate) fn normalise(text: &str) -> Option<String> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let path = with_registry(path);
    let is_valid = is_path(&path) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    if !is_valid {
        return None;
    }
    Some(match (digest, tag) {
        (Some(digest), _) => format!("{path}@{digest}"),
        (None, tag) => format!("{path}:{}", tag.unwrap_or("latest")),
    })
}

/// The part before the first slash is a registry if it looks like a host.
fn with_registry(path: &str) -> String {
    match path.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => path.to_owned(),
        Some(_) => format!("docker.io/{path}"),
        None => format!("docker.io/library/{path}"),
    }
}

fn is_path(path: &str) -> bool {
    let mut parts = path.split('/');
    let registry = parts.next().unwrap_or_default();
    is_host(registry) && parts.all(is_component)
}

/// A name or address with an optional port.
fn is_host(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    let begins = |c: char| c.is_ascii_alphanumeric() || c == '[';
    text.starts_with(begins) && text.chars().all(allowed)
}

/// Lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
fn is_component(part: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    edge(part.chars().next()) && edge(part.chars().last()) && part.chars().all(inner)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_or_refused() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let with_digest = format!("x/y:1@{digest}");
        let normal_digest = format!("docker.io/x/y@{digest}");
        let cases = [
            ("nginx", Some("docker.io/library/nginx:latest")),
            ("fairway/echo", Some("docker.io/fairway/echo:latest")),
            ("fairway/echo:1.2", Some("docker.io/fairway/echo:1.2")),
            ("localhost:5000/a", Some("localhost:5000/a:latest")),
            ("quay.example/a/b:v1", Some("quay.example/a/b:v1")),
            (with_digest.as_str(), Some(normal_digest.as_str())),
            ("", None),
            ("Upper/Case", None),
            ("a b", None),
            ("x:", None),
            ("x@sha256:12", None),
            ("../x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(normalise(text).as_deref(), expected, "{text:?}");
        }
    }
}
