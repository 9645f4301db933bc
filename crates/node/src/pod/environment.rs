//! A container's environment: the image's, then the Services', then `envFrom`, then `env` in its order
//! (kubelet, `pkg/kubelet/kubelet_pods.go`, `makeEnvironmentVariables`). Later ones win.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource, Pod};
use thiserror::Error;

use super::expand::expand;
use super::fields::{self, Surroundings};

/// ConfigMaps and Secrets that a pod refers to, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct References {
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

/// Why a container's configuration is not complete; the texts are kubelet's.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum ConfigError {
    #[error("{kind} \"{name}\" not found")]
    Missing { kind: &'static str, name: String },
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    MissingKey {
        kind: &'static str,
        namespace: String,
        name: String,
        key: String,
    },
    #[error("{0} is no field that a container can refer to")]
    Field(String),
}

/// What a container's environment is made from.
pub(crate) struct Source<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) image: &'a [(String, String)],
    pub(crate) services: BTreeMap<String, String>,
    pub(crate) references: &'a References,
    pub(crate) around: &'a Surroundings,
}

/// The names of ConfigMaps and Secrets that the pod's containers take variables from.
pub(crate) fn referred(pod: &Pod) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut config_maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for (_, container) in super::containers::all(pod) {
        for source in container.env_from.iter().flatten() {
            config_maps.extend(source.config_map_ref.iter().map(|from| from.name.clone()));
            secrets.extend(source.secret_ref.iter().map(|from| from.name.clone()));
        }
        let sources = container
            .env
            .iter()
            .flatten()
            .filter_map(|env| env.value_from.as_ref());
        for source in sources {
            config_maps.extend(
                source
                    .config_map_key_ref
                    .iter()
                    .map(|from| from.name.clone()),
            );
            secrets.extend(source.secret_key_ref.iter().map(|from| from.name.clone()));
        }
    }
    (config_maps, secrets)
}

/// The whole environment, by name.
pub(crate) fn environment(source: &Source<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    for from in source.container.env_from.iter().flatten() {
        given.extend(source.all_of(from)?);
    }
    for variable in source.container.env.iter().flatten() {
        if let Some(value) = source.value(variable, &given)? {
            given.insert(variable.name.clone(), value);
        }
    }
    let mut all: BTreeMap<String, String> = source.image.iter().cloned().collect();
    all.extend(source.services.clone());
    all.extend(given);
    Ok(all)
}

impl Source<'_> {
    /// The value of one `env` entry; references see entries before it, `envFrom` and the Services.
    fn value(
        &self,
        variable: &EnvVar,
        before: &BTreeMap<String, String>,
    ) -> Result<Option<String>, ConfigError> {
        if let Some(from) = &variable.value_from {
            return self.value_from(from);
        }
        let known = |name: &str| before.get(name).or_else(|| self.services.get(name));
        let text = variable.value.as_deref().unwrap_or_default();
        Ok(Some(expand(text, |name| known(name).map(String::as_str))))
    }

    fn value_from(&self, from: &EnvVarSource) -> Result<Option<String>, ConfigError> {
        if let Some(reference) = &from.field_ref {
            let path = &reference.field_path;
            let value = fields::field(self.pod, self.around, path);
            return value
                .map(Some)
                .ok_or_else(|| ConfigError::Field(path.clone()));
        }
        if let Some(selector) = &from.resource_field_ref {
            let container = self.resource_owner(selector.container_name.as_deref());
            let value = fields::resource(container, self.around, selector);
            return value
                .map(Some)
                .ok_or_else(|| ConfigError::Field(selector.resource.clone()));
        }
        if let Some(reference) = &from.config_map_key_ref {
            let optional = reference.optional.unwrap_or(false);
            return self.key(Kind::ConfigMap, &reference.name, &reference.key, optional);
        }
        if let Some(reference) = &from.secret_key_ref {
            let optional = reference.optional.unwrap_or(false);
            return self.key(Kind::Secret, &reference.name, &reference.key, optional);
        }
        Ok(None)
    }

    fn resource_owner(&self, name: Option<&str>) -> &Container {
        name.and_then(|name| super::containers::find(self.pod, name))
            .map_or(self.container, |(_, container)| container)
    }

    fn key(
        &self,
        kind: Kind,
        name: &str,
        key: &str,
        optional: bool,
    ) -> Result<Option<String>, ConfigError> {
        let Some(data) = kind.data(self.references, name) else {
            return missing(optional, || ConfigError::Missing {
                kind: kind.plain_name(),
                name: name.to_owned(),
            });
        };
        let Some(value) = data.get(key) else {
            return missing(optional, || ConfigError::MissingKey {
                kind: kind.name(),
                namespace: self.pod.metadata.namespace.clone().unwrap_or_default(),
                name: name.to_owned(),
                key: key.to_owned(),
            });
        };
        Ok(Some(String::from_utf8_lossy(value).into_owned()))
    }

    /// All keys of a ConfigMap or Secret, with the prefix.
    fn all_of(&self, from: &EnvFromSource) -> Result<BTreeMap<String, String>, ConfigError> {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let config_map = from.config_map_ref.as_ref();
        let secret = from.secret_ref.as_ref();
        let sources = config_map
            .map(|from| (Kind::ConfigMap, &from.name, from.optional))
            .into_iter()
            .chain(secret.map(|from| (Kind::Secret, &from.name, from.optional)));
        let mut all = BTreeMap::new();
        for (kind, name, optional) in sources {
            let Some(data) = kind.data(self.references, name) else {
                if optional.unwrap_or(false) {
                    continue;
                }
                return Err(ConfigError::Missing {
                    kind: kind.plain_name(),
                    name: name.clone(),
                });
            };
            all.extend(data.iter().map(|(key, value)| {
                let value = String::from_utf8_lossy(value).into_owned();
                (format!("{prefix}{key}"), value)
            }));
        }
        Ok(all)
    }
}

fn missing(
    optional: bool,
    error: impl FnOnce() -> ConfigError,
) -> Result<Option<String>, ConfigError> {
    if optional { Ok(None) } else { Err(error()) }
}

#[derive(Clone, Copy)]
enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn data<'a>(
        self,
        references: &'a References,
        name: &str,
    ) -> Option<&'a BTreeMap<String, Vec<u8>>> {
        match self {
            Self::ConfigMap => references.config_maps.get(name),
            Self::Secret => references.secrets.get(name),
        }
    }

    /// As in "couldn't find key x in ConfigMap default/y".
    fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// As in "configmap \"y\" not found".
    fn plain_name(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(container: &serde_json::Value) -> Result<String, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "namespace": "default"},
            "spec": {"containers": [container]},
        }))
        .unwrap();
        let data =
            |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.as_bytes().to_vec())]);
        let references = References {
            config_maps: BTreeMap::from([("settings".to_owned(), data("color", "red"))]),
            secrets: BTreeMap::from([("keys".to_owned(), data("token", "abc"))]),
        };
        let source = Source {
            pod: &pod,
            container: &pod.spec.as_ref().unwrap().containers[0],
            image: &[
                ("PATH".to_owned(), "/bin".to_owned()),
                ("A".to_owned(), "image".to_owned()),
            ],
            services: BTreeMap::from([("DB_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned())]),
            references: &references,
            around: &Surroundings::default(),
        };
        let variables = environment(&source).map_err(|error| error.to_string())?;
        let lines: Vec<String> = variables
            .into_iter()
            .filter(|(name, _)| name != "PATH" && name != "DB_SERVICE_HOST")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(lines.join(" "))
    }

    #[test]
    fn variables_come_from_everywhere_and_later_ones_win() {
        let cases = [
            (json!([]), json!([]), Ok("A=image")),
            (
                json!([{"name": "A", "value": "own"}]),
                json!([]),
                Ok("A=own"),
            ),
            (
                json!([{"name": "URL", "value": "http://$(DB_SERVICE_HOST)/$(LATER)"}, {"name": "LATER", "value": "1"}]),
                json!([]),
                Ok("A=image LATER=1 URL=http://10.0.0.1/$(LATER)"),
            ),
            (
                json!([{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
                json!([{"prefix": "C_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]),
                Ok("A=image C_color=red N=web-1 token=abc"),
            ),
            (
                json!([{"name": "T", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]),
                json!([]),
                Ok("A=image T=abc"),
            ),
            (
                json!([{"name": "T", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "k"}}}]),
                json!([]),
                Err("secret \"nope\" not found"),
            ),
            (
                json!([{"name": "T", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}}]),
                json!([]),
                Err("couldn't find key k in ConfigMap default/settings"),
            ),
            (
                json!([{"name": "T", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k", "optional": true}}}]),
                json!([]),
                Ok("A=image"),
            ),
            (
                json!([]),
                json!([{"configMapRef": {"name": "nope"}}]),
                Err("configmap \"nope\" not found"),
            ),
        ];
        for (env, from, expected) in cases {
            let text = env.to_string();
            let actual = check(&json!({"name": "c", "env": env, "envFrom": from}));
            assert_eq!(
                actual.as_deref().map_err(String::as_str),
                expected,
                "{text}"
            );
        }
    }
}
