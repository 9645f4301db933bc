//! Whether a text is JSON, in the words of Go's `encoding/json` scanner when it is not.
//!
//! Like that scanner it looks at bytes, so broken UTF-8 and lone surrogates pass here; reading a string
//! replaces them.

/// Go's own bound; the scanner keeps a stack of this many bytes at most.
const MAX_DEPTH: usize = 10_000;

/// Why a text is not JSON, or `Ok`.
pub(crate) fn check(text: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner {
        text,
        at: 0,
        open: Vec::new(),
    };
    scanner.value()?;
    scanner.blanks();
    match scanner.peek() {
        None => Ok(()),
        Some(byte) => Err(invalid(byte, "after top-level value")),
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    /// The open brackets, `{` or `[`.
    open: Vec<u8>,
}

impl Scanner<'_> {
    /// Reads one value, whatever is nested in it.
    fn value(&mut self) -> Result<(), String> {
        loop {
            self.blanks();
            if self.begin()? {
                continue;
            }
            if self.end()? {
                return Ok(());
            }
        }
    }

    /// Begins a value; true when a bracket was opened that is not closed at once.
    fn begin(&mut self) -> Result<bool, String> {
        const WHERE: &str = "looking for beginning of value";
        match self.next()? {
            b'{' => self.open_object(),
            b'[' => {
                self.push(b'[')?;
                self.blanks();
                if self.peek() != Some(b']') {
                    return Ok(true);
                }
                self.at += 1;
                self.open.pop();
                Ok(false)
            }
            b'"' => self.string().map(|()| false),
            first @ (b'-' | b'0'..=b'9') => self.number(first).map(|()| false),
            b't' => self.literal("true").map(|()| false),
            b'f' => self.literal("false").map(|()| false),
            b'n' => self.literal("null").map(|()| false),
            other => Err(invalid(other, WHERE)),
        }
    }

    fn open_object(&mut self) -> Result<bool, String> {
        self.push(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.open.pop();
            return Ok(false);
        }
        self.key()?;
        Ok(true)
    }

    /// After a value: closes what ends here; true when the outermost value is complete.
    fn end(&mut self) -> Result<bool, String> {
        while let Some(&bracket) = self.open.last() {
            self.blanks();
            let byte = self.next()?;
            match (bracket, byte) {
                (b'{', b',') => {
                    self.blanks();
                    self.key()?;
                    return Ok(false);
                }
                (b'[', b',') => return Ok(false),
                (b'{', b'}') | (b'[', b']') => {
                    self.open.pop();
                }
                (b'{', _) => return Err(invalid(byte, "after object key:value pair")),
                _ => return Err(invalid(byte, "after array element")),
            }
        }
        Ok(true)
    }

    fn key(&mut self) -> Result<(), String> {
        match self.next()? {
            b'"' => self.string()?,
            other => return Err(invalid(other, "looking for beginning of object key string")),
        }
        self.blanks();
        match self.next()? {
            b':' => Ok(()),
            other => Err(invalid(other, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control @ 0..0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let byte = self.next()?;
                    if !byte.is_ascii_hexdigit() {
                        return Err(invalid(byte, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            other => Err(invalid(other, "in string escape code")),
        }
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let mut first = first;
        if first == b'-' {
            first = self.next()?;
            if !first.is_ascii_digit() {
                return Err(invalid(first, "in numeric literal"));
            }
        }
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn some_digits(&mut self, place: &str) -> Result<(), String> {
        let byte = self.next()?;
        if !byte.is_ascii_digit() {
            return Err(invalid(byte, place));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let expected = char::from(expected);
                let place = format!("in literal {word} (expecting '{expected}')");
                return Err(invalid(byte, &place));
            }
        }
        Ok(())
    }

    fn push(&mut self, bracket: u8) -> Result<(), String> {
        self.open.push(bracket);
        if self.open.len() > MAX_DEPTH {
            return Err(invalid(bracket, "exceeded max depth"));
        }
        Ok(())
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek();
        self.at += 1;
        byte.ok_or_else(|| "unexpected end of JSON input".to_owned())
    }
}

fn invalid(byte: u8, place: &str) -> String {
    format!("invalid character {} {place}", quote(byte))
}

/// A byte as Go quotes a rune: the byte is taken for a Latin-1 character.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let quoted = super::print::go_quote(&char::from(byte).to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_go_says() {
        let cases = [
            ("", "unexpected end of JSON input"),
            ("{\"a\": [1, {}", "unexpected end of JSON input"),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            (
                "{'a': 1}",
                "invalid character '\\'' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"",
                "invalid character '\"' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            ("{} {}", "invalid character '{' after top-level value"),
            (
                "nonsense",
                "invalid character 'o' in literal null (expecting 'u')",
            ),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            (
                "\"\\u00g0\"",
                "invalid character 'g' in \\u hexadecimal character escape",
            ),
            ("-a", "invalid character 'a' in numeric literal"),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            (
                "1ex",
                "invalid character 'x' in exponent of numeric literal",
            ),
            ("01", "invalid character '1' after top-level value"),
            (
                "\u{e9}",
                "invalid character 'Ã' looking for beginning of value",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text.as_bytes()), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn accepts_json() {
        for text in [
            "{}",
            " [ ] ",
            "0",
            "-0.5e+3",
            "\"\\ud83d\"",
            "{\"a\":[{},[],null,true,false,\"\"]}",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
        assert_eq!(check(b"\"\xff\""), Ok(()));
    }

    #[test]
    fn deep_nesting_ends_without_a_deep_stack() {
        let deep = "[".repeat(20_000);
        let expected = "invalid character '[' exceeded max depth";
        assert_eq!(check(deep.as_bytes()), Err(expected.to_owned()));
    }
}
