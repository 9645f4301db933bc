//! A pod's containers by the part they play.

use k8s_openapi::api::core::v1::{Container, Pod};

/// The part a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: runs beside the main ones.
    Sidecar,
    /// One of `spec.containers`.
    Main,
}

/// Init containers and sidecars in their order, then the main ones.
pub(crate) fn all(pod: &Pod) -> impl Iterator<Item = (Role, &Container)> {
    initial(pod).chain(main(pod).map(|container| (Role::Main, container)))
}

/// Init containers and sidecars in their order.
pub(crate) fn initial(pod: &Pod) -> impl Iterator<Item = (Role, &Container)> {
    pod.spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .map(|container| (role_of_initial(container), container))
}

/// `spec.containers`.
pub(crate) fn main(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| spec.containers.iter())
}

/// A container by its name.
pub(crate) fn find<'a>(pod: &'a Pod, name: &str) -> Option<(Role, &'a Container)> {
    all(pod).find(|(_, container)| container.name == name)
}

fn role_of_initial(container: &Container) -> Role {
    match container.restart_policy.as_deref() {
        Some("Always") => Role::Sidecar,
        _ => Role::Init,
    }
}

/// Whether a container that ended with `exit_code` is to be started again.
pub(crate) fn restarts(pod: &Pod, role: Role, exit_code: i32) -> bool {
    let policy = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
        .unwrap_or("Always");
    match (role, policy) {
        (Role::Sidecar, _) => true,
        (Role::Init, "Never") | (Role::Main, "Never") => false,
        (Role::Main, "Always") => true,
        _ => exit_code != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_policies() {
        let cases = [
            ("Always", Role::Main, 0, true),
            ("Always", Role::Init, 0, false),
            ("Always", Role::Init, 1, true),
            ("OnFailure", Role::Main, 0, false),
            ("OnFailure", Role::Main, 1, true),
            ("Never", Role::Main, 1, false),
            ("Never", Role::Init, 1, false),
            ("Never", Role::Sidecar, 0, true),
        ];
        for (policy, role, code, expected) in cases {
            let mut pod = Pod::default();
            pod.spec.get_or_insert_default().restart_policy = Some(policy.into());
            assert_eq!(
                restarts(&pod, role, code),
                expected,
                "{policy} {role:?} {code}"
            );
        }
    }
}
