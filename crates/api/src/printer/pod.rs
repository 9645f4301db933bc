//! The row of a Pod: what its phase, conditions and containers come down to.

use jiff::Timestamp;
use serde_json::Value;

use super::{NAME, column, list, number, or_none, text, wide};
use crate::age;
use crate::resource::Column;

/// Columns of a Pod.
pub const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "string"),
    column("Status", "string"),
    column("Restarts", "string"),
    column("Age", "string"),
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];

/// Cells of a Pod.
pub fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let seen = Containers::of(pod);
    let restarts = match seen.last_restart {
        Some(last) if seen.restarts > 0 => {
            let ago = age::human_duration(now.duration_since(last).as_secs());
            format!("{} ({ago} ago)", seen.restarts)
        }
        _ => seen.restarts.to_string(),
    };
    let (spec, status) = (&pod["spec"], &pod["status"]);
    vec![
        pod["metadata"]["name"].clone(),
        format!("{}/{}", seen.ready, seen.total).into(),
        reason(pod, seen.reason).into(),
        restarts.into(),
        age::of(pod, now),
        or_none(
            list(&status["podIPs"])
                .first()
                .map_or("", |ip| text(&ip["ip"])),
        ),
        or_none(text(&spec["nodeName"])),
        or_none(text(&status["nominatedNodeName"])),
        readiness_gates(pod),
    ]
}

/// STATUS: what the containers say, unless the pod is on its way out.
fn reason(pod: &Value, from_containers: String) -> String {
    let status = &pod["status"];
    let ended = matches!(text(&status["phase"]), "Succeeded" | "Failed");
    match pod["metadata"]["deletionTimestamp"].is_null() {
        false if text(&status["reason"]) == "NodeLost" => "Unknown".to_owned(),
        false if !ended => "Terminating".to_owned(),
        _ => from_containers,
    }
}

/// What a walk over a pod's containers has found.
struct Containers {
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
    reason: String,
}

impl Containers {
    fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let sidecars = list(&spec["initContainers"])
            .iter()
            .filter(|c| is_sidecar(c))
            .count();
        let mut seen = Self {
            ready: 0,
            total: list(&spec["containers"]).len() + sidecars,
            restarts: 0,
            last_restart: None,
            reason: phase(status),
        };
        let initializing = seen.walk_init_containers(pod);
        if !initializing || condition(status, "Initialized") == "True" {
            // From here on only restarts of what goes on running count: sidecars and containers.
            (seen.restarts, seen.last_restart) = (0, None);
            for container in list(&status["initContainerStatuses"]) {
                if is_sidecar(init_container(pod, container)) {
                    seen.count_restarts(container);
                }
            }
            seen.walk_containers(status);
        }
        seen
    }

    /// Whether an init container is still to finish; then `reason` says which.
    fn walk_init_containers(&mut self, pod: &Value) -> bool {
        let count = list(&pod["spec"]["initContainers"]).len();
        for (i, container) in list(&pod["status"]["initContainerStatuses"])
            .iter()
            .enumerate()
        {
            self.count_restarts(container);
            let (ended, waiting) = (
                &container["state"]["terminated"],
                &container["state"]["waiting"],
            );
            if !ended.is_null() && number(&ended["exitCode"]) == 0 {
                continue;
            }
            if is_sidecar(init_container(pod, container)) && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            let why = text(&waiting["reason"]);
            self.reason = match () {
                () if !ended.is_null() => format!("Init:{}", ended_reason(ended)),
                () if !why.is_empty() && why != "PodInitializing" => format!("Init:{why}"),
                () => format!("Init:{i}/{count}"),
            };
            return true;
        }
        false
    }

    /// The first container's reason wins, so the walk is from the last.
    fn walk_containers(&mut self, status: &Value) {
        let (mut running, mut failure) = (false, None);
        for container in list(&status["containerStatuses"]).iter().rev() {
            self.count_restarts(container);
            let state = &container["state"];
            let why = text(&state["waiting"]["reason"]);
            let ended = &state["terminated"];
            if !why.is_empty() {
                self.reason = why.to_owned();
            } else if !ended.is_null() {
                self.reason = ended_reason(ended);
                if number(&ended["exitCode"]) != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if container["ready"] == true && !state["running"].is_null() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            match (running && condition(status, "Ready") == "True", failure) {
                (true, _) => self.reason = "Running".to_owned(),
                (false, Some(failure)) => self.reason = failure,
                (false, None) if running => self.reason = "NotReady".to_owned(),
                (false, None) => {}
            }
        }
    }

    fn count_restarts(&mut self, container: &Value) {
        self.restarts += number(&container["restartCount"]);
        let ended = text(&container["lastState"]["terminated"]["finishedAt"])
            .parse()
            .ok();
        self.last_restart = self.last_restart.max(ended);
    }
}

fn phase(status: &Value) -> String {
    let gated = |c: &Value| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated";
    if list(&status["conditions"]).iter().any(gated) {
        return "SchedulingGated".to_owned();
    }
    let reason = text(&status["reason"]);
    if reason.is_empty() {
        text(&status["phase"]).to_owned()
    } else {
        reason.to_owned()
    }
}

fn ended_reason(ended: &Value) -> String {
    let (reason, signal) = (text(&ended["reason"]), number(&ended["signal"]));
    match () {
        () if !reason.is_empty() => reason.to_owned(),
        () if signal != 0 => format!("Signal:{signal}"),
        () => format!("ExitCode:{}", number(&ended["exitCode"])),
    }
}

fn init_container<'a>(pod: &'a Value, status: &Value) -> &'a Value {
    let same = |container: &&Value| container["name"] == status["name"];
    list(&pod["spec"]["initContainers"])
        .iter()
        .find(same)
        .unwrap_or(&Value::Null)
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a str {
    let found = list(&status["conditions"])
        .iter()
        .find(|c| c["type"] == kind);
    found.map_or("", |c| text(&c["status"]))
}

fn readiness_gates(pod: &Value) -> Value {
    let gates = list(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let met = |gate: &&Value| condition(&pod["status"], text(&gate["conditionType"])) == "True";
    format!("{}/{}", gates.iter().filter(met).count(), gates.len()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status_of(pod: &Value) -> String {
        text(&cells(pod, Timestamp::UNIX_EPOCH)[2]).to_owned()
    }

    #[test]
    fn status_is_the_most_telling_reason() {
        let container = |state: Value| json!({"spec": {"containers": [{}]}, "status": {"phase": "Running", "containerStatuses": [{"state": state}]}});
        let cases = [
            (json!({"status": {"phase": "Pending"}}), "Pending"),
            (
                json!({"status": {"phase": "Failed", "reason": "Evicted"}}),
                "Evicted",
            ),
            (
                container(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
                "CrashLoopBackOff",
            ),
            (
                container(json!({"terminated": {"exitCode": 3}})),
                "ExitCode:3",
            ),
            (
                container(json!({"terminated": {"signal": 9, "exitCode": 137}})),
                "Signal:9",
            ),
            (
                json!({"metadata": {"deletionTimestamp": "t"}, "status": {"phase": "Running"}}),
                "Terminating",
            ),
            (
                json!({"metadata": {"deletionTimestamp": "t"}, "status": {"phase": "Failed"}}),
                "Failed",
            ),
            (
                json!({"spec": {"initContainers": [{"name": "a"}, {"name": "b"}]}, "status": {"initContainerStatuses": [{"name": "a", "state": {"running": {}}}]}}),
                "Init:0/2",
            ),
        ];
        for (pod, wanted) in cases {
            assert_eq!(status_of(&pod), wanted, "{pod}");
        }
    }

    #[test]
    fn restarts_tell_when_the_last_was() {
        let pod = json!({"spec": {"containers": [{}]}, "status": {"containerStatuses": [
            {"restartCount": 3, "ready": true, "state": {"running": {}},
             "lastState": {"terminated": {"finishedAt": "1970-01-01T00:00:00Z"}}}]}});
        let now = Timestamp::from_second(130).expect("in range");
        assert_eq!(cells(&pod, now)[3], "3 (2m10s ago)");
        assert_eq!(cells(&pod, now)[1], "1/1");
    }
}
