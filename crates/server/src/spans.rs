//! What the trace APIs (Jaeger's, Tempo's, ours) share: spans of a tenant in a query's slot, time ranges, and spans
//! in OpenTelemetry's encodings.

pub(crate) mod otlp; // spans as OTLP/JSON
pub(crate) mod protobuf; // spans as OTLP/protobuf
#[cfg(test)]
pub(crate) mod testing; // a server with a few traces

use std::sync::Arc;
use std::time::Instant;

use model::Signal;
use query::traces::{Trace, TraceId, Want, load_traces};
use query::{Control, QueryFault, StoredSpans};
use store::rows::Cost;

use crate::app::{CancelOnDrop, SharedApp};
use crate::chain::Identity;
use crate::error::Fault;
use crate::prom::params::Params;
use crate::prom::query::outcome_label;
use crate::rows_api::QueryCost;

/// What was found, and what it took.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) value: T,
    pub(crate) cost: Cost,
    pub(crate) millis: f64,
}

impl<T> Answered<T> {
    /// The cost as our own API shows it.
    pub(crate) fn cost(&self) -> QueryCost {
        QueryCost::new(&self.cost, self.millis)
    }
}

/// Asks the tenant's spans, in one of the slots for queries and within the deadline of one. When the caller goes
/// away the future is dropped, which cancels the work.
pub(crate) async fn ask<T: Send + 'static>(
    app: &SharedApp,
    identity: &Identity,
    kind: &'static str,
    work: impl FnOnce(&StoredSpans, &Control) -> Result<T, QueryFault> + Send + 'static,
) -> Result<Answered<T>, Fault> {
    let started = Instant::now();
    let deadline = app.query_deadline(&identity.tenant);
    let control = Control::until(deadline);
    let _cancel = CancelOnDrop(Arc::clone(&control.cancelled));
    let spans = StoredSpans::new(app.rows(&identity.reach(), Signal::Traces, deadline).await?);
    let outcome = app
        .in_slot(&identity.tenant, kind, deadline, move || {
            let value = work(&spans, &control)?;
            Ok((value, spans.cost()))
        })
        .await;
    let elapsed = started.elapsed().as_secs_f64();
    let label = outcome.as_ref().map_or_else(outcome_label, |_| "ok");
    let rows = outcome.as_ref().map_or(0, |(_, cost)| cost.rows);
    app.telemetry().query(kind, label, elapsed, rows);
    let (value, cost) = outcome?;
    Ok(Answered { value, cost, millis: elapsed * 1000.0 })
}

/// One trace with all that is known of it, wherever in the range it lies.
pub(crate) async fn trace(
    app: &SharedApp,
    identity: &Identity,
    id: TraceId,
    range_ns: (i64, i64),
) -> Result<Answered<Option<Trace>>, Fault> {
    ask(app, identity, "trace", move |spans, control| {
        Ok(load_traces(spans, &[id], range_ns, &Want::everything(), control)?.pop())
    })
    .await
}

/// A trace id from a path.
pub(crate) fn trace_id(text: &str) -> Result<TraceId, Fault> {
    query::traces::parse_trace_id(text).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        Fault::invalid("trace id", format!("{shown:?} is not 1 to 32 hexadecimal digits"))
    })
}

/// An instant in nanoseconds since the Unix epoch: RFC 3339, or a number whose size tells its unit.
pub(crate) fn instant(params: &Params, name: &str) -> Result<Option<i64>, Fault> {
    let parse = |text: &str| {
        query::search::time_ns(text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Fault::invalid(name, format!("{shown:?} is no time: give RFC 3339 or a Unix time"))
        })
    };
    params.get(name).map(parse).transpose()
}

/// A length of time in nanoseconds, such as `1.5s`; a bare number is nanoseconds.
pub(crate) fn length(params: &Params, name: &str) -> Result<Option<i64>, Fault> {
    let parse = |text: &str| {
        query::search::duration_ns(text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Fault::invalid(name, format!("{shown:?} is no duration: write 100ms, 1.5s or 1h30m"))
        })
    };
    params.get(name).map(parse).transpose()
}

/// From `start` until before `end`, nanoseconds since the Unix epoch; by default the time until now.
pub(crate) fn range(params: &Params, now_ms: i64, default_ns: i64) -> Result<(i64, i64), Fault> {
    // What has just arrived may be stamped in this very millisecond.
    let now_ns = now_ms.saturating_add(1).saturating_mul(1_000_000);
    let end_ns = instant(params, "end")?.unwrap_or(now_ns);
    let start_ns = instant(params, "start")?.unwrap_or_else(|| end_ns.saturating_sub(default_ns));
    if end_ns <= start_ns {
        return Err(Fault::invalid("end", "it must be after start"));
    }
    Ok((start_ns, end_ns))
}

/// A count no greater than `most`.
pub(crate) fn count(params: &Params, name: &str, default: usize, most: usize) -> Result<usize, Fault> {
    match params.count(name)?.unwrap_or(default) {
        n if n > most => Err(Fault::invalid(name, format!("{n} is too many: ask for at most {most}"))),
        n => Ok(n),
    }
}

/// An hour.
pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;
