//! Alertmanager's API, version 2 (its `api/v2/openapi.yaml`): a Prometheus sends its alerts here, and `amtool` and Grafana
//! look at them and silence them. At the root and under `/alertmanager`.

mod alerts; // alerts and their groups
mod silences; // asked for quiet
mod status; // what is in force

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Fault;
use crate::openapi::{Op, Routes, Words, text};
use alert::routing::{Matcher, Matchers};

use crate::prom::params::Params;

/// Where everything stands a second time.
const PREFIX: &str = "/alertmanager";
/// What identifiers of the routes under the prefix end in.
const SUFFIX: &str = "BelowAlertmanager";

/// What whoever may read telemetry may look at.
pub(crate) fn read_routes() -> Routes {
    let routes = || alerts::routes().merge(silences::routes()).merge(status::routes());
    routes().nest(PREFIX, SUFFIX, routes())
}

/// Alerts that are sent here.
pub(crate) fn intake_routes() -> Routes {
    alerts::intake_routes().nest(PREFIX, SUFFIX, alerts::intake_routes())
}

/// Silences that are made and ended.
pub(crate) fn change_routes() -> Routes {
    silences::change_routes().nest(PREFIX, SUFFIX, silences::change_routes())
}

/// What tells others that we are there.
pub(crate) fn public_routes() -> Routes {
    let plain = text("text/plain");
    let op = |id, about| Op::new(id, about).gives_content(plain);
    Routes::new("Alertmanager")
        .get("/alertmanager/-/healthy", || async { "OK" }, op("alertmanagerIsHealthy", "Whether it answers"))
        .get("/alertmanager/-/ready", || async { "OK" }, op("alertmanagerIsReady", "Whether it answers"))
}

/// Why a request is refused: a text as JSON, or what the checks of the description say.
pub(crate) enum Refusal {
    /// In words.
    Fault(Fault),
    /// A member that is missing or cannot be (422).
    Unfit(String),
    /// Nothing of this id: 404 without a body.
    Missing,
}

impl<T: Into<Fault>> From<T> for Refusal {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Fault(fault) => Words::Alertmanager.say(&fault),
            Self::Unfit(message) => {
                let body = json!({ "code": 602, "message": message });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
            }
            Self::Missing => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// A refusal as Alertmanager words it: the text alone.
pub(crate) fn refusal(fault: &Fault) -> Response {
    let text = match fault {
        Fault::Invalid { message, .. } => message.clone(),
        other => other.message(),
    };
    fault.finish((fault.status(), Json(Value::String(text))).into_response())
}

/// The conditions of `filter`.
fn filters(params: &Params) -> Result<Vec<Matcher>, Fault> {
    let mut all = Vec::new();
    for text in params.all("filter") {
        let read = Matcher::parse_list(text);
        all.extend(read.map_err(|_| {
            let shown: String = text.chars().take(120).collect();
            Fault::invalid("", format!("bad matcher format: {shown}"))
        })?);
    }
    Ok(all)
}

/// Whether what is named by `value` satisfies every condition: a condition that is not a negation needs the label.
fn fits<'a>(filters: &[Matcher], value: impl Fn(&str) -> Option<&'a str>) -> bool {
    filters.iter().all(|matcher| {
        let negation = matches!(matcher.op, model::MatchOp::NotEqual | model::MatchOp::NotRegex);
        match value(&matcher.name) {
            Some(value) => matcher.matches_value(value),
            None => negation && matcher.matches_value(""),
        }
    })
}

/// A switch that is on unless it is turned off.
fn switch(params: &Params, name: &str) -> bool {
    params.get(name).is_none_or(|text| crate::prom::rules::go_bool(text).unwrap_or(false))
}

/// Conditions as Alertmanager writes them.
fn matchers_json(matchers: &Matchers) -> Value {
    let one = |matcher: &Matcher| {
        json!({
            "name": matcher.name,
            "value": matcher.value,
            "isRegex": matches!(matcher.op, model::MatchOp::Regex | model::MatchOp::NotRegex),
            "isEqual": matches!(matcher.op, model::MatchOp::Equal | model::MatchOp::Regex),
        })
    };
    matchers.as_slice().iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_needs_its_label_unless_it_negates() {
        let labels = alert::Labels::from([("a".to_owned(), "b".to_owned())]);
        let rows = [
            ("a=b", true),
            ("a=c", false),
            ("a=~\"b|c\"", true),
            ("x=\"\"", false),
            ("x!=y", true),
            ("x!~\".*\"", false),
            ("a!=b", false),
        ];
        for (text, want) in rows {
            let filters = Matcher::parse_list(text).expect(text);
            assert_eq!(fits(&filters, |name| labels.get(name).map(String::as_str)), want, "{text}");
        }
    }
}
