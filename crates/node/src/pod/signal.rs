//! The signal that asks a container's program to end: the pod's word, else the image's, else SIGTERM.

use std::str::FromStr;

use k8s_openapi::api::core::v1::Container;
use nix::sys::signal::Signal;

/// The first real-time signal that programs see.
const REALTIME: i32 = 34;
const LAST: i32 = 64;

/// The signal's number; `None` for what is no signal.
pub(crate) fn number(name: &str) -> Option<i32> {
    let name = name.trim().to_uppercase();
    if let Ok(number) = name.parse() {
        return (1..=LAST).contains(&number).then_some(number);
    }
    let short = name.strip_prefix("SIG").unwrap_or(&name);
    let offset = |text: &str| text.parse::<i32>().ok();
    let realtime = match short {
        "RTMIN" => Some(REALTIME),
        "RTMAX" => Some(LAST),
        _ => (short.strip_prefix("RTMIN+").and_then(offset))
            .map(|more| REALTIME + more)
            .or_else(|| (short.strip_prefix("RTMAX-").and_then(offset)).map(|less| LAST - less)),
    };
    if let Some(number) = realtime {
        return (REALTIME..=LAST).contains(&number).then_some(number);
    }
    let signal = Signal::from_str(&format!("SIG{short}")).ok()?;
    Some(signal as i32)
}

/// The signal for a container; the error names what is no signal.
pub(crate) fn stop_signal(container: &Container, image: &str) -> Result<Option<i32>, String> {
    let own = container
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    match own.filter(|name| !name.is_empty()) {
        Some(name) => number(name)
            .map(Some)
            .ok_or_else(|| format!("lifecycle.stopSignal: {name:?} is no signal")),
        None if image.is_empty() => Ok(None),
        None => number(image)
            .map(Some)
            .ok_or_else(|| format!("the image's stop signal {image:?} is no signal")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        let cases = [
            ("SIGTERM", Some(15)),
            ("quit", Some(3)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("SIGRTMIN", Some(34)),
            ("SIGNOPE", None),
            ("0", None),
            ("65", None),
            ("SIGRTMIN+31", None),
        ];
        for (name, expected) in cases {
            assert_eq!(number(name), expected, "{name}");
        }
    }
}
