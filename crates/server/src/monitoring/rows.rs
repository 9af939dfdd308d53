//! Rows of the SystemMetric view and samples by name: computed from stored series, never a second copy.

use std::collections::BTreeMap;

use model::{Labels, SampleColumns, TimeRange};
use promql::source::{SelectRequest, SeriesSource, SourceError};
use promql::{QueryContext, Value as QueryValue};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::SharedApp;
use crate::error::Fault;
use crate::moment::Moment;
use crate::prom::query::fault;
use crate::reach::Reach;

/// Figures of this host at a moment. A figure that nobody collects here is left out.
#[derive(Serialize, JsonSchema)]
pub(super) struct SystemMetric {
    id: String,
    timestamp: Moment,
    #[schemars(with = "shapes::Cpu")]
    cpu: Map<String, Value>,
    #[schemars(with = "shapes::Memory")]
    memory: Map<String, Value>,
    #[schemars(with = "shapes::Process")]
    process: Map<String, Value>,
    #[schemars(with = "Vec<shapes::Disk>")]
    disk: Vec<Map<String, Value>>,
    #[schemars(with = "Vec<shapes::Network>")]
    network: Vec<Map<String, Value>>,
}

/// A sample of a metric that was asked for by its name.
#[derive(Serialize, JsonSchema)]
pub(super) struct NamedSample {
    timestamp: Moment,
    labels: BTreeMap<String, String>,
    /// `null` where it is no finite number.
    value: Option<f64>,
}

/// What [`FIELDS`] and [`Row::finish`] make, for the description of the API.
mod shapes {
    #![expect(dead_code, reason = "they only describe maps")]

    use schemars::JsonSchema;

    /// The processors.
    #[derive(JsonSchema)]
    #[schemars(rename = "CpuFigures")]
    pub(super) struct Cpu {
        /// Percent of all processors that are busy.
        #[schemars(skip_serializing_if = "Option::is_none")]
        usage: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        cores: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        load1: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        load5: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        load15: Option<f64>,
    }

    /// Memory in bytes.
    #[derive(JsonSchema)]
    #[schemars(rename = "MemoryFigures")]
    pub(super) struct Memory {
        #[schemars(skip_serializing_if = "Option::is_none")]
        total: Option<f64>,
        /// What programs could get without swapping.
        #[schemars(skip_serializing_if = "Option::is_none")]
        free: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        used: Option<f64>,
        /// Percent that is used.
        #[schemars(skip_serializing_if = "Option::is_none")]
        percentage: Option<f64>,
    }

    /// This server.
    #[derive(JsonSchema)]
    #[schemars(rename = "ProcessFigures")]
    pub(super) struct Process {
        #[schemars(skip_serializing_if = "Option::is_none")]
        resident_bytes: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        cpu_seconds: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        open_fds: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        threads: Option<f64>,
    }

    /// A file system in bytes.
    #[derive(JsonSchema)]
    #[schemars(rename = "DiskFigures")]
    pub(super) struct Disk {
        mountpoint: String,
        #[schemars(skip_serializing_if = "Option::is_none")]
        total: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        available: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        used: Option<f64>,
    }

    /// A network device.
    #[derive(JsonSchema)]
    #[schemars(rename = "NetworkFigures")]
    pub(super) struct Network {
        device: String,
        #[schemars(skip_serializing_if = "Option::is_none")]
        receive_bytes: Option<f64>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        transmit_bytes: Option<f64>,
    }
}

/// A column's field and the expression of its value. Labels that remain name entries of a list.
const FIELDS: &[(&str, &str, &str)] = &[
    ("cpu", "usage", "100 * (1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[2m])))"),
    ("cpu", "cores", "count(node_cpu_seconds_total{mode=\"idle\"})"),
    ("cpu", "load1", "max(node_load1)"),
    ("cpu", "load5", "max(node_load5)"),
    ("cpu", "load15", "max(node_load15)"),
    ("memory", "total", "sum(node_memory_MemTotal_bytes)"),
    ("memory", "free", "sum(node_memory_MemAvailable_bytes)"),
    ("disk", "total", "max by (mountpoint) (node_filesystem_size_bytes)"),
    ("disk", "available", "max by (mountpoint) (node_filesystem_avail_bytes)"),
    ("network", "receive_bytes", "max by (device) (node_network_receive_bytes_total)"),
    ("network", "transmit_bytes", "max by (device) (node_network_transmit_bytes_total)"),
    ("process", "resident_bytes", "max(process_resident_memory_bytes{job=\"bellwether\"})"),
    ("process", "cpu_seconds", "max(process_cpu_seconds_total{job=\"bellwether\"})"),
    ("process", "open_fds", "max(process_open_fds{job=\"bellwether\"})"),
    (
        "process",
        "threads",
        "max(process_threads{job=\"bellwether\"} or process_num_threads{job=\"bellwether\"})",
    ),
];

/// SystemMetric rows with their times, newest first, one per collection interval. With equal bounds, the one
/// row of that instant.
pub(super) async fn system(
    app: &SharedApp,
    reach: &Reach,
    start_ms: i64,
    end_ms: i64,
    limit: usize,
) -> Result<Vec<(i64, SystemMetric)>, Fault> {
    let step_ms = app.collect_interval_ms();
    // Rows stand on whole intervals, so that a row keeps its id whenever it is asked for; the newest stands at
    // the end that was asked for, so that what was just collected is there.
    let last = if start_ms == end_ms { end_ms } else { end_ms - end_ms.rem_euclid(step_ms) };
    let first = start_ms.max(last.saturating_sub(step_ms.saturating_mul(limit as i64 - 1)));
    let mut spans = vec![(end_ms, end_ms)];
    if first <= last && last < end_ms {
        // `start` need not be on the grid.
        spans.push((last - (last - first) / step_ms * step_ms, last));
    }
    let deadline = app.query_deadline(&reach.tenant);
    let source = app.source(reach, deadline).await?;
    let engine = app.engine();
    let context = QueryContext { deadline: Some(deadline), ..app.query_context() };
    let work = move || {
        let mut rows: BTreeMap<i64, Row> = BTreeMap::new();
        for (span, (column, field, expr)) in
            spans.iter().flat_map(|span| FIELDS.iter().map(move |f| (*span, f)))
        {
            let result = engine.range(&source, expr, span, step_ms, &context).map_err(fault)?;
            let QueryValue::Matrix(series) = result.value else { continue };
            for one in series {
                let entry = one.labels.iter().next().map(|(name, value)| (name.to_owned(), value.to_owned()));
                for point in one.floats {
                    rows.entry(point.t_ms).or_default().set(column, field, entry.as_ref(), point.value);
                }
            }
        }
        let whole = rows.into_iter().rev().filter(|(_, row)| row.is_whole());
        Ok(whole.take(limit).map(|(t_ms, row)| (t_ms, row.finish(t_ms))).collect())
    };
    app.in_slot(&reach.tenant, "system metrics", deadline, work).await
}

/// One row in the making: fields by column, and lists of entries for columns that have several.
#[derive(Default)]
struct Row {
    fields: BTreeMap<&'static str, Map<String, Value>>,
    lists: BTreeMap<&'static str, BTreeMap<String, Map<String, Value>>>,
}

impl Row {
    fn set(&mut self, column: &'static str, field: &str, entry: Option<&(String, String)>, value: f64) {
        match entry {
            None => {
                self.fields.entry(column).or_default().insert(field.into(), json!(value));
            }
            Some((label, of)) => {
                let map = self.lists.entry(column).or_default().entry(of.clone()).or_default();
                map.insert(label.clone(), json!(of));
                map.insert(field.into(), json!(value));
            }
        }
    }

    /// A host that was not collected has no row.
    fn is_whole(&self) -> bool {
        self.fields.contains_key("memory") || self.fields.contains_key("cpu")
    }

    fn finish(mut self, t_ms: i64) -> SystemMetric {
        let number = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_f64);
        if let Some(memory) = self.fields.get_mut("memory")
            && let (Some(total), Some(free)) = (number(memory, "total"), number(memory, "free"))
        {
            // Free is what programs could get without swapping, so that total = used + free.
            memory.insert("used".into(), json!(total - free));
            memory.insert(
                "percentage".into(),
                json!(if total > 0.0 { 100.0 * (total - free) / total } else { 0.0 }),
            );
        }
        for disk in self.lists.get_mut("disk").into_iter().flat_map(BTreeMap::values_mut) {
            if let (Some(total), Some(available)) = (number(disk, "total"), number(disk, "available")) {
                disk.insert("used".into(), json!(total - available));
            }
        }
        let mut of = |column| self.fields.remove(column).unwrap_or_default();
        let (cpu, memory, process) = (of("cpu"), of("memory"), of("process"));
        let mut of = |column| self.lists.remove(column).unwrap_or_default().into_values().collect();
        let (disk, network) = (of("disk"), of("network"));
        SystemMetric {
            id: format!("sm{t_ms:x}"),
            timestamp: Moment(t_ms),
            cpu,
            memory,
            process,
            disk,
            network,
        }
    }
}

/// Float samples of one metric by name, newest first, with their times.
pub(super) async fn named(
    app: &SharedApp,
    reach: &Reach,
    name: &str,
    start_ms: i64,
    end_ms: i64,
    limit: usize,
) -> Result<Vec<(i64, NamedSample)>, Fault> {
    let deadline = app.query_deadline(&reach.tenant);
    let source = app.source(reach, deadline).await?;
    let matcher = model::Matcher::new(model::METRIC_NAME, model::MatchOp::Equal, name)
        .map_err(|error| Fault::invalid("name", error.to_string()))?;
    let range = TimeRange { start_ms, end_ms: end_ms.saturating_add(1) };
    let work = move || {
        let request = SelectRequest { matchers: &[matcher], range, step_ms: 0 };
        let storage = |error: SourceError| Fault::Internal(error.to_string());
        let mut newest: Vec<(i64, Labels, f64)> = Vec::new();
        let mut columns = SampleColumns::default();
        for handle in source.select(&request).map_err(storage)? {
            handle.read(range, &mut columns).map_err(storage)?;
            let samples = columns.t_ms.iter().zip(&columns.values).rev().take(limit);
            newest.extend(samples.map(|(t, v)| (*t, handle.labels().clone(), *v)));
            // Keeps memory to a few times the answer, however many series there are.
            if newest.len() > 8 * limit {
                newest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
                newest.truncate(limit);
            }
        }
        newest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        newest.truncate(limit);
        Ok(newest)
    };
    let rows = app.in_slot(&reach.tenant, "samples by name", deadline, work).await?;
    let sample = |(t_ms, labels, value): (i64, Labels, f64)| {
        let labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        (t_ms, NamedSample { timestamp: Moment(t_ms), labels, value: Some(value).filter(|v| v.is_finite()) })
    };
    Ok(rows.into_iter().map(sample).collect())
}
