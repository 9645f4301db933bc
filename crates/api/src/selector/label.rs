//! `app=web,tier notin (a, b),!old,n>4`.

use crate::field::{Path, Problem, Problems};
use crate::validation::names;

/// Requirements that must all hold; without any, everything is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads the text form.
    ///
    /// # Errors
    /// The text that Kubernetes answers.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser::new(text).selector().map(Self)
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object with these labels is selected.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0
            .iter()
            .all(|requirement| requirement.matches(label(&requirement.key)))
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.rule {
            Rule::Exists => value.is_some(),
            Rule::Absent => value.is_none(),
            Rule::In(values) => value.is_some_and(|v| values.iter().any(|one| one == v)),
            Rule::NotIn(values) => value.is_none_or(|v| values.iter().all(|one| one != v)),
            Rule::Greater(limit) => number().is_some_and(|n| n > *limit),
            Rule::Less(limit) => number().is_some_and(|n| n < *limit),
        }
    }
}

/// `<end>` is the empty text, as in the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

/// Longest first, so that `==` is not read as two `=`.
const SIGNS: [&str; 8] = ["==", "!=", "=", "!", "(", ")", ",", ">"];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start_matches(BLANK);
        while !rest.is_empty() {
            let (token, tail) = token(rest);
            tokens.push(token);
            rest = tail.trim_start_matches(BLANK);
        }
        Self { tokens, at: 0 }
    }

    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                Token::Word(_) | Token::Sign("!") => {}
                Token::Sign(sign) => {
                    return Err(format!(
                        "found '{sign}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
            let requirement = self.requirement();
            requirements
                .push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
            match self.next() {
                Token::End => return Ok(requirements),
                Token::Sign(",") => self.word_must_follow_comma()?,
                other => {
                    let found = other.text();
                    return Err(format!("found '{found}', expected: ',' or 'end of string'"));
                }
            }
        }
    }

    fn word_must_follow_comma(&self) -> Result<(), String> {
        match self.peek() {
            Token::Word(_) | Token::Sign("!") => Ok(()),
            other => {
                let found = other.text();
                Err(format!("found '{found}', expected: identifier after ','"))
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let negated = token == Token::Sign("!");
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        first_problem(&key_problems(&key))?;
        if negated {
            return Ok(Requirement {
                key,
                rule: Rule::Absent,
            });
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(Requirement {
                key,
                rule: Rule::Exists,
            });
        }
        let rule = self.rule(&key)?;
        Ok(Requirement { key, rule })
    }

    fn rule(&mut self, key: &str) -> Result<Rule, String> {
        let token = self.next();
        match token.text() {
            "in" => self.set(key).map(Rule::In),
            "notin" => self.set(key).map(Rule::NotIn),
            "=" | "==" => self.single(key).map(|value| Rule::In(vec![value])),
            "!=" => self.single(key).map(|value| Rule::NotIn(vec![value])),
            ">" => self.number().map(Rule::Greater),
            "<" => self.number().map(Rule::Less),
            found => Err(format!(
                "found '{found}', expected: in, notin, =, ==, !=, gt, lt"
            )),
        }
    }

    fn exact(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Word(word) => {
                self.at += 1;
                Ok(word)
            }
            Token::Sign(sign) => Err(format!("found '{sign}', expected: identifier")),
        }
    }

    fn single(&mut self, key: &str) -> Result<String, String> {
        let value = self.exact()?;
        first_problem(&value_problems(key, 0, &value))?;
        Ok(value)
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.exact()?;
        value.parse().map_err(|_| {
            let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
            Problem::invalid(Path::new("values[0]"), value, detail).to_string()
        })
    }

    fn set(&mut self, key: &str) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = match self.peek() {
            Token::Word(_) | Token::Sign(",") => self.values()?,
            Token::Sign(")") => {
                self.at += 1;
                vec![String::new()]
            }
            other => {
                let found = other.text();
                return Err(format!("found '{found}', expected: ',', ')' or identifier"));
            }
        };
        values.sort_unstable();
        values.dedup();
        let problems = values.iter().enumerate();
        let problems: Problems = problems
            .flat_map(|(index, value)| value_problems(key, index, value))
            .collect();
        first_problem(&problems)?;
        Ok(values)
    }

    /// What stands between the parentheses; a missing value is the empty one.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        let mut after_word = false;
        loop {
            match self.next() {
                Token::Word(word) if !after_word => {
                    values.push(word);
                    after_word = true;
                }
                Token::Sign(")") => {
                    if !after_word {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                Token::Sign(",") => {
                    if !after_word {
                        values.push(String::new());
                    }
                    after_word = false;
                }
                other if after_word => {
                    return Err(format!("found '{}', expected: ',' or ')'", other.text()));
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: ',', or identifier",
                        other.text()
                    ));
                }
            }
        }
    }
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

fn token(rest: &str) -> (Token, &str) {
    for sign in SIGNS.into_iter().chain(["<"]) {
        if let Some(tail) = rest.strip_prefix(sign) {
            return (Token::Sign(sign), tail);
        }
    }
    let special = |c: char| BLANK.contains(&c) || "=!(),<>".contains(c);
    let end = rest.find(special).unwrap_or(rest.len());
    let (word, tail) = rest.split_at(end);
    (Token::Word(word.to_owned()), tail)
}

fn key_problems(key: &str) -> Problems {
    let texts = names::qualified_name(key);
    let problem = |text: &String| Problem::invalid(Path::default(), key, text);
    texts.iter().map(problem).collect()
}

fn value_problems(key: &str, index: usize, value: &str) -> Problems {
    let path = Path::new("values").index(index).key(key);
    let texts = names::label_value(value);
    let problem = |text: &String| Problem::invalid(path.clone(), value, text);
    texts.iter().map(problem).collect()
}

/// Several problems are told as Go's aggregate prints them.
fn first_problem(problems: &[Problem]) -> Result<(), String> {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = LabelSelector::parse(selector).unwrap();
        selector.matches(|key| {
            labels
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, v)| *v)
        })
    }

    #[test]
    fn requirements_hold_as_recorded() {
        let web = [("app", "web"), ("n", "5")];
        let cases = [
            ("", true),
            ("app=web", true),
            (" app == web , n = 5 ", true),
            ("app!=web", false),
            ("tier!=back", true),
            ("app in (db,web)", true),
            ("app notin (db,web)", false),
            ("tier notin (x)", true),
            ("app,!tier", true),
            ("n>4", true),
            ("n<5", false),
            ("app>1", false),
            ("app in ()", false),
            ("in in (in)", false),
            ("app=", false),
        ];
        for (selector, want) in cases {
            assert_eq!(selected(selector, &web), want, "{selector}");
        }
    }

    #[test]
    fn faults_are_told_in_kubernetes_words() {
        let cases = [
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            (
                "a in b",
                "unable to parse requirement: found 'b' expected: '('",
            ),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                ",",
                "found ',', expected: !, identifier, or 'end of string'",
            ),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            ("a=b,", "found '', expected: identifier after ','"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            (
                "a in (b c)",
                "unable to parse requirement: found 'c', expected: ',' or ')'",
            ),
        ];
        for (selector, want) in cases {
            assert_eq!(
                LabelSelector::parse(selector).unwrap_err(),
                want,
                "{selector}"
            );
        }
    }
}
