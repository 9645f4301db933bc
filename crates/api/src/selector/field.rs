//! `metadata.name=web,status.phase!=Running`.

use crate::resource::Resource;

/// Terms that must all hold; without any, everything is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: Field,
    negated: bool,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    /// Index into the strategy's selectable fields.
    Own(usize),
}

/// What a field selector asks of an object.
pub trait Fields {
    /// `metadata.name`.
    fn name(&self) -> &str;
    /// `metadata.namespace`.
    fn namespace(&self) -> &str;
    /// The strategy's selectable field with this index.
    fn own(&self, index: usize) -> &str;
}

impl FieldSelector {
    /// Reads the text form for this kind.
    ///
    /// # Errors
    /// The text that Kubernetes answers: which fields a kind has, and how it says so, differs from kind to kind.
    pub fn parse(resource: &Resource, text: &str) -> Result<Self, String> {
        let read: Vec<_> = split(text)
            .into_iter()
            .filter(|one| !one.is_empty())
            .map(|one| term(one, text))
            .collect::<Result<_, _>>()?;
        let terms = read.into_iter().map(|(name, negated, value)| {
            Ok::<_, String>(Term {
                field: field(resource, name)?,
                negated,
                value,
            })
        });
        let terms = terms.collect::<Result<_, _>>()?;
        Ok(Self(terms))
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The only name that can be selected, if there is one.
    pub fn single_name(&self) -> Option<&str> {
        let by_name = |term: &&Term| term.field == Field::Name && !term.negated;
        self.0.iter().find(by_name).map(|term| term.value.as_str())
    }

    /// The only namespace that can be selected, if there is one.
    pub fn single_namespace(&self) -> Option<&str> {
        let by_namespace = |term: &&Term| term.field == Field::Namespace && !term.negated;
        self.0
            .iter()
            .find(by_namespace)
            .map(|term| term.value.as_str())
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &impl Fields) -> bool {
        self.0.iter().all(|term| {
            let value = match term.field {
                Field::Name => object.name(),
                Field::Namespace => object.namespace(),
                Field::Own(index) => object.own(index),
            };
            (value == term.value) != term.negated
        })
    }
}

/// At commas that no backslash precedes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The field's name, whether it must differ, and the value.
fn term<'a>(term: &'a str, whole: &str) -> Result<(&'a str, bool, String), String> {
    let invalid = || format!("invalid selector: '{whole}'; can't understand '{term}'");
    let at = term.find(['=', '!']).ok_or_else(invalid)?;
    let (name, rest) = term.split_at(at);
    let (negated, value) = if let Some(value) = rest.strip_prefix("!=") {
        (true, value)
    } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        (false, value)
    } else {
        return Err(invalid());
    };
    let value = unescape(value).map_err(|why| format!("invalid field selector: {why}"))?;
    Ok((name, negated, value))
}

/// `\\`, `\,` and `\=` stand for the second character; other uses of these are faults.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(known) if "\\,=".contains(known) => out.push(known),
                other => {
                    let other = other.map_or_else(String::new, String::from);
                    return Err(format!("invalid escape sequence: \\{other}"));
                }
            },
            ',' | '=' => {
                let number = u32::from(c);
                return Err(format!("unescaped character in value: {number}"));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn field(resource: &Resource, name: &str) -> Result<Field, String> {
    let own = resource.strategy.selectable_fields();
    match name {
        "metadata.name" => Ok(Field::Name),
        "metadata.namespace" => Ok(Field::Namespace),
        _ => match own.iter().position(|field| *field == name) {
            Some(index) => Ok(Field::Own(index)),
            // Kinds with a conversion function of their own have another text (`runtime/conversion.go`).
            None if own.is_empty() => Err(format!(
                "\"{name}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )),
            None => Err(format!("field label not supported: {name}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;

    struct Named(&'static str, &'static str);

    impl Fields for Named {
        fn name(&self) -> &str {
            self.1
        }
        fn namespace(&self) -> &str {
            self.0
        }
        fn own(&self, _index: usize) -> &str {
            ""
        }
    }

    #[test]
    fn every_kind_is_selected_by_name_and_namespace() {
        let kind = resources::find("", "configmaps").unwrap();
        let object = Named("ns", "a");
        let cases = [
            ("", true),
            ("metadata.name=a", true),
            ("metadata.name==a,metadata.namespace=ns", true),
            ("metadata.name!=a", false),
            ("metadata.name=a,metadata.name=b", false),
        ];
        for (text, want) in cases {
            let selector = FieldSelector::parse(kind, text).unwrap();
            assert_eq!(selector.matches(&object), want, "{text}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let kind = resources::find("", "configmaps").unwrap();
        let fault = FieldSelector::parse(kind, "data.x=y").unwrap_err();
        let want = "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
        assert_eq!(fault, want);
    }
    #[test]
    fn a_value_that_is_badly_escaped_is_told_before_an_unknown_field() {
        let kind = resources::find("", "configmaps").unwrap();
        let cases = [
            (
                r"data.x=y,metadata.name=a\x",
                r"invalid escape sequence: \x",
            ),
            (r"metadata.name=a\", r"invalid escape sequence: \"),
            ("metadata.name=a=b", "unescaped character in value: 61"),
        ];
        for (text, why) in cases {
            let fault = FieldSelector::parse(kind, text).unwrap_err();
            assert_eq!(fault, format!("invalid field selector: {why}"));
        }
    }
}
