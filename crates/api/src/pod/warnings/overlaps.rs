//! Files of one volume that stand in each other's way.

use serde_json::Value;

use crate::field::shown;
use crate::validation::json::{list, present, text};

struct File<'a> {
    path: &'a str,
    source: String,
}

impl File<'_> {
    fn told(&self) -> String {
        let path = shown(&self.path.into());
        match self.source.as_str() {
            "" => path,
            source => format!("{path} ({source})"),
        }
    }

    fn collides(&self, other: &Self) -> bool {
        let (one, two) = (format!("{}/", self.path), format!("{}/", other.path));
        !self.path.is_empty()
            && !other.path.is_empty()
            && (one.starts_with(&two) || two.starts_with(&one))
    }
}

pub(super) fn warnings(spec: &Value) -> Vec<String> {
    list(spec, "/volumes").iter().flat_map(of_volume).collect()
}

fn of_volume(volume: &Value) -> Vec<String> {
    let name = shown(&volume["name"]);
    let quoted = |pointer: &str| shown(&text(volume, pointer).into());
    let plain = [
        (
            "configMap",
            format!("ConfigMap {}", quoted("/configMap/name")),
        ),
        ("secret", format!("Secret {}", quoted("/secret/secretName"))),
        ("downwardAPI", "DownwardAPI".to_owned()),
    ];
    let mut warnings = Vec::new();
    let mut say = |what: &str, files: Vec<File<'_>>| {
        for found in overlaps(&files) {
            warnings.push(format!(
                "volume {name} ({what}): overlapping paths: {found}"
            ));
        }
    };
    for (member, what) in plain {
        say(&what, items(&volume[member], ""));
    }
    let sources = list(volume, "/projected/sources");
    let empty = sources
        .iter()
        .filter(|source| source.as_object().is_none_or(serde_json::Map::is_empty));
    let empty: Vec<String> = empty
        .map(|_| format!("volume {name} (Projected) has no sources provided"))
        .collect();
    say("Projected", sources.iter().flat_map(projected).collect());
    warnings.extend(empty);
    warnings
}

fn items<'a>(source: &'a Value, what: &str) -> Vec<File<'a>> {
    let each = list(source, "/items").iter();
    each.map(|item| File {
        path: text(item, "/path").trim_end_matches('/'),
        source: what.to_owned(),
    })
    .collect()
}

fn projected(source: &Value) -> Vec<File<'_>> {
    for (member, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        if present(source, &format!("/{member}/items")) {
            let what = format!("{kind} {}", shown(&source[member]["name"]));
            return items(&source[member], &what);
        }
    }
    if present(source, "/downwardAPI/items") {
        return items(&source["downwardAPI"], "DownwardAPI");
    }
    let token = source["serviceAccountToken"]["path"].as_str();
    token
        .map(|path| File {
            path: path.trim_end_matches('/'),
            source: "ServiceAccountToken".to_owned(),
        })
        .into_iter()
        .collect()
}

fn overlaps(files: &[File<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let others = files[..i].iter().filter(|other| other.collides(file));
        found.extend(others.map(|other| format!("{} with {}", file.told(), other.told())));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_file_inside_another_is_told() {
        let items = json!([{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}, {"key": "c", "path": "xy"}]);
        let spec = json!({"volumes": [{"name": "v", "configMap": {"name": "m", "items": items}}]});
        let wanted = "volume \"v\" (ConfigMap \"m\"): overlapping paths: \"x/y\" with \"x\"";
        assert_eq!(super::warnings(&spec), [wanted]);
    }
}
