use proptest::prelude::*;
use serde_json::json;

use super::*;

const CONFIG_MAP: &str = "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEhYKAwoBcBIGCgFrEgF2GgcKAWISAgABGgAiAA==";

fn bytes(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap()
}

fn decode_as(name: &str, body: &[u8]) -> Result<Value, String> {
    decode(body, |_| Some(name.to_owned())).map(|(_, value)| value)
}

#[test]
fn a_config_map_is_read() {
    let (meta, object) = decode(&bytes(CONFIG_MAP), |meta| {
        Some(format!(
            "io.k8s.api.core.{}.{}",
            meta.api_version, meta.kind
        ))
    })
    .unwrap();
    assert_eq!(
        (meta.api_version.as_str(), meta.kind.as_str()),
        ("v1", "ConfigMap")
    );
    let expected =
        json!({"metadata": {"name": "p"}, "data": {"k": "v"}, "binaryData": {"b": "AAE="}});
    assert_eq!(object, expected);
}

#[test]
fn pointers_and_numbers_are_read() {
    let body =
        bytes("azhzAAofChZjb29yZGluYXRpb24uazhzLmlvL3YxEgVMZWFzZRINCgMKAXASBgoCbWUQBRoAIgA=");
    let lease = decode_as("io.k8s.api.coordination.v1.Lease", &body).unwrap();
    let expected = json!({
        "metadata": {"name": "p"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 5},
    });
    assert_eq!(lease, expected);
}

#[test]
fn embedded_structs_times_quantities_and_either_types_are_read() {
    // A Pod message by hand: spec.volumes[0] {1 name "v", 2 volumeSource {2 emptyDir {2 sizeLimit "1Ki"}}},
    // spec.containers[0] {1 name, 10 livenessProbe {1 handler {2 httpGet {2 port string "p"}}}}.
    fn field(tag: u8, inner: &[u8]) -> Vec<u8> {
        let mut out = vec![tag << 3 | 2, u8::try_from(inner.len()).unwrap()];
        out.extend(inner);
        out
    }
    let volume = [
        field(1, b"v"),
        field(2, &field(2, &field(2, &field(1, b"1024")))),
    ]
    .concat();
    let port = [vec![8, 1], field(3, b"p")].concat();
    let probe = field(1, &field(2, &field(2, &port)));
    let container = [field(1, b"c"), field(10, &probe)].concat();
    let spec = [field(1, &volume), field(2, &container)].concat();
    let metadata = field(8, &[8, 1]);
    let pod = [field(1, &metadata), field(2, &spec)].concat();
    let body = [MAGIC.to_vec(), field(2, &pod)].concat();
    let object = decode_as("io.k8s.api.core.v1.Pod", &body).unwrap();
    assert_eq!(
        object["metadata"]["creationTimestamp"],
        "1970-01-01T00:00:01Z"
    );
    let volume = &object["spec"]["volumes"][0];
    assert_eq!(
        *volume,
        json!({"name": "v", "emptyDir": {"sizeLimit": "1024"}})
    );
    let probe = &object["spec"]["containers"][0]["livenessProbe"];
    assert_eq!(*probe, json!({"httpGet": {"port": "p"}}));
}

#[test]
fn what_is_wrong_is_said_in_gos_words() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "empty data"),
        (b"k8s\0\x0a\xff", "unexpected EOF"),
        (
            b"{}",
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ),
        (b"k8s\0\x07", "proto: illegal tag 0 (wire type 7)"),
    ];
    for (body, expected) in cases {
        assert_eq!(
            decode_as("io.k8s.api.core.v1.ConfigMap", body),
            Err(expected.to_owned())
        );
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = [MAGIC, &noise].concat();
        drop(decode_as("io.k8s.api.core.v1.Pod", &body));
    }

    #[test]
    fn no_mutation_makes_it_panic(changes in proptest::collection::vec((0_usize..60, any::<u8>()), 1..5)) {
        let mut body = bytes(CONFIG_MAP);
        for (at, byte) in changes {
            let at = at % body.len();
            body[at] = byte;
        }
        for kind in ["ConfigMap", "Pod", "Service", "Node"] {
            drop(decode_as(&format!("io.k8s.api.core.v1.{kind}"), &body));
        }
    }
}
