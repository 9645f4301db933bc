//! The home directory of a container's user, when its environment does not say.
//!
//! The runtime library would ask the C library for it inside the container, which may load code from the
//! image into a process that still has our descriptors. So it is always given before.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use oci_spec::runtime::Spec;

/// More of a file of users is not read.
const LARGEST: u64 = 1 << 20;

/// Adds `HOME` to the program's environment where it is missing; says whether it was.
pub(super) fn complete(spec: &mut Spec, root: &Path) -> bool {
    let Some(process) = spec.process() else {
        return false;
    };
    let mut variables = process.env().clone().unwrap_or_default();
    let is_home = |variable: &String| variable.starts_with("HOME=");
    if variables.iter().any(|it| is_home(it) && it != "HOME=") {
        return false;
    }
    variables.retain(|variable| !is_home(variable));
    let users = read_users(root).unwrap_or_default();
    variables.push(format!("HOME={}", home_of(process.user().uid(), &users)));
    let mut process = process.clone();
    process.set_env(Some(variables));
    spec.set_process(Some(process));
    true
}

/// Reads the image's file of users as a path inside its root, whatever links say.
fn read_users(root: &Path) -> std::io::Result<String> {
    // A pipe in its place must not keep us waiting.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(File::open(root)?, "etc/passwd", how)?);
    let mut text = String::new();
    if file.metadata()?.is_file() {
        file.take(LARGEST).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// passwd(5): the third field is the user's number, the sixth the home directory.
fn home_of(uid: u32, users: &str) -> &str {
    let lines = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut homes = lines.filter_map(|fields| {
        let matches = fields.get(2)?.parse() == Ok(uid);
        fields.get(5).copied().filter(|_| matches)
    });
    homes.find(|home| home.starts_with('/')).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_the_users_and_else_the_root() {
        let users = "broken\nroot:x:0:0:root:/root:/bin/sh\nweb:x:33:33:::\nweb:x:33:33::/srv:\n";
        let cases = [(0, "/root"), (33, "/srv"), (7, "/")];
        for (uid, home) in cases {
            assert_eq!(home_of(uid, users), home, "{uid}");
        }
    }

    #[test]
    fn only_a_missing_home_is_looked_up_and_only_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc/users", folder.path().join("etc/passwd")).unwrap();
        std::fs::write(folder.path().join("etc/users"), "a:x:5:5::/a:\n").unwrap();
        let spec = |variables: &str| -> Spec {
            let text = format!(
                r#"{{"ociVersion":"1.2.0","process":{{"user":{{"uid":5,"gid":0}},"env":{variables},"cwd":"/"}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let mut given = spec(r#"["HOME=/given"]"#);
        assert!(!complete(&mut given, folder.path()));
        let mut missing = spec(r#"["HOME=","A=b"]"#);
        assert!(complete(&mut missing, folder.path()));
        let process = missing.process().as_ref().unwrap();
        assert_eq!(process.env().as_deref().unwrap(), ["A=b", "HOME=/a"]);
    }
}
