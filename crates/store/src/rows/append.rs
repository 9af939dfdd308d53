//! Decoded rows are checked, numbered and queued.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Attr, Reason, RecordLimits, Records, Refusal, Refusals, Value};
use tokio::sync::oneshot;

use super::chunk::{CHUNK_ROWS_MAX, Chunk};
use super::payload;
use super::shard::RowShard;
use crate::error::{Result, StoreError};
use crate::metrics::Staged;
use crate::queue::{Entry, Queue, Work};
use crate::wal::record;

/// Record kind of accepted rows.
pub(crate) const CHUNKS: u8 = 2;

/// Bytes of the rows of one write, each counted with its resource. A few bytes of a resource stand for many rows,
/// so the size of a body does not bound this.
const WRITE_BYTES_MAX: usize = 512 << 20;

const NS_OF_MS: i64 = 1_000_000;

/// What a write may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRules<'a> {
    pub(crate) limits: &'a RecordLimits,
    pub(crate) now_ms: i64,
    /// Rows before are outside retention.
    pub(crate) oldest_ms: i64,
}

/// Checks and queues a write.
pub(crate) fn stage(
    shard: &Arc<RowShard>,
    records: &Records,
    rules: RowRules<'_>,
    queue: &Queue,
) -> Result<Staged> {
    queue.admit()?;
    let mut checker = Checker::new(records, rules);
    let accepted: Vec<u32> = (0..records.len() as u32).filter(|row| checker.accepts(*row as usize)).collect();
    let Checker { refusals, bytes, .. } = checker;
    let too_large = |value: usize, limit: usize| {
        let (value, limit) = (value as u64, limit as u64);
        StoreError::TooLarge { what: "one write, in bytes", value, limit }
    };
    if bytes > WRITE_BYTES_MAX {
        return Err(too_large(bytes, WRITE_BYTES_MAX));
    }
    let mut staged =
        Staged { seq: 0, accepted: accepted.len(), histograms: 0, exemplars: 0, refusals, done: None };
    if accepted.is_empty() {
        return Ok(staged);
    }
    let chunks = accepted.chunks(CHUNK_ROWS_MAX).map(|rows| Arc::new(Chunk::of_rows(records, rows)));
    let chunks: Vec<Arc<Chunk>> = chunks.collect();
    let mut bytes = Vec::new();
    record::begin(&mut bytes, shard.key.signal.code(), CHUNKS, &shard.key.tenant);
    if !payload::encode(&chunks, rules.now_ms, &mut bytes) || bytes.len() > record::RECORD_BYTES_MAX {
        return Err(too_large(bytes.len(), record::RECORD_BYTES_MAX));
    }
    let (sender, done) = oneshot::channel();
    let mut seq_last = shard.seq_last.lock();
    let seq = queue.push(|seq| {
        record::number(&mut bytes, seq);
        let work = Work::Rows { shard: Arc::clone(shard), chunks, received_ms: rules.now_ms };
        Entry { seq, record: bytes, work, done: sender }
    })?;
    *seq_last = seq;
    (staged.seq, staged.done) = (seq, Some(done));
    Ok(staged)
}

/// Why a row is refused: field, class, text.
type Fault = (&'static str, Reason, String);

struct Checker<'a> {
    records: &'a Records,
    rules: RowRules<'a>,
    refusals: Refusals,
    /// Of the accepted rows.
    bytes: usize,
    /// Bytes of each resource, or what is wrong with it.
    resources: HashMap<u32, Result<usize, Fault>>,
}

impl<'a> Checker<'a> {
    fn new(records: &'a Records, rules: RowRules<'a>) -> Self {
        Self { records, rules, refusals: Refusals::default(), bytes: 0, resources: HashMap::new() }
    }

    fn accepts(&mut self, row: usize) -> bool {
        match self.check(row) {
            Ok(bytes) => {
                self.bytes = self.bytes.saturating_add(bytes);
                true
            }
            Err((field, reason, message)) => {
                let index = self.records.rows[row].index as usize;
                self.refusals.push(Refusal { index, field: field.into(), reason, message, items: 1 });
                false
            }
        }
    }

    /// The bytes of a row and its resource.
    fn check(&mut self, row: usize) -> Result<usize, Fault> {
        let Self { records, rules, .. } = *self;
        check_time(records, row, rules)?;
        let of_resource = self.resources.entry(records.rows[row].resource);
        let of_resource = of_resource
            .or_insert_with(|| attrs_bytes(records, records.resource_of(row), "resource", rules.limits));
        let of_resource = of_resource.clone()?;
        let of_fields: usize = records.fields_of(row).iter().map(|value| value_bytes(*value)).sum();
        let of_attrs = attrs_bytes(records, records.attrs_of(row), "attributes", rules.limits)?;
        let bytes = of_resource + of_fields + of_attrs;
        let limit = rules.limits.row_bytes_max;
        if bytes > limit {
            let message = format!("the row has {bytes} bytes, more than {limit}; shorten its texts");
            return Err(("row", Reason::RecordTooLarge, message));
        }
        Ok(bytes)
    }
}

fn check_time(records: &Records, row: usize, rules: RowRules<'_>) -> Result<(), Fault> {
    let field = model::record::columns(records.signal).first().map_or("timestamp", |column| column.name);
    let t_ms = records.time_ns(row).div_euclid(NS_OF_MS);
    let RowRules { limits, now_ms, oldest_ms } = rules;
    if t_ms < oldest_ms {
        let message = format!(
            "time {t_ms} ms is before {oldest_ms} ms, where retention ends; send newer rows or lengthen retention"
        );
        return Err((field, Reason::OutsideRetention, message));
    }
    if t_ms > now_ms.saturating_add(limits.future_ms_max) {
        let message = format!(
            "time {t_ms} ms is more than {} ms ahead of the server's clock ({now_ms} ms); check the sender's clock",
            limits.future_ms_max
        );
        return Err((field, Reason::TooFarInFuture, message));
    }
    Ok(())
}

fn attrs_bytes(
    records: &Records,
    attrs: &[Attr],
    field: &'static str,
    limits: &RecordLimits,
) -> Result<usize, Fault> {
    if attrs.len() > limits.attrs_max {
        let message = format!("{} attributes are more than {}; send fewer", attrs.len(), limits.attrs_max);
        return Err((field, Reason::RecordTooLarge, message));
    }
    let mut bytes = 0;
    for attr in attrs {
        let len = attr.key.len as usize;
        if len > limits.key_bytes_max {
            let key: String = String::from_utf8_lossy(attr.key.of(&records.text)).chars().take(80).collect();
            let message =
                format!("the key {key:?}… has {len} bytes, more than {}; shorten it", limits.key_bytes_max);
            return Err((field, Reason::LabelTooLong, message));
        }
        bytes += len + value_bytes(attr.value);
    }
    Ok(bytes)
}

fn value_bytes(value: Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) | Value::Double(_) => 8,
        Value::Text(span) | Value::Json(span) | Value::Bytes(span) => span.len as usize,
    }
}
