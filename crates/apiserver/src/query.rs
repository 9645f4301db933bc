//! The parameters behind a path's question mark.

use std::borrow::Cow;

/// Decoded parameters in the order they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`, percent signs and pluses decoded.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(name, true).into_owned(),
                decode(value, true).into_owned(),
            )
        });
        Self(decoded.collect())
    }

    /// One more parameter, which counts before those that were given.
    pub(crate) fn add(&mut self, name: &str, value: String) {
        self.0.insert(0, (name.to_owned(), value));
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first value, empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// A boolean as Go's conversion of query parameters reads it: anything but these words is true.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        Some(!matches!(
            value.to_ascii_lowercase().as_str(),
            "false" | "0"
        ))
    }
}

/// Percent signs decoded; broken ones stay as they are.
pub(crate) fn decode(text: &str, plus_is_blank: bool) -> Cow<'_, str> {
    let blank = plus_is_blank && text.contains('+');
    if !blank && !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], text.get(at + 1..at + 3)) {
            (b'%', Some(hex)) if u8::from_str_radix(hex, 16).is_ok() => {
                out.push(u8::from_str_radix(hex, 16).unwrap_or_default());
                at += 2;
            }
            (b'+', _) if plus_is_blank => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_repeat() {
        let query = Query::parse("a=1&labelSelector=app%20in+(x%2Cy)&dryRun=All&dryRun=&flag");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.text("labelSelector"), "app in (x,y)");
        assert_eq!(query.all("dryRun").collect::<Vec<_>>(), ["All", ""]);
        assert_eq!(query.flag("flag"), Some(true));
        assert_eq!(query.flag("none"), None);
        assert_eq!(decode("100%", false), "100%");
    }
}
