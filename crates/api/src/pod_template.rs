//! PodTemplate: what its objects mean (`registry/core/podtemplate`).

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Path, Problems};
use crate::pod::{defaults, gates, validation, warnings};
use crate::printer::workload as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::integer;
use crate::validation::{metadata, names};
use crate::workload;

/// The strategy of `v1/PodTemplate`.
pub struct PodTemplate;

impl Strategy for PodTemplate {
    fn set_defaults(&self, object: &mut Value) {
        if let Some(spec) = object.pointer_mut("/template/spec") {
            defaults::spec(spec);
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        gates::drop_from_template(object, None, "/template");
        workload::set_generation(object, 1);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(template(object));
        problems
    }

    fn prepare_for_update(&self, _part: Part, new: &mut Value, old: &Value) {
        gates::drop_from_template(new, Some(old), "/template");
        if new["template"] != old["template"] {
            workload::next_generation(new, old);
        }
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(template(new));
        problems
    }

    fn warnings(&self, _part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        let generation = |object: &Value| integer(object, "/metadata/generation");
        if old.is_some_and(|old| generation(old) == generation(new)) {
            return Vec::new();
        }
        warnings::warnings(&new["template"], &Path::new("template"))
    }

    fn columns(&self) -> &'static [Column] {
        printer::POD_TEMPLATE
    }

    fn cells(&self, object: &Value, _now: Timestamp) -> Vec<Value> {
        printer::pod_template_cells(object)
    }
}

fn template(object: &Value) -> Problems {
    validation::template(&object["template"], &Path::new("template"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object() -> Value {
        let mut object = json!({"metadata": {"name": "t", "namespace": "default", "resourceVersion": "1"},
            "template": {"metadata": {"labels": {"b": "2", "a": "1"}},
                "spec": {"containers": [{"name": "c", "image": "x"}, {"name": "d", "image": "y"}]}}});
        PodTemplate.set_defaults(&mut object);
        object
    }

    #[test]
    fn a_template_is_filled_in_and_checked_as_a_pods_is() {
        let mut object = object();
        assert_eq!(object["template"]["spec"]["restartPolicy"], "Always");
        assert!(PodTemplate.validate_create(&object).is_empty());
        object["template"]["spec"]["containers"] = json!([]);
        let found = PodTemplate.validate_create(&object);
        assert_eq!(
            found[0].to_string(),
            "template.spec.containers: Required value"
        );
    }

    #[test]
    fn only_a_changed_template_is_a_new_generation() {
        let mut old = object();
        PodTemplate.prepare_for_create(&mut old);
        let mut new = old.clone();
        new["metadata"]["labels"] = json!({"a": "b"});
        PodTemplate.prepare_for_update(Part::Main, &mut new, &old);
        assert_eq!(new["metadata"]["generation"], 1);
        new["template"]["spec"]["containers"][0]["image"] = "z".into();
        PodTemplate.prepare_for_update(Part::Main, &mut new, &old);
        assert_eq!(new["metadata"]["generation"], 2);
    }

    #[test]
    fn a_row_shows_containers_and_labels() {
        let cells = PodTemplate.cells(&object(), Timestamp::UNIX_EPOCH);
        assert_eq!(cells, ["t", "c,d", "x,y", "a=1,b=2"]);
        let bare = json!({"metadata": {"name": "t"}});
        assert_eq!(PodTemplate.cells(&bare, Timestamp::UNIX_EPOCH)[3], "<none>");
    }
}
