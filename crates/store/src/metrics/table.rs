//! What staging keeps of each series: where to find it by fingerprint, and its number in the current head.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use hashbrown::HashMap;
use model::Labels;

use super::index::SeriesIndex;
use super::rows::{LocalId, Slot};

/// Other spellings (orders, protocols) of one series that are remembered; more are looked up the slow way.
const ALIASES_MAX: u8 = 8;

/// A fingerprint in halves, which takes a quarter less room in the map than a whole number with its alignment.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    low: u64,
    high: u64,
}

impl From<u128> for Key {
    fn from(fingerprint: u128) -> Self {
        Self { low: fingerprint as u64, high: (fingerprint >> 64) as u64 }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, low: u64) {
        self.0 = low;
    }
}

#[derive(Clone, Copy)]
struct SlotState {
    /// The epoch in which `local` holds and in which the log has the series' declaration.
    epoch: u64,
    local: LocalId,
    aliases: u8,
    in_use: bool,
    seen_ms: i64,
}

const UNUSED: SlotState = SlotState { epoch: 0, local: 0, aliases: 0, in_use: false, seen_ms: 0 };

/// The series that a shard has seen within the last hour or so.
#[derive(Default)]
pub(crate) struct SeriesTable {
    by_fingerprint: HashMap<Key, Slot, BuildHasherDefault<Low>>,
    states: Vec<SlotState>,
    in_use: usize,
}

impl SeriesTable {
    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.in_use
    }

    /// Rough size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.by_fingerprint.capacity() * (size_of::<(Key, Slot)>() + 1)
            + self.states.capacity() * size_of::<SlotState>()
    }

    /// The series of a fingerprint.
    pub(crate) fn find(&self, fingerprint: u128) -> Option<Slot> {
        self.by_fingerprint.get(&Key::from(fingerprint)).copied()
    }

    /// The series' number in the head of this epoch; `None` where it has to be declared first.
    pub(crate) fn local(&mut self, slot: Slot, epoch: u64, now_ms: i64) -> Option<LocalId> {
        let state = &mut self.states[slot as usize];
        state.seen_ms = now_ms;
        (state.epoch == epoch).then_some(state.local)
    }

    /// Notes that the head of an earlier epoch has the series, so that it is not forgotten before the head.
    pub(crate) fn keep_for(&mut self, slot: Slot, epoch: u64) {
        let state = &mut self.states[slot as usize];
        state.epoch = state.epoch.max(epoch);
    }

    /// Notes the series' number in the head of this epoch.
    pub(crate) fn declare(&mut self, slot: Slot, epoch: u64, local: LocalId) {
        let state = &mut self.states[slot as usize];
        (state.epoch, state.local) = (epoch, local);
    }

    /// Takes a declaration back: its record never got to the log. The series stays as recent as the epoch
    /// before, because a head of that epoch may have it.
    pub(crate) fn undeclare(&mut self, slot: Slot) {
        self.states[slot as usize].epoch -= 1;
    }

    /// Adds a series that is not there yet.
    pub(crate) fn insert(
        &mut self,
        canonical: u128,
        labels: Labels,
        index: &mut SeriesIndex,
        now_ms: i64,
    ) -> Slot {
        let slot = index.insert(labels);
        if self.states.len() <= slot as usize {
            self.states.resize(slot as usize + 1, UNUSED);
        }
        self.states[slot as usize] = SlotState { in_use: true, seen_ms: now_ms, ..UNUSED };
        self.by_fingerprint.insert(canonical.into(), slot);
        self.in_use += 1;
        slot
    }

    /// Remembers another fingerprint of a series, unless it has many already.
    pub(crate) fn alias(&mut self, fingerprint: u128, slot: Slot) {
        let state = &mut self.states[slot as usize];
        if state.aliases < ALIASES_MAX {
            state.aliases += 1;
            self.by_fingerprint.insert(fingerprint.into(), slot);
        }
    }

    /// Forgets the series that were last seen before `seen_before_ms` and that only heads older than `epoch`
    /// had. Returns how many.
    pub(crate) fn forget(&mut self, seen_before_ms: i64, epoch: u64, index: &mut SeriesIndex) -> usize {
        let mut forgotten = 0;
        for (slot, state) in self.states.iter_mut().enumerate() {
            if state.in_use && state.seen_ms < seen_before_ms && state.epoch < epoch {
                *state = UNUSED;
                index.remove(slot as Slot);
                forgotten += 1;
            }
        }
        if forgotten > 0 {
            self.by_fingerprint.retain(|_, slot| self.states[*slot as usize].in_use);
            self.in_use -= forgotten;
        }
        forgotten
    }
}
