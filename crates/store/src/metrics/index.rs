//! Which series a shard knows, and which of them have a label: names to values to series.
//!
//! The index outlives heads. A slot is given to another series only after no head holds the old one.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use model::{Labels, Matcher};
use roaring::RoaringBitmap;

use super::rows::Slot;

/// Series of one label value. Most values that have few series have one.
enum Posting {
    Few(Vec<Slot>),
    Many(Box<RoaringBitmap>),
}

/// From here on a bitmap is smaller than a list.
const FEW_MAX: usize = 16;

impl Posting {
    fn insert(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) if slots.len() < FEW_MAX => slots.push(slot),
            Self::Few(slots) => {
                let mut many: RoaringBitmap = slots.iter().copied().collect();
                many.insert(slot);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(slots) => {
                slots.insert(slot);
            }
        }
    }

    /// True when nothing is left.
    fn remove(&mut self, slot: Slot) -> bool {
        match self {
            Self::Few(slots) => {
                slots.retain(|s| *s != slot);
                slots.is_empty()
            }
            Self::Many(slots) => {
                slots.remove(slot);
                slots.is_empty()
            }
        }
    }

    fn add_to(&self, out: &mut RoaringBitmap) {
        match self {
            Self::Few(slots) => out.extend(slots.iter().copied()),
            Self::Many(slots) => *out |= &**slots,
        }
    }

    fn meets(&self, other: &RoaringBitmap) -> bool {
        match self {
            Self::Few(slots) => slots.iter().any(|slot| other.contains(*slot)),
            Self::Many(slots) => !slots.is_disjoint(other),
        }
    }
}

struct Entry {
    labels: Labels,
    hash: u128,
}

/// The index of one shard.
#[derive(Default)]
pub(crate) struct SeriesIndex {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    names: HashMap<Box<str>, HashMap<Box<str>, Posting>>,
    all: RoaringBitmap,
    label_bytes: usize,
}

impl SeriesIndex {
    /// Adds a series that is not there yet.
    pub(crate) fn insert(&mut self, labels: Labels) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as Slot
        });
        for (name, value) in labels.iter() {
            let values = self.names.entry_ref(name).or_default();
            values.entry_ref(value).or_insert_with(|| Posting::Few(Vec::new())).insert(slot);
        }
        self.all.insert(slot);
        self.label_bytes += labels.bytes();
        let hash = hash_of(&labels);
        self.entries[slot as usize] = Some(Entry { labels, hash });
        slot
    }

    /// Forgets a series.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::take) else { return };
        for (name, value) in entry.labels.iter() {
            let Some(values) = self.names.get_mut(name) else { continue };
            if values.get_mut(value).is_some_and(|posting| posting.remove(slot)) {
                values.remove(value);
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
        self.all.remove(slot);
        self.label_bytes -= entry.labels.bytes();
        self.free.push(slot);
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, slot: Slot) -> Option<&Labels> {
        self.entries.get(slot as usize)?.as_ref().map(|entry| &entry.labels)
    }

    /// The labels and the hash that identifies them across heads and segments.
    pub(crate) fn identity(&self, slot: Slot) -> Option<(&Labels, u128)> {
        self.entries.get(slot as usize)?.as_ref().map(|entry| (&entry.labels, entry.hash))
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Number of different pairs of name and value.
    pub(crate) fn label_pairs(&self) -> usize {
        self.names.values().map(HashMap::len).sum()
    }

    /// Rough size in memory.
    pub(crate) fn bytes(&self) -> usize {
        // An entry, and about eight bytes in each posting of its dozen labels.
        self.label_bytes + self.entries.len() * (size_of::<Option<Entry>>() + 96)
    }

    /// The series that all matchers accept.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        // Matchers that need the label narrow the set; the others then take away from it.
        for matcher in matchers.iter().filter(|m| !m.matches_empty()) {
            let mut matching = RoaringBitmap::new();
            if let Some(values) = self.names.get(matcher.name.as_str()) {
                if matcher.op == model::MatchOp::Equal {
                    values.get(matcher.value.as_str()).into_iter().for_each(|p| p.add_to(&mut matching));
                } else {
                    let hits = values.iter().filter(|(value, _)| matcher.matches(value));
                    hits.for_each(|(_, posting)| posting.add_to(&mut matching));
                }
            }
            found = Some(match found {
                Some(found) => found & matching,
                None => matching,
            });
        }
        let mut found = found.unwrap_or_else(|| self.all.clone());
        for matcher in matchers.iter().filter(|m| m.matches_empty()) {
            let Some(values) = self.names.get(matcher.name.as_str()) else { continue };
            let mut refused = RoaringBitmap::new();
            let misses = values.iter().filter(|(value, _)| !matcher.matches(value));
            misses.for_each(|(_, posting)| posting.add_to(&mut refused));
            found -= refused;
        }
        found
    }

    /// Adds the label names that series of a set have.
    pub(crate) fn names(&self, of: &RoaringBitmap, out: &mut BTreeSet<String>) {
        for (name, values) in &self.names {
            if !out.contains(&**name) && values.values().any(|posting| posting.meets(of)) {
                out.insert(name.to_string());
            }
        }
    }

    /// Adds the values of a label that series of a set have.
    pub(crate) fn values(&self, name: &str, of: &RoaringBitmap, out: &mut BTreeSet<String>) {
        for (value, posting) in self.names.get(name).into_iter().flatten() {
            if !out.contains(&**value) && posting.meets(of) {
                out.insert(value.to_string());
            }
        }
    }

    /// The labels with the most values, and how many each has.
    pub(crate) fn largest_labels(&self, count: usize) -> Vec<(String, usize)> {
        largest(self.names.iter().map(|(name, values)| (&**name, values.len())), count)
    }

    /// The values of a label with the most series, and how many each has.
    pub(crate) fn largest_values(&self, name: &str, count: usize) -> Vec<(String, usize)> {
        let series = |posting: &Posting| match posting {
            Posting::Few(slots) => slots.len(),
            Posting::Many(slots) => slots.len() as usize,
        };
        let values = self.names.get(name).into_iter().flatten();
        largest(values.map(|(value, posting)| (&**value, series(posting))), count)
    }
}

fn largest<'a>(items: impl Iterator<Item = (&'a str, usize)>, count: usize) -> Vec<(String, usize)> {
    let mut items: Vec<_> = items.collect();
    items.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    items.truncate(count);
    items.into_iter().map(|(text, n)| (text.to_owned(), n)).collect()
}

/// What identifies a series across heads and segments.
pub(crate) fn hash_of(labels: &Labels) -> u128 {
    xxhash_rust::xxh3::xxh3_128(labels.packed().as_bytes())
}

#[cfg(test)]
mod tests {
    use model::MatchOp::{self, Equal, NotEqual, NotRegex, Regex};
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("labels")
    }

    fn matcher((name, op, value): (&str, MatchOp, &str)) -> Matcher {
        Matcher::new(name, op, value).expect("matcher")
    }

    #[test]
    fn matchers_select_series() {
        let mut index = SeriesIndex::default();
        for pairs in [&[("n", "up"), ("job", "a")][..], &[("n", "up"), ("job", "b")], &[("n", "down")]] {
            index.insert(labels(pairs));
        }
        for (matchers, want) in [
            (&[("n", Equal, "up")][..], &[0, 1][..]),
            (&[("n", Equal, "none")], &[]),
            (&[("x", Equal, "y")], &[]),
            (&[("x", Equal, "")], &[0, 1, 2]),
            (&[("job", Equal, "")], &[2]),
            (&[("job", NotEqual, "a")], &[1, 2]),
            (&[("job", Regex, "a|b"), ("n", Equal, "up")], &[0, 1]),
            (&[("job", Regex, "a|")], &[0, 2]),
            (&[("job", NotRegex, "a.*"), ("n", Equal, "up")], &[1]),
            (&[("job", NotRegex, ".+")], &[2]),
            (&[], &[0, 1, 2]),
        ] {
            let matchers: Vec<_> = matchers.iter().copied().map(matcher).collect();
            let found: Vec<Slot> = index.select(&matchers).iter().collect();
            assert_eq!(found, want, "{matchers:?}");
        }
    }

    #[test]
    fn a_forgotten_series_leaves_nothing() {
        let mut index = SeriesIndex::default();
        let slots: Vec<_> =
            (0..50).map(|i| index.insert(labels(&[("n", "up"), ("i", i.to_string().as_str())]))).collect();
        slots.iter().for_each(|slot| index.remove(*slot));
        assert_eq!((index.len(), index.names.len(), index.label_bytes), (0, 0, 0));
        assert_eq!(index.insert(labels(&[("a", "b")])), 49);
    }

    proptest! {
        #[test]
        fn selection_agrees_with_matching_each_series(
            series in prop::collection::btree_set((0..4u8, 0..30u8, 0..3u8), 0..60),
            gone in 0..5usize,
            ops in prop::collection::vec((0..3usize, 0..4usize, 0..6usize), 0..4),
        ) {
            let mut index = SeriesIndex::default();
            let mut all = Vec::new();
            for (a, b, c) in series {
                let texts = [a, b, c].map(|v| if v == 0 { String::new() } else { v.to_string() });
                let l = labels(&[("a", &texts[0]), ("b", &texts[1]), ("c", &texts[2])]);
                all.push((index.insert(l.clone()), l));
            }
            for (slot, _) in all.drain(..gone.min(all.len())) {
                index.remove(slot);
            }
            let matchers: Vec<_> = ops.into_iter().map(|(name, op, value)| {
                matcher((["a", "b", "c"][name], [Equal, NotEqual, Regex, NotRegex][op],
                    ["", "1", "2", "1|2", "1.*", ".*"][value]))
            }).collect();
            let keep = |l: &Labels| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or("")));
            let want: RoaringBitmap = all.iter().filter(|(_, l)| keep(l)).map(|(slot, _)| *slot).collect();
            prop_assert_eq!(index.select(&matchers), want);
        }
    }
}
