//! ServiceAccount: what its objects mean (`registry/core/serviceaccount`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::Problems;
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::json::{list_mut, present, text};
use crate::validation::{metadata, names};

const ENFORCE_MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

/// The strategy of `v1/ServiceAccount`.
pub struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn rules(&self) -> Rules {
        Rules {
            delete_returns_object: true,
            ..Rules::default()
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        only_names(object);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        metadata::new_object(object, true, names::dns_subdomain_name)
    }

    fn prepare_for_update(&self, _part: Part, new: &mut Value, _old: &Value) {
        only_names(new);
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(self.validate_create(new));
        problems
    }

    fn warnings(&self, _part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        let enforces =
            |object: &Value| !object["metadata"]["annotations"][ENFORCE_MOUNTABLE].is_null();
        if !enforces(new) || old.is_some_and(enforces) {
            return Vec::new();
        }
        vec![format!(
            "metadata.annotations[{ENFORCE_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to \
             isolate access to mounted secrets"
        )]
    }

    fn columns(&self) -> &'static [Column] {
        printer::SERVICE_ACCOUNT
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::service_account_cells(object, now)
    }
}

/// References to secrets are within the namespace, by name.
fn only_names(account: &mut Value) {
    for secret in list_mut(account, "/secrets") {
        *secret = match present(secret, "/name") {
            true => json!({"name": text(secret, "/name")}),
            false => json!({}),
        };
    }
}
