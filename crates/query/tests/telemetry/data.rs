//! Logs, spans and events whose facts are known, spread over slices that overlap in time.

use std::sync::Arc;

use model::record::{event, log, span};
use model::{Records, Signal, Value};
use query::rows::{RowSource, Slices};
use store::rows::Slice;

/// Time of the first row.
pub(super) const START_NS: i64 = 1_700_000_000_000_000_000;
/// Distance of rows.
pub(super) const STEP_NS: i64 = 1_000_000;

/// What is known of one log record.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) time_ns: i64,
    pub(super) severity: i64,
    pub(super) body: String,
    pub(super) service: &'static str,
    pub(super) status: Option<i64>,
    pub(super) path: Option<String>,
    pub(super) trace: Option<[u8; 16]>,
}

/// So many log records. Times come in pairs, and every hundredth record repeats the one before it.
pub(super) fn logs(count: usize) -> Vec<Log> {
    let mut logs: Vec<Log> = Vec::with_capacity(count);
    for i in 0..count {
        if i % 100 == 99 {
            logs.push(logs[i - 1].clone());
            continue;
        }
        let mut trace = [0; 16];
        trace[8..].copy_from_slice(&(i as u64 / 10 + 1).to_be_bytes());
        logs.push(Log {
            time_ns: START_NS + (i as i64 / 2) * STEP_NS,
            severity: [9, 9, 9, 13, 17][i % 5],
            body: match i % 3 {
                0 => format!("request {i} from 10.0.0.{} took {}ms", i % 250, i % 900),
                1 => format!("user user-{i} logged in"),
                _ => "cache is warm, nothing to do".to_owned(),
            },
            service: ["api", "web", "worker"][i % 3],
            status: (i % 2 == 0).then(|| [200, 404, 500][i % 3]),
            path: (i % 4 != 0).then(|| format!("/v1/item/{}", i % 7)),
            trace: (i % 2 == 1).then_some(trace),
        });
    }
    logs
}

pub(super) fn records(logs: &[&Log]) -> Records {
    let mut records = Records::new(Signal::Logs);
    for (i, one) in logs.iter().enumerate() {
        let first = records.attrs.len() as u32;
        let service = Value::Text(records.push_text(one.service));
        records.push_attr("service.name", service);
        let resource = records.end_resource(first);
        let first = records.attrs.len() as u32;
        if let Some(status) = one.status {
            records.push_attr("http.status", Value::Int(status));
        }
        if let Some(path) = &one.path {
            let path = Value::Text(records.push_text(path));
            records.push_attr("urlPath", path);
        }
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(one.time_ns);
        fields[log::SEVERITY_NUMBER] = Value::Int(one.severity);
        fields[log::SEVERITY_TEXT] = Value::Text(records.push_text("X"));
        fields[log::BODY] = Value::Text(records.push_text(&one.body));
        if let Some(trace) = &one.trace {
            fields[log::TRACE_ID] = Value::Bytes(records.push_text(trace));
        }
        records.push_row(i as u32, resource, first, &fields);
    }
    records
}

/// Slices of at most `size` records each; `stripes` of them share one stretch of time.
pub(super) fn source(logs: &[Log], size: usize, stripes: usize) -> Arc<dyn RowSource> {
    let mut slices = Vec::new();
    for stretch in logs.chunks(size * stripes) {
        for stripe in 0..stripes {
            let part: Vec<&Log> = stretch.iter().skip(stripe).step_by(stripes).collect();
            if !part.is_empty() {
                slices.push(Slice::of_records(&records(&part)));
            }
        }
    }
    Arc::new(Slices::new(Signal::Logs, slices))
}

/// Ten spans of one trace.
pub(super) fn spans() -> Arc<dyn RowSource> {
    let mut records = Records::new(Signal::Traces);
    for i in 0..10_i64 {
        let first = records.attrs.len() as u32;
        let service = Value::Text(records.push_text("api"));
        records.push_attr("service.name", service);
        let resource = records.end_resource(first);
        let first = records.attrs.len() as u32;
        records.push_attr("n", Value::Int(i));
        let mut fields = [Value::Null; 11];
        fields[span::START] = Value::Int(START_NS + i * STEP_NS);
        fields[span::DURATION] = Value::Int(i * 1_000_000);
        fields[span::TRACE_ID] = Value::Bytes(records.push_text([7; 16]));
        fields[span::SPAN_ID] = Value::Bytes(records.push_text([i as u8 + 1; 8]));
        if i > 0 {
            fields[span::PARENT_SPAN_ID] = Value::Bytes(records.push_text([1; 8]));
        }
        fields[span::NAME] = Value::Text(records.push_text(format!("GET /item/{i}")));
        fields[span::KIND] = Value::Text(records.push_text("server"));
        fields[span::STATUS_CODE] = Value::Text(records.push_text(if i == 9 { "error" } else { "unset" }));
        records.push_row(i as u32, resource, first, &fields);
    }
    Arc::new(Slices::of_records(&records))
}

/// One command and one deploy.
pub(super) fn events() -> Arc<dyn RowSource> {
    let mut records = Records::new(Signal::Events);
    for (i, kind) in ["command", "deploy"].into_iter().enumerate() {
        let first = records.attrs.len() as u32;
        records.push_attr("success", Value::Bool(true));
        let command = Value::Text(records.push_text("ls -l"));
        records.push_attr("command", command);
        let mut fields = [Value::Null; 8];
        fields[event::TIMESTAMP] = Value::Int(START_NS + i as i64);
        fields[event::NAME] = Value::Text(records.push_text("run"));
        fields[event::KIND] = Value::Text(records.push_text(kind));
        fields[event::USER_ID] = Value::Text(records.push_text("ann"));
        fields[event::VALUE] = Value::Double(12.5);
        records.push_row(i as u32, u32::MAX, first, &fields);
    }
    Arc::new(Slices::of_records(&records))
}
