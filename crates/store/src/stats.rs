//! Figures for self-metrics and status pages.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use model::{METRIC_NAME, Signal, TenantId};

use crate::engine::Engine;
use crate::heads::Head;
use crate::shard::Shard;

/// What the store holds and did since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tenants with telemetry.
    pub tenants: usize,
    /// Series that were sent within the last hour or so.
    pub active_series: usize,
    /// Samples in heads.
    pub head_samples: u64,
    /// Bytes of heads.
    pub head_bytes: usize,
    /// Bytes of series tables and indexes.
    pub series_bytes: usize,
    /// Segments.
    pub segments: usize,
    /// Bytes of segments.
    pub segment_bytes: u64,
    /// Samples in segments.
    pub segment_samples: u64,
    /// Bytes of the write-ahead log's files, which are reserved as a whole.
    pub wal_bytes: u64,
    /// Files of the write-ahead log.
    pub wal_files: usize,
    /// Bytes of records that wait for the disk.
    pub queue_bytes: usize,
    /// Bytes of decoded tables of segments.
    pub cache_bytes: usize,
    /// Deletes that compaction has not carried out yet.
    pub tombstones: usize,
    /// What there is of each signal.
    pub signals: BTreeMap<Signal, SignalStats>,
    /// Rows of logs, traces and events committed since the start.
    pub rows_total: u64,
    /// Spans that a sampler dropped when their head was flushed, since the start.
    pub rows_sampled_total: u64,
    /// Samples committed since the start.
    pub samples_total: u64,
    /// Bytes of records committed since the start.
    pub wal_bytes_total: u64,
    /// Group commits since the start.
    pub commits_total: u64,
    /// Failed group commits since the start.
    pub commit_failures_total: u64,
    /// Heads flushed since the start.
    pub flushes_total: u64,
    /// Flushes that failed and were tried again.
    pub flush_failures_total: u64,
    /// Compactions since the start.
    pub compactions_total: u64,
    /// Compactions that failed.
    pub compaction_failures_total: u64,
    /// Segments dropped by retention since the start.
    pub segments_expired_total: u64,
    /// Why writes are refused, if they are.
    pub refused: Option<String>,
    /// Whether everything of the last run can be read.
    pub is_replayed: bool,
}

/// What the store holds of one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalStats {
    /// Rows in heads; samples, of metrics.
    pub head_rows: u64,
    /// Bytes of heads.
    pub head_bytes: usize,
    /// Segments.
    pub segments: usize,
    /// Bytes of segments.
    pub segment_bytes: u64,
    /// Rows in segments; samples, of metrics.
    pub segment_rows: u64,
}

/// What a tenant's metrics are made of, for `/api/v1/status/tsdb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series that were sent within the last hour or so.
    pub active_series: usize,
    /// Different pairs of label name and value of those.
    pub label_pairs: usize,
    /// Time of the first sample in a head, milliseconds.
    pub min_t_ms: Option<i64>,
    /// Time of the last sample in a head, milliseconds.
    pub max_t_ms: Option<i64>,
    /// Metric names with the most series.
    pub metrics: Vec<(String, usize)>,
    /// Labels with the most values.
    pub labels: Vec<(String, usize)>,
}

impl Engine {
    /// What the store holds and did since it was opened.
    pub fn stats(&self) -> Stats {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let c = &self.counters;
        let mut stats = Stats {
            tenants: self.tenants().len(),
            queue_bytes: self.queue().bytes(),
            cache_bytes: self.cache_bytes(),
            samples_total: count(&c.samples),
            rows_total: count(&c.rows),
            rows_sampled_total: count(&c.rows_sampled),
            wal_bytes_total: count(&c.wal_bytes),
            commits_total: count(&c.commits),
            commit_failures_total: count(&c.commit_failures),
            flushes_total: count(&c.flushes),
            flush_failures_total: count(&c.flush_failures),
            compactions_total: count(&c.compactions),
            compaction_failures_total: count(&c.compaction_failures),
            segments_expired_total: count(&c.segments_expired),
            refused: self.queue().refused().map(|error| error.to_string()),
            is_replayed: self.is_replayed(),
            ..Stats::default()
        };
        (stats.wal_bytes, stats.wal_files) = self.wal_size();
        for shard in self.all_shards() {
            if let Shard::Metrics(shard) = &shard {
                let (series, bytes) = shard.series();
                stats.active_series += series;
                stats.series_bytes += bytes;
            }
            let of_signal = stats.signals.entry(shard.key().signal).or_default();
            for facts in shard.facts() {
                of_signal.head_rows += facts.samples;
                of_signal.head_bytes += facts.bytes;
            }
        }
        let state = self.manifest_state();
        stats.tombstones = state.tombstones.len();
        stats.segments = state.segments.len();
        for meta in state.segments.values() {
            let of_signal = stats.signals.entry(meta.signal).or_default();
            of_signal.segments += 1;
            of_signal.segment_bytes += meta.bytes;
            of_signal.segment_rows += meta.samples;
        }
        for (signal, of_signal) in &stats.signals {
            stats.head_bytes += of_signal.head_bytes;
            stats.segment_bytes += of_signal.segment_bytes;
            if *signal == Signal::Metrics {
                stats.head_samples = of_signal.head_rows;
                stats.segment_samples = of_signal.segment_rows;
            }
        }
        stats
    }

    /// What the store holds of a tenant, by signal.
    pub fn tenant_stats(&self, tenant: &TenantId) -> BTreeMap<Signal, SignalStats> {
        let mut signals: BTreeMap<Signal, SignalStats> = BTreeMap::new();
        for shard in self.all_shards().into_iter().filter(|shard| shard.key().tenant == *tenant) {
            let of_signal = signals.entry(shard.key().signal).or_default();
            for facts in shard.facts() {
                of_signal.head_rows += facts.samples;
                of_signal.head_bytes += facts.bytes;
            }
        }
        for meta in self.manifest_state().segments.values().filter(|meta| meta.tenant == *tenant) {
            let of_signal = signals.entry(meta.signal).or_default();
            of_signal.segments += 1;
            of_signal.segment_bytes += meta.bytes;
            of_signal.segment_rows += meta.samples;
        }
        signals
    }

    /// Bytes of each tenant's segments. Looks at every segment.
    pub fn segment_bytes(&self) -> BTreeMap<TenantId, u64> {
        let mut bytes: BTreeMap<TenantId, u64> = BTreeMap::new();
        for meta in self.manifest_state().segments.values() {
            match bytes.get_mut(&meta.tenant) {
                Some(sum) => *sum += meta.bytes,
                None => drop(bytes.insert(meta.tenant.clone(), meta.bytes)),
            }
        }
        bytes
    }

    /// Bytes of a tenant's heads: what the log holds of it and no segment does, about.
    pub fn head_bytes(&self, tenant: &TenantId) -> u64 {
        let of_tenant = self.all_shards().into_iter().filter(|shard| shard.key().tenant == *tenant);
        of_tenant.flat_map(|shard| shard.facts()).map(|facts| facts.bytes as u64).sum()
    }

    /// What a tenant's active series are made of; `count` of each list.
    pub fn cardinality(&self, tenant: &TenantId, count: usize) -> Cardinality {
        let Some(shard) = self.known_metrics(tenant) else { return Cardinality::default() };
        let facts: Vec<_> = shard.with_heads(|heads| heads.all()).iter().map(|head| head.facts()).collect();
        let with_samples = || facts.iter().filter(|facts| facts.samples > 0);
        let index = shard.index.read();
        Cardinality {
            active_series: index.len(),
            label_pairs: index.label_pairs(),
            min_t_ms: with_samples().map(|facts| facts.min_t_ms).min(),
            max_t_ms: with_samples().map(|facts| facts.max_t_ms).max(),
            metrics: index.largest_values(METRIC_NAME, count),
            labels: index.largest_labels(count),
        }
    }
}
