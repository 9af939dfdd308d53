//! The content of a dashboard: version 1 of its schema.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Fault;

/// Widgets of one dashboard.
const WIDGETS_MAX: usize = 100;

/// Cells of the grid from left to right.
const WIDTH: u32 = 12;

/// Rows of the grid.
const HEIGHT_MAX: u32 = 1_000;

/// The content of a dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dashboard {
    /// The version of the schema: 1.
    pub(crate) schema: u32,
    /// What people call it.
    pub(crate) title: String,
    /// What it is for.
    pub(crate) description: String,
    /// Where it stands.
    pub(crate) view: View,
    /// Whether it is shown to those who are not signed in.
    pub(crate) public: bool,
    /// Seconds between two looks; 0 for none.
    pub(crate) refresh_seconds: u32,
    /// Seconds before now that are shown at first.
    pub(crate) range_seconds: u32,
    /// What is on it.
    pub(crate) widgets: Vec<Widget>,
}

/// Where a dashboard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    /// Machines and the server itself.
    System,
    /// Services and what they do.
    Business,
    /// People's own.
    Custom,
}

/// One part of a dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Widget {
    /// Unique within the dashboard.
    pub(crate) id: String,
    /// How it looks.
    #[serde(rename = "type")]
    pub(crate) kind: WidgetKind,
    /// Its heading.
    pub(crate) title: String,
    /// What is seen, in a sentence.
    pub(crate) description: String,
    /// What is asked for.
    pub(crate) query: Query,
    /// Unit of the values, such as `percent`, `seconds`, `bytes`, `per_second`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    /// Values from which on something is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) thresholds: Vec<Threshold>,
    /// Ends of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<Options>,
    /// Where it stands.
    pub(crate) position: Position,
}

/// How a widget looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WidgetKind {
    /// Lines over time.
    Line,
    /// Bars over time.
    Bar,
    /// The value now, between its ends.
    Gauge,
    /// The value now.
    Number,
    /// A row for each series.
    Table,
    /// Rows, the newest first.
    Logs,
    /// Alerts that are active.
    Alerts,
}

/// What a widget asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "language", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Query {
    /// PromQL.
    Promql {
        /// The expression.
        text: String,
        /// The name of a series, with `{{label}}` for values of labels; all labels without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        legend: Option<String>,
    },
    /// Search syntax: rows, or how many there are.
    Search {
        /// `logs`, `spans` or `events`.
        table: String,
        /// The search; empty finds every row.
        text: String,
        /// Counts by the values of this field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// SQL.
    Sql {
        /// The statement.
        text: String,
    },
}

/// A value from which on something is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// In the unit of the widget.
    pub(crate) value: f64,
    /// How wrong.
    pub(crate) level: Level,
}

/// How wrong something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// To be looked at.
    Warning,
    /// At once.
    Critical,
}

/// Ends of an axis; without one it follows the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
}

/// Cells of a grid that is twelve wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// Cells from the left.
    pub(crate) x: u32,
    /// Cells from the top.
    pub(crate) y: u32,
    /// Cells wide.
    pub(crate) width: u32,
    /// Cells high.
    pub(crate) height: u32,
}

/// Checks a dashboard that says of which schema it is. One that does not is its page's own.
pub(crate) fn check(spec: &Value) -> Result<(), Fault> {
    if spec.get("schema").is_none() {
        return Ok(());
    }
    let wrong = |field: String, message: String| Err(Fault::invalid(&field, message));
    let dashboard: Dashboard = serde_path_to_error::deserialize(spec).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
        Fault::invalid(&field, error.inner().to_string())
    })?;
    if dashboard.schema != 1 {
        return wrong("spec.schema".into(), format!("{} is no schema: write 1", dashboard.schema));
    }
    if dashboard.widgets.len() > WIDGETS_MAX {
        let message = format!("are {}; at most {WIDGETS_MAX} fit", dashboard.widgets.len());
        return wrong("spec.widgets".into(), message);
    }
    let mut ids = BTreeSet::new();
    for (at, Widget { id, position, .. }) in dashboard.widgets.iter().enumerate() {
        let Position { x, y, width, height } = *position;
        if !ids.insert(id) {
            return wrong(format!("spec.widgets[{at}].id"), "is that of another widget, too".into());
        }
        let fits = |from: u32, size: u32, most: u32| size > 0 && from.saturating_add(size) <= most;
        if !fits(x, width, WIDTH) || !fits(y, height, HEIGHT_MAX) {
            let message = format!("must be within {WIDTH} cells from left to right and {HEIGHT_MAX} down");
            return wrong(format!("spec.widgets[{at}].position"), message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dashboard_of_schema_1_is_checked_and_another_is_not() {
        let widget = |id: &str, x: u32| {
            json!({"id": id, "type": "line", "title": "T", "description": "D",
                "query": {"language": "promql", "text": "up"},
                "position": {"x": x, "y": 0, "width": 6, "height": 4}})
        };
        let dashboard = |schema: u32, widgets: Vec<Value>| {
            json!({"schema": schema, "title": "T", "description": "", "view": "custom", "public": false,
                "refresh_seconds": 10, "range_seconds": 60, "widgets": widgets})
        };
        let mut odd = widget("a", 0);
        odd["query"]["language"] = json!("cobol");
        for (spec, field) in [
            (json!({"mine": true}), None),
            (dashboard(1, vec![widget("a", 0), widget("b", 6)]), None),
            (dashboard(2, vec![]), Some("spec.schema")),
            (dashboard(1, vec![widget("a", 0), widget("a", 6)]), Some("spec.widgets[1].id")),
            (dashboard(1, vec![widget("a", 7)]), Some("spec.widgets[0].position")),
            (dashboard(1, vec![widget("a", u32::MAX)]), Some("spec.widgets[0].position")),
            (dashboard(1, vec![odd]), Some("spec.widgets[0].query.language")),
            (dashboard(1, (0..101).map(|n| widget(&n.to_string(), 0)).collect()), Some("spec.widgets")),
            (json!({"schema": 1}), Some("spec")),
        ] {
            let found = match check(&spec) {
                Ok(()) => None,
                Err(Fault::Invalid { field, .. }) => Some(field),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(found.as_deref(), field, "{spec}");
        }
    }
}
