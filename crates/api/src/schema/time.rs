//! Times as Go's `time` package reads RFC 3339, with its words for what it cannot read.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::print::go_quote;

/// The layout of `metav1.Time`.
const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
/// The layout of `metav1.MicroTime`.
const MICROSECONDS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// A time to the second in its printed form (UTC); `None` for the zero time, which is printed as null.
pub fn canonical_time(text: &str) -> Result<Option<String>, String> {
    let time = Parser::new(text, SECONDS).parse()?;
    Ok(time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// A time to the microsecond in its printed form.
pub fn canonical_micro_time(text: &str) -> Result<Option<String>, String> {
    let time = Parser::new(text, MICROSECONDS).parse()?;
    Ok(time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
}

/// How `metav1.Time` prints a moment.
pub fn print_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How `metav1.MicroTime` prints a moment.
pub fn print_micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    layout: &'static str,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, layout: &'static str) -> Self {
        Self {
            text,
            rest: text,
            layout,
        }
    }

    fn parse(mut self) -> Result<Option<Timestamp>, String> {
        let year = self.year()?;
        self.literal("-")?;
        let month = self.number("01", true, Some((1..=12, "month")))?;
        self.literal("-")?;
        let day = self.number("02", true, None)?;
        self.literal("T")?;
        let hour = self.number("15", false, Some((0..=23, "hour")))?;
        self.literal(":")?;
        let minute = self.number("04", true, Some((0..=59, "minute")))?;
        self.literal(":")?;
        let second = self.number("05", true, Some((0..=59, "second")))?;
        let nanosecond = self.fraction()?;
        let offset = self.zone()?;
        if !self.rest.is_empty() {
            return Err(self.message(&format!(": extra text: {}", go_quote(self.rest))));
        }
        let Ok(time) = DateTime::new(year, month, day, hour, minute, second, nanosecond) else {
            return Err(self.message(": day out of range"));
        };
        let zero = Timestamp::from_second(-62_135_596_800).ok();
        let time = offset.and_then(|offset| offset.to_timestamp(time).ok());
        Ok(time.filter(|time| Some(*time) != zero))
    }

    fn year(&mut self) -> Result<i16, String> {
        let digits = self.rest.get(..4).filter(|four| all_digits(four));
        let Some(digits) = digits else {
            return Err(self.cannot("2006"));
        };
        self.rest = &self.rest[4..];
        Ok(digits.parse().unwrap_or_default())
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), String> {
        self.rest = match self.rest.strip_prefix(literal) {
            Some(rest) => rest,
            None => return Err(self.cannot(literal)),
        };
        Ok(())
    }

    /// Two digits, or one where the layout's number is not fixed.
    fn number(
        &mut self,
        element: &'static str,
        fixed: bool,
        range: Option<(std::ops::RangeInclusive<i8>, &str)>,
    ) -> Result<i8, String> {
        let digits = self.rest.bytes().take(2).take_while(u8::is_ascii_digit);
        let digits = digits.count();
        if digits == 0 || (fixed && digits == 1) {
            return Err(self.cannot(element));
        }
        let (number, rest) = self.rest.split_at(digits);
        let number = number.parse().unwrap_or_default();
        self.rest = rest;
        match range {
            Some((range, what)) if !range.contains(&number) => {
                Err(self.message(&format!(": {what} out of range")))
            }
            _ => Ok(number),
        }
    }

    /// The fraction of a second: six digits in the one layout, whatever is there in the other.
    fn fraction(&mut self) -> Result<i32, String> {
        let after = self.rest.strip_prefix(['.', ',']);
        let digits = after.map_or("", |rest| &rest[..leading_digits(rest)]);
        let micro = self.layout == MICROSECONDS;
        if micro && digits.len() < 6 {
            return Err(self.cannot(".000000"));
        }
        if digits.is_empty() {
            return Ok(0);
        }
        let taken = if micro { 6 } else { digits.len() };
        self.rest = &self.rest[1 + taken..];
        let digits = &digits[..taken.min(9)];
        Ok(format!("{digits:0<9}").parse().unwrap_or_default())
    }

    /// The offset; `None` where it is more than times can have.
    fn zone(&mut self) -> Result<Option<Offset>, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(Some(Offset::UTC));
        }
        let parts = self.rest.get(..6).and_then(zone_parts);
        let Some((sign, hours, minutes)) = parts else {
            return Err(self.cannot("Z07:00"));
        };
        for (number, most, what) in [(hours, 24, "hour"), (minutes, 60, "minute")] {
            if number > most {
                return Err(self.message(&format!(": time zone offset {what} out of range")));
            }
        }
        self.rest = &self.rest[6..];
        Ok(Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok())
    }

    fn cannot(&self, element: &str) -> String {
        let (text, layout) = (go_quote(self.text), self.layout);
        let rest = go_quote(self.rest);
        format!("parsing time {text} as \"{layout}\": cannot parse {rest} as \"{element}\"")
    }

    fn message(&self, message: &str) -> String {
        format!("parsing time {}{message}", go_quote(self.text))
    }
}

/// Sign, hours and minutes of `+07:00`.
fn zone_parts(text: &str) -> Option<(i32, i32, i32)> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let whole = hours.len() == 2 && all_digits(hours) && all_digits(minutes);
    whole.then_some((sign, hours.parse().ok()?, minutes.parse().ok()?))
}

fn all_digits(text: &str) -> bool {
    leading_digits(text) == text.len()
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc_to_the_second() {
        let cases = [
            ("2024-02-29T23:59:59Z", Some("2024-02-29T23:59:59Z")),
            ("2024-01-01T00:30:00+02:00", Some("2023-12-31T22:30:00Z")),
            ("2024-01-01T00:00:00.999Z", Some("2024-01-01T00:00:00Z")),
            ("0001-01-01T00:00:00Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                canonical_time(text),
                Ok(expected.map(str::to_owned)),
                "{text}"
            );
        }
        let micro = canonical_micro_time("2024-01-01T00:00:00.123456Z");
        assert_eq!(micro, Ok(Some("2024-01-01T00:00:00.123456Z".to_owned())));
    }

    #[test]
    fn says_what_go_says() {
        let cases = [
            (
                "yesterday",
                "as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"",
            ),
            (
                "",
                "as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"2006\"",
            ),
            ("2024-13-01T00:00:00Z", ": month out of range"),
            ("2023-02-29T00:00:00Z", ": day out of range"),
            ("2024-01-01T24:00:00Z", ": hour out of range"),
            (
                "2024-01-01 00:00:00Z",
                "as \"2006-01-02T15:04:05Z07:00\": cannot parse \" 00:00:00Z\" as \"T\"",
            ),
            (
                "2024-01-01T00:00:00",
                "as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"Z07:00\"",
            ),
            ("2024-01-01T00:00:00Zx", ": extra text: \"x\""),
            (
                "2024-1-01T00:00:00Z",
                "as \"2006-01-02T15:04:05Z07:00\": cannot parse \"1-01T00:00:00Z\" as \"01\"",
            ),
        ];
        for (text, expected) in cases {
            let blank = if expected.starts_with(':') { "" } else { " " };
            let expected = format!("parsing time {}{blank}{expected}", go_quote(text));
            assert_eq!(canonical_time(text), Err(expected), "{text}");
        }
        let micro = canonical_micro_time("2024-01-01T00:00:00Z").unwrap_err();
        assert!(
            micro.ends_with("cannot parse \"Z\" as \".000000\""),
            "{micro}"
        );
    }
}
