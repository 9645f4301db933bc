//! Which kinds the server has, and what people call them.

use anyhow::{Result, bail};
use kube::Client;
use serde_json::Value;

use super::connect::ask;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A kind, as discovery tells it.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    pub(crate) namespaced: bool,
}

impl Kind {
    /// The path of its objects, in a namespace if it has them.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// `deployment.apps`: the name as tables and messages have it.
    pub(crate) fn label(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() {
            kind
        } else {
            format!("{kind}.{}", self.group)
        }
    }

    fn is_called(&self, name: &str) -> bool {
        let names = [&self.plural, &self.singular];
        let label = format!("{}.{}", self.plural, self.group);
        names.iter().any(|known| *known == name)
            || self.short_names.iter().any(|known| known == name)
            || label == name
            || self.label() == name
    }
}

/// All kinds that the server lists, in its order.
pub(crate) async fn all(client: &Client) -> Result<Vec<Kind>> {
    let mut kinds = Vec::new();
    for path in ["/api", "/apis"] {
        let document = ask(client, "GET", path, AGGREGATED, None).await?;
        for group in list(&document["items"]) {
            let name = text(&group["metadata"]["name"]);
            // The first version is the preferred one.
            let Some(version) = list(&group["versions"]).first() else {
                continue;
            };
            kinds.extend(
                list(&version["resources"])
                    .iter()
                    .map(|r| kind(&name, version, r)),
            );
        }
    }
    Ok(kinds)
}

/// The kinds that a word means: `all`, or one by any of its names.
pub(crate) fn called(kinds: &[Kind], word: &str) -> Result<Vec<Kind>> {
    let word = word.to_lowercase();
    let in_category = |kind: &&Kind| kind.categories.contains(&word);
    let category: Vec<Kind> = kinds.iter().filter(in_category).cloned().collect();
    if !category.is_empty() {
        return Ok(category);
    }
    match kinds.iter().find(|kind| kind.is_called(&word)) {
        Some(kind) => Ok(vec![kind.clone()]),
        None => bail!("the server doesn't have a resource type \"{word}\""),
    }
}

fn kind(group: &str, version: &Value, resource: &Value) -> Kind {
    let names = |value: &Value| list(value).iter().map(text).collect();
    Kind {
        group: group.to_owned(),
        version: text(&version["version"]),
        kind: text(&resource["responseKind"]["kind"]),
        plural: text(&resource["resource"]),
        singular: text(&resource["singularResource"]),
        short_names: names(&resource["shortNames"]),
        categories: names(&resource["categories"]),
        namespaced: resource["scope"] == "Namespaced",
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
