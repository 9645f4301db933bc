//! Owner references: who controls an object, and how controllers take objects over and let them go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use serde_json::{Value, json};

/// The reference to an object's controller.
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// A reference that makes `owner` the controller of what carries it.
pub(crate) fn controller_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What a controller should do about an object that it might own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Its own.
    Keep,
    /// Nobody's, and it matches: take it.
    Adopt,
    /// Its own, but no longer matching: let it go.
    Release,
    /// Not its business.
    Ignore,
}

/// The rule of `pkg/controller/controller_ref_manager.go`.
pub(crate) fn claim(owner: &ObjectMeta, object: &ObjectMeta, matches: bool) -> Claim {
    let owner_goes = owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(controller) if Some(&controller.uid) != owner.uid.as_ref() => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner_goes => Claim::Ignore,
        Some(_) => Claim::Release,
        None if matches && !owner_goes && object.deletion_timestamp.is_none() => Claim::Adopt,
        None => Claim::Ignore,
    }
}

/// The patch that adopts an object; the uid in it makes the server refuse where the name was given to another.
pub(crate) fn adoption(owner: &OwnerReference, object: &ObjectMeta) -> Value {
    let mut owners = object.owner_references.clone().unwrap_or_default();
    owners.push(owner.clone());
    json!({"metadata": {"uid": object.uid, "resourceVersion": object.resource_version, "ownerReferences": owners}})
}

/// The patch that takes the owner with this uid off an object.
pub(crate) fn release(owner_uid: &str, object: &ObjectMeta) -> Value {
    let mut owners = object.owner_references.clone().unwrap_or_default();
    owners.retain(|owner| owner.uid != owner_uid);
    let owners = if owners.is_empty() {
        Value::Null
    } else {
        json!(owners)
    };
    json!({"metadata": {"uid": object.uid, "resourceVersion": object.resource_version, "ownerReferences": owners}})
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn objects_are_claimed_by_reference_first_and_by_selector_second() {
        let owner = |goes: bool| ObjectMeta {
            uid: Some("me".to_owned()),
            deletion_timestamp: goes.then_some(Time(Timestamp::UNIX_EPOCH)),
            ..ObjectMeta::default()
        };
        let object = |controller: Option<&str>| ObjectMeta {
            owner_references: controller.map(|uid| {
                vec![OwnerReference {
                    uid: uid.to_owned(),
                    controller: Some(true),
                    ..OwnerReference::default()
                }]
            }),
            ..ObjectMeta::default()
        };
        let cases = [
            (false, Some("me"), true, Claim::Keep),
            (false, Some("me"), false, Claim::Release),
            (true, Some("me"), false, Claim::Ignore),
            (false, Some("other"), true, Claim::Ignore),
            (false, None, true, Claim::Adopt),
            (true, None, true, Claim::Ignore),
            (false, None, false, Claim::Ignore),
        ];
        for (goes, controller, matches, expected) in cases {
            let claimed = claim(&owner(goes), &object(controller), matches);
            assert_eq!(
                claimed, expected,
                "goes {goes}, {controller:?}, matches {matches}"
            );
        }
    }
}
