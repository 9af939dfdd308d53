//! The process's memory limit, and who may take from it.
//!
//! Whatever is larger than 64 KB reserves before it allocates. Classes yield in order: caches first, then
//! queries, then heads (which flush early), then requests. A class may fill the limit only up to its own
//! ceiling, so that those who yield later always find room; and before a reservation is refused, those who
//! yield earlier are asked to give memory back.

mod detect; // what the machine or its cgroup allows

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use serde::Serialize;

pub use detect::{MemoryLimit, detect, detect_at};

/// Smaller allocations are covered by the share of the machine that the limit leaves out.
pub const UNRESERVED_BYTES_MAX: u64 = 64 << 10;

/// Who asks. The order is the order of yielding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Can be forgotten at any time.
    Cache,
    /// Can spill or be refused.
    Query,
    /// Can be flushed early.
    Head,
    /// A body being received or decoded; refused with 429 or 503 at the limit.
    Request,
}

impl Class {
    /// Every class, first to yield first.
    pub const ALL: [Self; 4] = [Self::Cache, Self::Query, Self::Head, Self::Request];

    /// The spelling in metrics and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Query => "query",
            Self::Head => "head",
            Self::Request => "request",
        }
    }

    /// Share of the limit, in percent, up to which this class may fill the total.
    fn ceiling_percent(self) -> u64 {
        match self {
            Self::Cache => 70,
            Self::Query => 85,
            Self::Head => 95,
            Self::Request => 100,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How full the budget is, by what is refused next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pressure {
    /// Every class is served.
    None,
    /// Caches get no more.
    Caches,
    /// Queries must spill or wait.
    Queries,
    /// Heads must flush.
    Heads,
}

/// What is reserved now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The limit, bytes.
    pub limit: u64,
    /// Reserved in all, bytes.
    pub used: u64,
    /// The most ever reserved at once, bytes.
    pub peak: u64,
    /// Reservations refused since start.
    pub refused: u64,
    /// Reserved by class, bytes, first to yield first.
    pub by_class: [(Class, u64); 4],
    /// What is refused next.
    pub pressure: Pressure,
}

/// No room, even after asking those who yield earlier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory budget exhausted: {class} asked for {wanted} bytes, {used} of {limit} are in use; \
     send less at once, wait, or raise memory.limit"
)]
pub struct Exhausted {
    /// Who asked.
    pub class: Class,
    /// For how much, bytes.
    pub wanted: u64,
    /// What was in use, bytes.
    pub used: u64,
    /// Of how much, bytes.
    pub limit: u64,
}

/// Gives memory back when asked: drops cache entries, makes a query spill, starts a flush.
pub trait Reclaim: Send + Sync {
    /// Tries to release about `bytes` and returns what was released before returning. Must not block for
    /// long, and must not reserve.
    fn reclaim(&self, bytes: u64) -> u64;
}

/// The memory budget of the process. Clones share it.
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

struct Inner {
    limit: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
    refused: AtomicU64,
    by_class: [AtomicU64; 4],
    // Only taken when a reservation does not fit.
    reclaimers: RwLock<Vec<(Class, Arc<dyn Reclaim>)>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Budget").field(&self.usage()).finish()
    }
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        let inner = Inner {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            by_class: Default::default(),
            reclaimers: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A budget of a share of what this process's cgroup, or the machine, has.
    pub fn of_machine() -> Self {
        Self::new(detect(None).bytes)
    }

    /// The limit, bytes.
    pub fn limit(&self) -> u64 {
        self.inner.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. What is reserved stays so, even above it.
    pub fn set_limit(&self, limit: u64) {
        self.inner.limit.store(limit, Ordering::Relaxed);
    }

    /// Registers someone who can give memory of `class` back. Kept until the budget goes.
    pub fn on_pressure(&self, class: Class, reclaimer: Arc<dyn Reclaim>) {
        let mut reclaimers = self.inner.reclaimers.write();
        reclaimers.push((class, reclaimer));
        reclaimers.sort_by_key(|(class, _)| *class);
    }

    /// Reserves `bytes`, which are given back when the reservation is dropped. Costs a few atomic
    /// operations unless memory is short.
    pub fn reserve(&self, bytes: u64, class: Class) -> Result<Reservation, Exhausted> {
        self.take(bytes, class)?;
        Ok(Reservation { budget: self.clone(), class, bytes })
    }

    /// Reserves only if there is room now, asking nobody to yield. For caches that would otherwise evict
    /// each other, and for hot loops.
    pub fn try_reserve(&self, bytes: u64, class: Class) -> Option<Reservation> {
        self.try_take(bytes, class).then(|| Reservation { budget: self.clone(), class, bytes })
    }

    /// Reserved in all, bytes.
    pub fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// What is refused next.
    pub fn pressure(&self) -> Pressure {
        let used = u128::from(self.used()) * 100;
        let limit = u128::from(self.limit());
        let full = |class: Class| used >= limit * u128::from(class.ceiling_percent());
        if full(Class::Head) {
            Pressure::Heads
        } else if full(Class::Query) {
            Pressure::Queries
        } else if full(Class::Cache) {
            Pressure::Caches
        } else {
            Pressure::None
        }
    }

    /// A picture of the budget. The parts are read one after the other, so they may differ by what was
    /// reserved in between.
    pub fn usage(&self) -> Usage {
        Usage {
            limit: self.limit(),
            used: self.used(),
            peak: self.inner.peak.load(Ordering::Relaxed),
            refused: self.inner.refused.load(Ordering::Relaxed),
            by_class: Class::ALL
                .map(|class| (class, self.inner.by_class[class as usize].load(Ordering::Relaxed))),
            pressure: self.pressure(),
        }
    }

    fn take(&self, bytes: u64, class: Class) -> Result<(), Exhausted> {
        if self.try_take(bytes, class) {
            return Ok(());
        }
        // The list is copied so that a reclaimer may release, or register another, while it runs.
        let reclaimers = self.inner.reclaimers.read().clone();
        for (_, reclaimer) in reclaimers.iter().filter(|(owner, _)| *owner <= class) {
            let over = self.used().saturating_add(bytes).saturating_sub(self.ceiling(class));
            reclaimer.reclaim(over.max(bytes));
            if self.try_take(bytes, class) {
                return Ok(());
            }
        }
        self.inner.refused.fetch_add(1, Ordering::Relaxed);
        Err(Exhausted { class, wanted: bytes, used: self.used(), limit: self.limit() })
    }

    fn ceiling(&self, class: Class) -> u64 {
        let ceiling = u128::from(self.limit()) * u128::from(class.ceiling_percent()) / 100;
        u64::try_from(ceiling).unwrap_or(u64::MAX)
    }

    fn try_take(&self, bytes: u64, class: Class) -> bool {
        let ceiling = self.ceiling(class);
        let taken = self.inner.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|total| *total <= ceiling)
        });
        if let Ok(before) = taken {
            self.inner.by_class[class as usize].fetch_add(bytes, Ordering::Relaxed);
            self.inner.peak.fetch_max(before + bytes, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    fn give_back(&self, bytes: u64, class: Class) {
        self.inner.by_class[class as usize].fetch_sub(bytes, Ordering::Relaxed);
        self.inner.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Memory that was promised. Dropping it gives the memory back.
#[must_use = "the memory is given back when the reservation is dropped"]
pub struct Reservation {
    budget: Budget,
    class: Class,
    bytes: u64,
}

impl Reservation {
    /// How much is held, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Asks for more.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.budget.take(bytes, self.class)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives part back; more than is held gives everything back.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.give_back(bytes, self.class);
    }

    /// Holds exactly `bytes` from now on. An error leaves the reservation as it was.
    pub fn resize(&mut self, bytes: u64) -> Result<(), Exhausted> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more),
            None => {
                self.shrink(self.bytes - bytes);
                Ok(())
            }
        }
    }

    /// Moves part of it (at most all) into a reservation of its own.
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), class: self.class, bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes, self.class);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({} bytes of {})", self.bytes, self.class)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_class_stops_at_its_own_ceiling() {
        for (class, ceiling) in
            [(Class::Cache, 700), (Class::Query, 850), (Class::Head, 950), (Class::Request, 1000)]
        {
            let budget = Budget::new(1000);
            assert!(budget.reserve(ceiling + 1, class).is_err(), "{class}");
            let held = budget.reserve(ceiling, class).unwrap();
            assert_eq!(budget.used(), ceiling);
            drop(held);
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn pressure_names_who_is_refused_next() {
        let budget = Budget::new(1000);
        let mut held = budget.reserve(0, Class::Request).unwrap();
        for (bytes, want) in [
            (0, Pressure::None),
            (699, Pressure::None),
            (700, Pressure::Caches),
            (850, Pressure::Queries),
            (950, Pressure::Heads),
        ] {
            held.resize(bytes).unwrap();
            assert_eq!(budget.pressure(), want, "{bytes}");
        }
    }

    /// A cache that drops what it holds when asked.
    struct Cache(Mutex<Vec<Reservation>>);

    impl Reclaim for Cache {
        fn reclaim(&self, bytes: u64) -> u64 {
            let mut freed = 0;
            let mut entries = self.0.lock();
            while freed < bytes {
                let Some(entry) = entries.pop() else { break };
                freed += entry.bytes();
            }
            freed
        }
    }

    #[test]
    fn caches_yield_to_requests_before_any_is_refused() {
        let budget = Budget::new(1000);
        let entries = (0..7).map(|_| budget.reserve(100, Class::Cache).unwrap()).collect();
        let cache = Arc::new(Cache(Mutex::new(entries)));
        budget.on_pressure(Class::Cache, cache.clone());
        let body = budget.reserve(600, Class::Request).unwrap();
        assert!(cache.0.lock().len() < 7);
        assert!(budget.used() <= 1000);
        let refused = budget.reserve(500, Class::Request).unwrap_err();
        assert_eq!((refused.wanted, refused.limit), (500, 1000));
        assert_eq!(budget.usage().refused, 1);
        drop(body);
    }

    #[test]
    fn a_cache_does_not_push_out_requests() {
        let budget = Budget::new(1000);
        let _body = budget.reserve(700, Class::Request).unwrap();
        assert!(budget.reserve(1, Class::Cache).is_err());
        assert!(budget.try_reserve(1, Class::Query).is_some());
    }

    #[test]
    fn threads_never_reserve_more_than_the_limit() {
        let budget = Budget::new(10_000);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let budget = budget.clone();
                crate::spawn::thread("reserve", move || {
                    for size in 0..2_000u64 {
                        if let Ok(held) = budget.reserve(size % 4_000, Class::Request) {
                            assert!(budget.used() <= 10_000);
                            drop(held);
                        }
                    }
                })
                .unwrap()
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(budget.used(), 0);
        assert!(budget.usage().peak <= 10_000);
    }

    proptest! {
        #[test]
        fn whatever_happens_to_reservations_the_sums_hold(steps in prop::collection::vec((0u8..4, 0u64..600), 0..40)) {
            let budget = Budget::new(1000);
            let mut held = vec![];
            for (step, bytes) in steps {
                match step {
                    0 => held.extend(budget.reserve(bytes, Class::Query).ok()),
                    1 => drop(held.pop()),
                    2 => if let Some(last) = held.last_mut() { let _ = last.resize(bytes); },
                    _ => if let Some(part) = held.last_mut().map(|last| last.split(bytes)) { held.push(part) },
                }
                prop_assert_eq!(budget.used(), held.iter().map(Reservation::bytes).sum::<u64>());
            }
            drop(held);
            prop_assert_eq!(budget.used(), 0);
        }
    }
}
