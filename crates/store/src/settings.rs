//! Settings of the store and their defaults.

use model::{Predicate, Signal};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Sizes and times. The defaults fit one machine with a few gigabytes of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Bytes of one file of the write-ahead log.
    pub wal_file_bytes: u64,
    /// Bytes of all its files above which the heads that keep the oldest are flushed.
    pub wal_bytes_max: u64,
    /// Bytes of records that may wait for the disk before writes are refused.
    pub queue_bytes_max: usize,
    /// Bytes of one head at which it is flushed.
    pub head_bytes_max: usize,
    /// Bytes of all heads together at which the largest are flushed; at twice as much writes are refused.
    pub heads_bytes_max: usize,
    /// Age at which a head is flushed, milliseconds.
    pub head_age_ms_max: i64,
    /// Time after which a series that nobody sends is no longer active, milliseconds.
    pub series_idle_ms_max: i64,
    /// Bytes of decoded series tables and timestamps of segments that are kept.
    pub cache_bytes_max: usize,
    /// How long samples are kept where nothing else is set for a tenant, milliseconds; `None` keeps all.
    pub retention_ms: Option<i64>,
    /// The same for log records.
    pub logs_retention_ms: Option<i64>,
    /// The same for spans.
    pub traces_retention_ms: Option<i64>,
    /// The same for events.
    pub events_retention_ms: Option<i64>,
    /// The same for runs of health checks.
    pub checks_retention_ms: Option<i64>,
    /// The same of the audit log.
    pub audit_retention_ms: Option<i64>,
    /// Rows that fulfil a predicate are kept for so many milliseconds instead; of a signal's rules the first that
    /// fits counts.
    pub retention_rules: Vec<(Signal, Predicate, i64)>,
    /// Bytes of all segments together above which the oldest go, whatever their retention; `None` for no bound.
    pub storage_bytes_max: Option<u64>,
    /// Free bytes of the disk below which the oldest segments go.
    pub free_bytes_min: u64,
    /// Seed of the look-up hashes; drawn at random for each process, so that nobody can prepare collisions.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wal_file_bytes: 64 << 20,
            wal_bytes_max: 512 << 20,
            queue_bytes_max: 64 << 20,
            head_bytes_max: 256 << 20,
            heads_bytes_max: 768 << 20,
            head_age_ms_max: 30 * 60 * 1000,
            series_idle_ms_max: 60 * 60 * 1000,
            cache_bytes_max: 256 << 20,
            retention_ms: Some(30 * DAY_MS),
            logs_retention_ms: Some(7 * DAY_MS),
            traces_retention_ms: Some(7 * DAY_MS),
            events_retention_ms: Some(30 * DAY_MS),
            checks_retention_ms: Some(30 * DAY_MS),
            audit_retention_ms: Some(365 * DAY_MS),
            retention_rules: Vec::new(),
            storage_bytes_max: None,
            free_bytes_min: 0,
            seed: 0,
        }
    }
}
