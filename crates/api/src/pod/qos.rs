//! A pod's quality-of-service class (`apis/core/helper/qos`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::quantity::Quantity;
use crate::validation::json::{list, present};

type Sums = BTreeMap<&'static str, i128>;

/// `Guaranteed`, `Burstable` or `BestEffort`, from what the pod as a whole or its containers ask for.
pub(crate) fn class(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = (Sums::new(), Sums::new());
    let mut all_limited = true;
    let whole = present(spec, "/resources");
    let lists = [list(spec, "/containers"), list(spec, "/initContainers")];
    let asking: Vec<&Value> = match whole {
        true => vec![spec],
        false => lists.into_iter().flatten().collect(),
    };
    for asking in asking {
        count(&mut requests, &asking["resources"]["requests"]);
        let limited = count(&mut limits, &asking["resources"]["limits"]);
        let is_bare = whole && asking["resources"]["limits"].is_null();
        all_limited &= limited == 2 || is_bare;
    }
    match () {
        () if requests.is_empty() && limits.is_empty() => "BestEffort",
        () if all_limited && requests == limits => "Guaranteed",
        () => "Burstable",
    }
}

/// Adds what is asked for of the two resources that count, and says how many of them it was.
fn count(sums: &mut Sums, asked: &Value) -> usize {
    let mut found = 0;
    for name in ["cpu", "memory"] {
        let quantity = asked[name]
            .as_str()
            .and_then(|text| Quantity::parse(text).ok());
        if let Some(quantity) = quantity.filter(|quantity| quantity.nano() > 0) {
            *sums.entry(name).or_default() += quantity.nano();
            found += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::class;

    fn of(resources: &[Value]) -> &'static str {
        let containers: Vec<Value> = resources
            .iter()
            .map(|r| json!({ "resources": r }))
            .collect();
        class(&json!({ "containers": containers }))
    }

    #[test]
    fn classes_follow_requests_and_limits() {
        let both = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}});
        let less = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Mi"}});
        let none = json!({});
        let zero = json!({"requests": {"cpu": "0"}});
        let other = json!({"requests": {"example.com/gpu": "1"}});
        assert_eq!(of(&[both.clone(), both.clone()]), "Guaranteed");
        assert_eq!(of(&[both, none.clone()]), "Burstable");
        assert_eq!(of(&[less]), "Burstable");
        assert_eq!(of(&[none, zero, other]), "BestEffort");
    }

    #[test]
    fn the_pod_as_a_whole_decides_where_it_asks() {
        let limits = json!({"cpu": "1", "memory": "1Gi"});
        let spec = json!({"resources": {"limits": limits, "requests": limits}, "containers": [{"resources": {}}]});
        assert_eq!(class(&spec), "Guaranteed");
    }
}
