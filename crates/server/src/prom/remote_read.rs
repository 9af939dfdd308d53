//! `POST /api/v1/read`: raw samples for evaluators elsewhere, as Prometheus's remote read asks for them.
//!
//! Always answered with whole samples, the response type that every client understands.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use ingest::compress::decompress;
use model::{MatchOp, Matcher, SampleColumns, TimeRange};
use promql::source::{SelectRequest, SeriesSource, SourceError};
use prost::Message;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Routes, bytes};
use crate::{body, write};

/// Largest answer; a reader asks for less at once.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Largest request, packed and unpacked: some matchers.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Queries of one request.
const QUERIES_MAX: usize = 1000;

/// The one route.
pub(super) fn routes() -> Routes {
    let op = Op::new("remoteRead", "Samples for evaluators elsewhere")
        .about("A `prometheus.ReadRequest` and a `prometheus.ReadResponse`, both as snappy.")
        .takes_content(bytes("application/x-protobuf"))
        .gives_content(bytes("application/x-protobuf"))
        .refuses(&[415, 422]);
    Routes::new("Prometheus").post("/api/v1/read", read, op)
}

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
async fn read(
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
    let raw = body::read(body, REQUEST_BYTES_MAX).await?;
    let plain = decompress("snappy", raw, REQUEST_BYTES_MAX).map_err(|error| write::fault(error.into()))?;
    let request = ReadRequest::decode(plain.as_slice()).map_err(|e| Fault::invalid("body", e.to_string()))?;
    if request.queries.len() > QUERIES_MAX {
        let why = format!("{} queries in one request: send at most {QUERIES_MAX}", request.queries.len());
        return Err(Fault::invalid("queries", why));
    }
    let deadline = app.query_deadline(&identity.tenant);
    // The answer stands in memory three times: as rows, encoded, and packed.
    let bytes_max = usize::try_from(app.memory_limit() / 12).unwrap_or(usize::MAX).min(ANSWER_BYTES_MAX);
    let source = app.source(&identity.reach(), deadline).await?;
    let work = move || {
        let mut response = ReadResponse::default();
        let mut room = Room { bytes: 0, bytes_max, deadline };
        for query in &request.queries {
            response.results.push(select(&source, query, &mut room)?);
        }
        snap::raw::Encoder::new()
            .compress_vec(&response.encode_to_vec())
            .map_err(|e| Fault::Internal(e.to_string()))
    };
    app.in_slot(&identity.tenant, "remote read", deadline, work).await
}

/// What is left of an answer's size and time.
struct Room {
    bytes: usize,
    bytes_max: usize,
    deadline: Instant,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        if self.bytes > self.bytes_max {
            let max = self.bytes_max;
            return Err(Fault::Execution(format!("the answer is over {max} bytes: ask for less at once")));
        }
        if Instant::now() >= self.deadline {
            return Err(Fault::Timeout("the read took too long: ask for less at once".into()));
        }
        Ok(())
    }
}

fn select(source: &dyn SeriesSource, query: &Query, room: &mut Room) -> Result<QueryResult, Fault> {
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
        room.take(0)?;
        handle.read(range, &mut columns).map_err(storage)?;
        if columns.t_ms.is_empty() {
            continue;
        }
        room.take(handle.labels().bytes() + 16 * columns.t_ms.len())?;
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
