//! Adding a cluster to the user's kubeconfig.

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
    std::fs::write(&new, text)?;
    std::fs::rename(&new, user)?;
    Ok(())
}
