//! The last step inside a container: finding its program and becoming it.
//!
//! Runs in the container's first process (or an exec's), after its root, user and rights are set. The texts
//! of its errors are those that other runtimes have taught everybody to search for.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::sys::signal::Signal;
use nix::unistd::execve;
use oci_spec::runtime::Spec;

use super::report;

/// Where a program without a path is looked for when its environment does not say.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program's environment, between the library's two calls in the same process.
static ENVIRONMENT: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Becomes the program of a specification.
#[derive(Clone, Debug)]
pub(super) struct Program;

impl Executor for Program {
    /// Called before the supervisor is told that all is ready, so that a program that is not there fails the
    /// start.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let refuse = |text: String| {
            report::reason(&text);
            ExecutorValidationError::ArgValidationError(text)
        };
        locate(spec).map_err(refuse)?;
        // After the last change of user, which would clear it.
        kernel::process::die_with_parent(Signal::SIGKILL)
            .map_err(|error| refuse(format!("cannot tie it to its supervisor: {error}")))
    }

    fn setup_envs(&self, variables: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        *ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner) =
            variables.into_iter().collect();
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let text = match become_it(spec) {
            Ok(never) => match never {},
            Err(text) => text,
        };
        report::reason(&text);
        Err(ExecutorError::Other(text))
    }
}

fn become_it(spec: &Spec) -> Result<std::convert::Infallible, String> {
    let path = locate(spec)?;
    let environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let variables = environment
        .iter()
        .map(|(name, value)| c_string(&format!("{name}={value}")));
    let variables = variables.collect::<Result<Vec<_>, _>>()?;
    let arguments = arguments(spec).iter().map(|word| c_string(word));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    let file = c_string(&path.to_string_lossy())?;
    kernel::spawn::reset_signals().map_err(|error| format!("cannot reset signals: {error}"))?;
    // The library has made this process lead a session.
    kernel::spawn::take_terminal();
    execve(&file, &arguments, &variables)
        .map_err(|error| format!("exec {}: {}", path.display(), describe(&error.into())))
}

fn arguments(spec: &Spec) -> &[String] {
    let process = spec.process().as_ref();
    process
        .and_then(|process| process.args().as_deref())
        .unwrap_or_default()
}

fn locate(spec: &Spec) -> Result<PathBuf, String> {
    let name = arguments(spec).first().map_or("", String::as_str);
    let variables = spec.process().as_ref().and_then(|it| it.env().as_deref());
    let path = variables
        .unwrap_or_default()
        .iter()
        .rev()
        .find_map(|variable| variable.strip_prefix("PATH="))
        .unwrap_or(USUAL_PATH);
    find(name, path).map_err(|why| format!("exec: {name:?}: {why}"))
}

/// Finds a program by its name as a shell does.
fn find(name: &str, path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        let why = match check(Path::new(name)) {
            Ok(()) => return Ok(name.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("stat {name}: {}", describe(&error))
            }
            Err(error) => describe(&error),
        };
        return Err(why);
    }
    let mut folders = path.split(':').filter(|folder| folder.starts_with('/'));
    folders
        .find_map(|folder| {
            let file = Path::new(folder).join(name);
            (!name.is_empty() && check(&file).is_ok()).then_some(file)
        })
        .ok_or_else(|| "executable file not found in $PATH".to_owned())
}

fn check(file: &Path) -> std::io::Result<()> {
    let metadata = fs::metadata(file)?;
    let refused = if metadata.is_dir() {
        nix::Error::EISDIR
    } else if metadata.permissions().mode() & 0o111 == 0 {
        nix::Error::EACCES
    } else {
        return Ok(());
    };
    Err(refused.into())
}

/// The system's text for an error, in small letters and without its number.
fn describe(error: &std::io::Error) -> String {
    let number = error.raw_os_error();
    number
        .map_or_else(
            || error.to_string(),
            |number| nix::Error::from_raw(number).desc().to_owned(),
        )
        .to_lowercase()
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} has a zero byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_and_refused_in_the_usual_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = format!("relative:/nowhere:{}", folder.path().display());
        let put = |name: &str, mode: u32| {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        let serve = put("serve", 0o755);
        let plain = put("plain", 0o644);
        assert_eq!(find("serve", &path), Ok(serve.clone()));
        assert_eq!(find(serve.to_str().unwrap(), ""), Ok(serve));
        let cases = [
            ("none", "executable file not found in $PATH"),
            ("plain", "executable file not found in $PATH"),
            ("", "executable file not found in $PATH"),
            ("/no/such", "stat /no/such: no such file or directory"),
            ("/", "is a directory"),
            (plain.to_str().unwrap(), "permission denied"),
        ];
        for (name, why) in cases {
            assert_eq!(find(name, &path), Err(why.to_owned()), "{name:?}");
        }
    }
}
