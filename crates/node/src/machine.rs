//! What the machine is: read once from `/proc` and `/etc`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceBuilder, LinuxDeviceType};

use crate::pod::spec::MachineRights;

/// Where devices are not the machine's own but of some mount.
const NOT_DEVICES: [&str; 5] = ["pts", "shm", "mqueue", "fd", "console"];

/// Facts of the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    pub(crate) processors: u64,
    pub(crate) memory_bytes: u64,
    /// Of the file system that holds what its pods write.
    pub(crate) disk_bytes: u64,
    pub(crate) kernel_version: String,
    pub(crate) system_name: String,
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
    /// What its containers may have.
    pub(crate) rights: MachineRights,
    /// Where the cgroup hierarchy of version 2 is mounted.
    pub(crate) unified_cgroups: Option<PathBuf>,
}

impl Machine {
    /// Reads the facts, with pods' data in `data`; what cannot be read stays empty.
    pub(crate) fn read(data: &Path) -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.trim().to_owned()
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            processors: processors as u64,
            memory_bytes: memory(&line("/proc/meminfo")),
            disk_bytes: disk(data),
            kernel_version: line("/proc/sys/kernel/osrelease"),
            system_name: system_name(&line("/etc/os-release")),
            machine_id: line("/etc/machine-id"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            rights: MachineRights {
                capabilities: capabilities(&line("/proc/self/status")),
                filters_devices: filters_devices(&kernel::cgroup::all_mounts()),
            },
            unified_cgroups: kernel::cgroup::unified_mount().ok(),
        }
    }
}

/// The size of a path's file system, without what only root may use.
fn disk(path: &Path) -> u64 {
    statvfs(path).map_or(0, |disk| {
        let used = disk.blocks().saturating_sub(disk.blocks_free());
        (used + disk.blocks_available()) * disk.fragment_size()
    })
}

/// `CapEff:\t000001fffeffffff`
fn capabilities(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    set.unwrap_or(0)
}

/// Version 1 has a hierarchy for it; with version 2 alone it takes a program that is not there yet.
fn filters_devices(cgroup_mounts: &[PathBuf]) -> bool {
    cgroup_mounts
        .iter()
        .filter_map(|mount| mount.file_name()?.to_str())
        .any(|name| name.split(',').any(|controller| controller == "devices"))
}

/// The machine's devices, for containers that are to have them all.
pub(crate) fn devices() -> Vec<LinuxDevice> {
    let mut all = Vec::new();
    add_devices(Path::new("/dev"), &mut all);
    all
}

fn add_devices(folder: &Path, all: &mut Vec<LinuxDevice>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if NOT_DEVICES.iter().any(|known| name == *known) {
            continue;
        }
        if kind.is_dir() {
            add_devices(&entry.path(), all);
        } else if kind.is_char_device() || kind.is_block_device() {
            all.extend(device(&entry.path(), kind.is_block_device()));
        }
    }
}

fn device(path: &Path, is_block: bool) -> Option<LinuxDevice> {
    let metadata = fs::metadata(path).ok()?;
    let number = metadata.rdev();
    let kind = if is_block {
        LinuxDeviceType::B
    } else {
        LinuxDeviceType::C
    };
    LinuxDeviceBuilder::default()
        .path(path)
        .typ(kind)
        .major(i64::from(rustix::fs::major(number)))
        .minor(i64::from(rustix::fs::minor(number)))
        .file_mode(metadata.mode() & 0o7777)
        .uid(metadata.uid())
        .gid(metadata.gid())
        .build()
        .ok()
}

/// `MemTotal:  24612345 kB`
fn memory(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`
fn system_name(os_release: &str) -> String {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("Linux").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_and_etc_are_understood() {
        assert_eq!(
            memory("MemTotal:       2048 kB\nMemFree: 1 kB"),
            2048 * 1024
        );
        assert_eq!(
            system_name("ID=debian\nPRETTY_NAME=\"Debian 12\"\n"),
            "Debian 12"
        );
        assert_eq!((memory(""), system_name("").as_str()), (0, "Linux"));
        assert_eq!(
            capabilities("Name:\tx\nCapEff:\t00000000a80425fb\n"),
            0xa804_25fb
        );
        assert!(filters_devices(&["/sys/fs/cgroup/devices".into()]));
        assert!(!filters_devices(&["/sys/fs/cgroup".into()]));
    }
}
