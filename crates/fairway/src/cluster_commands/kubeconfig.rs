//! Adding a cluster to the user's kubeconfig.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use kube::config::Kubeconfig;

const NAME: &str = "fairway";

/// Puts the cluster, user and context of `own` into `user` under the name "fairway", replacing those of an
/// earlier cluster, and makes it the current context. Everything else in the file stays.
pub(crate) fn merge(own: &Path, user: &Path) -> Result<()> {
    let own = Kubeconfig::read_from(own)?;
    let mut merged = if user.exists() {
        Kubeconfig::read_from(user)?
    } else {
        Kubeconfig::default()
    };
    merged.clusters.retain(|entry| entry.name != NAME);
    merged.auth_infos.retain(|entry| entry.name != NAME);
    merged.contexts.retain(|entry| entry.name != NAME);
    for mut cluster in own.clusters {
        NAME.clone_into(&mut cluster.name);
        merged.clusters.push(cluster);
    }
    for mut auth in own.auth_infos {
        NAME.clone_into(&mut auth.name);
        merged.auth_infos.push(auth);
    }
    for mut context in own.contexts {
        NAME.clone_into(&mut context.name);
        if let Some(context) = &mut context.context {
            NAME.clone_into(&mut context.cluster);
            context.user = Some(NAME.to_owned());
        }
        merged.contexts.push(context);
    }
    merged.current_context = Some(NAME.to_owned());
    let folder = user.parent().context("a kubeconfig lies in a directory")?;
    std::fs::create_dir_all(folder)?;
    let text = serde_saphyr::to_string(&serde_json::to_value(&merged)?)?;
    // Written beside and renamed, so that a full disk cannot lose the user's other clusters.
    let new = user.with_extension("fairway-new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // It holds keys.
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new);
    file?.write_all(text.as_bytes())?;
    std::fs::rename(&new, user)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(name: &str, server: &str) -> String {
        format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: {name}, cluster: {{server: \"{server}\"}}}}]
users: [{{name: {name}, user: {{username: me}}}}]
contexts: [{{name: {name}, context: {{cluster: {name}, user: {name}}}}}]
current-context: {name}
"
        )
    }

    #[test]
    fn the_users_other_clusters_stay_and_an_older_one_of_ours_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (own, user) = (
            folder.path().join("own"),
            folder.path().join(".kube/config"),
        );
        std::fs::create_dir(folder.path().join(".kube")).unwrap();
        std::fs::write(&user, config("work", "https://192.0.2.1:6443")).unwrap();
        for port in ["6443", "7443"] {
            std::fs::write(
                &own,
                config("default", &format!("https://127.0.0.1:{port}")),
            )
            .unwrap();
            merge(&own, &user).unwrap();
        }
        let merged = Kubeconfig::read_from(&user).unwrap();
        let names: Vec<_> = merged
            .clusters
            .iter()
            .map(|cluster| cluster.name.as_str())
            .collect();
        assert_eq!(names, ["work", "fairway"]);
        assert_eq!(merged.current_context.as_deref(), Some("fairway"));
        let ours = merged.clusters[1].cluster.as_ref().unwrap();
        assert_eq!(ours.server.as_deref(), Some("https://127.0.0.1:7443"));
        let context = merged.contexts[1].context.as_ref().unwrap();
        assert_eq!(
            (context.cluster.as_str(), context.user.as_deref()),
            ("fairway", Some("fairway"))
        );
        assert_eq!(user.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
