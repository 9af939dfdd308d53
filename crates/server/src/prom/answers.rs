//! What Prometheus's API answers, for the description: the answers themselves are written by hand.

#![expect(dead_code, reason = "they only describe what is written elsewhere")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// `{"status": "success", "data": …}`.
#[derive(JsonSchema)]
#[schemars(rename = "Prometheus{T}")]
pub(super) struct Success<T> {
    #[schemars(extend("const" = "success"))]
    status: String,
    data: T,
    /// What the answer leaves out, and what may be wrong with it.
    #[schemars(with = "Vec<String>", skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    /// What may be better put.
    #[schemars(with = "Vec<String>", skip_serializing_if = "Option::is_none")]
    infos: Option<Vec<String>>,
}

type Labels = BTreeMap<String, String>;

/// Unix seconds, and a number as text, which may be `NaN`, `+Inf` or `-Inf`.
type Point = (f64, String);

/// What an expression comes to.
#[derive(JsonSchema)]
#[schemars(inline, tag = "resultType", rename_all = "lowercase")]
pub(super) enum QueryResult {
    Vector { result: Vec<VectorSample>, stats: QueryStats },
    Matrix { result: Vec<MatrixSeries>, stats: QueryStats },
    Scalar { result: Point, stats: QueryStats },
    String { result: (f64, String), stats: QueryStats },
}

/// A series at one instant.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusVectorSample")]
pub(super) struct VectorSample {
    metric: Labels,
    #[schemars(with = "Point", skip_serializing_if = "Option::is_none")]
    value: Option<Point>,
    /// Instead of `value`, of a native histogram.
    #[schemars(with = "(f64, Histogram)", skip_serializing_if = "Option::is_none")]
    histogram: Option<(f64, Histogram)>,
}

/// A series over time.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusMatrixSeries")]
pub(super) struct MatrixSeries {
    metric: Labels,
    #[schemars(with = "Vec<Point>", skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Point>>,
    #[schemars(with = "Vec<(f64, Histogram)>", skip_serializing_if = "Option::is_none")]
    histograms: Option<Vec<(f64, Histogram)>>,
}

/// A native histogram; numbers are texts.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusHistogram")]
pub(super) struct Histogram {
    count: String,
    sum: String,
    /// Which bounds are inside (0 upper, 1 lower, 2 neither, 3 both), lower and upper bound, count.
    #[schemars(with = "Vec<(u8, String, String, String)>", skip_serializing_if = "Option::is_none")]
    buckets: Option<Vec<(u8, String, String, String)>>,
}

/// What a query took.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusQueryStats")]
pub(super) struct QueryStats {
    timings: QueryTimings,
    samples: QuerySamples,
    /// Series that were read.
    series: u64,
}

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusQueryTimings", rename_all = "camelCase")]
pub(super) struct QueryTimings {
    /// Seconds.
    exec_total_time: f64,
}

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusQuerySamples", rename_all = "camelCase")]
pub(super) struct QuerySamples {
    total_queryable_samples: u64,
    peak_samples: u64,
}

/// Names of labels.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct LabelNames(Vec<String>);

/// Values of a label.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct LabelValues(Vec<String>);

/// Series as their labels.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct SeriesList(Vec<Labels>);

/// Metadata by metric.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct MetricMetadata(BTreeMap<String, Vec<MetadataEntry>>);

/// What is known of a metric.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusMetadataEntry")]
pub(super) struct MetadataEntry {
    r#type: String,
    help: String,
    unit: String,
}

/// Exemplars by series.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Exemplars(Vec<SeriesExemplars>);

/// Exemplars of a series.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusSeriesExemplars", rename_all = "camelCase")]
pub(super) struct SeriesExemplars {
    series_labels: Labels,
    exemplars: Vec<Exemplar>,
}

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusExemplar")]
pub(super) struct Exemplar {
    labels: Labels,
    value: String,
    /// Unix seconds.
    timestamp: f64,
}

/// A query, laid out.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct FormattedQuery(String);

/// A query as a tree whose nodes say their `type`.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct QueryTree(BTreeMap<String, Value>);

/// Versions.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub(super) struct BuildInfo {
    version: String,
    revision: String,
    branch: String,
    build_user: String,
    build_date: String,
    go_version: String,
    application: String,
    application_version: String,
}

/// The configuration in force.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Configuration {
    yaml: String,
}

/// Settings by name.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Flags(BTreeMap<String, String>);

/// When it started and how much it holds.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub(super) struct RuntimeInfo {
    start_time: String,
    #[schemars(rename = "CWD")]
    cwd: String,
    hostname: String,
    server_time: String,
    reload_config_success: bool,
    last_config_time: String,
    corruption_count: u64,
    goroutine_count: u64,
    #[schemars(rename = "GOMAXPROCS")]
    gomaxprocs: u64,
    #[schemars(rename = "GOMEMLIMIT")]
    gomemlimit: u64,
    #[schemars(rename = "GOGC")]
    gogc: String,
    #[schemars(rename = "GODEBUG")]
    godebug: String,
    storage_retention: String,
}

/// How many series there are, and of what.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub(super) struct TsdbStatus {
    head_stats: HeadStats,
    series_count_by_metric_name: Vec<NamedCount>,
    label_value_count_by_label_name: Vec<NamedCount>,
    memory_in_bytes_by_label_name: Vec<NamedCount>,
    series_count_by_label_value_pair: Vec<NamedCount>,
}

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusHeadStats", rename_all = "camelCase")]
pub(super) struct HeadStats {
    num_series: u64,
    num_label_pairs: u64,
    chunk_count: u64,
    min_time: i64,
    max_time: i64,
}

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusNamedCount")]
pub(super) struct NamedCount {
    name: String,
    value: u64,
}

/// Replay of the log.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct WalReplay {
    min: u64,
    max: u64,
    current: u64,
    state: String,
}

/// Who is notified.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub(super) struct Alertmanagers {
    active_alertmanagers: Vec<Value>,
    dropped_alertmanagers: Vec<Value>,
}

/// What is scraped.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub(super) struct Targets {
    active_targets: Vec<ActiveTarget>,
    dropped_targets: Vec<DroppedTarget>,
    #[schemars(with = "BTreeMap<String, u64>", skip_serializing_if = "Option::is_none")]
    dropped_target_counts: Option<BTreeMap<String, u64>>,
    /// Jobs that cannot run here, and why.
    unsupported_jobs: Vec<JobProblem>,
    /// What discovery could not do.
    #[schemars(with = "Vec<JobProblem>", skip_serializing_if = "Option::is_none")]
    discovery_problems: Option<Vec<JobProblem>>,
}

/// A target that is scraped.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusActiveTarget", rename_all = "camelCase")]
pub(super) struct ActiveTarget {
    discovered_labels: Labels,
    labels: Labels,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    /// Empty where the last scrape went well.
    last_error: String,
    last_scrape: String,
    /// Seconds.
    last_scrape_duration: f64,
    /// `up`, `down` or `unknown`.
    health: String,
    scrape_interval: String,
    scrape_timeout: String,
}

/// A target that relabelling dropped.
#[derive(JsonSchema)]
#[schemars(rename = "PrometheusDroppedTarget", rename_all = "camelCase")]
pub(super) struct DroppedTarget {
    discovered_labels: Labels,
    scrape_pool: String,
}

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusJobProblem")]
pub(super) struct JobProblem {
    job: String,
    reason: String,
}

/// Metadata as targets stated it.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct TargetMetadata(Vec<TargetMetadataEntry>);

#[derive(JsonSchema)]
#[schemars(rename = "PrometheusTargetMetadataEntry")]
pub(super) struct TargetMetadataEntry {
    target: Labels,
    metric: String,
    r#type: String,
    help: String,
    unit: String,
}

/// Names of jobs.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
pub(super) struct ScrapePools {
    scrape_pools: Vec<String>,
}
