//! What kinds a server has: for controllers that look after all of them.

use kube::Client;
use kube::core::ApiResource;

use crate::error::{Error, Result};

/// A kind in its group's preferred version.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
    verbs: Vec<String>,
}

impl Kind {
    /// Whether the server does all of these on it.
    pub(crate) fn can(&self, verbs: &[&str]) -> bool {
        verbs
            .iter()
            .all(|verb| self.verbs.iter().any(|known| known == verb))
    }
}

/// Asks the server for its kinds. Groups that cannot be listed are left out: their server may be away.
pub(crate) async fn kinds(client: &Client) -> Result<Vec<Kind>> {
    let asked = |what: &'static str| {
        move |source| Error::Api {
            verb: "discover",
            what: what.to_owned(),
            source,
        }
    };
    let mut kinds = Vec::new();
    let core = client
        .list_core_api_resources("v1")
        .await
        .map_err(asked("the kinds of v1"))?;
    kinds.extend(of_list("", "v1", core.resources));
    let groups = client
        .list_api_groups()
        .await
        .map_err(asked("API groups"))?;
    for group in groups.groups {
        let preferred = group
            .preferred_version
            .or_else(|| group.versions.first().cloned());
        let Some(version) = preferred else {
            continue;
        };
        match client
            .list_api_group_resources(&version.group_version)
            .await
        {
            Ok(list) => kinds.extend(of_list(&group.name, &version.version, list.resources)),
            Err(problem) => {
                tracing::debug!(%problem, group = group.name, "a group cannot be listed");
            }
        }
    }
    Ok(kinds)
}

fn of_list(
    group: &str,
    version: &str,
    list: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource>,
) -> Vec<Kind> {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let own = list.into_iter().filter(|kind| !kind.name.contains('/'));
    own.map(|kind| Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.clone(),
            kind: kind.kind,
            plural: kind.name,
        },
        namespaced: kind.namespaced,
        verbs: kind.verbs,
    })
    .collect()
}
