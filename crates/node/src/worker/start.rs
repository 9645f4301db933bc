//! A container's start: image, environment and command become what the supervisor runs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};
use kube::api::Api;
use pod::protocol::{ContainerSpec, Process, Program, Verb};

use super::Worker;
use crate::config::RuntimeKind;
use crate::events::Kind;
use crate::image::{Image, ImageError};
use crate::objects;
use crate::pod::containers;
use crate::pod::environment::{self, References, Source};
use crate::pod::expand::expand;
use crate::pod::fields::Surroundings;
use crate::pod::observed::Hindrance;
use crate::pod::plan::retry_at;
use crate::pod::status::is_on_host_network;

/// The search path of images that give none, as container runtimes have it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a container cannot be started: a reason for the status, and a message.
pub(super) struct Obstacle {
    reason: &'static str,
    message: String,
}

impl Obstacle {
    pub(super) fn new(reason: &'static str, error: &dyn Display) -> Self {
        Self {
            reason,
            message: error.to_string(),
        }
    }
}

impl Worker {
    /// Starts an attempt of a container, or notes what hinders it.
    pub(super) async fn start(&mut self, name: &str, attempt: u32) {
        let Some((_, container)) = containers::find(&self.pod, name) else {
            return;
        };
        let container = container.clone();
        let outcome = self.try_start(&container, attempt).await;
        let observation = self.observed.containers.entry(name.to_owned()).or_default();
        match outcome {
            Ok(()) => {
                observation.hindrance = None;
                if attempt > 0 {
                    observation.backoff.restarted(Timestamp::now());
                }
                self.note(Some(name), (Kind::Normal, "Started"), "Container started");
            }
            Err(obstacle) => self.hinder(&container, obstacle),
        }
    }

    async fn try_start(&mut self, container: &Container, attempt: u32) -> Result<(), Obstacle> {
        let name = container.name.as_str();
        let image = self.find_image(container)?;
        let environment = self.environment(container, &image).await?;
        let spec = match self.context.config.runtime {
            RuntimeKind::Processes => self.process((container, attempt), &image, environment)?,
            RuntimeKind::Containers => {
                self.bundle((container, attempt), &image, environment)
                    .await?
            }
        };
        let observation = self.observed.containers.entry(name.to_owned()).or_default();
        observation.image_id.clone_from(&image.id);
        let message = format!(
            "Container image \"{}\" already present on machine and can be accessed by the pod",
            container.image.as_deref().unwrap_or_default()
        );
        self.note(Some(name), (Kind::Normal, "Pulled"), message);
        self.note(Some(name), (Kind::Normal, "Created"), "Container created");
        let Some(supervisor) = self.supervisor.clone() else {
            return Err(Obstacle::new(
                "RunContainerError",
                &"the pod's supervisor has died",
            ));
        };
        let asked = supervisor.ask(Verb::Start(Box::new(spec))).await;
        asked
            .map(drop)
            .map_err(|error| Obstacle::new("RunContainerError", &error))
    }

    fn find_image(&self, container: &Container) -> Result<Image, Obstacle> {
        let name = container.image.as_deref().unwrap_or_default();
        self.context.images.find(name).map_err(|error| {
            let never = container.image_pull_policy.as_deref() == Some("Never");
            match error {
                ImageError::Name(_) => Obstacle::new("InvalidImageName", &error),
                ImageError::Absent(_) if never => Obstacle::new("ErrImageNeverPull", &error),
                _ => Obstacle::new("ErrImagePull", &error),
            }
        })
    }

    /// Notes what hinders a container; the same thing again is no news.
    fn hinder(&mut self, container: &Container, obstacle: Obstacle) {
        let name = container.name.as_str();
        let image = container.image.as_deref().unwrap_or_default();
        let observation = self.observed.containers.entry(name.to_owned()).or_default();
        let before = observation
            .hindrance
            .as_ref()
            .map(|hindrance| hindrance.reason.clone());
        let mut reason = obstacle.reason;
        let mut message = obstacle.message;
        if reason == "ErrImagePull" && before.is_some() {
            reason = "ImagePullBackOff";
            message = format!("Back-off pulling image \"{image}\": ErrImagePull: {message}");
        }
        observation.hindrance = Some(Hindrance {
            reason: reason.to_owned(),
            message: message.clone(),
            retry_at: retry_at(Timestamp::now()),
        });
        if before.as_deref() == Some(reason) {
            return;
        }
        match reason {
            "ErrImagePull" => {
                let pull = format!("Failed to pull image \"{image}\": {message}");
                self.note(Some(name), (Kind::Warning, "Failed"), pull);
                self.note(Some(name), (Kind::Warning, "Failed"), "Error: ErrImagePull");
            }
            "ImagePullBackOff" => {
                let wait = format!("Back-off pulling image \"{image}\"");
                self.note(Some(name), (Kind::Normal, "BackOff"), wait);
                self.note(
                    Some(name),
                    (Kind::Warning, "Failed"),
                    "Error: ImagePullBackOff",
                );
            }
            _ => {
                self.note(
                    Some(name),
                    (Kind::Warning, "Failed"),
                    format!("Error: {message}"),
                );
            }
        }
    }

    async fn environment(
        &self,
        container: &Container,
        image: &Image,
    ) -> Result<BTreeMap<String, String>, Obstacle> {
        let references = self.references().await?;
        let source = Source {
            pod: &self.pod,
            container,
            image: &self.image_environment(container, image),
            services: self.context.services.variables(&self.pod),
            references: &references,
            around: &self.surroundings(),
        };
        environment::environment(&source)
            .map_err(|error| Obstacle::new("CreateContainerConfigError", &error))
    }

    fn image_environment(&self, container: &Container, image: &Image) -> Vec<(String, String)> {
        let mut all = vec![
            ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
            ("HOSTNAME".to_owned(), self.names().hostname(&self.pod)),
        ];
        all.extend(image.environment.iter().cloned());
        if image.builtin {
            // What the built-in program says of itself, unless the pod says otherwise.
            let config = &self.context.config;
            all.push(("NODE_NAME".to_owned(), config.node_name.clone()));
            let ports = container
                .ports
                .iter()
                .flatten()
                .map(|port| port.container_port.to_string());
            let ports: Vec<String> = ports.collect();
            if !ports.is_empty() {
                all.push(("PORTS".to_owned(), ports.join(",")));
            }
        }
        all
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        let node_addresses = self.context.config.addresses.clone();
        let own = self
            .observed
            .sandbox
            .as_ref()
            .map(|sandbox| sandbox.addresses.clone());
        Surroundings {
            pod_addresses: if is_on_host_network(&self.pod) {
                node_addresses.clone()
            } else {
                own.unwrap_or_default()
            },
            node_addresses,
            cpu_millis: self.context.machine.processors * 1000,
            memory_bytes: self.context.machine.memory_bytes,
        }
    }

    /// The ConfigMaps and Secrets that the pod's containers refer to, as they are now.
    async fn references(&self) -> Result<References, Obstacle> {
        let (config_maps, secrets) = environment::referred(&self.pod);
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let client = &self.context.config.client;
        let failed = |error: kube::Error| Obstacle::new("CreateContainerConfigError", &error);
        let mut found = References::default();
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        for name in config_maps {
            if let Some(object) = api.get_opt(&name).await.map_err(failed)? {
                let data = objects::config_map_data(object);
                found.config_maps.insert(name, data);
            }
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        for name in secrets {
            if let Some(object) = api.get_opt(&name).await.map_err(failed)? {
                found.secrets.insert(name, objects::secret_data(object));
            }
        }
        Ok(found)
    }

    /// An attempt as a plain process. It has no root of its own, so only the built-in program can run so, and
    /// nothing can be mounted.
    fn process(
        &self,
        (container, attempt): (&Container, u32),
        image: &Image,
        environment: BTreeMap<String, String>,
    ) -> Result<ContainerSpec, Obstacle> {
        let refused = |message: &str| Obstacle::new("CreateContainerError", &message);
        if !image.builtin {
            return Err(refused(
                "this node runs plain processes, and only the built-in image fairway/echo so; start it with --runtime containers",
            ));
        }
        if container.volume_mounts.iter().flatten().next().is_some() {
            return Err(refused(
                "volumeMounts: this node runs plain processes, which have no files of their own; start it with --runtime containers",
            ));
        }
        let words = command_line(container, image, &environment);
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| refused("neither the image nor the container says what to run"))?;
        let config = &self.context.config;
        let directory = container
            .working_dir
            .clone()
            .filter(|text| !text.is_empty());
        Ok(ContainerSpec {
            name: container.name.clone(),
            attempt,
            log: config.log(&self.uid, &container.name, attempt),
            program: Program::Process(Process {
                program: program_path(image, program),
                arguments: arguments.to_vec(),
                environment: environment.into_iter().collect(),
                directory: directory.map(PathBuf::from),
            }),
        })
    }
}

/// What to run: `command` takes the place of the image's entrypoint and its arguments, `args` that of the
/// arguments alone. `$(NAME)` sees the container's environment.
pub(super) fn command_line(
    container: &Container,
    image: &Image,
    environment: &BTreeMap<String, String>,
) -> Vec<String> {
    let lookup = |name: &str| environment.get(name).map(String::as_str);
    let expanded = |words: &Option<Vec<String>>| -> Option<Vec<String>> {
        let words = words.as_ref().filter(|words| !words.is_empty())?;
        Some(words.iter().map(|word| expand(word, lookup)).collect())
    };
    let command = expanded(&container.command);
    let arguments = expanded(&container.args);
    let default_arguments = if command.is_some() {
        Vec::new()
    } else {
        image.command.clone()
    };
    let mut words = command.unwrap_or_else(|| image.entrypoint.clone());
    words.extend(arguments.unwrap_or(default_arguments));
    words
}

/// A plain process has no root of its own: a program of the image is run from the image's directory.
fn program_path(image: &Image, program: &str) -> PathBuf {
    let relative = program.trim_start_matches('/');
    let in_image = image.layers.iter().map(|layer| layer.join(relative));
    in_image
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn command_and_args_replace_the_images() {
        let image = Image {
            entrypoint: vec!["/entry".into()],
            command: vec!["default".into()],
            ..Image::default()
        };
        let environment = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let cases = [
            (json!(null), json!(null), "/entry default"),
            (json!(["/x"]), json!(null), "/x"),
            (json!(null), json!(["a$(A)"]), "/entry a1"),
            (json!(["/x"]), json!(["$(B)"]), "/x $(B)"),
        ];
        for (command, args, expected) in cases {
            let object = json!({"name": "c", "command": command, "args": args});
            let container: Container = serde_json::from_value(object).unwrap();
            let words = command_line(&container, &image, &environment);
            assert_eq!(words.join(" "), expected);
        }
    }
}
