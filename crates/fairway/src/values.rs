//! Values of flags: durations, port ranges and lists as Kubernetes' programs write them.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// `500ms`, `4s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text}: a duration is like 500ms, 4s or 2m"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("{text}: a duration is like 500ms, 4s or 2m")),
    }
}

/// `30000-32767`.
pub(crate) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || format!("{text}: a port range is like 30000-32767");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let parse = |port: &str| port.parse::<u16>().map_err(|_| wrong());
    let (first, last) = (parse(first)?, parse(last)?);
    if first == 0 || first > last {
        Err(wrong())
    } else {
        Ok(first..=last)
    }
}

/// Makes the file that tells the launcher that a role serves.
pub(crate) fn announce_ready(file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, "")
        .with_context(|| format!("cannot write the ready file {}", file.display()))
}

/// Ends at SIGTERM or Ctrl-C.
pub(crate) async fn end_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a handler can be installed");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_ranges_are_read_or_refused_with_an_example() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("4s"), Ok(Duration::from_secs(4)));
        assert!(duration("4").expect_err("no unit").contains("like 500ms"));
        assert_eq!(ports("30000-32767"), Ok(30000..=32767));
        for wrong in ["30000", "5-4", "0-9", "a-b"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
