//! Kernel settings of a network namespace. Which namespace `/proc/sys/net` shows depends on the
//! thread that opens it, so settings are written by a thread that has entered.

use std::io;

use crate::NetNs;
use crate::namespace::NamespaceError;

/// Why a setting was not written.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The kernel does not have it, or does not take the value.
    #[error(
        "cannot set {key} to {value:?}: {source} (is /proc/sys writable, and does this kernel have the setting?)"
    )]
    Write {
        /// Below `/proc/sys`, such as `net/ipv4/ip_forward`.
        key: String,
        /// What was to be written.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Writes settings (`net/ipv4/ip_forward`, `1`) inside `namespace`, in order, in one visit.
///
/// # Errors
/// The first that fails.
pub fn set_in<K, V>(namespace: &NetNs, settings: &[(K, V)]) -> Result<(), SysctlError>
where
    K: AsRef<str> + Sync,
    V: AsRef<str> + Sync,
{
    namespace.run(|| set_all(settings))?
}

/// Writes one setting in the calling thread's namespace.
///
/// # Errors
/// [`SysctlError::Write`]
pub fn set(key: &str, value: &str) -> Result<(), SysctlError> {
    std::fs::write(format!("/proc/sys/{key}"), value).map_err(|source| SysctlError::Write {
        key: key.to_owned(),
        value: value.to_owned(),
        source,
    })
}

/// Reads one setting in the calling thread's namespace, without the line end.
///
/// # Errors
/// What the file system says.
pub fn get(key: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/sys/{key}"))?
        .trim_end()
        .to_owned())
}

fn set_all<K: AsRef<str>, V: AsRef<str>>(settings: &[(K, V)]) -> Result<(), SysctlError> {
    settings
        .iter()
        .try_for_each(|(key, value)| set(key.as_ref(), value.as_ref()))
}
