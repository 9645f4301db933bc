//! An image's name, as far as the API must understand it (`kubernetes/pkg/util/parsers`).

/// `Always` where the name means the newest image, else `IfNotPresent`.
pub(crate) fn pull_policy(image: &str) -> &'static str {
    if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    }
}

/// Longer names are none.
const LONGEST: usize = 255;

/// Whether the tag is `latest`, said or meant. A malformed name has no tag.
fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[last..].rfind(':') {
        Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
        None => (name, None),
    };
    path.len() <= LONGEST
        && well_formed(path)
        && tag.map_or(digest.is_none(), |tag| tag == "latest")
}

/// Components of lower-case letters and digits, separated inside by `.`, `_`, `__` or dashes; the first may be
/// a host with a port.
fn well_formed(path: &str) -> bool {
    let mut components: Vec<&str> = path.split('/').collect();
    let is_host = |text: &str| text.contains(['.', ':']) || text == "localhost";
    if components.len() > 1 && is_host(components[0]) {
        components.remove(0);
    }
    let component = |text: &&str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        text.bytes().all(inner) && edge(text.bytes().next()) && edge(text.bytes().last())
    };
    components.iter().all(component)
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn only_the_newest_image_is_always_pulled() {
        for image in [
            "nginx",
            "nginx:latest",
            "example.test:5000/a/b",
            "a/b:latest",
        ] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in [
            "nginx:1",
            "nginx@sha256:ab",
            "example.test:5000/a:v1",
            "",
            "Bad Name",
            "UPPER",
        ] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
        assert_eq!(pull_policy(&"x".repeat(255)), "Always");
        assert_eq!(pull_policy(&"x".repeat(256)), "IfNotPresent");
    }
}
