//! A pod template's identity: what makes two of them equal, and the hash in a ReplicaSet's name.

use k8s_openapi::api::core::v1::PodTemplateSpec;

/// The label that tells the pods of a Deployment's ReplicaSets apart.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Letters of generated names: without vowels and look-alikes, so that no words come out (`util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Whether two templates are the same but for the hash label.
pub(super) fn equal(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    without_hash(a) == without_hash(b)
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let mut meta = template.metadata.take().unwrap_or_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH_LABEL);
    }
    meta.labels = meta.labels.filter(|labels| !labels.is_empty());
    meta.creation_timestamp = None;
    template.metadata = Some(meta);
    template
}

/// A template's hash: stable, and another one for each collision counted. It need not be what Kubernetes'
/// Go code would print, because a template's ReplicaSet is found by comparing templates.
pub(super) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    let text = serde_json::to_vec(&without_hash(template)).expect("a template is plain data");
    let number = fnv1a(text.iter().copied().chain(collisions.to_le_bytes()));
    let digits = number.to_string().into_bytes();
    let letters = digits
        .iter()
        .map(|digit| char::from(ALPHABET[usize::from(*digit) % ALPHABET.len()]));
    letters.collect()
}

/// FNV-1a, 32 bits.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(labels: &serde_json::Value) -> PodTemplateSpec {
        serde_json::from_value(json!({"metadata": {"labels": labels}, "spec": {"containers": []}}))
            .unwrap()
    }

    #[test]
    fn the_hash_label_does_not_count() {
        let plain = template(&json!({"app": "web"}));
        let hashed = template(&json!({"app": "web", "pod-template-hash": "bcdf"}));
        assert!(equal(&plain, &hashed));
        assert_eq!(hash(&plain, 0), hash(&hashed, 0));
        assert!(!equal(&plain, &template(&json!({"app": "api"}))));
    }

    #[test]
    fn hashes_are_stable_and_differ_by_collision() {
        let plain = template(&json!({"app": "web"}));
        let (first, second) = (hash(&plain, 0), hash(&plain, 1));
        assert_ne!(first, second);
        assert!(
            first.bytes().all(|letter| ALPHABET.contains(&letter)),
            "{first}"
        );
        assert_eq!(fnv1a(b"a".iter().copied()), 0xe40c_292c);
    }
}
