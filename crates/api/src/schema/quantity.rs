//! Quantities (`500m`, `1Gi`, `2e3`) in their canonical form, exactly (`apimachinery/pkg/api/resource`).
//!
//! A quantity is a decimal number of at most nine decimal places and one of three ways to write it. Its
//! canonical text has no fraction, the largest suffix that allows this, and the way of writing it came with.

/// What is said of a text that is no quantity.
pub const WRONG_FORMAT: &str = "quantities must match the regular expression \
     '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
/// What is said of a suffix that does not exist.
pub const WRONG_SUFFIX: &str = "unable to parse quantity's suffix";
/// What is said of a number that is none.
pub const WRONG_NUMBER: &str = "unable to parse numeric part of quantity";

/// Nano units in one.
const NANO: i128 = 1_000_000_000;
/// Decimal suffixes by exponent.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
/// Binary suffixes, each 1024 of the one before.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// A number of nano units and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Binary,
    Decimal,
    Exponent,
}

impl Quantity {
    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err(WRONG_FORMAT);
        }
        let parts = Parts::of(text)?;
        let (factor, format) = scale(parts.suffix)?;
        let nano = parts.times(factor);
        let below_one = format == Format::Binary && nano > 0 && nano < NANO;
        Ok(Self {
            nano: if parts.negative { -nano } else { nano },
            format: if below_one { Format::Decimal } else { format },
        })
    }

    /// The number in nano units; saturated far beyond what any resource has.
    pub fn nano(&self) -> i128 {
        self.nano
    }

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self {
            nano: i128::from(number) * NANO,
            format: Format::Decimal,
        }
    }

    /// The difference, written the way this one is.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            nano: self.nano.saturating_sub(other.nano),
            format: self.format,
        }
    }

    /// The next whole number that is not smaller.
    #[must_use]
    pub fn rounded_up(&self) -> Self {
        let rest = self.nano.rem_euclid(NANO);
        let missing = if rest == 0 { 0 } else { NANO - rest };
        Self {
            nano: self.nano.saturating_add(missing),
            format: self.format,
        }
    }

    /// The sum, written the way the first one is; the other's way where the first is zero.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            nano: self.nano.saturating_add(other.nano),
            format: if self.nano == 0 {
                other.format
            } else {
                self.format
            },
        }
    }

    /// The canonical text.
    pub fn canonical(&self) -> String {
        if self.nano == 0 {
            return "0".to_owned();
        }
        let whole = self.nano % NANO == 0;
        let small = self.nano.abs() < 1024 * NANO;
        match self.format {
            Format::Binary if whole && !small => self.binary(),
            Format::Exponent => self.decimal(|exponent| match exponent {
                0 => String::new(),
                _ => format!("e{exponent}"),
            }),
            _ => self.decimal(|exponent| {
                let found = DECIMAL.iter().find(|(_, one)| *one == exponent);
                found.map_or_else(String::new, |(suffix, _)| (*suffix).to_owned())
            }),
        }
    }

    fn binary(&self) -> String {
        let mut number = self.nano / NANO;
        let mut suffix = "";
        for larger in BINARY {
            if number % 1024 != 0 {
                break;
            }
            number /= 1024;
            suffix = larger;
        }
        format!("{number}{suffix}")
    }

    fn decimal(&self, suffix: impl Fn(i32) -> String) -> String {
        let (mut number, mut exponent) = (self.nano, -9);
        while number % 1000 == 0 {
            number /= 1000;
            exponent += 3;
        }
        format!("{number}{}", suffix(exponent))
    }
}

/// The text that Kubernetes prints for a quantity, or why it is none.
///
/// That is the canonical one, but for short texts which the parser takes for canonical at a glance
/// (`+1`, `1.500`, `007k`): it keeps those as they are.
pub fn canonical(text: &str) -> Result<String, &'static str> {
    let quantity = Quantity::parse(text)?;
    let parts = Parts::of(text)?;
    if parts.looks_canonical() {
        return Ok(text.to_owned());
    }
    Ok(quantity.canonical())
}

/// The text rounded up to the next thousandth; none where it is no finer, or no quantity.
pub fn rounded_to_milli(text: &str) -> Option<String> {
    const MILLI: i128 = NANO / 1000;
    let quantity = Quantity::parse(text).ok()?;
    let rest = quantity.nano.rem_euclid(MILLI);
    if rest == 0 {
        return None;
    }
    let nano = if quantity.nano < 0 {
        quantity.nano - rest
    } else {
        quantity.nano - rest + MILLI
    };
    Some(Quantity { nano, ..quantity }.canonical())
}

struct Parts<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Result<Self, &'static str> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, rest) = split_digits(unsigned);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        let letters = suffix.trim_start_matches(|char| "eEinumkKMGTP".contains(char));
        let signed = letters.strip_prefix(['+', '-']).unwrap_or(letters);
        if !split_digits(signed).1.is_empty() {
            return Err(WRONG_FORMAT);
        }
        if whole.is_empty() && fraction.is_empty() && !unsigned.is_empty() {
            return Err(WRONG_NUMBER);
        }
        Ok(Self {
            negative: text.starts_with('-'),
            whole,
            fraction,
            suffix,
        })
    }

    /// The glance of `ParseQuantity`'s fast path.
    fn looks_canonical(&self) -> bool {
        let whole = match self.whole.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        let Ok((factor, format)) = scale(self.suffix) else {
            return false;
        };
        let digits = whole.len() + self.fraction.len();
        let number = format!("{whole}{}", self.fraction);
        if format == Format::Binary {
            let thousands = factor.binary.ilog2() as usize * 3 / 10;
            let odd = number.parse().is_ok_and(|number: i64| number & 7 != 0);
            return self.fraction.is_empty() && digits + thousands < 15 && odd;
        }
        let exponent = factor.decimal - self.fraction.len() as i64;
        let tidy = !number.ends_with("000") && !number.starts_with('0');
        digits <= 18 && exponent >= -9 && exponent % 3 == 0 && tidy
    }

    /// The number times a factor in nano units, rounded up to the next nano unit.
    fn times(&self, factor: Factor) -> i128 {
        let digits: String = format!("{}{}", self.whole, self.fraction);
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return 0;
        }
        // Beyond 38 digits nothing fits; Go's text would differ, but no resource is that large.
        let mut number: i128 = digits.parse().unwrap_or(i128::MAX);
        number = number.saturating_mul(factor.binary);
        let exponent = factor.decimal + 9 - self.fraction.len() as i64;
        if exponent >= 0 {
            let exponent = u32::try_from(exponent.min(100)).unwrap_or(100);
            let power = 10_i128.checked_pow(exponent).unwrap_or(i128::MAX);
            number = number.saturating_mul(power);
        } else {
            let places = u32::try_from((-exponent).min(100)).unwrap_or(100);
            number = match 10_i128.checked_pow(places) {
                Some(power) => number / power + i128::from(number % power != 0),
                None => 1,
            };
        }
        match factor.binary {
            1 => number,
            _ => number.min(i128::from(i64::MAX) * NANO),
        }
    }
}

#[derive(Clone, Copy)]
struct Factor {
    decimal: i64,
    binary: i128,
}

fn scale(suffix: &str) -> Result<(Factor, Format), &'static str> {
    let decimal = |decimal| Factor { decimal, binary: 1 };
    if let Some((_, exponent)) = DECIMAL.iter().find(|(one, _)| *one == suffix) {
        return Ok((decimal(i64::from(*exponent)), Format::Decimal));
    }
    if let Some(position) = BINARY.iter().position(|one| *one == suffix) {
        let binary = 1_i128 << (10 * (position + 1));
        return Ok((Factor { decimal: 0, binary }, Format::Binary));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(WRONG_SUFFIX)?;
    let exponent: i64 = exponent.parse().map_err(|_| WRONG_SUFFIX)?;
    Ok((decimal(exponent), Format::Exponent))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|char: char| !char.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn canonical_forms() {
        let cases = [
            ("0", "0"),
            ("0m", "0"),
            ("0Gi", "0"),
            ("-0", "0"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1."),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("1Ki", "1Ki"),
            ("1024", "1024"),
            ("1000k", "1M"),
            ("123456789", "123456789"),
            ("1e3", "1e3"),
            ("1000e0", "1e3"),
            ("1E", "1E"),
            ("12e-1", "1200e-3"),
            ("0.0000000001", "1n"),
            ("100u", "100u"),
            ("+1", "+1"),
            ("1.500", "1.500"),
            ("-1500m", "-1500m"),
            ("00012k", "00012k"),
            ("00012000", "12k"),
            ("1000000Ki", "1000000Ki"),
            ("16Ei", "9223372036854775807"),
            // There is no suffix after E; upstream prints none and loses the value.
            ("1000000E", "1"),
            ("1234E", "1234E"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        let cases = [
            ("", WRONG_FORMAT),
            ("1 Gi", WRONG_FORMAT),
            ("abc", WRONG_FORMAT),
            ("1.2.3", WRONG_FORMAT),
            ("1GB", WRONG_FORMAT),
            ("1ki", WRONG_SUFFIX),
            ("1mm", WRONG_SUFFIX),
            (".", WRONG_NUMBER),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_stable_and_of_the_same_value(
            number in -1_000_000_i64..1_000_000,
            suffix in "(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|e[0-9]|e-[0-9])?",
        ) {
            let quantity = Quantity::parse(&format!("{number}{suffix}")).unwrap();
            // What has no suffix loses its value, as upstream.
            let beyond = 1000 * NANO * 10_i128.pow(18);
            prop_assume!(quantity.nano() == 0 || quantity.nano() % beyond != 0);
            let again = Quantity::parse(&quantity.canonical()).unwrap();
            prop_assert_eq!(quantity.nano(), again.nano());
            prop_assert_eq!(quantity.canonical(), again.canonical());
        }
    }
}
