//! Base64 as Go's `StdEncoding` decodes it: line breaks are skipped, and the message names the byte.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Go does not mind bits behind the end.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The canonical text of the bytes that a text stands for, or what Go says of it.
pub(super) fn canonical(text: &str) -> Result<String, String> {
    match check(text.as_bytes()) {
        Ok(()) => {}
        Err(at) => return Err(format!("illegal base64 data at input byte {at}")),
    }
    let clean: String = text.chars().filter(|char| !is_break(*char)).collect();
    let bytes = ENGINE.decode(&clean).map_err(|error| error.to_string())?;
    Ok(encode(&bytes))
}

/// Bytes in JSON.
pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

fn is_break(char: char) -> bool {
    char == '\n' || char == '\r'
}

/// The position that Go's decoder complains of.
fn check(text: &[u8]) -> Result<(), usize> {
    let mut at = 0;
    let mut in_quantum = 0;
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'\n' | b'\r' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                in_quantum = (in_quantum + 1) % 4;
            }
            b'=' if in_quantum >= 2 => return check_padding(text, at, in_quantum),
            _ => return Err(at),
        }
        at += 1;
    }
    if in_quantum == 0 {
        return Ok(());
    }
    Err(at - in_quantum)
}

fn check_padding(text: &[u8], first: usize, in_quantum: usize) -> Result<(), usize> {
    let behind = |from: usize| {
        let breaks = text[from..]
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'));
        from + breaks.count()
    };
    let mut at = first + 1;
    if in_quantum == 2 {
        let second = behind(at);
        match text.get(second) {
            None => return Err(text.len()),
            Some(b'=') => at = second + 1,
            Some(_) => return Err(second - 1),
        }
    }
    let rest = behind(at);
    if rest < text.len() { Err(rest) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_like_go() {
        let cases = [
            ("", Ok("")),
            ("AAEC", Ok("AAEC")),
            ("AA\nEC", Ok("AAEC")),
            ("AA==", Ok("AA==")),
            ("AB==", Ok("AA==")),
            ("v", Err(0)),
            ("AAECv", Err(4)),
            ("AAE", Err(0)),
            ("A=", Err(1)),
            ("AA=", Err(3)),
            ("AA=x", Err(2)),
            ("AA==x", Err(4)),
            ("not base64", Err(3)),
        ];
        for (text, expected) in cases {
            let expected = match expected {
                Ok(text) => Ok(text.to_owned()),
                Err(at) => Err(format!("illegal base64 data at input byte {at}")),
            };
            assert_eq!(canonical(text), expected, "{text}");
        }
    }
}
