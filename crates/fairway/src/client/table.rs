//! Tables as kubectl prints them: three blanks between columns, the last column unpadded.

use serde_json::Value;

/// A server's `Table` as lines. `prefix` goes before each name (`service/`), `wide` keeps the columns of
/// lower priority, `namespaces` prepends the column NAMESPACE.
pub(crate) fn lines(table: &Value, prefix: &str, wide: bool, namespaces: bool) -> Vec<String> {
    let columns = table["columnDefinitions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let shown: Vec<usize> = (0..columns.len())
        .filter(|i| wide || columns[*i]["priority"].as_u64().unwrap_or(0) == 0)
        .collect();
    let header = shown
        .iter()
        .map(|i| columns[*i]["name"].as_str().unwrap_or("").to_uppercase());
    let mut rows = vec![with_namespace(namespaces, "NAMESPACE", header.collect())];
    for row in table["rows"].as_array().map_or(&[][..], Vec::as_slice) {
        let cells = shown.iter().map(|i| {
            let text = cell(&row["cells"][*i]);
            if columns[*i]["format"] == "name" {
                format!("{prefix}{text}")
            } else {
                text
            }
        });
        let namespace = row["object"]["metadata"]["namespace"]
            .as_str()
            .unwrap_or("");
        rows.push(with_namespace(namespaces, namespace, cells.collect()));
    }
    aligned(&rows)
}

fn with_namespace(namespaces: bool, namespace: &str, mut cells: Vec<String>) -> Vec<String> {
    if namespaces {
        cells.insert(0, namespace.to_owned());
    }
    cells
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Rows of cells as aligned lines.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let padded = row.iter().enumerate().map(|(i, cell)| {
            if i == last {
                cell.clone()
            } else {
                format!("{cell:<width$}", width = width(i) + 3)
            }
        });
        padded.collect::<String>()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn columns_are_three_blanks_apart_and_lower_priorities_left_out() {
        let table = json!({
            "columnDefinitions": [
                {"name": "Name", "format": "name", "priority": 0},
                {"name": "Type", "format": "", "priority": 0},
                {"name": "Selector", "format": "", "priority": 1},
            ],
            "rows": [
                {"cells": ["web", "ClusterIP", "app=web"]},
                {"cells": ["litellm", "NodePort", "<none>"]},
            ],
        });
        let wanted = [
            "NAME              TYPE",
            "service/web       ClusterIP",
            "service/litellm   NodePort",
        ];
        assert_eq!(lines(&table, "service/", false, false), wanted);
        assert!(lines(&table, "", true, false)[1].ends_with("ClusterIP   app=web"));
    }
}
