//! Resource quantities as numbers (`apimachinery/pkg/api/resource`).

/// The value of a quantity such as `4`, `500m`, `1.5Gi` or `2e3`.
pub(crate) fn value(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.parse::<f64>().ok();
    plain.or_else(|| {
        let split = text.find(|letter: char| !matches!(letter, '0'..='9' | '.' | '+' | '-'))?;
        let (number, unit) = text.split_at(split);
        Some(number.parse::<f64>().ok()? * factor(unit)?)
    })
}

fn factor(unit: &str) -> Option<f64> {
    let binary = |power| Some(1024f64.powi(power));
    match unit {
        "n" => Some(1e-9),
        "u" => Some(1e-6),
        "m" => Some(1e-3),
        "k" => Some(1e3),
        "M" => Some(1e6),
        "G" => Some(1e9),
        "T" => Some(1e12),
        "P" => Some(1e15),
        "E" => Some(1e18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_numbers_with_units() {
        let cases = [
            ("4", Some(4.0)),
            ("500m", Some(0.5)),
            ("1.5Gi", Some(1_610_612_736.0)),
            ("2e3", Some(2000.0)),
            ("1E", Some(1e18)),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
