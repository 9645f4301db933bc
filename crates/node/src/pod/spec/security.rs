//! A container's rights: capabilities, what of the kernel's files it sees, whether it may gain more.

use std::str::FromStr;

use k8s_openapi::api::core::v1::{Container, SecurityContext};
use oci_spec::OciSpecError;
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use super::Input;

/// What every container has unless it drops it (containerd and Docker agree).
const USUAL: [Capability; 13] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// The fourteenth. Without a device filter it would open the machine's disks.
const MAKE_DEVICES: Capability = Capability::Mknod;

/// Kernel files that tell or do too much.
pub(super) const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Kernel files that may be read only.
pub(super) const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A container's rights, decided.
pub(super) struct Security {
    pub(super) no_new_privileges: bool,
    capabilities: Capabilities,
}

impl Security {
    pub(super) fn of(input: &Input<'_>) -> Self {
        let context = input.container.security_context.as_ref();
        let escalation = context.and_then(|context| context.allow_privilege_escalation);
        let held = |capability: &Capability| holds(input.rights.capabilities, *capability);
        let mut capabilities = if is_privileged(input.container) {
            every().collect()
        } else {
            chosen(context, input.rights.filters_devices)
        };
        capabilities.retain(held);
        Self {
            no_new_privileges: escalation == Some(false),
            capabilities,
        }
    }

    /// The kernel itself takes permitted and effective ones from whoever is not root when the program starts;
    /// the bounding set stays. Ambient and inheritable are empty, as Kubernetes has it.
    pub(super) fn capabilities(&self) -> Result<LinuxCapabilities, OciSpecError> {
        LinuxCapabilitiesBuilder::default()
            .bounding(self.capabilities.clone())
            .effective(self.capabilities.clone())
            .permitted(self.capabilities.clone())
            .inheritable(Capabilities::new())
            .ambient(Capabilities::new())
            .build()
    }
}

/// The usual ones, changed by `capabilities.drop` and then `capabilities.add`.
fn chosen(context: Option<&SecurityContext>, filters_devices: bool) -> Capabilities {
    let mut all: Capabilities = USUAL.into_iter().collect();
    if filters_devices {
        all.insert(MAKE_DEVICES);
    }
    let Some(lists) = context.and_then(|context| context.capabilities.as_ref()) else {
        return all;
    };
    let named = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    for name in named(&lists.drop) {
        match capability(&name) {
            Some(one) => drop(all.remove(&one)),
            None if is_all(&name) => all.clear(),
            None => {}
        }
    }
    for name in named(&lists.add) {
        match capability(&name) {
            Some(one) => drop(all.insert(one)),
            None if is_all(&name) => all.extend(every()),
            None => {}
        }
    }
    all
}

/// `ALL` in any case.
pub(super) fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("ALL")
}

/// A capability by its name, with or without `CAP_`.
pub(super) fn capability(name: &str) -> Option<Capability> {
    let name = name.to_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    every().find(|one| plain_name(*one) == name)
}

/// Whether a bit set of the kernel's has a capability.
pub(super) fn holds(set: u64, capability: Capability) -> bool {
    ORDER
        .iter()
        .position(|one| *one == plain_name(capability))
        .is_some_and(|bit| set & (1 << bit) != 0)
}

fn every() -> impl Iterator<Item = Capability> {
    ORDER
        .iter()
        .filter_map(|name| Capability::from_str(name).ok())
}

/// As in `NET_ADMIN`.
fn plain_name(capability: Capability) -> String {
    capability.to_string().to_uppercase()
}

/// The kernel's numbers are places in this list (capabilities(7)).
const ORDER: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Whether the container gets nearly everything the machine has.
pub(super) fn is_privileged(container: &Container) -> bool {
    let context = container.security_context.as_ref();
    context
        .and_then(|context| context.privileged)
        .unwrap_or(false)
}

pub(super) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(lists: &serde_json::Value) -> Vec<String> {
        let context: SecurityContext =
            serde_json::from_value(json!({"capabilities": lists})).unwrap();
        let mut names: Vec<String> = chosen(Some(&context), true)
            .into_iter()
            .map(plain_name)
            .collect();
        names.sort();
        names
    }

    #[test]
    fn capabilities_are_dropped_and_added() {
        assert_eq!(names(&json!({})).len(), 14);
        assert_eq!(
            names(&json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
            ["NET_BIND_SERVICE"]
        );
        assert_eq!(
            names(&json!({"drop": ["all"], "add": ["CAP_SYS_TIME", "chown"]})),
            ["CHOWN", "SYS_TIME"]
        );
        assert!(!names(&json!({"drop": ["KILL"]})).contains(&"KILL".to_owned()));
        assert_eq!(names(&json!({"add": ["ALL"]})).len(), 41);
    }

    #[test]
    fn every_name_of_the_kernel_is_known() {
        assert_eq!(every().count(), ORDER.len());
        assert!(holds(1 << 21, Capability::SysAdmin));
        assert!(!holds(!(1 << 24), Capability::SysResource));
    }
}
