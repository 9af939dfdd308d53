//! `/api/v1/query` and `/api/v1/query_range`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use promql::QueryError;

use super::answers::{QueryResult, Success};
use super::export::{self, Format};
use super::params::Params;
use super::result;
use crate::app::{CancelOnDrop, SharedApp};
use crate::chain::Identity;
use crate::error::{Fault, PromFault};
use crate::openapi::{Op, Routes, choice, string, text, time};

/// Points of one series; upstream's limit, which Grafana's own step calculation relies on.
const POINTS_PER_SERIES_MAX: i64 = 11_000;

/// Instant and range queries.
pub(super) fn routes() -> Routes {
    let op = |id, summary| {
        Op::new(id, summary)
            .params(&[
                string("query", "An expression.").required(),
                string("timeout", "Seconds or a duration such as `30s`; no more than the server's limit, which is meant unless given."),
                string("lookback_delta", "How far back a value counts: seconds or a duration."),
                choice("format", &["json", "csv", "prometheus"], "How the answer is written; `json` unless given."),
            ])
            .gives::<Success<QueryResult>>()
            .gives_content(text("text/csv"))
            .gives_content(text("text/plain"))
            .refuses(&[422])
    };
    let of_instant = op("queryInstant", "An expression at one instant")
        .params(&[time("time", "Unix seconds or RFC 3339; now unless given.")]);
    let of_range = op("queryRange", "An expression over a grid of instants").params(&[
        time("start", "The first instant: Unix seconds or RFC 3339.").required(),
        time("end", "The last instant.").required(),
        string("step", "From one instant to the next: seconds or a duration; at most 11000 steps.")
            .required(),
    ]);
    Routes::new("Prometheus").get_or_form("/api/v1/query", instant, of_instant).get_or_form(
        "/api/v1/query_range",
        range,
        of_range,
    )
}

/// What to evaluate.
#[derive(Clone, Copy, Debug)]
enum Span {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// An expression at one instant.
async fn instant(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let t_ms = params.time("time")?.unwrap_or_else(|| app.now_ms());
    answer(&app, &identity, &params, Span::Instant(t_ms)).await
}

/// An expression over a grid of instants.
async fn range(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    params.required("query")?;
    let required = |name: &str| params.time(name)?.ok_or_else(|| Fault::invalid(name, "it is required"));
    let (start_ms, end_ms) = (required("start")?, required("end")?);
    if end_ms < start_ms {
        return Err(Fault::invalid("end", "end timestamp must not be before start time").into());
    }
    let step_ms = params.duration("step")?.ok_or_else(|| Fault::invalid("step", "it is required"))?;
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Fault::invalid("step", why).into());
    }
    if end_ms.saturating_sub(start_ms) / step_ms > POINTS_PER_SERIES_MAX {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(Fault::invalid("", why).into());
    }
    answer(&app, &identity, &params, Span::Range { start_ms, end_ms, step_ms }).await
}

async fn answer(
    app: &SharedApp,
    identity: &Identity,
    params: &Params,
    span: Span,
) -> Result<Response, PromFault> {
    let query = params.required("query")?.to_owned();
    let format = Format::parse(params.get("format"))?;
    let mut context = app.query_context();
    context.lookback_ms = params.duration("lookback_delta")?.or(context.lookback_ms);
    let timeout = params.duration("timeout")?.map_or(app.limits().query_timeout, |ms| {
        Duration::from_millis(ms.max(0) as u64).min(app.limits().query_timeout)
    });
    let started = Instant::now();
    let deadline = started + timeout;
    context.deadline = Some(deadline);
    let (engine, kind) = (app.engine(), if matches!(span, Span::Instant(_)) { "instant" } else { "range" });
    // When the caller goes away the future is dropped, which cancels the evaluation.
    let _cancel = CancelOnDrop(Arc::clone(&context.cancelled));
    let outcome = match app.source(&identity.reach(), deadline).await {
        Ok(source) => {
            let work = move || {
                let result = match span {
                    Span::Instant(t_ms) => engine.instant(&source, &query, t_ms, &context),
                    Span::Range { start_ms, end_ms, step_ms } => {
                        engine.range(&source, &query, (start_ms, end_ms), step_ms, &context)
                    }
                };
                let result = result.map_err(fault)?;
                let millis = started.elapsed().as_secs_f64() * 1000.0;
                let body = match format {
                    Format::Json => result::to_json(&result, millis),
                    Format::Csv => export::csv(&result.value),
                    Format::Prometheus => export::prometheus(&result.value),
                };
                Ok((body, result.stats.samples_read))
            };
            app.in_slot(&identity.tenant, "promql", deadline, work).await
        }
        Err(fault) => Err(fault),
    };
    let seconds = started.elapsed().as_secs_f64();
    let samples = outcome.as_ref().map_or(0, |(_, samples)| *samples);
    app.telemetry().query(kind, outcome.as_ref().map_or_else(outcome_label, |_| "ok"), seconds, samples);
    let mut response = outcome?.0.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    Ok(response)
}

pub(crate) fn outcome_label(fault: &Fault) -> &'static str {
    match fault {
        Fault::Timeout(_) => "timeout",
        Fault::Cancelled => "cancelled",
        Fault::Invalid { .. } | Fault::Execution(_) => "invalid",
        _ => "failed",
    }
}

/// What an engine's error means to the caller.
pub(crate) fn fault(error: QueryError) -> Fault {
    match error {
        QueryError::Parse(text) => Fault::invalid("query", text),
        QueryError::Execution(text) | QueryError::Limit(text) => Fault::Execution(text),
        QueryError::Timeout => Fault::Timeout(error.to_string()),
        QueryError::Cancelled => Fault::Cancelled,
        QueryError::TooManySamples => Fault::Execution(error.to_string()),
        QueryError::Storage(text) => Fault::Internal(text),
    }
}
