//! Decoded tables and timestamps, shared by all segments of a data folder, least recently used first out.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::Table;
use crate::rows::segment::RowTable;

/// What something is filed under: the number of an open segment, and which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum CacheKey {
    /// Its series table.
    Table(u64),
    /// One of its vectors of timestamps.
    Times(u64, u32),
}

#[derive(Clone)]
enum Cached {
    Table(Arc<Table>),
    Times(Arc<[i64]>),
    Rows(Arc<RowTable>),
}

struct Slot {
    cached: Cached,
    bytes: usize,
    used: u64,
}

#[derive(Default)]
struct Slots {
    slots: HashMap<CacheKey, Slot>,
    by_use: BTreeMap<u64, CacheKey>,
    bytes: usize,
    uses: u64,
    segments: u64,
}

/// Decoded series tables and vectors of timestamps under a byte budget.
///
/// The budget bounds what is kept, not what is in use. A table larger than the budget is kept alone until
/// another needs the room, because decoding it again for every question would cost far more.
pub struct TableCache {
    slots: Mutex<Slots>,
    bytes_max: usize,
}

/// Memory of an entry beside its content.
const SLOT_BYTES: usize = 128;

impl TableCache {
    /// A cache that keeps at most this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { slots: Mutex::default(), bytes_max }
    }

    /// Bytes that are kept now.
    pub fn bytes(&self) -> usize {
        self.slots.lock().bytes
    }

    /// A number for a newly opened segment.
    pub(crate) fn next_segment(&self) -> u64 {
        let slots = &mut *self.slots.lock();
        slots.segments += 1;
        slots.segments
    }

    pub(crate) fn table(&self, segment: u64) -> Option<Arc<Table>> {
        match self.get(CacheKey::Table(segment))? {
            Cached::Table(table) => Some(table),
            Cached::Times(_) | Cached::Rows(_) => None,
        }
    }

    pub(crate) fn times(&self, segment: u64, vector: u32) -> Option<Arc<[i64]>> {
        match self.get(CacheKey::Times(segment, vector))? {
            Cached::Times(times) => Some(times),
            Cached::Table(_) | Cached::Rows(_) => None,
        }
    }

    /// What is known of a segment of rows.
    pub(crate) fn rows(&self, segment: u64) -> Option<Arc<RowTable>> {
        match self.get(CacheKey::Table(segment))? {
            Cached::Rows(table) => Some(table),
            Cached::Table(_) | Cached::Times(_) => None,
        }
    }

    pub(crate) fn put_rows(&self, segment: u64, table: Arc<RowTable>) {
        let bytes = table.bytes();
        self.put(CacheKey::Table(segment), Cached::Rows(table), bytes);
    }

    pub(crate) fn put_table(&self, segment: u64, table: Arc<Table>) {
        let bytes = table.bytes();
        self.put(CacheKey::Table(segment), Cached::Table(table), bytes);
    }

    pub(crate) fn put_times(&self, segment: u64, vector: u32, times: Arc<[i64]>) {
        let bytes = 8 * times.len();
        self.put(CacheKey::Times(segment, vector), Cached::Times(times), bytes);
    }

    /// Forgets everything of a segment that is closed.
    pub(crate) fn forget(&self, segment: u64) {
        let slots = &mut *self.slots.lock();
        let of_segment = |key: &CacheKey| match key {
            CacheKey::Table(s) | CacheKey::Times(s, _) => *s == segment,
        };
        let keys: Vec<CacheKey> = slots.slots.keys().copied().filter(of_segment).collect();
        for key in keys {
            slots.remove(key);
        }
    }

    fn get(&self, key: CacheKey) -> Option<Cached> {
        let slots = &mut *self.slots.lock();
        let slot = slots.slots.get_mut(&key)?;
        slots.by_use.remove(&slot.used);
        slots.uses += 1;
        slot.used = slots.uses;
        slots.by_use.insert(slot.used, key);
        Some(slot.cached.clone())
    }

    fn put(&self, key: CacheKey, cached: Cached, bytes: usize) {
        let bytes = bytes + SLOT_BYTES;
        if bytes > self.bytes_max && matches!(cached, Cached::Times(_)) {
            return;
        }
        let slots = &mut *self.slots.lock();
        slots.remove(key);
        slots.uses += 1;
        let used = slots.uses;
        slots.slots.insert(key, Slot { cached, bytes, used });
        slots.by_use.insert(used, key);
        slots.bytes += bytes;
        while slots.bytes > self.bytes_max {
            let Some((_, &oldest)) = slots.by_use.first_key_value().filter(|(_, oldest)| **oldest != key)
            else {
                break;
            };
            slots.remove(oldest);
        }
    }
}

impl Slots {
    fn remove(&mut self, key: CacheKey) {
        if let Some(slot) = self.slots.remove(&key) {
            self.by_use.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let cache = TableCache::new(3 * (800 + SLOT_BYTES));
        let times: Arc<[i64]> = vec![0; 100].into();
        for vector in 0..3 {
            cache.put_times(1, vector, times.clone());
        }
        assert!(cache.times(1, 0).is_some());
        cache.put_times(2, 0, times.clone());
        assert!(cache.times(1, 1).is_none(), "the oldest went");
        assert!(cache.times(1, 0).is_some() && cache.times(1, 2).is_some() && cache.times(2, 0).is_some());
        assert_eq!(cache.bytes(), 3 * (800 + SLOT_BYTES));
        cache.put_times(3, 0, vec![0; 1000].into());
        assert!(cache.times(3, 0).is_none(), "larger than the budget");
        cache.forget(1);
        assert_eq!(cache.bytes(), 800 + SLOT_BYTES);
    }
}
