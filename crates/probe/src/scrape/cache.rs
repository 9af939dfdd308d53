//! What one target has sent: from the raw labels of a series to its final ones, and which series are alive.
//!
//! A series is relabelled once, when it is first seen; afterwards it costs a hash and a look-up. The same
//! table knows which series were there in the last scrape, so that one that vanishes gets its marker.

use hashbrown::HashTable;
use model::Labels;
use xxhash_rust::xxh3::xxh3_64;

/// Scrapes between two clean-ups. An entry that vanished stays at most twice that long.
const CLEAN_EVERY: u64 = 32;

/// Position of a series in the cache.
pub(crate) type SeriesId = u32;

#[derive(Debug)]
struct Raw {
    hash: u64,
    key: Box<[u8]>,
    /// `None` where metric relabelling drops it.
    series: Option<SeriesId>,
    seen: u64,
}

#[derive(Debug)]
struct Series {
    hash: u64,
    labels: Labels,
    /// The scrape it was last seen in.
    seen: u64,
    /// Whether it gets a marker when it is not seen.
    tracked: bool,
    /// Whether it was there, and tracked, in the last scrape that succeeded.
    alive: bool,
}

/// The series of one target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    scrape: u64,
    raw_index: HashTable<u32>,
    raw: Vec<Raw>,
    series_index: HashTable<u32>,
    series: Vec<Series>,
    added: u64,
}

impl SeriesCache {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.scrape += 1;
        self.added = 0;
        if self.scrape.is_multiple_of(CLEAN_EVERY) {
            self.clean();
        }
    }

    /// What is known about a raw series: unknown, dropped, or its final one.
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<Option<SeriesId>> {
        let hash = xxh3_64(key);
        let raw = &mut self.raw;
        let found = self.raw_index.find(hash, |i| *raw[*i as usize].key == *key)?;
        let entry = &mut raw[*found as usize];
        entry.seen = self.scrape;
        Some(entry.series)
    }

    /// Remembers what a raw series becomes.
    pub(crate) fn insert(&mut self, key: &[u8], labels: Option<Labels>) -> Option<SeriesId> {
        let series = labels.map(|labels| self.series_of(labels));
        let (hash, id) = (xxh3_64(key), self.raw.len() as u32);
        self.raw.push(Raw { hash, key: key.into(), series, seen: self.scrape });
        let raw = &self.raw;
        self.raw_index.insert_unique(hash, id, |i| raw[*i as usize].hash);
        series
    }

    /// The series of these final labels; two raw series may share it.
    pub(crate) fn series_of(&mut self, labels: Labels) -> SeriesId {
        let hash = xxh3_64(labels.packed().as_bytes());
        let series = &self.series;
        if let Some(id) = self.series_index.find(hash, |i| series[*i as usize].labels == labels) {
            return *id;
        }
        let id = self.series.len() as u32;
        self.series.push(Series { hash, labels, seen: 0, tracked: false, alive: false });
        self.added += 1;
        let series = &self.series;
        self.series_index.insert_unique(hash, id, |i| series[*i as usize].hash);
        id
    }

    /// The final labels of a series.
    pub(crate) fn labels(&self, id: SeriesId) -> &Labels {
        &self.series[id as usize].labels
    }

    /// Notes that a series is there; false when it was already seen in this scrape.
    pub(crate) fn see(&mut self, id: SeriesId, tracked: bool) -> bool {
        let series = &mut self.series[id as usize];
        let first = series.seen != self.scrape;
        series.seen = self.scrape;
        series.tracked = tracked || (!first && series.tracked);
        first
    }

    /// Series that this scrape brought for the first time.
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// Ends a scrape that succeeded; hands out the series that vanished.
    pub(crate) fn commit(&mut self, mut vanished: impl FnMut(&Labels)) {
        for series in &mut self.series {
            let here = series.seen == self.scrape && series.tracked;
            if series.alive && series.seen != self.scrape {
                vanished(&series.labels);
            }
            series.alive = here;
        }
    }

    /// Ends a scrape that failed, or the target itself: every series that was alive vanishes.
    pub(crate) fn fail(&mut self, mut vanished: impl FnMut(&Labels)) {
        for series in self.series.iter_mut().filter(|series| series.alive) {
            vanished(&series.labels);
            series.alive = false;
        }
    }

    /// Forgets how raw series map to final ones, because the rules changed; what is alive stays alive.
    pub(crate) fn forget_rules(&mut self) {
        self.raw.clear();
        self.raw_index.clear();
    }

    /// Forgets what has not been seen since the last clean-up.
    fn clean(&mut self) {
        let oldest = self.scrape.saturating_sub(CLEAN_EVERY);
        let mut raw: Vec<Raw> = self.raw.drain(..).filter(|raw| raw.seen >= oldest).collect();
        let mut moved: Vec<Option<SeriesId>> = vec![None; self.series.len()];
        let mut kept = Vec::new();
        let referred: Vec<SeriesId> = raw.iter().filter_map(|raw| raw.series).collect();
        for id in referred {
            moved[id as usize] = Some(0);
        }
        for (old, series) in self.series.drain(..).enumerate() {
            if moved[old].is_some() || series.alive || series.seen >= oldest {
                moved[old] = Some(kept.len() as u32);
                kept.push(series);
            }
        }
        for entry in &mut raw {
            entry.series = entry.series.and_then(|id| moved[id as usize]);
        }
        (self.raw, self.series) = (raw, kept);
        self.index();
    }

    fn index(&mut self) {
        self.raw_index = HashTable::with_capacity(self.raw.len());
        self.series_index = HashTable::with_capacity(self.series.len());
        for (i, raw) in self.raw.iter().enumerate() {
            self.raw_index.insert_unique(raw.hash, i as u32, |i| self.raw[*i as usize].hash);
        }
        for (i, series) in self.series.iter().enumerate() {
            self.series_index.insert_unique(series.hash, i as u32, |i| self.series[*i as usize].hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)]).expect("a name")
    }

    /// One scrape that brings `names`; what vanished.
    fn scrape(cache: &mut SeriesCache, names: &[&str], tracked: bool) -> Vec<String> {
        cache.begin();
        for name in names {
            let known = cache.get(name.as_bytes());
            let id = known.unwrap_or_else(|| cache.insert(name.as_bytes(), Some(labels(name))));
            cache.see(id.expect("kept"), tracked);
        }
        let mut vanished = Vec::new();
        cache.commit(|labels| vanished.push(labels.to_string()));
        vanished
    }

    #[test]
    fn a_series_vanishes_once() {
        let mut cache = SeriesCache::default();
        assert!(scrape(&mut cache, &["a", "b"], true).is_empty());
        assert_eq!(cache.added(), 2);
        assert_eq!(scrape(&mut cache, &["a"], true), ["b"]);
        assert!(scrape(&mut cache, &["a"], true).is_empty());
        assert!(scrape(&mut cache, &["a", "b"], true).is_empty());
        assert_eq!(cache.added(), 0, "it was known");
    }

    #[test]
    fn series_with_their_own_timestamps_do_not_vanish() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, &["a"], false);
        assert!(scrape(&mut cache, &[], false).is_empty());
    }

    #[test]
    fn after_a_failure_everything_vanishes_and_may_return() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, &["a", "b"], true);
        let mut vanished = 0;
        cache.begin();
        cache.fail(|_| vanished += 1);
        cache.fail(|_| vanished += 1);
        assert_eq!(vanished, 2);
        assert!(scrape(&mut cache, &["a"], true).is_empty());
        assert_eq!(scrape(&mut cache, &[], true), ["a"]);
    }

    #[test]
    fn a_partial_scrape_that_failed_leaves_no_trace() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, &["a"], true);
        cache.begin();
        let id = cache.insert(b"new", Some(labels("new"))).expect("kept");
        cache.see(id, true);
        let mut vanished = Vec::new();
        cache.fail(|labels| vanished.push(labels.to_string()));
        assert_eq!(vanished, ["a"]);
        assert!(scrape(&mut cache, &["a"], true).is_empty());
    }

    #[test]
    fn what_is_long_gone_is_forgotten_and_the_rest_still_found() {
        let mut cache = SeriesCache::default();
        for i in 0..200 {
            scrape(&mut cache, &["steady", &format!("passing{i}")], true);
        }
        assert!(cache.raw.len() <= 2 * CLEAN_EVERY as usize + 2, "{}", cache.raw.len());
        assert!(cache.series.len() <= 2 * CLEAN_EVERY as usize + 2, "{}", cache.series.len());
        assert_eq!(scrape(&mut cache, &[], true).len(), 2);
    }

    #[test]
    fn two_raw_series_may_become_one() {
        let mut cache = SeriesCache::default();
        cache.begin();
        let (a, b) = (cache.insert(b"a", Some(labels("x"))), cache.insert(b"b", Some(labels("x"))));
        assert_eq!(a, b);
        assert!(cache.see(a.expect("kept"), true));
        assert!(!cache.see(b.expect("kept"), true));
        assert_eq!(cache.insert(b"c", None), None);
        assert_eq!(cache.get(b"c"), Some(None));
    }
}
