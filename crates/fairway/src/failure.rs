//! How an error is told: each cause once, and what the API server said in its own words.

use kube::core::Status;

/// The text after "error: ".
pub(crate) fn told(error: &anyhow::Error) -> String {
    if let Some(text) = unreachable(error) {
        return text;
    }
    let mut text = String::new();
    for cause in error.chain() {
        let said = refusal(cause).unwrap_or_else(|| cause.to_string());
        // A cause is often quoted by what it caused.
        if !text.contains(&said) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{colon}{said}");
        }
        if refusal(cause).is_some() {
            break;
        }
    }
    text
}

/// Nobody answers where the API server should be.
fn unreachable(error: &anyhow::Error) -> Option<String> {
    let of_service = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(kube::Error::Service(_)))
    };
    let mut causes = error.chain().skip_while(|cause| !of_service(*cause));
    let last = causes.by_ref().last()?;
    Some(format!(
        "the API server cannot be reached: {last}; does the cluster run? (see: fairway status)"
    ))
}

/// What the server answered, if that is what went wrong.
fn refusal(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let status: &Status = match cause.downcast_ref::<kube::Error>()? {
        kube::Error::Api(status) => status,
        _ => return None,
    };
    Some(status.message.clone()).filter(|message| !message.is_empty())
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let status = Status::failure("pods \"x\" not found", "NotFound").boxed();
        let error = Err::<(), _>(kube::Error::Api(status))
            .context("pod")
            .unwrap_err();
        assert_eq!(told(&error), "pod: pods \"x\" not found");
    }

    #[test]
    fn a_server_that_is_away_is_told_with_what_to_do() {
        let refused = std::io::Error::other("Connection refused");
        let error = Err::<(), _>(kube::Error::Service(Box::new(refused)))
            .context("services")
            .unwrap_err();
        let expected = "the API server cannot be reached: Connection refused; does the cluster run? (see: fairway status)";
        assert_eq!(told(&error), expected);
    }

    #[test]
    fn what_a_text_quotes_already_is_not_told_again() {
        let cause = std::io::Error::other("disk full");
        let error = Err::<(), _>(cause)
            .context("cannot write a: disk full")
            .unwrap_err();
        assert_eq!(told(&error), "cannot write a: disk full");
        let cause = std::io::Error::other("disk full");
        let error = Err::<(), _>(cause).context("cannot write a").unwrap_err();
        assert_eq!(told(&error), "cannot write a: disk full");
    }
}
