//! Owner references that are named twice (`dedupOwnerReferences`).

use http::Method;
use serde_json::Value;

use super::Write;

/// When in a round it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before anybody's fields are counted: a whole object that was sent.
    Sent,
    /// After admission: what a patch made.
    Admitted,
}

impl Write<'_> {
    /// Drops references that are there already, with a warning that names them.
    pub(super) fn drop_repeated_owners(&self, object: &mut Value, moment: Moment) {
        let patched = self.call.method == Method::PATCH;
        if patched != (moment == Moment::Admitted) {
            return;
        }
        let repeated = drop_repeated(object);
        if repeated.is_empty() {
            return;
        }
        let when = match moment {
            Moment::Sent => "",
            Moment::Admitted => " after mutating admission happens",
        };
        let uids = repeated.join(", ");
        self.call.warn(format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references \
             in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate \
             UID(s) observed: {uids}"
        ));
    }
}

/// The UIDs of what was dropped.
fn drop_repeated(object: &mut Value) -> Vec<String> {
    let mut repeated = Vec::new();
    let Some(Value::Array(owners)) = object.pointer_mut("/metadata/ownerReferences") else {
        return repeated;
    };
    let mut kept: Vec<Value> = Vec::with_capacity(owners.len());
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            repeated.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    repeated
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_the_same_in_every_member_is_dropped() {
        let (one, other) = (
            json!({"uid": "u", "name": "a"}),
            json!({"uid": "u", "name": "b"}),
        );
        let owners = json!([one, other, one]);
        let mut object = json!({"metadata": {"ownerReferences": owners}});
        assert_eq!(drop_repeated(&mut object), ["u"]);
        assert_eq!(object["metadata"]["ownerReferences"], json!([one, other]));
        assert!(drop_repeated(&mut object).is_empty());
    }
}
