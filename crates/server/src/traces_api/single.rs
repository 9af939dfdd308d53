//! One trace: its spans in tree order, where the time went, and how many log records belong to it.

use axum::Json;
use axum::extract::{Extension, Path, State};
use model::Signal;
use model::predicate::{Field, Order, Predicate, Scalar, Test};
use model::record::log;
use query::QueryFault;
use query::traces::{Analysis, Attributes, SpanData, Trace, TraceId, Want, hex, load_traces};
use schemars::JsonSchema;
use serde::Serialize;
use store::RowSnapshot;
use store::rows::{Cost, Filter};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::FineMoment;
use crate::openapi::{Op, Routes, time};
use crate::prom::params::Params;
use crate::rows_api::QueryCost;
use crate::spans;

/// How long before and after a trace its log records are looked for.
const LOGS_AROUND_NS: i64 = spans::HOUR_NS;

/// The one route.
pub(super) fn routes() -> Routes {
    let op =
        Op::new("getTrace", "A trace with its spans, where its time went and how many logs belong to it")
            .params(&[
                time("start", "Where it is looked for: RFC 3339 or a Unix time. Everywhere unless given."),
                time("end", "First time where it is not looked for any more, likewise."),
            ])
            .gives::<FoundTrace>()
            .refuses(&[422]);
    Routes::new("Traces").get("/api/v1/monitoring/traces/{id}", trace, op)
}

/// A trace.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trace")]
struct FoundTrace {
    #[serde(flatten)]
    trace: WholeTrace,
    cost: QueryCost,
}

#[derive(Serialize, JsonSchema)]
struct WholeTrace {
    trace_id: String,
    start: FineMoment,
    duration_ns: i64,
    /// Whether every span that others name is stored and shown.
    complete: bool,
    /// Spans beyond the number that is shown.
    spans_left_out: usize,
    /// Spans that others name as their parent and that are not stored.
    missing_parents: Vec<String>,
    /// Every span before those that are part of it.
    spans: Vec<TraceSpan>,
    /// Spans that decide how long the trace takes.
    critical_path: Vec<String>,
    services: Vec<TraceService>,
    operations: Vec<TraceOperation>,
    /// Log records that belong to the trace.
    logs: u64,
}

/// What a service did in a trace.
#[derive(Serialize, JsonSchema)]
struct TraceService {
    name: String,
    spans: u64,
    /// Spans that ended badly.
    errors: u64,
    /// Time in which none of its callees was at work.
    self_ns: i64,
}

/// What an operation did in a trace.
#[derive(Serialize, JsonSchema)]
struct TraceOperation {
    service: String,
    name: String,
    count: u64,
    /// Time in which none of its callees was at work.
    self_ns: i64,
    total_ns: i64,
}

/// A span in its trace.
#[derive(Serialize, JsonSchema)]
struct TraceSpan {
    /// Trace and span with a dash between.
    id: String,
    start: FineMoment,
    duration_ns: i64,
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    service: String,
    #[schemars(extend("enum" = ["unspecified", "internal", "server", "client", "producer", "consumer"]))]
    kind: &'static str,
    #[schemars(extend("enum" = ["unset", "ok", "error"]))]
    status_code: &'static str,
    status_message: Option<String>,
    attributes: Attributes,
    resource: Attributes,
    events: Vec<TraceSpanEvent>,
    links: Vec<TraceSpanLink>,
    /// 0 for a span without a parent.
    depth: u32,
    /// Spans that are directly part of it.
    children: u32,
    /// Time in which none of its children was at work.
    self_ns: i64,
    /// Time in which it decided how long the trace takes.
    critical_ns: i64,
}

/// Something that happened during a span.
#[derive(Serialize, JsonSchema)]
struct TraceSpanEvent {
    name: String,
    timestamp: FineMoment,
    attributes: Attributes,
}

/// Another span that a span has to do with.
#[derive(Serialize, JsonSchema)]
struct TraceSpanLink {
    trace_id: String,
    span_id: String,
    attributes: Attributes,
}

/// A trace by its id; times only narrow where it is looked for.
async fn trace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<FoundTrace>, ApiFault> {
    let id = spans::trace_id(&id)?;
    let start_ns = spans::instant(&params, "start")?.unwrap_or(0);
    let end_ns = spans::instant(&params, "end")?.unwrap_or(i64::MAX);
    let deadline = app.query_deadline(&identity.tenant);
    let records = app.rows(&identity.reach(), Signal::Logs, deadline).await?;
    let found = spans::ask(&app, &identity, "trace", move |spans, control| {
        let want = Want::everything();
        let Some(trace) = load_traces(spans, &[id], (start_ns, end_ns), &want, control)?.pop() else {
            return Ok(None);
        };
        let (start_ns, end_ns) = (trace.start_ns(), trace.start_ns().saturating_add(trace.duration_ns()));
        let range_ns = (start_ns.saturating_sub(LOGS_AROUND_NS), end_ns.saturating_add(LOGS_AROUND_NS));
        let logs = count_logs(&records, id, range_ns)?;
        Ok(Some(whole(&trace, logs)))
    })
    .await?;
    let cost = found.cost();
    let Some(trace) = found.value else {
        return Err(Fault::NotFound("no span of this trace is stored (any more)".into()).into());
    };
    Ok(Json(FoundTrace { trace, cost }))
}

/// How many log records belong to a trace.
fn count_logs(records: &RowSnapshot, id: TraceId, (start_ns, end_ns): (i64, i64)) -> Result<u64, QueryFault> {
    let test = Test::Compare(Order::Equal, Scalar::Bytes(id.as_slice().into()));
    let predicate = Predicate::Test(Field::Fixed(log::TRACE_ID as u8), test);
    let filter = Filter::new(Signal::Logs, &predicate, start_ns, end_ns)
        .map_err(|error| QueryFault::Invalid(error.to_string()))?;
    let mut count = 0;
    for slice in records.slices(start_ns, end_ns)? {
        count += slice.select(&filter, &mut Cost::default())?.count_set_bits() as u64;
    }
    Ok(count)
}

fn whole(trace: &Trace, logs: u64) -> WholeTrace {
    let analysis = Analysis::of(trace);
    let span_id = |at: &u32| hex(&trace.spans[*at as usize].span_id);
    WholeTrace {
        trace_id: hex(&trace.trace_id),
        start: FineMoment(trace.start_ns()),
        duration_ns: trace.duration_ns(),
        complete: trace.is_complete(),
        spans_left_out: trace.left_out,
        missing_parents: trace.missing_parents.iter().map(|id| hex(id)).collect(),
        spans: trace.spans.iter().enumerate().map(|(at, span)| shown(trace, &analysis, at, span)).collect(),
        critical_path: analysis.critical_path.iter().map(span_id).collect(),
        services: analysis
            .services
            .iter()
            .map(|one| TraceService {
                name: one.name.to_string(),
                spans: one.spans,
                errors: one.errors,
                self_ns: one.self_ns,
            })
            .collect(),
        operations: analysis
            .operations
            .iter()
            .map(|one| TraceOperation {
                service: one.service.to_string(),
                name: one.name.to_string(),
                count: one.count,
                self_ns: one.self_ns,
                total_ns: one.total_ns,
            })
            .collect(),
        logs,
    }
}

/// The span at a place of a trace.
fn shown(trace: &Trace, analysis: &Analysis, at: usize, span: &SpanData) -> TraceSpan {
    let (trace_id, span_id) = (hex(&span.trace_id), hex(&span.span_id));
    let events = span.events.iter().map(|event| TraceSpanEvent {
        name: event.name.clone(),
        timestamp: FineMoment(event.time_ns),
        attributes: event.attributes.clone(),
    });
    let links = span.links.iter().map(|link| TraceSpanLink {
        trace_id: hex(&link.trace_id),
        span_id: hex(&link.span_id),
        attributes: link.attributes.clone(),
    });
    TraceSpan {
        id: format!("{trace_id}-{span_id}"),
        start: FineMoment(span.start_ns),
        duration_ns: span.duration_ns,
        trace_id,
        span_id,
        parent_span_id: span.parent_span_id.map(|id| hex(&id)),
        name: span.name.to_string(),
        service: span.service.to_string(),
        kind: span.kind.as_str(),
        status_code: span.status.as_str(),
        status_message: (!span.status_message.is_empty()).then(|| span.status_message.to_string()),
        attributes: span.attributes.clone(),
        resource: (*span.resource).clone(),
        events: events.collect(),
        links: links.collect(),
        depth: trace.nodes[at].depth,
        children: trace.nodes[at].children,
        self_ns: analysis.self_ns[at],
        critical_ns: analysis.critical_ns[at],
    }
}
