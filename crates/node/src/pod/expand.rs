//! `$(NAME)` in commands, arguments and environment values (Kubernetes' own rules, `third_party/forked/golang
//! /expansion`): `$$` is a dollar, an unknown name stays as it is written.

/// Replaces `$(NAME)` where `lookup` knows the name.
pub(crate) fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        rest = replace_one(rest, &mut out, &lookup);
    }
    out.push_str(rest);
    out
}

/// Handles what follows a dollar and returns what follows that.
fn replace_one<'t, 'a>(
    rest: &'t str,
    out: &mut String,
    lookup: &impl Fn(&str) -> Option<&'a str>,
) -> &'t str {
    if let Some(rest) = rest.strip_prefix('$') {
        out.push('$');
        return rest;
    }
    let reference = rest
        .strip_prefix('(')
        .and_then(|inner| inner.split_once(')'));
    match reference {
        Some((name, rest)) => {
            match lookup(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest
        }
        None => {
            out.push('$');
            rest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_and_dollars_escaped() {
        let cases = [
            ("plain", "plain"),
            ("$(A)", "a"),
            ("x$(A)y$(A)", "xaya"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("cost: 5$", "cost: 5$"),
            ("$()", "$()"),
        ];
        for (text, expected) in cases {
            let actual = expand(text, |name| (name == "A").then_some("a"));
            assert_eq!(actual, expected, "{text}");
        }
    }
}
