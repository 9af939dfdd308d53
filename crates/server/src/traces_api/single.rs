//! One trace: its spans in tree order, where the time went, and how many log records belong to it.

use axum::Json;
use axum::extract::{Extension, Path, State};
use model::Signal;
use model::predicate::{Field, Order, Predicate, Scalar, Test};
use model::record::log;
use query::QueryFault;
use query::traces::{Analysis, SpanData, Trace, TraceId, Want, hex, load_traces};
use serde_json::{Value, json};
use store::RowSnapshot;
use store::rows::{Cost, Filter};

use super::rfc3339;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::spans;

/// How long before and after a trace its log records are looked for.
const LOGS_AROUND_NS: i64 = spans::HOUR_NS;

/// A trace by its id; times only narrow where it is looked for.
pub(super) async fn trace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
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
        Ok(Some(trace_json(&trace, logs)))
    })
    .await?;
    let cost = found.cost_json();
    let Some(mut body) = found.value else {
        return Err(Fault::NotFound("no span of this trace is stored (any more)".into()).into());
    };
    body["cost"] = cost;
    Ok(Json(body))
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

fn trace_json(trace: &Trace, logs: u64) -> Value {
    let analysis = Analysis::of(trace);
    let spans: Vec<Value> = trace
        .spans
        .iter()
        .enumerate()
        .map(|(at, span)| {
            let mut object = span_json(span);
            object["depth"] = trace.nodes[at].depth.into();
            object["children"] = trace.nodes[at].children.into();
            object["self_ns"] = analysis.self_ns[at].into();
            object["critical_ns"] = analysis.critical_ns[at].into();
            object
        })
        .collect();
    let span_id = |at: &u32| hex(&trace.spans[*at as usize].span_id);
    let services: Vec<Value> = analysis
        .services
        .iter()
        .map(|one| {
            json!({ "name": &*one.name, "spans": one.spans, "errors": one.errors, "self_ns": one.self_ns })
        })
        .collect();
    let operations: Vec<Value> = analysis
        .operations
        .iter()
        .map(|one| {
            json!({
                "service": &*one.service,
                "name": &*one.name,
                "count": one.count,
                "self_ns": one.self_ns,
                "total_ns": one.total_ns,
            })
        })
        .collect();
    json!({
        "trace_id": hex(&trace.trace_id),
        "start": rfc3339(trace.start_ns()),
        "duration_ns": trace.duration_ns(),
        "complete": trace.is_complete(),
        "spans_left_out": trace.left_out,
        "missing_parents": trace.missing_parents.iter().map(|id| hex(id)).collect::<Vec<_>>(),
        "spans": spans,
        "critical_path": analysis.critical_path.iter().map(span_id).collect::<Vec<_>>(),
        "services": services,
        "operations": operations,
        "logs": logs,
    })
}

fn span_json(span: &SpanData) -> Value {
    let (trace_id, span_id) = (hex(&span.trace_id), hex(&span.span_id));
    let events: Vec<Value> = span
        .events
        .iter()
        .map(|event| {
            json!({ "name": event.name, "timestamp": rfc3339(event.time_ns), "attributes": event.attributes })
        })
        .collect();
    let links: Vec<Value> = span
        .links
        .iter()
        .map(|link| {
            let (trace_id, span_id) = (hex(&link.trace_id), hex(&link.span_id));
            json!({ "trace_id": trace_id, "span_id": span_id, "attributes": link.attributes })
        })
        .collect();
    let message = (!span.status_message.is_empty()).then_some(&*span.status_message);
    json!({
        "id": format!("{trace_id}-{span_id}"),
        "start": rfc3339(span.start_ns),
        "duration_ns": span.duration_ns,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": span.parent_span_id.map(|id| hex(&id)),
        "name": &*span.name,
        "service": &*span.service,
        "kind": span.kind.as_str(),
        "status_code": span.status.as_str(),
        "status_message": message,
        "attributes": span.attributes,
        "resource": &*span.resource,
        "events": events,
        "links": links,
    })
}
