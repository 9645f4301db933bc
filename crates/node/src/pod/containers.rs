//! A pod's containers by the part they play.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRuleOnExitCodes, Pod};

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

/// Whether a container that ended with `exit_code` is to be started again: by its own rules, by its own policy,
/// or by the pod's.
pub(crate) fn restarts(pod: &Pod, role: Role, container: &Container, exit_code: i32) -> bool {
    if restarts_by_rule(container, exit_code) {
        return true;
    }
    if let (Role::Init | Role::Main, Some(own)) = (role, container.restart_policy.as_deref()) {
        return match own {
            "Always" => true,
            "Never" => false,
            _ => exit_code != 0,
        };
    }
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

/// The first rule that fits says so; there is no other action than to restart.
fn restarts_by_rule(container: &Container, exit_code: i32) -> bool {
    let rules = container.restart_policy_rules.iter().flatten();
    let fits = |codes: &ContainerRestartRuleOnExitCodes| {
        let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
        listed == (codes.operator == "In")
    };
    rules
        .filter(|rule| rule.action == "Restart")
        .filter_map(|rule| rule.exit_codes.as_ref())
        .any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_containers_own_rules_and_policy_come_first() {
        let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [7]}});
        let other = json!({"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0]}});
        let cases = [
            (
                json!({"restartPolicy": "Never", "restartPolicyRules": [rule]}),
                7,
                true,
            ),
            (
                json!({"restartPolicy": "Never", "restartPolicyRules": [rule]}),
                8,
                false,
            ),
            (
                json!({"restartPolicy": "Never", "restartPolicyRules": [other]}),
                8,
                true,
            ),
            (
                json!({"restartPolicy": "Never", "restartPolicyRules": [other]}),
                0,
                false,
            ),
            (json!({"restartPolicy": "OnFailure"}), 1, true),
            (json!({"restartPolicy": "OnFailure"}), 0, false),
        ];
        for (mut object, code, expected) in cases {
            object["name"] = json!("c");
            let container: Container = serde_json::from_value(object.clone()).unwrap();
            let pod = Pod::default();
            let found = restarts(&pod, Role::Main, &container, code);
            assert_eq!(found, expected, "{object} {code}");
        }
    }

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
                restarts(&pod, role, &Container::default(), code),
                expected,
                "{policy} {role:?} {code}"
            );
        }
    }
}
