//! What is asked of a log: the parameters of `PodLogOptions`.

use jiff::{SignedDuration, Timestamp};

/// Which part of a log, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) follow: bool,
    pub(crate) previous: bool,
    pub(crate) timestamps: bool,
    pub(crate) tail: Option<usize>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) limit: Option<u64>,
}

/// Reads the parameters; the error is for the client.
pub(crate) fn options(query: &str, now: Timestamp) -> Result<Options, String> {
    let mut options = Options::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = || format!("invalid value {value:?} of {key}");
        match key {
            "follow" => options.follow = is_true(value),
            "previous" => options.previous = is_true(value),
            "timestamps" => options.timestamps = is_true(value),
            "tailLines" => options.tail = Some(value.parse().map_err(|_| wrong())?),
            "limitBytes" => options.limit = Some(value.parse().map_err(|_| wrong())?),
            "sinceSeconds" => {
                let seconds: u32 = value.parse().map_err(|_| wrong())?;
                options.since = now
                    .checked_sub(SignedDuration::from_secs(seconds.into()))
                    .ok();
            }
            "sinceTime" => {
                let text = value
                    .replace("%3A", ":")
                    .replace("%3a", ":")
                    .replace("%2B", "+");
                options.since = Some(text.parse().map_err(|_| wrong())?);
            }
            _ => {}
        }
    }
    Ok(options)
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "1" | "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_pod_log_options() {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let text = "follow=true&tailLines=5&sinceSeconds=60&timestamps=true&limitBytes=10&x=y";
        let expected = Options {
            follow: true,
            previous: false,
            timestamps: true,
            tail: Some(5),
            since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            limit: Some(10),
        };
        assert_eq!(options(text, now), Ok(expected));
        let time = options("sinceTime=2026-01-01T00%3A00%3A30Z", now).unwrap();
        assert_eq!(time.since, Some("2026-01-01T00:00:30Z".parse().unwrap()));
        assert!(options("tailLines=-1", now).is_err());
    }
}
