//! The store without threads: every step is a call, so that a simulation can choose their order.
//!
//! [`Engine::append`] stages a write, [`Engine::commit_once`] makes all staged writes durable and visible,
//! [`Engine::flush_once`] turns a frozen head into a segment, [`Engine::replay_step`] reads back what a crash
//! left in the log, and [`Engine::tick`] decides what is due. `Store` calls them from its threads.

mod commit; // staged to durable and visible
mod delete; // samples that go
mod evict; // what goes when there is no room
mod flush; // heads to segments
mod remove; // a tenant with everything it has
mod replay; // log to heads
mod upkeep; // what is due

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::{HashMap, HashSet};
use model::{MetricBatch, MetricLimits, RecordLimits, Records, Signal, TenantId, record};
use parking_lot::{Mutex, RwLock};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use crate::compact::Aside;
use crate::disk::Disk;
use crate::durable;
use crate::error::{Result, StoreError};
use crate::manifest::{Edit, Manifest, State};
use crate::metrics::{self, MetricShard, Rules, Staged};
use crate::queue::Queue;
use crate::rows::{self, HeadSampler, Room, RowRetention, RowRules, RowShard};
use crate::segment::{SegmentId, TableCache};
use crate::settings::Settings;
use crate::shard::Shard;
use crate::view::View;
use crate::wal::{ShardKey, Wal};

/// Where segments are.
const TENANTS: &str = "tenants";

/// Counts of what happened since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) samples: AtomicU64,
    pub(crate) rows: AtomicU64,
    /// Rows that a sampler dropped when their head was flushed.
    pub(crate) rows_sampled: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) commit_failures: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_failures: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) compaction_failures: AtomicU64,
    pub(crate) segments_expired: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// The store without threads.
pub struct Engine {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) settings: Settings,
    queue: Queue,
    /// Taken by whoever commits, so that groups are applied one after the other.
    committing: Mutex<()>,
    wal: Mutex<Wal>,
    manifest: Mutex<Manifest>,
    view: RwLock<Arc<View>>,
    shards: RwLock<BTreeMap<ShardKey, Shard>>,
    retention: RwLock<HashMap<TenantId, Option<i64>>>,
    row_retention: RwLock<HashMap<ShardKey, Arc<RowRetention>>>,
    replay: Mutex<Option<replay::Replay>>,
    replayed: watch::Sender<bool>,
    replay_failure: OnceLock<StoreError>,
    /// Bytes of all heads, as of the last look.
    heads_bytes: AtomicUsize,
    /// Told whenever a head was flushed.
    flushed: Notify,
    /// The newest file of the log when a delete was asked for, by the delete's number.
    deleted_in_log: Mutex<BTreeMap<u64, u64>>,
    /// The newest file of the log that the last run left.
    log_no_first: u64,
    /// Taken by whoever flushes, so that a shard's heads are flushed in order.
    flushing: Mutex<()>,
    /// Segments in which nothing was found of a delete or retention rule, by the number of either.
    pub(crate) cleared: Mutex<HashSet<(u64, SegmentId)>>,
    /// Says which spans are kept when a head is flushed.
    sampler: RwLock<Option<Arc<dyn HeadSampler>>>,
    /// What compaction leaves alone for a while.
    pub(crate) aside: Mutex<Aside>,
    /// Taken by whoever compacts.
    pub(crate) compacting: Mutex<()>,
    upkeep: Mutex<upkeep::Upkeep>,
    epoch_first: u64,
    id_next: AtomicU64,
    cache: Arc<TableCache>,
    pub(crate) counters: Counters,
}

impl Engine {
    /// Opens a data folder. Writes can be taken at once; reads need [`Self::replay_step`] to be done first.
    pub fn open(disk: Arc<dyn Disk>, settings: Settings) -> Result<Self> {
        let manifest = Manifest::open(Arc::clone(&disk))?;
        let state = manifest.state();
        remove_unlisted(&*disk, &state)?;
        let flushed_seq = state.flushed.values().copied().max().unwrap_or(0);
        let (mut wal, leftover) = Wal::open(Arc::clone(&disk), settings.wal_file_bytes, flushed_seq)?;
        if !state.tombstones.is_empty() || !state.row_tombstones.is_empty() {
            wal.note_delete();
        }
        let log_no_first = wal.newest_no();
        wal.roll(leftover.last_seq + 1, 0)?;
        // File numbers only ascend, so no epoch of this run was ever used before.
        let epoch_first = leftover.file_nos.last().copied().unwrap_or(0).max(wal.newest_no()) << 32;
        let cache = Arc::new(TableCache::new(settings.cache_bytes_max));
        let view = View::default().next(&state, &disk, &cache);
        let replay = replay::Replay::new(leftover.file_nos, leftover.last_seq, Arc::clone(&state));
        Ok(Self {
            queue: Queue::new(leftover.last_seq, settings.queue_bytes_max),
            committing: Mutex::new(()),
            wal: Mutex::new(wal),
            view: RwLock::new(Arc::new(view)),
            shards: RwLock::default(),
            retention: RwLock::default(),
            row_retention: RwLock::default(),
            replay: Mutex::new(Some(replay)),
            replayed: watch::Sender::new(false),
            replay_failure: OnceLock::new(),
            heads_bytes: AtomicUsize::new(0),
            flushed: Notify::new(),
            deleted_in_log: Mutex::default(),
            log_no_first,
            flushing: Mutex::new(()),
            cleared: Mutex::default(),
            sampler: RwLock::default(),
            aside: Mutex::default(),
            compacting: Mutex::new(()),
            upkeep: Mutex::default(),
            epoch_first,
            id_next: AtomicU64::new(state.id_next.max(1)),
            cache,
            counters: Counters::default(),
            manifest: Mutex::new(manifest),
            disk,
            settings,
        })
    }

    /// Checks, numbers and queues a write. Nothing of it is durable or visible before [`Staged::done`] says so.
    pub fn append(
        &self,
        tenant: &TenantId,
        batch: &MetricBatch,
        limits: &MetricLimits,
        now_ms: i64,
    ) -> Result<Staged> {
        self.admit()?;
        let oldest_ms = self.retention_ms(tenant).map_or(i64::MIN, |ms| now_ms.saturating_sub(ms));
        let rules = Rules { limits, now_ms, oldest_ms };
        metrics::stage(&self.metric_shard(tenant), batch, rules, &self.queue)
    }

    /// As [`Self::append`], for rows of logs, traces or events.
    pub fn append_records(
        &self,
        tenant: &TenantId,
        records: &Records,
        limits: &RecordLimits,
        now_ms: i64,
    ) -> Result<Staged> {
        self.admit()?;
        let key = ShardKey { tenant: tenant.clone(), signal: records.signal };
        let shard = self.row_shard(&key)?;
        let oldest_ms = self.row_retention(&key).oldest_ms(now_ms);
        rows::stage(&shard, records, RowRules { limits, now_ms, oldest_ms }, &self.queue)
    }

    /// Whether a head of rows may take more; a full one is frozen. Where the one before is kept back for the rest
    /// of its traces, nobody waits: all heads together have a bound of their own.
    pub(crate) fn make_room(&self, key: &ShardKey, now_ms: i64) -> Room {
        let Some(shard) = self.known_shard(key) else { return Room::Enough };
        let Shard::Rows(rows) = &shard else { return Room::Enough };
        match rows.make_room(self.settings.head_bytes_max) {
            Room::Full if !self.is_flush_due(&shard, now_ms) => Room::Enough,
            room => room,
        }
    }

    /// Ends when the next head is flushed.
    pub(crate) fn flushed(&self) -> Notified<'_> {
        self.flushed.notified()
    }

    /// Refuses writes while too much waits to be flushed.
    fn admit(&self) -> Result<()> {
        let bytes = self.heads_bytes.load(Ordering::Relaxed);
        if bytes <= 2 * self.settings.heads_bytes_max {
            return Ok(());
        }
        let reason = format!("{bytes} bytes of rows in memory wait to be flushed");
        Err(StoreError::Unavailable { reason })
    }

    /// Sets how long a tenant's samples are kept, milliseconds; `None` keeps all.
    pub fn set_retention(&self, tenant: &TenantId, retention_ms: Option<i64>) {
        self.retention.write().insert(tenant.clone(), retention_ms);
    }

    /// How long a tenant's samples are kept, milliseconds; `None` where all are.
    pub fn retention_ms(&self, tenant: &TenantId) -> Option<i64> {
        self.retention.read().get(tenant).copied().unwrap_or(self.settings.retention_ms)
    }

    /// Tells whether everything that the last run left in the log can be read.
    pub fn replayed(&self) -> watch::Receiver<bool> {
        self.replayed.subscribe()
    }

    /// Why the log of the last run cannot be read, if so.
    pub fn replay_failure(&self) -> Option<StoreError> {
        self.replay_failure.get().cloned()
    }

    /// Sets who is asked which spans are kept when a head of them is flushed.
    pub fn set_sampler(&self, sampler: Arc<dyn HeadSampler>) {
        *self.sampler.write() = Some(sampler);
    }

    /// Sets how long a tenant's rows of a signal are kept.
    pub fn set_row_retention(&self, tenant: &TenantId, signal: Signal, retention: RowRetention) {
        let key = ShardKey { tenant: tenant.clone(), signal };
        // Said with every write, and nearly always what is known.
        if self.row_retention.read().get(&key).is_some_and(|known| **known == retention) {
            return;
        }
        self.row_retention.write().insert(key, Arc::new(retention));
    }

    /// How long a shard's rows are kept.
    pub(crate) fn row_retention(&self, key: &ShardKey) -> Arc<RowRetention> {
        if let Some(set) = self.row_retention.read().get(key) {
            return Arc::clone(set);
        }
        let keep_ms = match key.signal {
            Signal::Logs => self.settings.logs_retention_ms,
            Signal::Traces => self.settings.traces_retention_ms,
            Signal::Events => self.settings.events_retention_ms,
            Signal::Checks => self.settings.checks_retention_ms,
            Signal::Audit => self.settings.audit_retention_ms,
            Signal::Metrics => None,
        };
        let rules = self.settings.retention_rules.iter().filter(|(signal, ..)| *signal == key.signal);
        let rules = rules.map(|(_, predicate, keep_ms)| (predicate.clone(), *keep_ms)).collect();
        Arc::new(RowRetention { keep_ms, rules })
    }

    /// The tenants that have telemetry of any kind, in memory or in segments.
    pub fn tenants(&self) -> Vec<TenantId> {
        let mut tenants: Vec<TenantId> = self.shards.read().keys().map(|key| key.tenant.clone()).collect();
        tenants.extend(self.view.read().shards.keys().map(|key| key.tenant.clone()));
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// A tenant's metrics.
    fn metric_shard(&self, tenant: &TenantId) -> Arc<MetricShard> {
        let key = ShardKey { tenant: tenant.clone(), signal: Signal::Metrics };
        if let Some(Shard::Metrics(shard)) = self.known_shard(&key) {
            return shard;
        }
        // The epoch before is for what is replayed.
        let make = |key| Arc::new(MetricShard::new(key, self.settings.seed, self.epoch_first + 1));
        let mut shards = self.shards.write();
        match shards.entry(key.clone()).or_insert_with(|| Shard::Metrics(make(key))) {
            Shard::Metrics(shard) => Arc::clone(shard),
            Shard::Rows(_) => unreachable!("a shard is of the kind of its signal"),
        }
    }

    /// A tenant's rows of a signal; an error where the signal has no rows.
    fn row_shard(&self, key: &ShardKey) -> Result<Arc<RowShard>> {
        if let Some(Shard::Rows(shard)) = self.known_shard(key) {
            return Ok(shard);
        }
        if record::columns(key.signal).is_empty() {
            return Err(StoreError::Refused(format!("{} are not rows", key.signal.as_str())));
        }
        let mut shards = self.shards.write();
        let make = || Shard::Rows(Arc::new(RowShard::new(key.clone())));
        match shards.entry(key.clone()).or_insert_with(make) {
            Shard::Rows(shard) => Ok(Arc::clone(shard)),
            Shard::Metrics(_) => unreachable!("a shard is of the kind of its signal"),
        }
    }

    pub(crate) fn known_shard(&self, key: &ShardKey) -> Option<Shard> {
        self.shards.read().get(key).cloned()
    }

    pub(crate) fn known_metrics(&self, tenant: &TenantId) -> Option<Arc<MetricShard>> {
        let key = ShardKey { tenant: tenant.clone(), signal: Signal::Metrics };
        match self.known_shard(&key) {
            Some(Shard::Metrics(shard)) => Some(shard),
            _ => None,
        }
    }

    pub(crate) fn all_shards(&self) -> Vec<Shard> {
        self.shards.read().values().cloned().collect()
    }

    /// The current view, and something of the heads taken at the same moment.
    pub(crate) fn view_with<T>(&self, also: impl FnOnce() -> T) -> (Arc<View>, T) {
        let view = self.view.read();
        let also = also();
        (Arc::clone(&view), also)
    }

    /// Takes a number for a segment or tombstone.
    pub(crate) fn take_id(&self) -> u64 {
        self.id_next.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes an edit durable, then visible together with what `also` changes.
    pub(crate) fn commit_edit(&self, edit: Edit, also: impl FnOnce()) -> Result<()> {
        let mut manifest = self.manifest.lock();
        let edit = Edit { id_next: self.id_next.load(Ordering::Relaxed), ..edit };
        let state = manifest.commit(&edit)?;
        let mut view = self.view.write();
        let next = Arc::new(view.next(&state, &self.disk, &self.cache));
        let last = std::mem::replace(&mut *view, next);
        also();
        drop(view);
        // Files of replaced segments may go here, which takes time.
        drop(last);
        Ok(())
    }

    pub(crate) fn manifest_state(&self) -> Arc<State> {
        self.manifest.lock().state()
    }

    /// The manifest's state and the view of it, which keeps the files that the state names.
    pub(crate) fn pinned(&self) -> (Arc<State>, Arc<View>) {
        let manifest = self.manifest.lock();
        (manifest.state(), Arc::clone(&self.view.read()))
    }

    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Bytes and number of the log's files.
    pub(crate) fn wal_size(&self) -> (u64, usize) {
        let wal = self.wal.lock();
        (wal.bytes(), wal.file_count())
    }

    pub(crate) fn is_replayed(&self) -> bool {
        *self.replayed.borrow()
    }
}

/// Removes the files of segments that were written but never got into the manifest, or went out of it.
fn remove_unlisted(disk: &dyn Disk, state: &State) -> Result<()> {
    let list = |dir: &str| disk.list(dir).map_err(|e| StoreError::io("list", dir, e));
    if !disk.exists(TENANTS).map_err(|e| StoreError::io("list", TENANTS, e))? {
        return Ok(());
    }
    let mut unlisted = Vec::new();
    for tenant in list(TENANTS)? {
        for signal in list(&format!("{TENANTS}/{tenant}"))? {
            for day in list(&format!("{TENANTS}/{tenant}/{signal}"))? {
                let dir = format!("{TENANTS}/{tenant}/{signal}/{day}");
                for name in list(&dir)? {
                    let id = name.split_once('.').and_then(|(id, _)| u64::from_str_radix(id, 16).ok());
                    if id.is_some_and(|id| !state.segments.contains_key(&SegmentId(id))) {
                        unlisted.push(format!("{dir}/{name}"));
                    }
                }
            }
        }
    }
    durable::remove_files(disk, unlisted.iter().map(String::as_str))
}

#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upkeep_tests;
