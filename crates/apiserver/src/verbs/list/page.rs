//! Where a page of a list begins: the token that continues it, and the version it shows.

use api::status::Status;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use store::Revision;

use crate::options::ListOptions;
use crate::verbs::get::invalid_version;

/// What a list is asked to show.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Exactly this version, or at least this one.
    pub(crate) revision: Revision,
    pub(crate) exact: bool,
    /// The last key of the page before; within a namespace without it.
    start: Option<String>,
}

/// The continue token: upstream's own form (`storage/continue.go`).
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// As Go's `RawURLEncoding`, which does not mind what the last bits are.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

const TOKEN_VERSION: &str = "meta.k8s.io/v1";

impl Page {
    pub(crate) fn read(options: &ListOptions) -> Result<Self, Status> {
        let version = options.resource_version.as_str();
        if !options.proceed.is_empty() {
            let page = continued(&options.proceed)?;
            if !matches!(version, "" | "0") {
                let text = "specifying resource version is not allowed when using continue";
                return Err(Status::bad_request(text));
            }
            return Ok(page);
        }
        if version.is_empty() {
            return Ok(Self::default());
        }
        let number = version.parse::<u64>().map_err(|error| {
            let why = invalid_version(version, &error);
            Status::bad_request(format!("invalid resource version: {why}"))
        })?;
        // Without a match rule a limited list is exact, for clients older than the rule.
        let exact = match options.version_match.as_str() {
            "Exact" => true,
            "" => options.limit > 0 && number > 0,
            _ => false,
        };
        Ok(Self {
            revision: Revision(number),
            exact,
            start: None,
        })
    }

    /// The key of the cache behind which the page begins.
    pub(crate) fn after(&self, namespace: &str) -> Option<String> {
        let start = self.start.as_ref()?;
        Some(if namespace.is_empty() {
            start.clone()
        } else {
            format!("{namespace}/{start}")
        })
    }
}

fn continued(text: &str) -> Result<Page, Status> {
    let broken = |why: String| {
        Status::bad_request(format!(
            "invalid continue token: continue key is not valid: {why}"
        ))
    };
    let bytes = URL_SAFE.decode(text);
    let bytes = bytes.map_err(|_| {
        let at = bad_byte(text);
        broken(format!("illegal base64 data at input byte {at}"))
    })?;
    if let Some(why) = api::schema::why_no_json(&bytes) {
        return Err(broken(why));
    }
    let token: Result<Token, _> = serde_json::from_slice(&bytes);
    let token = token.map_err(|error| broken(error.to_string()))?;
    if token.v != TOKEN_VERSION {
        let (words, version) = ("server does not recognize this encoded version", token.v);
        return Err(broken(format!("{words} {version}")));
    }
    if token.rv == 0 {
        let words = "incorrect encoded start resourceVersion";
        return Err(broken(format!("{words} (version {TOKEN_VERSION})")));
    }
    let start = token.start.trim_end_matches('\0').to_owned();
    if start.is_empty() {
        let words = "encoded start key empty";
        return Err(broken(format!("{words} (version {TOKEN_VERSION})")));
    }
    if start.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(broken(start));
    }
    let revision = u64::try_from(token.rv).unwrap_or_default();
    Ok(Page {
        revision: Revision(revision),
        exact: token.rv > 0,
        start: Some(start),
    })
}

/// Where Go's decoder stops: at what is no letter of its alphabet, or at the last, incomplete four.
fn bad_byte(text: &str) -> usize {
    let strange = |byte: &u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_');
    let at = text.as_bytes().iter().position(strange);
    at.unwrap_or(text.len() / 4 * 4)
}

/// The token that continues behind `key`.
pub(crate) fn token(revision: Revision, key: &str, namespace: &str) -> String {
    let start = match key.split_once('/') {
        Some((_, name)) if !namespace.is_empty() => name,
        _ => key,
    };
    let rv = i64::try_from(revision.0).unwrap_or(i64::MAX);
    let token = Token {
        v: TOKEN_VERSION.to_owned(),
        rv,
        start: format!("{start}\0"),
    };
    let text = serde_json::to_vec(&token).expect("a token is always printable");
    URL_SAFE.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_continues_where_the_page_ended() {
        let options = |proceed: String| ListOptions {
            proceed,
            ..ListOptions::default()
        };
        let all = Page::read(&options(token(Revision(7), "ns/a", ""))).unwrap();
        assert_eq!((all.revision, all.exact), (Revision(7), true));
        assert_eq!(all.after("").as_deref(), Some("ns/a"));
        let one = Page::read(&options(token(Revision(7), "ns/a", "ns"))).unwrap();
        assert_eq!(one.after("ns").as_deref(), Some("ns/a"));
    }

    #[test]
    fn a_broken_token_is_told_in_the_words_of_upstream() {
        let cases = [
            ("x", "illegal base64 data at input byte 0"),
            ("abcd=", "illegal base64 data at input byte 4"),
            ("e30", "server does not recognize this encoded version "),
            (
                "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ",
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0",
                "encoded start key empty (version meta.k8s.io/v1)",
            ),
        ];
        for (text, why) in cases {
            let prefix = "invalid continue token: continue key is not valid: ";
            assert_eq!(
                continued(text).unwrap_err().message,
                format!("{prefix}{why}")
            );
        }
    }
}
