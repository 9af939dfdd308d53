//! What a crash left in the log goes back into heads, while new writes are already taken.
//!
//! Each shard gets a head of its own for what is replayed, before all others, so that new writes win. It is
//! frozen when the last file is read. Records that are in segments are passed over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use model::record::columns;
use model::{Signal, TenantId};

use super::Engine;
use crate::error::{Result, StoreError};
use crate::heads::Frozen;
use crate::manifest::State;
use crate::metrics::{self, LocalId, MetricHead, MetricRows, MetricShard, payload};
use crate::rows::{self, RowHead, RowShard};
use crate::wal::{FileReader, ShardKey, Wal};

/// Records of one step.
const STEP_RECORDS: usize = 256;

/// How far replay is.
pub(super) struct Replay {
    file_nos: VecDeque<u64>,
    last_seq: u64,
    state: Arc<State>,
    current: Option<CurrentFile>,
    /// The file before and the last sequence in it.
    before: Option<(String, u64, u64)>,
    shards: BTreeMap<ShardKey, ReplayShard>,
}

struct CurrentFile {
    no: u64,
    reader: FileReader,
    seq_next: u64,
    last: BTreeMap<ShardKey, u64>,
}

/// A shard and the head for what is replayed of it.
enum ReplayShard {
    Metrics(ReplayMetrics),
    Rows { shard: Arc<RowShard>, head: Arc<RowHead> },
}

struct ReplayMetrics {
    shard: Arc<MetricShard>,
    head: Arc<MetricHead>,
    /// The epoch whose numbers `locals` translates.
    epoch: u64,
    locals: HashMap<LocalId, LocalId>,
}

impl Replay {
    pub(super) fn new(file_nos: Vec<u64>, last_seq: u64, state: Arc<State>) -> Self {
        let file_nos = file_nos.into();
        Self { file_nos, last_seq, state, current: None, before: None, shards: BTreeMap::new() }
    }
}

impl Engine {
    /// Replays a piece of the log; false when all of it is done. An error means that acknowledged rows
    /// cannot be read; it comes again with every call.
    pub fn replay_step(&self) -> Result<bool> {
        if let Some(failure) = self.replay_failure.get() {
            return Err(failure.clone());
        }
        let stepped = self.try_replay_step();
        if let Err(error) = &stepped {
            let _ = self.replay_failure.set(error.clone());
            // Wakes those who wait, so that they see the failure.
            self.replayed.send_modify(|_| {});
        }
        stepped
    }

    fn try_replay_step(&self) -> Result<bool> {
        let mut guard = self.replay.lock();
        let Some(replay) = &mut *guard else { return Ok(false) };
        if replay.current.is_none() && !self.next_file(replay)? {
            self.finish_replay(replay);
            *guard = None;
            return Ok(false);
        }
        for _ in 0..STEP_RECORDS {
            if !self.replay_record(replay)? {
                self.finish_file(replay);
                break;
            }
        }
        Ok(true)
    }

    /// Replays all of the log.
    pub fn replay_all(&self) -> Result<()> {
        while self.replay_step()? {}
        Ok(())
    }

    fn next_file(&self, replay: &mut Replay) -> Result<bool> {
        let Some(no) = replay.file_nos.front().copied() else { return Ok(false) };
        let Some(reader) = Wal::leftover(&*self.disk, no)? else {
            // If a record was lost with it, the next file's header tells.
            replay.file_nos.pop_front();
            self.wal.lock().adopt(no, 0, BTreeMap::new());
            return Ok(true);
        };
        let header = reader.header();
        if let Some((path, offset, last_seq)) = &replay.before
            && *last_seq < header.acknowledged_seq
        {
            let detail = format!(
                "records {} to {} were acknowledged and are not readable",
                last_seq + 1,
                header.acknowledged_seq
            );
            return Err(StoreError::corrupt(path, *offset, detail));
        }
        replay.file_nos.pop_front();
        let seq_next = header.first_seq;
        replay.current = Some(CurrentFile { no, reader, seq_next, last: BTreeMap::new() });
        Ok(true)
    }

    /// Applies the next record; false at the end of the file.
    fn replay_record(&self, replay: &mut Replay) -> Result<bool> {
        let Some(current) = &mut replay.current else { return Ok(false) };
        let (path, offset) = (current.reader.path().to_owned(), current.reader.offset());
        let Some(record) = current.reader.next_record()? else { return Ok(false) };
        if record.seq != current.seq_next {
            return Ok(false);
        }
        current.seq_next += 1;
        let corrupt = |detail: String| StoreError::corrupt(&path, offset, detail);
        let tenant = TenantId::new(record.tenant).map_err(|error| corrupt(error.to_string()))?;
        let signal = Signal::from_code(record.signal).filter(|signal| match record.kind {
            metrics::ROWS => *signal == Signal::Metrics,
            rows::CHUNKS => !columns(*signal).is_empty(),
            _ => false,
        });
        let Some(signal) = signal else {
            let found = u32::from(record.signal) << 8 | u32::from(record.kind);
            return Err(StoreError::TooNew { path, found, known: u32::from(rows::CHUNKS) });
        };
        let key = ShardKey { tenant, signal };
        current.last.insert(key.clone(), record.seq);
        if record.seq <= replay.state.flushed_seq(&key) {
            return Ok(true);
        }
        let unreadable = || corrupt("the rows are not readable".into());
        if record.kind == rows::CHUNKS {
            let (received_ms, chunks) =
                rows::payload::decode(signal, record.payload).ok_or_else(unreadable)?;
            let shard = self.row_shard(&key)?;
            let shard = replay.shards.entry(key).or_insert_with(|| {
                let head = shard.fresh();
                ReplayShard::Rows { shard, head }
            });
            if let ReplayShard::Rows { head, .. } = shard {
                head.apply(chunks, received_ms, record.seq);
            }
            return Ok(true);
        }
        let (epoch, rows) = payload::decode(record.payload).ok_or_else(unreadable)?;
        let shard = replay.shards.entry(key).or_insert_with_key(|key| {
            let shard = self.metric_shard(&key.tenant);
            let head = shard.begin_replay(self.epoch_first);
            ReplayShard::Metrics(ReplayMetrics { shard, head, epoch, locals: HashMap::new() })
        });
        let ReplayShard::Metrics(shard) = shard else { return Err(unreadable()) };
        let rows = shard.translated(epoch, rows, self.epoch_first);
        let rows = rows.ok_or_else(|| corrupt("a sample's series was never declared".into()))?;
        shard.head.apply(rows, record.seq);
        Ok(true)
    }

    fn finish_file(&self, replay: &mut Replay) {
        let Some(CurrentFile { no, reader, seq_next, last }) = replay.current.take() else { return };
        replay.before = Some((reader.path().to_owned(), reader.offset(), seq_next.saturating_sub(1)));
        tracing::debug!(file = reader.path(), end = reader.offset(), "replayed a file of the log");
        self.wal.lock().adopt(no, reader.len(), last);
    }

    fn finish_replay(&self, replay: &mut Replay) {
        let boundary_seq = replay.last_seq;
        for shard in std::mem::take(&mut replay.shards).into_values() {
            match shard {
                ReplayShard::Metrics(ReplayMetrics { shard, head, .. }) => {
                    shard.with_heads(|heads| heads.frozen.push_front(Frozen { head, boundary_seq }));
                }
                ReplayShard::Rows { shard, head } => {
                    shard.with_heads(|heads| heads.frozen.push_front(Frozen { head, boundary_seq }));
                }
            }
        }
        self.replayed.send_replace(true);
    }
}

impl ReplayMetrics {
    /// The rows with numbers of this head; `None` when a row's series was never declared.
    fn translated(&mut self, epoch: u64, mut rows: MetricRows, head_epoch: u64) -> Option<MetricRows> {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.locals.clear();
        }
        for declared in rows.declared.drain(..) {
            let slot = self.shard.replay_series(&declared.labels, head_epoch, rows.received_ms);
            self.locals.insert(declared.local, self.head.declare(slot));
        }
        for run in rows.runs.iter_mut().chain(&mut rows.histogram_runs) {
            run.local = *self.locals.get(&run.local)?;
        }
        for (local, _) in &mut rows.exemplars {
            *local = *self.locals.get(local)?;
        }
        Some(rows)
    }
}
