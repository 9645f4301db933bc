//! The disruption budget that an eviction is charged to.

use api::resource::Part;
use api::resources;
use api::status::Status;
use api::workload::selects;
use serde_json::{Value, json};

use crate::api_state::{Api, now};
use crate::call::Call;
use crate::routes::Target;
use crate::write::{Wanted, Write};

/// Evicted pods that a budget may wait for at once.
const WAITING_LIMIT: usize = 2_000;

/// Takes one disruption from the budget that is about the pod, if there is one.
///
/// # Errors
/// 429, when the budget has none left.
pub(super) async fn charge(
    api: &Api,
    call: &Call,
    target: &Target,
    pod: &Value,
    dry_run: bool,
) -> Result<(), Status> {
    let resource = resources::find("policy", "poddisruptionbudgets").expect("a served kind");
    let all = api.registry.of(resource).list(&target.namespace).objects;
    let budgets = all.iter().map(|stored| stored.value());
    let mut concerned: Vec<Value> = budgets.filter(|budget| is_about(budget, pod)).collect();
    if concerned.len() > 1 {
        let text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Status::untyped(text));
    }
    let Some(budget) = concerned.pop() else {
        return Ok(());
    };
    if !is_ready(pod) && lets_unready_go(&budget) {
        return Ok(());
    }
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let of_budget = Target {
        resource,
        namespace: target.namespace.clone(),
        name: name.to_owned(),
        subresource: "status".to_owned(),
    };
    let write = Write {
        api,
        call,
        target: &of_budget,
        part: Part::Sub("status"),
        dry_run,
        manager: "",
    };
    let charged = write.run(name, |old| {
        let mut object = old.map_or_else(|| budget.clone(), |old| old.object.clone());
        take_one(&mut object, &target.name)?;
        Ok(Wanted {
            object,
            managed: false,
        })
    });
    charged.await.map(|_| ())
}

fn is_about(budget: &Value, pod: &Value) -> bool {
    let selector = &budget["spec"]["selector"];
    !selector.is_null() && selects(selector, &pod["metadata"]["labels"])
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    all.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn number(budget: &Value, field: &str) -> i64 {
    budget["status"][field].as_i64().unwrap_or_default()
}

/// A pod that is not ready does not count as healthy, so the application loses nothing with it.
fn lets_unready_go(budget: &Value) -> bool {
    let (healthy, wanted) = (
        number(budget, "currentHealthy"),
        number(budget, "desiredHealthy"),
    );
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        || (healthy >= wanted && wanted > 0)
}

fn take_one(budget: &mut Value, pod: &str) -> Result<(), Status> {
    let name = budget["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let refuse = |why: &str| Status::forbidden("policy", "poddisruptionbudget", &name, why);
    let generation = budget["metadata"]["generation"]
        .as_i64()
        .unwrap_or_default();
    if number(budget, "observedGeneration") < generation {
        let text = format!("The disruption budget {name} is still being processed by the server.");
        return Err(too_many(&text, Some(10)));
    }
    let waiting = budget["status"]["disruptedPods"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    if waiting > WAITING_LIMIT {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(refuse(why));
    }
    match number(budget, "disruptionsAllowed") {
        ..0 => Err(refuse("pdb disruptions allowed is negative")),
        0 => Err(too_many(&why_none(budget, &name), None)),
        allowed => {
            budget["status"]["disruptionsAllowed"] = (allowed - 1).into();
            if allowed == 1 {
                say_none_is_left(budget);
            }
            budget["status"]["disruptedPods"][pod] = now().into();
            Ok(())
        }
    }
}

fn allowed_condition(budget: &Value) -> Option<&Value> {
    let conditions = budget["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == "DisruptionAllowed")
}

fn why_none(budget: &Value, name: &str) -> String {
    let condition = allowed_condition(budget).filter(|condition| condition["status"] == "False");
    let text = |field: &str| {
        let value = condition.and_then(|condition| condition[field].as_str());
        value.unwrap_or_default()
    };
    let (reason, message) = (text("reason"), text("message"));
    let (healthy, wanted) = (
        number(budget, "currentHealthy"),
        number(budget, "desiredHealthy"),
    );
    let budget = format!("The disruption budget {name}");
    match (reason, message) {
        ("SyncFailed", message) if !message.is_empty() => {
            format!(
                "{budget} does not allow evicting pods currently because it failed sync: {message}"
            )
        }
        _ if healthy <= wanted => {
            format!("{budget} needs {wanted} healthy pods and has {healthy} currently")
        }
        (reason, message) if !message.is_empty() => {
            format!("{budget} does not allow evicting pods currently ({reason}): {message}")
        }
        _ => format!("{budget} does not allow evicting pods currently"),
    }
}

fn say_none_is_left(budget: &mut Value) {
    let conditions = budget["status"]["conditions"].as_array_mut();
    for condition in conditions.into_iter().flatten() {
        if condition["type"] == "DisruptionAllowed" {
            condition["status"] = "False".into();
            condition["reason"] = "InsufficientPods".into();
            condition["lastTransitionTime"] = now().into();
        }
    }
}

fn too_many(cause: &str, retry: Option<u64>) -> Status {
    let text = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    if let Some(seconds) = retry {
        details["retryAfterSeconds"] = seconds.into();
    }
    Status::new(429, "TooManyRequests", text).with_details(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(allowed: i64) -> Value {
        json!({"metadata": {"name": "web", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2,
                "conditions": [{"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods"}]}})
    }

    #[test]
    fn a_disruption_is_taken_while_there_is_one() {
        let mut one = budget(1);
        take_one(&mut one, "web-0").unwrap();
        assert_eq!(one["status"]["disruptionsAllowed"], 0);
        assert_eq!(one["status"]["conditions"][0]["status"], "False");
        assert!(one["status"]["disruptedPods"]["web-0"].is_string());
        let refused = take_one(&mut one, "web-1").unwrap_err();
        assert_eq!(refused.code, 429);
        let cause = &refused.details.unwrap()["causes"][0]["message"];
        assert_eq!(
            cause,
            "The disruption budget web needs 2 healthy pods and has 2 currently"
        );
    }

    #[test]
    fn a_budget_that_nobody_has_counted_yet_refuses() {
        let mut new = budget(5);
        new["metadata"]["generation"] = 2.into();
        assert_eq!(
            take_one(&mut new, "web-0").unwrap_err().details.unwrap()["retryAfterSeconds"],
            10
        );
    }

    #[test]
    fn unready_pods_go_while_the_application_is_whole() {
        let mut budget = budget(0);
        assert!(lets_unready_go(&budget));
        budget["status"]["currentHealthy"] = 1.into();
        assert!(!lets_unready_go(&budget));
        budget["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow".into();
        assert!(lets_unready_go(&budget));
    }
}
