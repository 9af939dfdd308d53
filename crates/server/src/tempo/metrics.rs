//! `/tempo/api/metrics/query_range` and `/tempo/api/metrics/query`.

use axum::Json;
use axum::extract::{Extension, State};
use query::traceql::{Grid, Series, Value as QueryValue};
use query::traces::hex;
use serde_json::{Value, json};

use super::{TIMES, TempoFault, answers, cost, key_values, parsed};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Routes, string};
use crate::prom::params::Params;
use crate::spans;

/// Steps of a series; Grafana asks for fewer than a chart has pixels.
const STEPS_MAX: i64 = 11_000;
/// Steps where none is given.
const STEPS_DEFAULT: i64 = 100;

/// Every route.
pub(super) fn routes() -> Routes {
    let op = |id, summary| {
        Op::new(id, summary)
            .params(&[
                string("q", "TraceQL that ends in a function; `query` says the same."),
                string("since", "How far before now, such as `1h`, unless `start` is given."),
            ])
            .params(&TIMES)
            .refuses(&[422])
    };
    let step = string("step", "From one value to the next: a duration or seconds; at most 11000 steps.");
    Routes::new("Tempo")
        .get(
            "/tempo/api/metrics/query_range",
            range,
            op("queryTempoRange", "Time series over a grid").params(&[step]).gives::<answers::Metrics>(),
        )
        .get(
            "/tempo/api/metrics/query",
            instant,
            op("queryTempoInstant", "One value of every series").gives::<answers::Instant>(),
        )
}

/// Time series over a grid.
async fn range(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let (start_ns, end_ns) = bounds(&app, &params)?;
    let step_ns = match step(&params)? {
        Some(step_ns) => step_ns,
        None => ((end_ns - start_ns) / STEPS_DEFAULT).max(1_000_000_000),
    };
    if (end_ns - start_ns) / step_ns > STEPS_MAX {
        let why = format!("it makes more than {STEPS_MAX} steps: ask for longer ones");
        return Err(Fault::invalid("step", why).into());
    }
    // Whole steps, so that a dashboard that moves on shows the same bars.
    let start_ns = start_ns - start_ns.rem_euclid(step_ns);
    let (series, metrics) = find(&app, &identity, &params, Grid { start_ns, end_ns, step_ns }).await?;
    let series: Vec<Value> = series.iter().map(series_json).collect();
    Ok(Json(json!({ "series": series, "metrics": metrics })))
}

/// One value of every series for the whole range.
async fn instant(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let (start_ns, end_ns) = bounds(&app, &params)?;
    let grid = Grid { start_ns, end_ns, step_ns: end_ns - start_ns };
    let (series, metrics) = find(&app, &identity, &params, grid).await?;
    let series: Vec<Value> = series
        .iter()
        .map(|series| {
            json!({
                "labels": key_values(&series.labels),
                "promLabels": prom_labels(&series.labels),
                "value": series.samples.first().map_or(0.0, |(_, value)| *value),
            })
        })
        .collect();
    Ok(Json(json!({ "series": series, "metrics": metrics })))
}

async fn find(
    app: &SharedApp,
    identity: &Identity,
    params: &Params,
    grid: Grid,
) -> Result<(Vec<Series>, Value), Fault> {
    let text = params.get("q").map_or_else(|| params.required("query"), Ok)?;
    let query = parsed("q", text)?;
    let found = spans::ask(app, identity, "traceql", move |spans, control| {
        query::traceql::metrics(spans, &query, grid, control)
    })
    .await?;
    Ok((found.value, cost(found.cost)))
}

/// `start` and `end`, or `since` until now.
fn bounds(app: &SharedApp, params: &Params) -> Result<(i64, i64), Fault> {
    let since = spans::length(params, "since")?;
    spans::range(params, app.now_ms(), since.unwrap_or(spans::HOUR_NS))
}

/// A duration, or seconds.
fn step(params: &Params) -> Result<Option<i64>, Fault> {
    let Some(text) = params.get("step") else { return Ok(None) };
    let step_ns = match text.parse::<f64>() {
        Ok(seconds) => Some((seconds * 1e9) as i64),
        Err(_) => spans::length(params, "step")?,
    };
    match step_ns {
        Some(step_ns) if step_ns > 0 => Ok(Some(step_ns)),
        _ => Err(Fault::invalid("step", "it must be more than nothing: write 15s or seconds")),
    }
}

fn series_json(series: &Series) -> Value {
    let samples: Vec<Value> = series
        .samples
        .iter()
        .map(|(t_ms, value)| json!({ "timestampMs": t_ms.to_string(), "value": value }))
        .collect();
    let exemplars: Vec<Value> = series
        .exemplars
        .iter()
        .map(|(trace_id, t_ms, seconds)| {
            let label = json!({ "key": "trace:id", "value": { "stringValue": hex(trace_id) } });
            json!({ "labels": [label], "value": seconds, "timestampMs": t_ms.to_string() })
        })
        .collect();
    json!({
        "labels": key_values(&series.labels),
        "promLabels": prom_labels(&series.labels),
        "samples": samples,
        "exemplars": exemplars,
    })
}

/// `{resource.service.name="api", p="0.95"}`; names that Prometheus does not allow are quoted.
fn prom_labels(labels: &[(String, QueryValue)]) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let name = if plain { name.clone() } else { format!("\"{}\"", escaped(name)) };
            format!("{name}=\"{}\"", escaped(&value.text().unwrap_or_else(|| "<nil>".to_owned())))
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted_where_prometheus_needs_it() {
        let labels = [
            ("p".to_owned(), QueryValue::Float(0.95)),
            ("resource.service.name".to_owned(), QueryValue::Text("a\"b".into())),
            (".x".to_owned(), QueryValue::Nil),
        ];
        let want = r#"{p="0.95", "resource.service.name"="a\"b", ".x"="<nil>"}"#;
        assert_eq!(prom_labels(&labels), want);
    }
}
