use super::*;

fn cidr(cidrs: &[&str]) -> Value {
    json!({"metadata": {"name": "x", "resourceVersion": "1"}, "spec": {"cidrs": cidrs}})
}

fn created(cidrs: &[&str]) -> Vec<String> {
    texts_of(&ServiceCidr.validate_create(&cidr(cidrs)))
}

fn updated(new: &[&str], old: &[&str]) -> Vec<String> {
    texts_of(&ServiceCidr.validate_update(Part::Main, &cidr(new), &cidr(old)))
}

fn texts_of(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn one_or_two_ranges_of_distinct_families() {
    assert!(created(&["10.0.0.0/24", "fd00::/48"]).is_empty());
    assert_eq!(
        created(&[]),
        ["spec.cidrs: Required value: at least one CIDR required"]
    );
    assert_eq!(
        created(&["10.0.0.0/24", "fd00::/112", "10.1.0.0/24"]),
        [
            "spec.cidrs: Invalid value: {\"CIDRs\":[\"10.0.0.0/24\",\"fd00::/112\",\"10.1.0.0/24\"]}: \
          may only hold up to 2 values"
        ]
    );
    assert_eq!(
        created(&["10.0.0.0/24", "10.1.0.0/24"]),
        [
            "spec.cidrs: Invalid value: [\"10.0.0.0/24\",\"10.1.0.0/24\"]: may specify no more than one \
          IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        ]
    );
}

#[test]
fn only_a_second_family_may_be_added() {
    assert!(updated(&["10.0.0.0/24"], &["10.0.0.0/24"]).is_empty());
    assert!(updated(&["10.0.0.0/24", "fd00::/112"], &["10.0.0.0/24"]).is_empty());
    assert_eq!(
        updated(&["10.1.0.0/24"], &["10.0.0.0/24"]),
        ["spec.cidrs[0]: Invalid value: \"10.1.0.0/24\": field is immutable"]
    );
    assert_eq!(
        updated(&["fd00::/112", "10.0.0.0/24"], &["10.0.0.0/24"]),
        ["spec.cidrs[0]: Invalid value: \"fd00::/112\": field is immutable"]
    );
    assert_eq!(
        updated(&["10.0.0.0/24"], &["10.0.0.0/24", "fd00::/112"]),
        ["spec.cidrs: Invalid value: [\"10.0.0.0/24\"]: field is immutable"]
    );
}

#[test]
fn a_range_is_ready_unless_something_says_otherwise() {
    assert!(is_ready(&cidr(&["10.0.0.0/24"])));
    let mut said = cidr(&["10.0.0.0/24"]);
    said["status"] = json!({"conditions": [{"type": "Ready", "status": "False"}]});
    assert!(!is_ready(&said));
    said["status"]["conditions"][0]["status"] = "True".into();
    assert!(is_ready(&said));
    said["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    assert!(!is_ready(&said));
}

#[test]
fn status_and_the_rest_are_written_apart() {
    let old = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"cidrs": ["10.0.0.0/24"]}, "status": {"s": 1}});
    let sent =
        json!({"metadata": {"labels": {"c": "d"}}, "spec": {"cidrs": []}, "status": {"s": 2}});
    let mut new = sent.clone();
    ServiceCidr.prepare_for_update(Part::Main, &mut new, &old);
    assert_eq!(new["status"], old["status"]);
    let mut new = sent.clone();
    ServiceCidr.prepare_for_update(Part::Sub("status"), &mut new, &old);
    assert_eq!(
        (&new["metadata"], &new["spec"]),
        (&old["metadata"], &old["spec"])
    );
    assert_eq!(new["status"], sent["status"]);
}
