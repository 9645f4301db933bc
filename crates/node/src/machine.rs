//! What the machine is: read once from `/proc` and `/etc`.

use std::fs;

/// Facts of the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    pub(crate) processors: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel_version: String,
    pub(crate) system_name: String,
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
}

impl Machine {
    /// Reads the facts; what cannot be read stays empty.
    pub(crate) fn read() -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.trim().to_owned()
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            processors: processors as u64,
            memory_bytes: memory(&line("/proc/meminfo")),
            kernel_version: line("/proc/sys/kernel/osrelease"),
            system_name: system_name(&line("/etc/os-release")),
            machine_id: line("/etc/machine-id"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
        }
    }
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
    }
}
