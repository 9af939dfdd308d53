//! Answers for people: columns aligned, numbers to the right.

use serde_json::Value;

/// Widest column; longer cells are cut.
const WIDTH_MAX: usize = 120;

/// `{"columns": […], "rows": [[…]]}` as a table.
pub(super) fn of_columns(answer: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let names = answer["columns"].as_array().into_iter().flatten().map(text).collect();
    let rows = answer["rows"].as_array().into_iter().flatten();
    let rows = rows.map(|row| row.as_array().into_iter().flatten().map(text).collect());
    aligned(&std::iter::once(names).chain(rows).collect::<Vec<Vec<String>>>())
}

/// Prometheus's `data` as a table.
pub(super) fn of_prometheus(data: &Value) -> String {
    aligned(&rows_of_prometheus(data))
}

/// A head and one row for each sample: series, time, value.
pub(super) fn rows_of_prometheus(data: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["series".into(), "time".into(), "value".into()]];
    let mut push = |series: String, sample: &Value| {
        let time = sample[0].as_f64().map_or(String::new(), |seconds| {
            let ms = (seconds * 1000.0).round() as i64;
            jiff::Timestamp::from_millisecond(ms).map_or(seconds.to_string(), |t| t.to_string())
        });
        let value = sample[1].as_str().map_or_else(|| sample[1].to_string(), str::to_owned);
        rows.push(vec![series, time, value]);
    };
    match &data["result"] {
        Value::Array(results) if data["resultType"] == "vector" || data["resultType"] == "matrix" => {
            for result in results {
                let name = series(&result["metric"]);
                for key in ["value", "histogram"] {
                    if result[key].is_array() {
                        push(name.clone(), &result[key]);
                    }
                }
                for key in ["values", "histograms"] {
                    for sample in result[key].as_array().into_iter().flatten() {
                        push(name.clone(), sample);
                    }
                }
            }
        }
        sample => push(String::new(), sample),
    }
    rows
}

/// `name{label="value"}`.
fn series(labels: &Value) -> String {
    let Some(labels) = labels.as_object() else { return String::new() };
    let name = labels.get("__name__").and_then(Value::as_str).unwrap_or("");
    let rest: Vec<String> = labels
        .iter()
        .filter(|(key, _)| *key != "__name__")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(",")) }
}

/// Comma-separated values (RFC 4180).
pub(super) fn csv(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| {
        if cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n").collect()
}

/// Cells in columns two spaces apart. What a terminal would obey is shown, not sent.
fn aligned(rows: &[Vec<String>]) -> String {
    let shown = |cell: &String| -> String {
        let plain: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if plain.chars().count() <= WIDTH_MAX {
            return plain;
        }
        plain.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
    };
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let is_number = |column: usize| {
        let mut values = cells.iter().skip(1).filter_map(|row| row.get(column)).peekable();
        values.peek().is_some() && values.all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
    };
    let right: Vec<bool> = (0..columns).map(is_number).collect();
    let mut out = String::new();
    for row in &cells {
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            let gap = if column == 0 { "" } else { "  " };
            out.push_str(gap);
            if right[column] {
                out.push_str(&padding);
            }
            out.push_str(cell);
            if !right[column] && column + 1 < row.len() {
                out.push_str(&padding);
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_control_characters_are_spaces() {
        let answer =
            json!({ "columns": ["service", "n"], "rows": [["api\u{1b}[31m", 7], ["b", 1234], [null, null]] });
        assert_eq!(
            of_columns(&answer),
            "service      n\napi [31m     7\nb         1234\n              \n"
                .replace("              \n", "             \n")
                .replace("             \n", &format!("{}\n", " ".repeat(14)))
        );
    }

    #[test]
    fn vectors_and_scalars_become_rows() {
        let vector = json!({ "resultType": "vector", "result": [{ "metric": { "__name__": "up", "job": "a" }, "value": [60, "1"] }] });
        assert_eq!(rows_of_prometheus(&vector)[1], ["up{job=\"a\"}", "1970-01-01T00:01:00Z", "1"]);
        let scalar = json!({ "resultType": "scalar", "result": [60, "2"] });
        assert_eq!(rows_of_prometheus(&scalar)[1], ["", "1970-01-01T00:01:00Z", "2"]);
    }
}
