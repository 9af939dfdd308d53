//! What is asked for: parameters of both versions to one search.

use model::predicate::{Field, Order, Predicate, Scalar, Test};
use model::record::span;
use query::traces::{Find, SERVICE_NAME, Trace, TraceId, Want, find_traces, load_traces};
use serde_json::Value;

use super::view::text_map;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::prom::params::Params;
use crate::spans;

/// Without times, as far back as Jaeger looks.
const BACK_NS: i64 = 48 * spans::HOUR_NS;
/// Traces of an answer.
const TRACES_DEFAULT: usize = 100;
const TRACES_MAX: usize = 1500;

/// Traces to find.
#[derive(Clone, Debug)]
pub(super) struct Search {
    predicate: Predicate,
    start_ns: i64,
    end_ns: i64,
    limit: usize,
    /// Exactly these, whatever else is asked.
    ids: Vec<TraceId>,
}

/// Spans of a service.
pub(super) fn service(name: &str) -> Predicate {
    equal(Field::Resource(SERVICE_NAME.into()), name)
}

fn equal(field: Field, text: &str) -> Predicate {
    Predicate::Test(field, Test::Compare(Order::Equal, Scalar::Text(text.into())))
}

/// A time in microseconds since the Unix epoch, as nanoseconds.
pub(super) fn micros(params: &Params, name: &str) -> Result<Option<i64>, Fault> {
    let parse = |text: &str| {
        let micros = text.parse::<i64>().ok();
        micros.map(|micros| micros.saturating_mul(1000)).ok_or_else(|| {
            Fault::invalid(
                name,
                format!("{:.60} is no number of microseconds since 1970", format!("{text:?}")),
            )
        })
    };
    params.get(name).map(parse).transpose()
}

impl Search {
    /// `/api/traces`
    pub(super) fn of_v1(params: &Params, now_ms: i64) -> Result<Self, Fault> {
        let ids = params.all("traceID").map(spans::trace_id).collect::<Result<Vec<_>, _>>()?;
        let now_ns = now_ms.saturating_add(1).saturating_mul(1_000_000);
        let lookback = params.get("lookback").and_then(query::search::duration_ns);
        let end_ns = micros(params, "end")?.unwrap_or(now_ns);
        let back_ns = lookback.unwrap_or(BACK_NS);
        let start_ns = micros(params, "start")?.unwrap_or_else(|| end_ns.saturating_sub(back_ns));
        let mut predicate = Predicate::TRUE;
        if ids.is_empty() {
            predicate = predicate.and(service(params.required("service")?));
        }
        if let Some(operation) = params.get("operation").filter(|name| *name != "all") {
            predicate = predicate.and(equal(fixed(span::NAME), operation));
        }
        if let Some(json) = params.get("tags") {
            predicate = predicate.and(tags("tags", json)?);
        }
        for pair in params.all("tag").filter(|pair| !pair.is_empty()) {
            let (key, value) =
                pair.split_once(':').ok_or_else(|| Fault::invalid("tag", "write tag=key:value"))?;
            predicate = predicate.and(tag(key, value));
        }
        predicate = predicate
            .and(longer(spans::length(params, "minDuration")?, Order::GreaterOrEqual))
            .and(longer(spans::length(params, "maxDuration")?, Order::LessOrEqual));
        let limit = spans::count(params, "limit", TRACES_DEFAULT, TRACES_MAX)?;
        Ok(Self { predicate, start_ns, end_ns, limit, ids })
    }

    /// `/api/v3/traces` and `/api/v3/trace-summaries`; names come in snake case or camel case.
    pub(super) fn of_v3(params: &Params, now_ms: i64) -> Result<Self, Fault> {
        let find = |names: &[&'static str]| names.iter().copied().find(|name| params.get(name).is_some());
        let text = |names: &[&'static str]| find(names).and_then(|name| params.get(name));
        let time = |names: &[&'static str]| match find(names) {
            Some(name) => spans::instant(params, name),
            None => Ok(None),
        };
        let duration = |names: &[&'static str]| match find(names) {
            Some(name) => spans::length(params, name),
            None => Ok(None),
        };
        let mut predicate = Predicate::TRUE;
        if let Some(name) = text(&["query.service_name", "query.serviceName"]) {
            predicate = predicate.and(service(name));
        }
        let operation = ["query.span_name", "query.spanName", "query.operation_name", "query.operationName"];
        if let Some(name) = text(&operation) {
            predicate = predicate.and(equal(fixed(span::NAME), name));
        }
        if let Some(json) = text(&["query.attributes"]) {
            predicate = predicate.and(tags("query.attributes", json)?);
        }
        predicate = predicate
            .and(longer(duration(&["query.duration_min", "query.durationMin"])?, Order::GreaterOrEqual))
            .and(longer(duration(&["query.duration_max", "query.durationMax"])?, Order::LessOrEqual));
        let now_ns = now_ms.saturating_add(1).saturating_mul(1_000_000);
        let end_ns = time(&["query.start_time_max", "query.startTimeMax"])?.unwrap_or(now_ns);
        let start_ns = time(&["query.start_time_min", "query.startTimeMin"])?
            .unwrap_or_else(|| end_ns.saturating_sub(BACK_NS));
        let limit = ["query.num_traces", "query.numTraces", "query.search_depth", "query.searchDepth"];
        let limit = match find(&limit) {
            Some(name) => spans::count(params, name, TRACES_DEFAULT, TRACES_MAX)?,
            None => TRACES_DEFAULT,
        };
        Ok(Self { predicate, start_ns, end_ns, limit, ids: Vec::new() })
    }

    /// Finds the traces and makes something of each.
    pub(super) async fn run<T: Send + 'static>(
        self,
        app: &SharedApp,
        identity: &Identity,
        want: Want,
        make: impl Fn(Trace) -> T + Send + 'static,
    ) -> Result<Vec<T>, Fault> {
        let found = spans::ask(app, identity, "jaeger", move |spans, control| {
            if !self.ids.is_empty() {
                let ids = &self.ids[..self.ids.len().min(TRACES_MAX)];
                let traces = load_traces(spans, ids, (0, i64::MAX), &want, control)?;
                return Ok(traces.into_iter().map(make).collect());
            }
            let find = Find {
                predicate: &self.predicate,
                start_ns: self.start_ns,
                end_ns: self.end_ns,
                want: &want,
                order: super::ORDER,
                limit: self.limit,
                control,
            };
            find_traces(spans, &find, &mut |trace| Ok(Some(make(trace))))
        });
        Ok(found.await?.value)
    }
}

fn fixed(column: usize) -> Field {
    Field::Fixed(column as u8)
}

fn longer(bound_ns: Option<i64>, order: Order) -> Predicate {
    match bound_ns {
        Some(ns) => Predicate::Test(fixed(span::DURATION), Test::Compare(order, Scalar::Int(ns))),
        None => Predicate::TRUE,
    }
}

/// A JSON object of keys and texts.
fn tags(name: &str, json: &str) -> Result<Predicate, Fault> {
    let why = "it must be a JSON object such as {\"http.status_code\":\"500\"}";
    let tags = text_map(json).ok_or_else(|| Fault::invalid(name, why))?;
    let tests = tags.iter().map(|(key, value)| match value {
        Value::String(text) => tag(key, text),
        other => tag(key, &other.to_string()),
    });
    Ok(tests.fold(Predicate::TRUE, Predicate::and))
}

/// Jaeger shows kind and status among the tags, so that they are asked for there too.
fn tag(key: &str, value: &str) -> Predicate {
    let attribute = equal(Field::Key(key.into()), value);
    let lower = value.to_ascii_lowercase();
    match (key, lower.as_str()) {
        ("error", "true") => Predicate::Any(vec![attribute, equal(fixed(span::STATUS_CODE), "error")]),
        ("span.kind", _) => Predicate::Any(vec![attribute, equal(fixed(span::KIND), &lower)]),
        ("otel.status_code", _) => Predicate::Any(vec![attribute, equal(fixed(span::STATUS_CODE), &lower)]),
        ("otel.status_description", _) => {
            Predicate::Any(vec![attribute, equal(fixed(span::STATUS_MESSAGE), value)])
        }
        _ => attribute,
    }
}
