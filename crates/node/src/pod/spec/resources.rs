//! Limits and requests as the kernel takes them (kubelet, `pkg/kubelet/cm/helpers_linux.go`).

use k8s_openapi::api::core::v1::{Container, Pod};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxCpuBuilder, LinuxDeviceCgroupBuilder, LinuxMemoryBuilder, LinuxPidsBuilder,
    LinuxResources, LinuxResourcesBuilder,
};

use crate::pod::containers;
use crate::pod::fields::millis;

/// Shares of one processor.
const SHARES: u64 = 1024;
const LEAST_SHARES: u64 = 2;
const MOST_SHARES: u64 = 262_144;

/// Microseconds in which a quota holds.
const PERIOD: u64 = 100_000;
const LEAST_QUOTA: u64 = 1_000;

/// Kubernetes leaves this to the node (`podPidsLimit`); ours keeps a fork bomb from taking the machine along.
const MOST_PROCESSES: i64 = 16_384;

/// What a container may use.
pub(super) fn resources(
    container: &Container,
    privileged: bool,
) -> Result<LinuxResources, OciSpecError> {
    let device = LinuxDeviceCgroupBuilder::default()
        .allow(privileged)
        .access("rwm")
        .build()?;
    let mut cpu = LinuxCpuBuilder::default().shares(shares(container));
    if let Some(limit) = limit(container, "cpu") {
        cpu = cpu.period(PERIOD).quota(quota(limit));
    }
    let pids = LinuxPidsBuilder::default().limit(MOST_PROCESSES).build()?;
    let mut resources = LinuxResourcesBuilder::default()
        .devices(vec![device])
        .cpu(cpu.build()?)
        .pids(pids);
    if let Some(limit) = limit(container, "memory") {
        let bytes = i64::try_from(limit / 1000).unwrap_or(i64::MAX);
        // No swap beyond the limit: both are the same.
        let memory = LinuxMemoryBuilder::default().limit(bytes).swap(bytes);
        resources = resources.memory(memory.build()?);
    }
    resources.build()
}

/// In thousandths; zero is no limit.
fn limit(container: &Container, name: &str) -> Option<u64> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    positive(millis(limits.get(name)?))
}

fn request(container: &Container, name: &str) -> Option<u64> {
    let requests = container.resources.as_ref()?.requests.as_ref()?;
    positive(millis(requests.get(name)?))
}

fn positive(value: Option<u128>) -> Option<u64> {
    let value = u64::try_from(value?).unwrap_or(u64::MAX);
    (value > 0).then_some(value)
}

/// By the request; without one by the limit, which the API makes the request anyway.
fn shares(container: &Container) -> u64 {
    let millis = request(container, "cpu").or_else(|| limit(container, "cpu"));
    let shares = millis.map_or(LEAST_SHARES, |millis| millis.saturating_mul(SHARES) / 1000);
    shares.clamp(LEAST_SHARES, MOST_SHARES)
}

fn quota(millis: u64) -> i64 {
    let quota = (millis.saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA);
    quota.try_into().unwrap_or(i64::MAX)
}

/// How readily the kernel kills a container for want of memory: by its pod's quality of service and its own
/// request (kubelet, `pkg/kubelet/qos/policy.go`).
pub(crate) fn oom_score_adj(pod: &Pod, container: &Container, memory_bytes: u64) -> i32 {
    const GUARANTEED: i32 = -997;
    const BEST_EFFORT: i32 = 1000;
    let class = pod
        .status
        .as_ref()
        .and_then(|status| status.qos_class.as_deref());
    match class {
        Some("Guaranteed") => GUARANTEED,
        Some("BestEffort") => BEST_EFFORT,
        Some(_) => burstable(container, memory_bytes),
        None if containers::all(pod).all(|(_, one)| asks_for_nothing(one)) => BEST_EFFORT,
        None => burstable(container, memory_bytes),
    }
}

fn asks_for_nothing(container: &Container) -> bool {
    ["cpu", "memory"]
        .iter()
        .all(|name| request(container, name).is_none() && limit(container, name).is_none())
}

/// The more of the machine's memory a container asked for, the later it goes; always between the other two.
fn burstable(container: &Container, memory_bytes: u64) -> i32 {
    let asked = request(container, "memory").unwrap_or(0) / 1000;
    let share = u128::from(asked) * 1000 / u128::from(memory_bytes.max(1));
    let score = 1000 - i32::try_from(share).unwrap_or(1000).min(1000);
    score.clamp(3, 999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxMemory;
    use serde_json::json;

    fn container(resources: &serde_json::Value) -> Container {
        serde_json::from_value(json!({"name": "c", "resources": resources})).unwrap()
    }

    #[test]
    fn requests_become_shares_and_limits_quotas() {
        let cases = [
            (json!({}), 2, None, None),
            (json!({"requests": {"cpu": "250m"}}), 256, None, None),
            (json!({"requests": {"cpu": "1m"}}), 2, None, None),
            (
                json!({"limits": {"cpu": "1500m"}}),
                1536,
                Some(150_000),
                None,
            ),
            (
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "5m", "memory": "64Mi"}}),
                1024,
                Some(1000),
                Some(67_108_864),
            ),
            (
                json!({"limits": {"cpu": "0", "memory": "0"}}),
                2,
                None,
                None,
            ),
        ];
        for (given, shares, quota, memory) in cases {
            let found = resources(&container(&given), false).unwrap();
            let cpu = found.cpu().as_ref().unwrap();
            assert_eq!(
                (cpu.shares(), cpu.quota()),
                (Some(shares), quota),
                "{given}"
            );
            let limit = found.memory().as_ref();
            assert_eq!(limit.and_then(LinuxMemory::limit), memory, "{given}");
            assert_eq!(
                limit.and_then(LinuxMemory::swap),
                memory,
                "no swap: {given}"
            );
        }
    }

    #[test]
    fn scores_follow_the_quality_of_service() {
        let gib = 1024 * 1024 * 1024;
        let cases = [
            (Some("Guaranteed"), json!({}), -997),
            (Some("BestEffort"), json!({}), 1000),
            (Some("Burstable"), json!({}), 999),
            (
                Some("Burstable"),
                json!({"requests": {"memory": "256Mi"}}),
                750,
            ),
            (Some("Burstable"), json!({"requests": {"memory": "4Gi"}}), 3),
            (None, json!({}), 1000),
            (None, json!({"requests": {"cpu": "1"}}), 999),
        ];
        for (class, given, expected) in cases {
            let container = container(&given);
            let pod: Pod = serde_json::from_value(json!({
                "spec": {"containers": [container]}, "status": {"qosClass": class},
            }))
            .unwrap();
            let score = oom_score_adj(&pod, &container, gib);
            assert_eq!(score, expected, "{class:?} {given}");
        }
    }
}
