//! A container's OCI runtime specification: a pure function of the pod, the container, its image and what was
//! resolved for it. The supervisor has it run as it is (`pod::protocol::Bundle` says what it expects).
//!
//! What a pod asks for and a node cannot give is named by [`refusals`], field by field, before anything starts.

mod mounts;
pub(crate) mod refusals;
mod resources;
mod security;
pub(crate) mod user;

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, Pod};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxDevice, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType,
    Mount, Process, ProcessBuilder, RootBuilder, Spec, SpecBuilder, User, UserBuilder,
};

pub(crate) use mounts::{Bind, Propagation};
pub(crate) use resources::oom_score_adj;
pub(crate) use user::Ids;

/// The root's directory in a bundle, where the supervisor mounts the overlay.
const ROOT: &str = "rootfs";

/// What a specification is made from.
pub(crate) struct Input<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    /// Program and arguments, not empty.
    pub(crate) words: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// The image's working directory, used when the container gives none.
    pub(crate) image_directory: &'a str,
    pub(crate) ids: Ids,
    /// Volumes and files of the node, in the order in which they are mounted.
    pub(crate) binds: Vec<Bind>,
    /// Below the mount point of every cgroup hierarchy.
    pub(crate) cgroup: PathBuf,
    /// The pid namespace that the pod's containers share, if they share one.
    pub(crate) pid_namespace: Option<PathBuf>,
    pub(crate) rights: &'a MachineRights,
    /// Lists the machine's devices; asked for privileged containers only.
    pub(crate) devices: fn() -> Vec<LinuxDevice>,
}

/// What the machine lets its containers have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MachineRights {
    /// The agent's own capabilities, as a bit set: nobody can give what he has not.
    pub(crate) capabilities: u64,
    /// Whether a cgroup keeps containers from opening devices that they make.
    pub(crate) filters_devices: bool,
}

/// The container's specification.
///
/// # Errors
/// Only when a part is missing that is always given here.
pub(crate) fn spec(input: &Input<'_>) -> Result<Spec, OciSpecError> {
    let read_only = input
        .container
        .security_context
        .as_ref()
        .and_then(|context| context.read_only_root_filesystem)
        .unwrap_or(false);
    let root = RootBuilder::default().path(ROOT).readonly(read_only);
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(root.build()?)
        .process(process(input)?)
        .mounts(all_mounts(input)?)
        .linux(linux(input)?)
        .build()?;
    // The library's default fills it in; the supervisor's own UTS namespace has the name.
    spec.set_hostname(None);
    Ok(spec)
}

fn process(input: &Input<'_>) -> Result<Process, OciSpecError> {
    let security = security::Security::of(input);
    let variables = input.environment.iter();
    let directory = input.container.working_dir.as_deref();
    let mut process = ProcessBuilder::default()
        .args(input.words.clone())
        .env(
            variables
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>(),
        )
        .cwd(working_directory(directory, input.image_directory))
        .user(user(&input.ids)?)
        .capabilities(security.capabilities()?)
        .no_new_privileges(security.no_new_privileges)
        .build()?;
    process.set_rlimits(None);
    Ok(process)
}

fn user(ids: &Ids) -> Result<User, OciSpecError> {
    UserBuilder::default()
        .uid(ids.uid)
        .gid(ids.gid)
        .additional_gids(ids.groups.clone())
        .build()
}

fn working_directory(own: Option<&str>, image: &str) -> PathBuf {
    let given = own.filter(|text| !text.is_empty()).unwrap_or(image);
    // An image may give a relative one, which is meant from the root.
    PathBuf::from("/").join(given)
}

fn all_mounts(input: &Input<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let privileged = security::is_privileged(input.container);
    let mut all = mounts::usual(privileged)?;
    for bind in &input.binds {
        all.push(bind.mount()?);
    }
    Ok(all)
}

fn linux(input: &Input<'_>) -> Result<Linux, OciSpecError> {
    let privileged = security::is_privileged(input.container);
    let (masked, read_only) = if privileged {
        (Vec::new(), Vec::new())
    } else {
        (
            security::texts(security::MASKED),
            security::texts(security::READ_ONLY),
        )
    };
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(input)?)
        .cgroups_path(input.cgroup.clone())
        .resources(resources::resources(input.container, privileged)?)
        .masked_paths(masked)
        .readonly_paths(read_only)
        .build()?;
    if privileged {
        linux.set_devices(Some((input.devices)()));
    }
    Ok(linux)
}

/// Network, IPC and UTS are the supervisor's own, so they are not listed.
fn namespaces(input: &Input<'_>) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    let of = |kind| LinuxNamespaceBuilder::default().typ(kind);
    let mut all = vec![
        of(LinuxNamespaceType::Mount).build()?,
        of(LinuxNamespaceType::Cgroup).build()?,
    ];
    let host = input.pod.spec.as_ref().and_then(|spec| spec.host_pid);
    match &input.pid_namespace {
        _ if host == Some(true) => {}
        Some(shared) => all.push(of(LinuxNamespaceType::Pid).path(shared.clone()).build()?),
        None => all.push(of(LinuxNamespaceType::Pid).build()?),
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
