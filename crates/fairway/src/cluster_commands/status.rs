//! `fairway status`: which parts run.

use std::process::ExitCode;

use anyhow::Result;
use cluster::{RoleState, RoleStatus};

use crate::arguments::ClusterFlags;
use crate::client::table::aligned;

/// Prints a row per role. The status is 0 only if all are ready.
pub(crate) async fn run(at: ClusterFlags) -> Result<ExitCode> {
    let place = cluster::find(at.data_dir.as_deref())?;
    let status = cluster::status(&place)?;
    let mut rows = vec![
        ["ROLE", "STATE", "PID", "RESTARTS", "ADDRESSES", "LOG"]
            .map(String::from)
            .to_vec(),
    ];
    rows.extend(status.roles.iter().map(row));
    anstream::println!("cluster {} in {}", status.id, status.data_dir.display());
    if status.launcher.is_none() {
        anstream::println!(
            "no launcher looks after it: `fairway up` adopts it, `fairway down` ends it"
        );
    }
    anstream::println!("\n{}", aligned(&rows).join("\n"));
    let ready = status
        .roles
        .iter()
        .all(|role| matches!(role.state, RoleState::Ready));
    Ok(if ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn row(role: &RoleStatus) -> Vec<String> {
    let addresses: Vec<String> = role.addresses.iter().map(ToString::to_string).collect();
    vec![
        role.name.clone(),
        format!("{:?}", role.state).to_lowercase(),
        role.pid.map_or("-".to_owned(), |pid| pid.to_string()),
        role.restarts.to_string(),
        addresses.join(","),
        role.log.display().to_string(),
    ]
}
