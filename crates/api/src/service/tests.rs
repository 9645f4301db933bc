use serde_json::json;

use super::*;

/// A new Service after defaults and with what the allocation would give it.
fn made(spec: &Value) -> Value {
    let mut object = json!({"metadata": {"name": "web", "namespace": "n", "resourceVersion": "1"}, "spec": spec});
    Service.set_defaults(&mut object);
    object
}

fn with_address(spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["clusterIP"] = "10.96.0.9".into();
    spec["clusterIPs"] = json!(["10.96.0.9"]);
    made(&spec)
}

fn created(object: &Value) -> Vec<String> {
    let problems = Service.validate_create(object);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_service_is_completed() {
    let object = made(&json!({"ports": [{"port": 80}]}));
    assert_eq!(
        object["spec"],
        json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]})
    );
    let affine = made(
        &json!({"ports": [{"port": 80, "targetPort": "http"}], "sessionAffinity": "ClientIP",
        "externalIPs": ["192.0.2.1"]}),
    );
    let spec = &affine["spec"];
    assert_eq!(
        spec["sessionAffinityConfig"],
        json!({"clientIP": {"timeoutSeconds": 10800}})
    );
    assert_eq!(spec["externalTrafficPolicy"], "Cluster");
    assert_eq!(spec["ports"][0]["targetPort"], "http");
    let balanced = made(&json!({"type": "LoadBalancer"}));
    assert_eq!(balanced["spec"]["allocateLoadBalancerNodePorts"], true);
    let named = made(&json!({"type": "ExternalName"}));
    assert_eq!(
        named["spec"],
        json!({"type": "ExternalName", "sessionAffinity": "None"})
    );
}

#[test]
fn problems_of_ports() {
    let port = |more: Value| {
        let mut port = json!({"port": 80});
        port.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"ports": [port]})
    };
    let cases = [
        (json!({}), "spec.ports: Required value"),
        (
            port(json!({"port": 0, "targetPort": 1})),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            port(json!({"protocol": "HTTP"})),
            "spec.ports[0].protocol: Unsupported value: \"HTTP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            port(json!({"targetPort": "80"})),
            "spec.ports[0].targetPort: Invalid value: \"80\": must contain at least one letter (a-z)",
        ),
        (
            port(json!({"nodePort": 30001})),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 81}]}),
            "spec.ports[1].name: Required value",
        ),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}),
            "spec.ports[1].name: Duplicate value: \"a\"",
        ),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b", "targetPort": 9}]}),
            "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}",
        ),
    ];
    for (spec, problem) in cases {
        assert_eq!(created(&with_address(&spec)), [problem], "{spec}");
    }
}

#[test]
fn problems_of_policies_and_load_balancers() {
    let cases = [
        (
            json!({"ports": [{"port": 80}], "type": "X"}),
            "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            json!({"ports": [{"port": 80}], "externalTrafficPolicy": "Local"}),
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        (
            json!({"ports": [{"port": 80}], "internalTrafficPolicy": ""}),
            "spec.internalTrafficPolicy: Unsupported value: \"\": supported values: \"Cluster\", \"Local\"",
        ),
        (
            json!({"ports": [{"port": 80}], "healthCheckNodePort": 5}),
            "spec.healthCheckNodePort: Invalid value: 5: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
        (
            json!({"ports": [{"port": 80}], "loadBalancerClass": "x"}),
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            json!({"ports": [{"port": 80}], "loadBalancerSourceRanges": ["10.0.0.0/8"]}),
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            json!({"ports": [{"port": 80}], "externalIPs": ["127.0.0.1"]}),
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            json!({"ports": [{"port": 80}], "trafficDistribution": "Near"}),
            "spec.trafficDistribution: Unsupported value: \"Near\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
        ),
        (
            json!({"ports": [{"port": 80}], "sessionAffinity": "X"}),
            "spec.sessionAffinity: Unsupported value: \"X\": supported values: \"ClientIP\", \"None\"",
        ),
        (
            json!({"ports": [{"port": 80}], "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}),
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
        ),
    ];
    for (spec, problem) in cases {
        assert_eq!(created(&with_address(&spec)), [problem], "{spec}");
    }
}

#[test]
fn good_services_have_no_problems() {
    let cases = [
        json!({"ports": [{"port": 80}], "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}}),
        json!({"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local"}),
        json!({"type": "LoadBalancer", "ports": [{"port": 53, "name": "t"}, {"port": 53, "name": "u", "protocol": "UDP"}],
            "loadBalancerSourceRanges": [" 10.0.0.0/8 "], "loadBalancerClass": "x.io/y"}),
    ];
    for spec in cases {
        assert!(created(&with_address(&spec)).is_empty(), "{spec}");
    }
    assert!(
        created(&made(
            &json!({"type": "ExternalName", "externalName": "a.b."})
        ))
        .is_empty()
    );
    assert!(created(&made(&json!({"clusterIP": "None", "clusterIPs": ["None"]}))).is_empty());
}

#[test]
fn headless_and_outward_types_exclude_each_other() {
    let object = made(
        &json!({"type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 80}]}),
    );
    assert_eq!(
        created(&object),
        [
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"
        ]
    );
}

#[test]
fn what_is_frozen_on_update() {
    let old = with_address(
        &json!({"type": "LoadBalancer", "ports": [{"port": 80}], "ipFamilies": ["IPv4"]}),
    );
    let cases = [
        (
            "clusterIPs",
            json!(["10.96.0.8"]),
            "spec.clusterIPs[0]: Invalid value: [\"10.96.0.8\"]: may not change once set",
        ),
        (
            "ipFamilies",
            json!(["IPv6"]),
            "spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set",
        ),
        (
            "loadBalancerClass",
            json!("x.io/y"),
            "spec.loadBalancerClass: Invalid value: \"x.io/y\": may not change once set",
        ),
    ];
    for (member, value, problem) in cases {
        let mut new = old.clone();
        new["spec"][member] = value;
        let problems = Service.validate_update(Part::Main, &new, &old);
        assert_eq!(problems[0].to_string(), problem);
    }
}

#[test]
fn ingress_belongs_to_load_balancers_and_knows_its_mode() {
    let mut old = with_address(&json!({"type": "LoadBalancer", "ports": [{"port": 80}]}));
    old["status"] = json!({"loadBalancer": {}});
    let with = |ingress: Value| {
        let mut new = old.clone();
        new["status"]["loadBalancer"]["ingress"] = ingress;
        let problems = Service.validate_update(Part::Sub("status"), &new, &old);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(
        with(json!([{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "a.b"}, {}])).is_empty()
    );
    assert_eq!(
        with(json!([{"ip": "192.0.2.1"}, {"hostname": "a.b", "ipMode": "VIP"}])),
        [
            "status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set",
            "status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
        ]
    );
    old["spec"]["type"] = "NodePort".into();
    let mut new = old.clone();
    new["status"]["loadBalancer"]["ingress"] = json!([{}]);
    let problems = Service.validate_update(Part::Sub("status"), &new, &old);
    assert_eq!(
        problems[0].to_string(),
        "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
    );
}

#[test]
fn odd_but_accepted_things_are_warned_about() {
    let warned = |spec: &Value| Service.warnings(Part::Main, &made(spec), None);
    assert_eq!(
        warned(
            &json!({"clusterIP": "None", "sessionAffinity": "ClientIP", "loadBalancerIP": "192.0.2.1",
            "externalIPs": ["192.0.2.1"], "externalName": "a.b"})
        ),
        [
            "spec.loadBalancerIP is ignored for headless services",
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services",
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ]
    );
    assert_eq!(
        warned(&json!({"externalIPs": ["192.0.2.1"], "trafficDistribution": "PreferClose"})),
        [
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ]
    );
}

#[test]
fn the_row_of_each_type() {
    let row = |spec: &Value, status: &Value| {
        let object = json!({"metadata": {"name": "web"}, "spec": spec, "status": status});
        let cells = Service.cells(&object, Timestamp::UNIX_EPOCH);
        let texts: Vec<&str> = cells.iter().map(|cell| cell.as_str().unwrap()).collect();
        texts[1..].join(" ")
    };
    let none = json!({});
    let ports = json!([{"port": 80, "protocol": "TCP", "nodePort": 30080}]);
    let cases = [
        (
            json!({"type": "NodePort", "clusterIPs": ["10.0.0.1"], "ports": ports}),
            &none,
            "NodePort 10.0.0.1 <none> 80:30080/TCP <unknown> <none>",
        ),
        (
            json!({"type": "ClusterIP", "clusterIPs": ["None"], "selector": {"b": "2", "a": "1"}}),
            &none,
            "ClusterIP None <none> <none> <unknown> a=1,b=2",
        ),
        (
            json!({"type": "ExternalName", "externalName": "db.example.com."}),
            &none,
            "ExternalName <none> db.example.com. <none> <unknown> <none>",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "ports": ports}),
            &none,
            "LoadBalancer 10.0.0.1 <pending> 80:30080/TCP <unknown> <none>",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "externalIPs": ["198.51.100.1"]}),
            &none,
            "LoadBalancer 10.0.0.1 198.51.100.1 <none> <unknown> <none>",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]}),
            &json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"ip": "203.0.113.10"}, {"ip": "203.0.113.9"}]}}),
            "LoadBalancer 10.0.0.1 203.0.113.10,203.0.113.9 <none> <unknown> <none>",
        ),
    ];
    for (spec, status, cells) in cases {
        assert_eq!(row(&spec, status), cells);
    }
}

#[test]
fn external_name_does_not_show_an_internal_policy() {
    let object = made(
        &json!({"type": "ExternalName", "externalName": "a.b", "internalTrafficPolicy": "Local"}),
    );
    assert!(created(&object).is_empty());
    let shown = Service.shown(&object).unwrap();
    assert_eq!(shown["spec"].get("internalTrafficPolicy"), None);
    assert_eq!(Service.shown(&shown), None);
}

#[test]
fn a_service_made_through_its_status_shows_its_families() {
    let object = with_address(&json!({"ports": [{"port": 80}]}));
    let object = Service.shown(&object).unwrap();
    assert_eq!(object["spec"]["ipFamilies"], json!(["IPv4"]));
    assert_eq!(object["spec"]["ipFamilyPolicy"], "SingleStack");
}
