//! Figures of the store: read at the moment of looking, counted by the store itself.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use store::Stats;

/// Gauges and counters that mirror [`Stats`].
#[derive(Default)]
pub(super) struct StoreMetrics {
    active_series: Gauge,
    head_samples: Gauge,
    head: Gauge,
    series: Gauge,
    segments: Gauge,
    segment: Gauge,
    segment_samples: Gauge,
    wal: Gauge,
    queue: Gauge,
    cache: Gauge,
    tombstones: Gauge,
    refusing: Gauge,
    samples: Counter,
    wal_written: Counter,
    commits: Counter,
    commit_failures: Counter,
    flushes: Counter,
    flush_failures: Counter,
    compactions: Counter,
    compaction_failures: Counter,
    expired: Counter,
}

impl StoreMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        let gauges = [
            ("store_active_series", "Series sent within the last hour", &self.active_series),
            ("store_head_samples", "Samples in memory that no segment holds yet", &self.head_samples),
            ("store_segments", "Segments on disk", &self.segments),
            ("store_segment_samples", "Samples in segments", &self.segment_samples),
            ("store_tombstones", "Deletions that compaction has not carried out yet", &self.tombstones),
            ("store_refusing_writes", "1 while writes are refused, such as on a full disk", &self.refusing),
        ];
        for (name, help, gauge) in gauges {
            r.register(name, help, gauge.clone());
        }
        let sizes = [
            ("store_head", "Memory of samples that no segment holds yet", &self.head),
            ("store_series", "Memory of series tables and indexes", &self.series),
            ("store_segment", "Segments on disk", &self.segment),
            ("store_wal", "Files of the write-ahead log", &self.wal),
            ("store_queue", "Records that wait for the disk", &self.queue),
            ("store_cache", "Decoded tables of segments", &self.cache),
        ];
        for (name, help, gauge) in sizes {
            r.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        let counters = [
            ("store_samples", "Samples committed", &self.samples),
            ("store_commits", "Group commits of the write-ahead log", &self.commits),
            ("store_commit_failures", "Group commits that failed", &self.commit_failures),
            ("store_flushes", "Heads written as segments", &self.flushes),
            ("store_flush_failures", "Flushes that failed and were tried again", &self.flush_failures),
            ("store_compactions", "Compactions", &self.compactions),
            ("store_compaction_failures", "Compactions that failed", &self.compaction_failures),
            ("store_segments_expired", "Segments dropped by retention", &self.expired),
        ];
        for (name, help, counter) in counters {
            r.register(name, help, counter.clone());
        }
        let help = "Bytes of records committed to the write-ahead log";
        r.register_with_unit("store_wal_written", help, Unit::Bytes, self.wal_written.clone());
    }

    pub(super) fn set(&self, stats: &Stats) {
        for (gauge, value) in [
            (&self.active_series, stats.active_series as u64),
            (&self.head_samples, stats.head_samples),
            (&self.head, stats.head_bytes as u64),
            (&self.series, stats.series_bytes as u64),
            (&self.segments, stats.segments as u64),
            (&self.segment, stats.segment_bytes),
            (&self.segment_samples, stats.segment_samples),
            (&self.wal, stats.wal_bytes),
            (&self.queue, stats.queue_bytes as u64),
            (&self.cache, stats.cache_bytes as u64),
            (&self.tombstones, stats.tombstones as u64),
            (&self.refusing, u64::from(stats.refused.is_some())),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        for (counter, total) in [
            (&self.samples, stats.samples_total),
            (&self.wal_written, stats.wal_bytes_total),
            (&self.commits, stats.commits_total),
            (&self.commit_failures, stats.commit_failures_total),
            (&self.flushes, stats.flushes_total),
            (&self.flush_failures, stats.flush_failures_total),
            (&self.compactions, stats.compactions_total),
            (&self.compaction_failures, stats.compaction_failures_total),
            (&self.expired, stats.segments_expired_total),
        ] {
            // A store that was opened anew counts from zero; ours goes on.
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}
