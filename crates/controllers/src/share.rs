//! Numbers that may be said as a share of another (`intstr.GetScaledValueFromIntOrPercent`).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The number, or the share of `of` rounded up or down.
pub(crate) fn resolve(value: &IntOrString, of: i32, up: bool) -> i32 {
    let percent = match value {
        IntOrString::Int(number) => return *number,
        IntOrString::String(text) => text.trim_end_matches('%').parse::<i64>().unwrap_or(0),
    };
    let product = percent * i64::from(of) + if up { 99 } else { 0 };
    i32::try_from(product / 100).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_as_asked() {
        let percent = |text: &str| IntOrString::String(text.to_owned());
        assert_eq!(resolve(&IntOrString::Int(3), 10, true), 3);
        assert_eq!(resolve(&percent("25%"), 10, true), 3);
        assert_eq!(resolve(&percent("25%"), 10, false), 2);
    }
}
