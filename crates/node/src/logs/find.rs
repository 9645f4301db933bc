//! Which file a log is in.

use std::fs;
use std::path::Path;

use super::query::Options;
use super::stream::Attempt;
use crate::context::Context;
use crate::server::Place;

/// The attempt whose log is asked for; the error is for the user.
pub(super) fn find(context: &Context, place: &Place, options: &Options) -> Result<Attempt, String> {
    let Place { pod, container, .. } = place;
    let uid = place.uid(context)?;
    let directory = context.config.pod_data_directory(&uid).join(container);
    let attempts = attempts(&directory);
    let number = if options.previous {
        attempts.get(1)
    } else {
        attempts.first()
    };
    let number = *number.ok_or_else(|| {
        if options.previous {
            format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
        } else {
            format!(
                "container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating"
            )
        }
    })?;
    Ok(Attempt {
        number,
        log: context.config.log(&uid, container, number),
        run_directory: context.config.pod_run_directory(&uid),
        container: container.clone(),
    })
}

/// The attempts that have a log, newest first.
fn attempts(directory: &Path) -> Vec<u32> {
    let mut found: Vec<u32> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".log")?
                .parse()
                .ok()
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}
