//! What can go wrong in a controller, in words for the operator.

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A name that no controller has.
    #[error("there is no controller {name:?}; known are *, {}", crate::config::NAMES.join(", "))]
    UnknownController {
        /// As given.
        name: String,
    },
    /// A pool that is no range of addresses.
    #[error(
        "load-balancer pool {text:?} is neither ADDRESS/PREFIX nor FIRST-LAST: {reason}; for example 192.0.2.0/24 or 192.0.2.10-192.0.2.20"
    )]
    Pool {
        /// As given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A piece of work that failed and is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused, or could not be reached.
    #[error("cannot {verb} {what}: {}", text(source))]
    Api {
        verb: &'static str,
        what: String,
        source: kube::Error,
    },
    /// Anything else that is worth another attempt.
    #[error("{0}")]
    Retry(String),
}

/// What the server said; the whole error says it twice.
fn text(problem: &kube::Error) -> String {
    match problem {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl Error {
    /// The reason in the server's answer (`AlreadyExists`), if it answered.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } => &status.reason,
            _ => "",
        }
    }

    /// The server's own text, or ours.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Api { source, .. } => text(source),
            Self::Retry(text) => text.clone(),
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    pub(crate) fn already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// Whether the object could not be made because its namespace goes away: nothing to try again.
    pub(crate) fn namespace_terminates(&self) -> bool {
        let Self::Api {
            source: kube::Error::Api(status),
            ..
        } = self
        else {
            return false;
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes
            .into_iter()
            .any(|cause| cause.reason == "NamespaceTerminating")
    }
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
