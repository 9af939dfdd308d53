//! `/tempo/api/search`.

use axum::Json;
use axum::extract::{Extension, State};
use query::traceql::{FoundSpan, FoundSpanset, FoundTrace, SearchSpec};
use query::traces::{TraceOrder, hex};
use serde_json::{Map, Value, json};

use super::{TIMES, TempoFault, answers, cost, key_values, parsed};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Routes, count, string};
use crate::prom::params::Params;
use crate::spans;

/// Traces of an answer, and spans of each list, as Tempo's defaults are.
const TRACES_DEFAULT: usize = 20;
const TRACES_MAX: usize = 10_000;
const SPANS_DEFAULT: usize = 3;
const SPANS_MAX: usize = 1000;

/// The one route.
pub(super) fn routes() -> Routes {
    let op = Op::new("searchTempo", "Traces that have what is searched for")
        .params(&[
            string("q", "TraceQL."),
            string("tags", "Instead of `q`, keys and values in logfmt."),
            string("minDuration", "How long a trace took at least, such as `100ms`."),
            string("maxDuration", "How long a trace took at most."),
            count("limit", "Traces: 20 unless given, at most 10000."),
            count("spss", "Spans of a list: 3 unless given, at most 1000, which 0 means too."),
        ])
        .params(&TIMES)
        .gives::<answers::Search>()
        .refuses(&[422]);
    Routes::new("Tempo").get("/tempo/api/search", search, op)
}

/// Traces by TraceQL (`q`), or by `tags` in logfmt with `minDuration` and `maxDuration`.
async fn search(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let text = match params.get("q") {
        Some(text) => text.to_owned(),
        None => of_tags(params.get("tags").unwrap_or("")),
    };
    let query = parsed("q", &text)?;
    if query.metrics.is_some() {
        let why = "it makes time series: ask /api/metrics/query_range";
        return Err(Fault::invalid("q", why).into());
    }
    let (start_ns, end_ns) = spans::range(&params, app.now_ms(), spans::HOUR_NS)?;
    let limit = spans::count(&params, "limit", TRACES_DEFAULT, TRACES_MAX)?;
    let shown = match spans::count(&params, "spss", SPANS_DEFAULT, SPANS_MAX)? {
        // No limit is a limit.
        0 => SPANS_MAX,
        n => n,
    };
    let min_ns = spans::length(&params, "minDuration")?.unwrap_or(0);
    let max_ns = spans::length(&params, "maxDuration")?.unwrap_or(i64::MAX);
    let found = spans::ask(&app, &identity, "traceql", move |spans, control| {
        let spec = SearchSpec {
            query: &query,
            start_ns,
            end_ns,
            duration_ns: (min_ns, max_ns),
            order: TraceOrder::Recent,
            limit,
            spans: shown,
            control,
        };
        query::traceql::search(spans, &spec)
    })
    .await?;
    let mut metrics = cost(found.cost);
    metrics["inspectedTraces"] = found.value.len().into();
    let traces: Vec<Value> = found.value.iter().map(trace).collect();
    Ok(Json(json!({ "traces": traces, "metrics": metrics })))
}

/// Keys and values as older clients send them: all of them on one span, whatever kind a value has.
fn of_tags(logfmt: &str) -> String {
    let mut conditions = Vec::new();
    for (key, value) in pairs(logfmt) {
        let text = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
        let key_text = format!(".\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
        let condition = match (key.as_str(), value.as_str()) {
            ("name", _) => format!("name = {text}"),
            ("error", "true") => format!("(status = error || {key_text} = true || {key_text} = \"true\")"),
            ("status" | "status.code", "error" | "ok" | "unset") => format!("status = {value}"),
            (_, number)
                if number.parse::<f64>().is_ok_and(f64::is_finite) && !number.contains(['e', 'E', '+']) =>
            {
                format!("({key_text} = {text} || {key_text} = {number})")
            }
            (_, "true" | "false") => format!("({key_text} = {text} || {key_text} = {value})"),
            _ => format!("{key_text} = {text}"),
        };
        conditions.push(condition);
    }
    format!("{{ {} }}", conditions.join(" && "))
}

/// `a=1 b="two words"`
fn pairs(logfmt: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = logfmt.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        found.push((key.trim().to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    found.retain(|(key, _)| !key.is_empty());
    found
}

fn trace(found: &FoundTrace) -> Value {
    let summary = &found.summary;
    let sets: Vec<Value> = found.spansets.iter().map(spanset).collect();
    let mut services = Map::new();
    for service in &summary.services {
        let counts = json!({ "spanCount": service.spans, "errorCount": service.errors });
        services.insert(service.name.to_string(), counts);
    }
    json!({
        "traceID": hex(&summary.trace_id),
        "rootServiceName": &*summary.root_service,
        "rootTraceName": &*summary.root_name,
        "startTimeUnixNano": summary.start_ns.max(0).to_string(),
        "durationMs": summary.duration_ns / 1_000_000,
        "spanSet": sets.first(),
        "spanSets": sets,
        "serviceStats": services,
    })
}

fn spanset(set: &FoundSpanset) -> Value {
    json!({
        "spans": set.spans.iter().map(span).collect::<Vec<_>>(),
        "matched": set.matched,
        "attributes": key_values(&set.by),
    })
}

fn span(span: &FoundSpan) -> Value {
    json!({
        "spanID": hex(&span.span_id),
        "name": &*span.name,
        "startTimeUnixNano": span.start_ns.max(0).to_string(),
        "durationNanos": span.duration_ns.to_string(),
        "attributes": key_values(&span.fields),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_one_selector() {
        for (tags, want) in [
            ("", "{  }"),
            ("service.name=api", "{ .\"service.name\" = \"api\" }"),
            (
                "a=\"b c\" error=true",
                "{ .\"a\" = \"b c\" && (status = error || .\"error\" = true || .\"error\" = \"true\") }",
            ),
            ("http.status_code=500", "{ (.\"http.status_code\" = \"500\" || .\"http.status_code\" = 500) }"),
            ("name=x flag=false", "{ name = \"x\" && (.\"flag\" = \"false\" || .\"flag\" = false) }"),
            ("v=1e3 =x", "{ .\"v\" = \"1e3\" }"),
            ("n=inf q=\"\\\"", "{ .\"n\" = \"inf\" && .\"q\" = \"\\\\\" }"),
        ] {
            let query = of_tags(tags);
            assert_eq!(query, want, "{tags}");
            assert!(query::traceql::parse(&query).is_ok(), "{query}");
        }
    }
}
