//! Metrics from spans: calls and latency by operation, and the service graph's requests between services.
//!
//! Names and label values are Tempo's (`span_kind="SPAN_KIND_SERVER"`), so that stock dashboards find them:
//! `traces_spanmetrics_calls_total`, `traces_spanmetrics_latency` in seconds, and
//! `traces_service_graph_request_total`, `…_failed_total`, `…_server_seconds`, `…_client_seconds`. Everything
//! counts up from when the series was first seen; latencies carry exemplars with the trace they came from.
//!
//! Feed it before sampling. Series and waiting spans are bounded; what is too many counts under the label
//! value `overflow`.

mod graph; // requests between services
mod latency; // classic histograms with exemplars
mod table; // series by label values, bounded

use model::record::span;
use model::{MetricBatch, MetricType, Records, Signal, Value};

use graph::Graph;
use latency::{Latency, Observation};
use table::Table;

/// Limits and times. One tenant has one.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanMetricsSettings {
    /// Combinations of label values, of operations and of edges each. One has as many samples as there are
    /// buckets, and three more.
    pub series_max: usize,
    /// Spans that wait for their other half.
    pub waiting_max: usize,
    /// How long they wait at least, from the next [`SpanMetrics::drain`] on, milliseconds.
    pub wait_ms: i64,
    /// How long a series without new spans goes on, milliseconds.
    pub idle_ms: i64,
    /// Upper bounds of the buckets, seconds, ascending.
    pub bounds: Vec<f64>,
}

impl Default for SpanMetricsSettings {
    fn default() -> Self {
        Self {
            series_max: 5_000,
            waiting_max: 50_000,
            wait_ms: 10_000,
            idle_ms: 15 * 60_000,
            // Doubling from 2 ms to 16 s.
            bounds: (1..=14).map(|i| f64::from(1 << i) / 1000.0).collect(),
        }
    }
}

/// A span as the figures see it.
struct SpanRow<'r> {
    records: &'r Records,
    row: usize,
    service: &'r str,
    kind: &'r str,
    failed: bool,
    seconds: f64,
    /// When it ended, milliseconds.
    end_ms: i64,
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
}

impl<'r> SpanRow<'r> {
    fn new(records: &'r Records, row: usize) -> Self {
        let fields = records.fields_of(row);
        let text = |column: usize| records.text_of(fields[column]).unwrap_or_default();
        let service = records.find(records.resource_of(row), "service.name").and_then(|v| records.text_of(v));
        let duration_ns = match fields[span::DURATION] {
            Value::Int(ns) => ns.max(0),
            _ => 0,
        };
        Self {
            records,
            row,
            service: service.filter(|service| !service.is_empty()).unwrap_or("unknown_service"),
            kind: text(span::KIND),
            failed: text(span::STATUS_CODE) == "error",
            seconds: duration_ns as f64 / 1e9,
            end_ms: records.time_ns(row).saturating_add(duration_ns) / 1_000_000,
            trace_id: id(records, fields[span::TRACE_ID]).unwrap_or_default(),
            span_id: id(records, fields[span::SPAN_ID]).unwrap_or_default(),
            parent_id: id(records, fields[span::PARENT_SPAN_ID]),
        }
    }

    fn observation(&self) -> Observation {
        let Self { end_ms, seconds, trace_id, span_id, .. } = *self;
        Observation { t_ms: end_ms, seconds, trace_id, span_id }
    }

    fn text(&self, column: usize) -> &'r str {
        self.records.text_of(self.records.fields_of(self.row)[column]).unwrap_or_default()
    }

    /// An attribute that is a text.
    fn attr(&self, key: &str) -> Option<&'r str> {
        let value = self.records.find(self.records.attrs_of(self.row), key)?;
        self.records.text_of(value).filter(|text| !text.is_empty())
    }
}

fn id<const N: usize>(records: &Records, value: Value) -> Option<[u8; N]> {
    match value {
        Value::Bytes(span) => span.of(&records.text).try_into().ok(),
        _ => None,
    }
}

/// One series of operations.
#[derive(Debug, Default)]
struct Operation {
    calls: u64,
    latency: Latency,
}

/// Figures of one tenant's spans.
#[derive(Debug)]
pub struct SpanMetrics {
    settings: SpanMetricsSettings,
    operations: Table<4, Operation>,
    graph: Graph,
}

impl Default for SpanMetrics {
    fn default() -> Self {
        Self::new(SpanMetricsSettings::default())
    }
}

impl SpanMetrics {
    /// Without spans yet.
    pub fn new(settings: SpanMetricsSettings) -> Self {
        let operations =
            Table::new(["service", "span_name", "span_kind", "status_code"], settings.series_max);
        Self { operations, graph: Graph::new(&settings), settings }
    }

    /// Counts spans. Other rows are passed over. There is no clock here: a series begins when its first span
    /// ended, and waiting is judged by [`Self::drain`].
    pub fn observe(&mut self, records: &Records) {
        if records.signal != Signal::Traces {
            return;
        }
        for row in 0..records.len() {
            let span = SpanRow::new(records, row);
            let kind = match span.kind {
                "internal" => "SPAN_KIND_INTERNAL",
                "server" => "SPAN_KIND_SERVER",
                "client" => "SPAN_KIND_CLIENT",
                "producer" => "SPAN_KIND_PRODUCER",
                "consumer" => "SPAN_KIND_CONSUMER",
                _ => "SPAN_KIND_UNSPECIFIED",
            };
            let status = match span.text(span::STATUS_CODE) {
                "error" => "STATUS_CODE_ERROR",
                "ok" => "STATUS_CODE_OK",
                _ => "STATUS_CODE_UNSET",
            };
            let name = span.text(span::NAME);
            let overflow = [table::OVERFLOW, table::OVERFLOW, kind, status];
            let operation = self.operations.entry([span.service, name, kind, status], overflow, span.end_ms);
            operation.calls += 1;
            operation.latency.observe(&self.settings.bounds, span.observation());
            self.graph.observe(&span);
        }
    }

    /// The state of all series as samples of this moment. Call it at the interval of a scrape: a series must go
    /// on while nothing happens, or rates would end.
    pub fn drain(&mut self, now_ms: i64) -> MetricBatch {
        let mut batch = MetricBatch::default();
        self.operations.expire(now_ms, self.settings.idle_ms);
        let bounds = &self.settings.bounds;
        for series in self.operations.sorted() {
            let (labels, operation) = series.split();
            let calls = operation.calls as f64;
            table::counter(&mut batch, "traces_spanmetrics_calls_total", &labels, calls, now_ms);
            operation.latency.push(&mut batch, "traces_spanmetrics_latency", &labels, bounds, now_ms);
        }
        self.graph.drain(&mut batch, now_ms);
        describe(&mut batch);
        batch
    }

    /// Spans that found no room to wait for their other half, since the start.
    pub fn unpaired(&self) -> u64 {
        self.graph.turned_away()
    }
}

fn describe(batch: &mut MetricBatch) {
    if batch.series.is_empty() {
        return;
    }
    let (counter, histogram) = (MetricType::Counter, MetricType::Histogram);
    for (metric, kind, unit, help) in [
        ("traces_spanmetrics_calls_total", counter, "", "Spans by service, operation, kind and status."),
        ("traces_spanmetrics_latency", histogram, "seconds", "Duration of spans."),
        ("traces_service_graph_request_total", counter, "", "Requests between two services."),
        (
            "traces_service_graph_request_failed_total",
            counter,
            "",
            "Requests between two services that failed.",
        ),
        ("traces_service_graph_request_server_seconds", histogram, "seconds", "Duration seen by the server."),
        ("traces_service_graph_request_client_seconds", histogram, "seconds", "Duration seen by the client."),
    ] {
        let (metric, unit, help) = (metric.to_owned(), unit.to_owned(), help.to_owned());
        batch.metadata.push(model::Metadata { metric, kind, unit, help });
    }
}

#[cfg(test)]
mod tests;
