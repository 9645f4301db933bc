//! Whom a container runs as: numbers from the pod, the image, and the image's own user and group files.
//!
//! As with kubelet (`pkg/kubelet/kuberuntime/security_context.go`) the group that an image names after a colon is
//! not used: the group is the pod's, else the one that the image's `/etc/passwd` has for the user, else 0.

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SecurityContext};
use thiserror::Error;

use crate::pod::status::full_name;

/// A container's user and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// All its groups, the primary one first.
    pub(crate) groups: Vec<u32>,
}

/// The image's `/etc/passwd` and `/etc/group`; empty where it has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserFiles {
    pub(crate) passwd: String,
    pub(crate) group: String,
}

/// Why nobody can be named; the texts about root are kubelet's.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum UserError {
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    AskedForRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})"
    )]
    ImageIsRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: {pod:?}, container: {container})"
    )]
    ImageHasName {
        user: String,
        pod: String,
        container: String,
    },
    #[error("the image's user {0:?} is not in its /etc/passwd: set securityContext.runAsUser")]
    Unknown(String),
    #[error("{field} {value} is no user or group id")]
    Number { field: &'static str, value: i64 },
}

/// Decides whom the container runs as.
pub(crate) fn ids(
    pod: &Pod,
    container: &Container,
    image_user: &str,
    files: &UserFiles,
) -> Result<Ids, UserError> {
    let asked = Asked::of(pod, container);
    let image_user = image_user.split(':').next().unwrap_or_default();
    check_non_root(pod, container, &asked, image_user)?;
    let entry = match asked.user {
        Some(uid) => Entry::of_uid(number("runAsUser", uid)?, &files.passwd),
        None => of_image(image_user, files)?,
    };
    let gid = match asked.group {
        Some(gid) => number("runAsGroup", gid)?,
        None => entry.gid,
    };
    let mut groups = vec![gid];
    if !asked.only_listed_groups {
        groups.extend(groups_of(&entry.name, &files.group));
    }
    for gid in asked.groups {
        groups.push(number("supplementalGroups", gid)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|gid| seen.insert(*gid));
    Ok(Ids {
        uid: entry.uid,
        gid,
        groups,
    })
}

/// What the pod and the container ask for; the container's own word counts.
struct Asked {
    user: Option<i64>,
    group: Option<i64>,
    groups: Vec<i64>,
    only_listed_groups: bool,
    non_root: bool,
}

impl Asked {
    fn of(pod: &Pod, container: &Container) -> Self {
        let spec = pod.spec.as_ref();
        let of_pod: PodSecurityContext = spec
            .and_then(|spec| spec.security_context.clone())
            .unwrap_or_default();
        let own: SecurityContext = container.security_context.clone().unwrap_or_default();
        let listed = of_pod.supplemental_groups.unwrap_or_default();
        Self {
            user: own.run_as_user.or(of_pod.run_as_user),
            group: own.run_as_group.or(of_pod.run_as_group),
            groups: of_pod.fs_group.into_iter().chain(listed).collect(),
            only_listed_groups: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
            non_root: own
                .run_as_non_root
                .or(of_pod.run_as_non_root)
                .unwrap_or(false),
        }
    }
}

fn check_non_root(
    pod: &Pod,
    container: &Container,
    asked: &Asked,
    image_user: &str,
) -> Result<(), UserError> {
    if !asked.non_root {
        return Ok(());
    }
    let (pod, container) = (full_name(pod), container.name.clone());
    match (asked.user, image_user.parse::<i64>()) {
        (Some(0), _) => Err(UserError::AskedForRoot { pod, container }),
        (Some(_), _) => Ok(()),
        (None, Ok(0)) => Err(UserError::ImageIsRoot { pod, container }),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) if image_user.is_empty() => Err(UserError::ImageIsRoot { pod, container }),
        (None, Err(_)) => Err(UserError::ImageHasName {
            user: image_user.to_owned(),
            pod,
            container,
        }),
    }
}

fn number(field: &'static str, value: i64) -> Result<u32, UserError> {
    u32::try_from(value).map_err(|_| UserError::Number { field, value })
}

/// The image's user by number or name; none is root.
fn of_image(user: &str, files: &UserFiles) -> Result<Entry, UserError> {
    if user.is_empty() {
        return Ok(Entry::of_uid(0, &files.passwd));
    }
    if let Ok(uid) = user.parse() {
        return Ok(Entry::of_uid(uid, &files.passwd));
    }
    let mut entries = files.passwd.lines().filter_map(Entry::parse);
    entries
        .find(|entry| entry.name == user)
        .ok_or_else(|| UserError::Unknown(user.to_owned()))
}

/// A line of `/etc/passwd`.
#[derive(Debug, Default)]
struct Entry {
    name: String,
    uid: u32,
    gid: u32,
}

impl Entry {
    /// `name:password:uid:gid:…`
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { name, uid, gid })
    }

    /// A user that the image does not know has group 0 and no name.
    fn of_uid(uid: u32, passwd: &str) -> Self {
        let mut entries = passwd.lines().filter_map(Self::parse);
        let known = entries.find(|entry| entry.uid == uid);
        known.unwrap_or(Self {
            uid,
            ..Self::default()
        })
    }
}

/// The groups that list a user as member: `name:password:gid:member,member`.
fn groups_of(user: &str, group: &str) -> Vec<u32> {
    let lines = group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_member = fields.get(3)?.split(',').any(|member| member == user);
        (is_member && !user.is_empty())
            .then(|| fields[2].parse().ok())
            .flatten()
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:Web:/:/bin/false\nbad\n";
    const GROUP: &str = "root:x:0:\nweb:x:102:\ndisk:x:6:root,web\ncert:x:105:web\n";

    fn check(
        pod_context: &serde_json::Value,
        context: &serde_json::Value,
        image_user: &str,
    ) -> Result<String, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "ns", "uid": "u"},
            "spec": {
                "securityContext": pod_context,
                "containers": [{"name": "c", "securityContext": context}],
            },
        }))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let files = UserFiles {
            passwd: PASSWD.into(),
            group: GROUP.into(),
        };
        ids(&pod, container, image_user, &files)
            .map(|ids| format!("{}:{} {:?}", ids.uid, ids.gid, ids.groups))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn users_and_groups_come_from_the_pod_then_the_image() {
        let cases = [
            (json!({}), json!({}), "", "0:0 [0, 6]"),
            (json!({}), json!({}), "1000", "1000:0 [0]"),
            (json!({}), json!({}), "1000:1000", "1000:0 [0]"),
            (json!({}), json!({}), "101", "101:102 [102, 6, 105]"),
            (json!({}), json!({}), "web:root", "101:102 [102, 6, 105]"),
            (json!({"runAsUser": 7}), json!({}), "web", "7:0 [0]"),
            (
                json!({"runAsUser": 7, "runAsGroup": 8}),
                json!({"runAsUser": 9}),
                "web",
                "9:8 [8]",
            ),
            (
                json!({"fsGroup": 50, "supplementalGroups": [60, 6]}),
                json!({}),
                "web",
                "101:102 [102, 6, 105, 50, 60]",
            ),
            (
                json!({"supplementalGroups": [60], "supplementalGroupsPolicy": "Strict"}),
                json!({}),
                "web",
                "101:102 [102, 60]",
            ),
        ];
        for (pod, own, image, expected) in cases {
            let found = check(&pod, &own, image);
            assert_eq!(found.as_deref(), Ok(expected), "{pod} {own} {image}");
        }
    }

    #[test]
    fn who_must_not_be_root_is_not() {
        let place = "(pod: \"web_ns(u)\", container: c)";
        let non_root = json!({"runAsNonRoot": true});
        let cases = [
            (
                json!({}),
                "",
                format!("container has runAsNonRoot and image will run as root {place}"),
            ),
            (
                json!({}),
                "0:5",
                format!("container has runAsNonRoot and image will run as root {place}"),
            ),
            (
                json!({"runAsUser": 0}),
                "1",
                format!("container's runAsUser breaks non-root policy {place}"),
            ),
            (
                json!({}),
                "web",
                format!(
                    "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root {place}"
                ),
            ),
        ];
        for (own, image, expected) in cases {
            assert_eq!(
                check(&non_root, &own, image),
                Err(expected),
                "{own} {image}"
            );
        }
        assert!(check(&non_root, &json!({}), "1000").is_ok());
        assert!(check(&non_root, &json!({"runAsNonRoot": false}), "").is_ok());
        let unknown = check(&json!({}), &json!({}), "nobody").unwrap_err();
        assert!(unknown.contains("/etc/passwd"), "{unknown}");
    }
}
