//! Results as rows of the table `checks` and as series.
//!
//! `probe_success` is what a check counts as, after `failureThreshold` and `successThreshold`, so that a rule over
//! it says what the check says; the rows hold the verdict of each run. Where nobody can tell, a marker ends both series
//! until somebody can.

use std::sync::Arc;

use model::record::{self, check};
use model::{METRIC_NAME, MetricBatch, Point, Records, STALE_NAN, Signal, Value};
use probe::check::CheckStatus;

use super::seat::{Done, Entry, HERE};

const SUCCESS: &str = "probe_success";
const DURATION: &str = "probe_duration_seconds";
/// Names and units as Prometheus's blackbox exporter has them.
const CERTIFICATE: &str = "probe_ssl_earliest_cert_expiry";
const HTTP_STATUS: &str = "probe_http_status_code";

/// Results as rows.
pub(super) fn rows<'a>(done: impl IntoIterator<Item = &'a Done>) -> Records {
    let mut records = Records::new(Signal::Checks);
    for (index, done) in done.into_iter().enumerate() {
        let first = records.attrs.len() as u32;
        if let Some(service) = done.entry.check.spec().labels.get("service") {
            let service = Value::Text(records.push_text(service));
            records.push_attr("service.name", service);
        }
        let resource = records.end_resource(first);
        let first_attr = records.attrs.len() as u32;
        for (name, value) in &done.entry.check.spec().labels {
            let value = Value::Text(records.push_text(value));
            records.push_attr(name, value);
        }
        let (entry, result) = (&done.entry, &done.result);
        let mut fields = [Value::Null; record::columns(Signal::Checks).len()];
        fields[check::TIMESTAMP] = Value::Int(result.at.saturating_mul(1_000_000));
        fields[check::CHECK_ID] = Value::Text(records.push_text(&entry.id));
        fields[check::NAME] = Value::Text(records.push_text(entry.check.name()));
        fields[check::KIND] = Value::Text(records.push_text(entry.check.spec().kind.as_str()));
        fields[check::PLACE] = Value::Text(records.push_text(HERE));
        fields[check::STATUS] = Value::Text(records.push_text(result.status.as_str()));
        fields[check::LATENCY_MS] = Value::Double(result.latency_ms);
        fields[check::ATTEMPTS] = Value::Int(result.attempts.into());
        if let Some(message) = &result.message {
            fields[check::MESSAGE] = Value::Text(records.push_text(message));
        }
        let details = serde_json::to_string(&result.details).expect("details are numbers and texts");
        fields[check::DETAILS] = Value::Json(records.push_text(details));
        records.push_row(index as u32, resource, first_attr, &fields);
    }
    records
}

/// Results as samples.
pub(super) fn samples<'a>(done: impl IntoIterator<Item = &'a Done>, batch: &mut MetricBatch) {
    for done in done {
        let (result, details) = (&done.result, &done.result.details);
        let mut push = |name, value| push(batch, &done.entry, name, result.at, value);
        match done.status {
            CheckStatus::Unknown => {
                push(SUCCESS, STALE_NAN);
                push(DURATION, STALE_NAN);
            }
            status => {
                push(SUCCESS, f64::from(u8::from(status == CheckStatus::Healthy)));
                push(DURATION, result.latency_ms / 1000.0);
            }
        }
        if let Some(certificate) = &details.certificate {
            push(CERTIFICATE, (certificate.not_after / 1000) as f64);
        }
        if let Some(status) = details.http_status {
            push(HTTP_STATUS, status.into());
        }
    }
}

/// The end of the series of checks that run no more.
pub(super) fn ends<'a>(ended: impl IntoIterator<Item = &'a Arc<Entry>>, at: i64, batch: &mut MetricBatch) {
    for entry in ended {
        for name in [SUCCESS, DURATION, CERTIFICATE, HTTP_STATUS] {
            // Of the latter only those that there are.
            let details = entry.now().1.map(|last| last.details).unwrap_or_default();
            let is_there = match name {
                CERTIFICATE => details.certificate.is_some(),
                HTTP_STATUS => details.http_status.is_some(),
                _ => true,
            };
            if is_there {
                push(batch, entry, name, at, STALE_NAN);
            }
        }
    }
}

fn push(batch: &mut MetricBatch, entry: &Entry, name: &str, at: i64, value: f64) {
    let labels = [(METRIC_NAME, name)].into_iter().chain(entry.labels());
    batch.push_float(labels, Point { t_ms: at, value });
}
