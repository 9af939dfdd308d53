//! `POST /api/v1/read`: raw samples for evaluators elsewhere, as Prometheus's remote read asks for them.
//!
//! Always answered with whole samples, the response type that every client understands.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::{MatchOp, Matcher, SampleColumns, TimeRange};
use promql::source::{SelectRequest, SeriesSource, SourceError};
use prost::Message;

use crate::access::Identity;
use crate::app::SharedApp;
use crate::error::Fault;
use crate::{body, write};

/// Largest answer; a reader asks for less at once.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<LabelMatcher>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelMatcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Series and float samples of each query.
pub(crate) async fn read(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body,
) -> Response {
    match answer(&app, &identity, body).await {
        Ok(packed) => {
            let mut response = packed.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
            response
        }
        Err(fault) => fault.text(),
    }
}

async fn answer(app: &SharedApp, identity: &Identity, body: Body) -> Result<Vec<u8>, Fault> {
    let raw = body::read(body, 1 << 20).await?;
    let plain = write::unpack(app, "snappy", raw)?;
    let request = ReadRequest::decode(plain.as_slice()).map_err(|e| Fault::invalid("body", e.to_string()))?;
    let deadline = std::time::Instant::now() + app.limits().query_timeout;
    let source = app.source(&identity.tenant, deadline).await?;
    let work = move || {
        let mut response = ReadResponse::default();
        let mut bytes = 0;
        for query in &request.queries {
            response.results.push(select(&source, query, &mut bytes)?);
        }
        snap::raw::Encoder::new()
            .compress_vec(&response.encode_to_vec())
            .map_err(|e| Fault::Internal(e.to_string()))
    };
    kit::spawn::spawn_blocking("remote read", work)
        .await
        .map_err(|_| Fault::Internal("the read ended abnormally; the log has the reason".into()))?
}

fn select(source: &dyn SeriesSource, query: &Query, bytes: &mut usize) -> Result<QueryResult, Fault> {
    let matchers: Result<Vec<Matcher>, Fault> = query
        .matchers
        .iter()
        .map(|m| {
            let op = match m.kind {
                0 => MatchOp::Equal,
                1 => MatchOp::NotEqual,
                2 => MatchOp::Regex,
                3 => MatchOp::NotRegex,
                other => return Err(Fault::invalid("matchers", format!("{other} is not a matcher type"))),
            };
            Matcher::new(&m.name, op, &m.value).map_err(|e| Fault::invalid("matchers", e.to_string()))
        })
        .collect();
    let matchers = matchers?;
    let range =
        TimeRange { start_ms: query.start_timestamp_ms, end_ms: query.end_timestamp_ms.saturating_add(1) };
    let request = SelectRequest { matchers: &matchers, range, step_ms: 0 };
    let storage = |error: SourceError| Fault::Internal(error.to_string());
    let mut handles = source.select(&request).map_err(storage)?;
    handles.sort_by(|a, b| a.labels().cmp(b.labels()));
    let mut columns = SampleColumns::default();
    let mut result = QueryResult::default();
    for handle in handles {
        handle.read(range, &mut columns).map_err(storage)?;
        if columns.t_ms.is_empty() {
            continue;
        }
        *bytes += handle.labels().bytes() + 16 * columns.t_ms.len();
        if *bytes > ANSWER_BYTES_MAX {
            return Err(Fault::Execution(format!(
                "the answer is over {ANSWER_BYTES_MAX} bytes: ask for less at once"
            )));
        }
        let labels =
            handle.labels().iter().map(|(name, value)| Label { name: name.into(), value: value.into() });
        let samples = columns.t_ms.iter().zip(&columns.values);
        result.timeseries.push(TimeSeries {
            labels: labels.collect(),
            samples: samples.map(|(t, v)| Sample { value: *v, timestamp: *t }).collect(),
        });
    }
    Ok(result)
}
