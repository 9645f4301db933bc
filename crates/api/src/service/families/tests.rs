use serde_json::json;

use super::*;

const FOUR: &[Family] = &[Family::V4];
const DUAL: &[Family] = &[Family::V4, Family::V6];

fn settled(spec: &Value, old: Option<&Value>, cluster: &[Family]) -> Result<Value, Vec<String>> {
    let mut object = json!({"spec": spec});
    let old = old.map(|spec| json!({"spec": spec}));
    let outcome = settle(&mut object, old.as_ref(), cluster);
    let texts = |problems: Problems| problems.iter().map(ToString::to_string).collect();
    outcome.map(|()| object["spec"].clone()).map_err(texts)
}

fn created(spec: &Value, cluster: &[Family]) -> (String, Vec<String>) {
    let spec = settled(spec, None, cluster).unwrap();
    let spec = json!({"spec": spec});
    let spec = Spec::of(&spec);
    let families = spec.families().into_iter().map(str::to_owned).collect();
    (spec.policy().unwrap_or_default().to_owned(), families)
}

#[test]
fn policy_and_families_of_a_new_service() {
    let cases = [
        (json!({}), FOUR, "SingleStack", &["IPv4"][..]),
        (json!({}), DUAL, "SingleStack", &["IPv4"]),
        (
            json!({"ipFamilyPolicy": "PreferDualStack"}),
            FOUR,
            "PreferDualStack",
            &["IPv4"],
        ),
        (
            json!({"ipFamilyPolicy": "PreferDualStack"}),
            DUAL,
            "PreferDualStack",
            &["IPv4", "IPv6"],
        ),
        (
            json!({"ipFamilies": ["IPv6"]}),
            DUAL,
            "SingleStack",
            &["IPv6"],
        ),
        (
            json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}),
            DUAL,
            "RequireDualStack",
            &["IPv6", "IPv4"],
        ),
        (
            json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}),
            DUAL,
            "SingleStack",
            &["IPv6"],
        ),
        (
            json!({"clusterIP": "None", "clusterIPs": ["None"]}),
            FOUR,
            "RequireDualStack",
            &["IPv4", "IPv6"],
        ),
        (
            json!({"clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}}),
            DUAL,
            "SingleStack",
            &["IPv4"],
        ),
    ];
    for (spec, cluster, policy, families) in cases {
        let mut spec = spec;
        spec["type"] = "ClusterIP".into();
        let (found, list) = created(&spec, cluster);
        assert_eq!(
            (found.as_str(), list),
            (policy, families.iter().map(|f| (*f).to_owned()).collect()),
            "{spec}"
        );
    }
}

#[test]
fn what_the_cluster_does_not_have_is_refused() {
    let refused = |spec: Value, cluster| settled(&spec, None, cluster).unwrap_err();
    assert_eq!(
        refused(json!({"ipFamilyPolicy": "RequireDualStack"}), FOUR),
        [
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
        ]
    );
    assert_eq!(
        refused(json!({"ipFamilies": ["IPv6"]}), FOUR),
        ["spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"]
    );
    assert_eq!(
        refused(
            json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}),
            FOUR
        ),
        [
            "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"
        ]
    );
    assert_eq!(
        refused(json!({"ipFamilies": ["IPv4", "IPv6"]}), DUAL),
        [
            "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or \
          'PreferDualStack' when multiple IP families are specified"
        ]
    );
}

#[test]
fn single_stack_trims_what_is_unchanged() {
    let old = json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"],
        "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]});
    let mut new = old.clone();
    new["ipFamilyPolicy"] = "SingleStack".into();
    let spec = settled(&new, Some(&old), DUAL).unwrap();
    assert_eq!(
        (&spec["clusterIPs"], &spec["ipFamilies"]),
        (&json!(["10.0.0.1"]), &json!(["IPv4"]))
    );
    new = old.clone();
    new["clusterIPs"] = json!(["10.0.0.1"]);
    assert_eq!(
        settled(&new, Some(&old), DUAL).unwrap_err(),
        [
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release the \
          secondary cluster IP"
        ]
    );
}

#[test]
fn a_preferring_service_is_not_upgraded_by_itself() {
    let old = json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4"],
        "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]});
    assert_eq!(
        settled(&old, Some(&old), DUAL).unwrap()["ipFamilies"],
        json!(["IPv4"])
    );
    let mut new = old.clone();
    new["ipFamilyPolicy"] = "RequireDualStack".into();
    assert_eq!(
        settled(&new, Some(&old), DUAL).unwrap()["ipFamilies"],
        json!(["IPv4", "IPv6"])
    );
}
