//! Secret: what its objects mean (`registry/core/secret`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use crate::data_keys;
use crate::field::{Path, Problem, Problems};
use crate::patch::why_no_object;
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{pairs, remove, set, text};
use crate::validation::{metadata, names};

/// The strategy of `v1/Secret`.
pub struct Secret;

impl Strategy for Secret {
    fn set_defaults(&self, object: &mut Value) {
        encode_strings(object);
        if text(object, "/type").is_empty() {
            set(object, "", "type", "Opaque");
        }
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(data(object));
        problems.extend(of_type(object));
        problems
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(metadata::immutable(
            &new["type"],
            &old["type"],
            &Path::new("type"),
        ));
        problems.extend(data_keys::frozen(new, old, &["data"]));
        problems.extend(self.validate_create(new));
        problems
    }

    fn warnings(&self, _part: Part, new: &Value, _old: Option<&Value>) -> Vec<String> {
        tls_warning(new).into_iter().collect()
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn selectable_field(&self, object: &Value, _field: &str) -> String {
        text(object, "/type").to_owned()
    }

    fn columns(&self) -> &'static [Column] {
        printer::SECRET
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::secret_cells(object, now)
    }
}

/// `stringData` is only a way to write `data`, and wins over it.
fn encode_strings(secret: &mut Value) {
    let strings: Vec<(String, String)> = pairs(secret, "/stringData")
        .into_iter()
        .map(|(key, value)| (key.to_owned(), STANDARD.encode(value)))
        .collect();
    for (key, value) in strings {
        set(secret, "/data", &key, value);
    }
    remove(secret, "", "stringData");
}

fn data(secret: &Value) -> Problems {
    let mut problems = data_keys::keys(secret, "data");
    if data_keys::size(secret, "data", true) > data_keys::MAX_SIZE {
        problems.push(Problem::too_long(Path::new("data"), data_keys::MAX_SIZE));
    }
    problems
}

/// What the known types want to hold.
fn of_type(secret: &Value) -> Problems {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let path = Path::new("data");
    let missing = |key: &str| secret["data"][key].is_null();
    let needed = |keys: &[&str]| -> Problems {
        let keys = keys.iter().filter(|key| missing(key));
        keys.map(|key| Problem::required(path.key(key), ""))
            .collect()
    };
    match text(secret, "/type") {
        "kubernetes.io/service-account-token" => {
            let name = secret["metadata"]["annotations"][ACCOUNT].as_str();
            let at = Path::new("metadata.annotations").key(ACCOUNT);
            match name {
                None | Some("") => vec![Problem::required(at, "")],
                Some(_) => Problems::new(),
            }
        }
        "kubernetes.io/dockercfg" => docker(secret, ".dockercfg", &path),
        "kubernetes.io/dockerconfigjson" => docker(secret, ".dockerconfigjson", &path),
        "kubernetes.io/basic-auth" if missing("username") && missing("password") => {
            needed(&["username", "password"])
        }
        "kubernetes.io/ssh-auth"
            if secret["data"]["ssh-privatekey"]
                .as_str()
                .unwrap_or("")
                .is_empty() =>
        {
            vec![Problem::required(path.key("ssh-privatekey"), "")]
        }
        "kubernetes.io/tls" => needed(&["tls.crt", "tls.key"]),
        _ => Problems::new(),
    }
}

/// Credentials for registries are a JSON object; the message does not show them.
fn docker(secret: &Value, key: &str, path: &Path) -> Problems {
    let at = path.key(key);
    let Some(encoded) = secret["data"][key].as_str() else {
        return vec![Problem::required(at, "")];
    };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    match why_no_object(&bytes) {
        Some(why) => vec![Problem::invalid(at, "<secret contents redacted>", why)],
        None => Problems::new(),
    }
}

/// A key pair without a certificate or a key in it is accepted and warned about.
fn tls_warning(secret: &Value) -> Option<String> {
    if text(secret, "/type") != "kubernetes.io/tls" {
        return None;
    }
    let parts = [("tls.crt", "certificate"), ("tls.key", "key")];
    let empty = parts
        .iter()
        .find(|(key, _)| !has_pem(text(secret, &format!("/data/{key}"))));
    empty.map(|(_, what)| format!("tls: failed to find any PEM data in {what} input"))
}

fn has_pem(encoded: &str) -> bool {
    let text = STANDARD.decode(encoded).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.contains("-----BEGIN ") && text.contains("-----END ")
}
