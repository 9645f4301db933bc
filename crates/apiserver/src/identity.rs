//! Who asks, and what they may do.
//!
//! There is no RBAC yet: a verified client certificate may do everything, nobody may see health and the
//! version. An administrator may speak as somebody else (`Impersonate-User`); who is impersonated without
//! the group `system:masters` may see discovery and nothing else, as on a cluster without role bindings.

use http::HeaderMap;

/// Members of this group may do everything (`--authorization-mode` cannot change it upstream either).
const MASTERS: &str = "system:masters";

/// Every verified user is a member.
const AUTHENTICATED: &str = "system:authenticated";

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name: a certificate's common name.
    pub name: String,
    /// Groups: a certificate's organizations.
    pub groups: Vec<String>,
    /// Whether everything is allowed.
    all_powerful: bool,
}

impl Identity {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            all_powerful: false,
        }
    }

    /// The owner of a verified certificate.
    pub fn certified(name: impl Into<String>, organizations: Vec<String>) -> Self {
        let mut groups = organizations;
        groups.push(AUTHENTICATED.to_owned());
        let name = name.into();
        Self {
            name,
            groups,
            all_powerful: true,
        }
    }

    /// The administrator, and what runs in this process.
    pub fn administrator() -> Self {
        Self::certified("system:admin", vec![MASTERS.to_owned()])
    }

    /// Whether everything is allowed.
    pub fn may_do_all(&self) -> bool {
        self.all_powerful
    }

    /// Whether discovery and OpenAPI may be read (`system:discovery`).
    pub fn may_discover(&self) -> bool {
        self.all_powerful || self.groups.iter().any(|group| group == AUTHENTICATED)
    }

    /// Who is meant when this user speaks as somebody else.
    pub(crate) fn impersonated(self, headers: &HeaderMap) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let Some(name) = headers.get("impersonate-user").and_then(text) else {
            return self;
        };
        let all = headers.get_all("impersonate-group").iter();
        let mut groups: Vec<String> = all.filter_map(text).collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) && name != "system:anonymous" {
            groups.push(AUTHENTICATED.to_owned());
        }
        let all_powerful = groups.iter().any(|group| group == MASTERS);
        Self {
            name,
            groups,
            all_powerful,
        }
    }
}
