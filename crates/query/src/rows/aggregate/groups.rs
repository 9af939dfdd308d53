//! What is known of groups of rows while slices are looked at.

use std::cmp::Reverse;

use hashbrown::HashMap;

use super::values::Values;
use super::{Bounds, FigureKind};
use crate::error::QueryFault;

/// The texts that the rows of a group have, each behind its length.
pub(super) type Key = Box<[u8]>;

/// The groups of one slice.
pub(super) type Part = HashMap<Key, Tally>;

/// Adds a text to a key.
pub(super) fn push_key(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&(text.len() as u64).to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

/// The texts of a key.
pub(super) fn values_of(key: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = key;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (text, behind) = behind.split_at(u64::from_le_bytes(*length) as usize);
        values.push(String::from_utf8_lossy(text).into_owned());
        rest = behind;
    }
    values
}

/// What is known of one group.
#[derive(Debug)]
pub(super) struct Tally {
    rows: u64,
    /// The sum, and what rounding took from it (Neumaier): it hardly depends on which slices rows are in.
    sum: f64,
    lost: f64,
    min: f64,
    max: f64,
    /// For quantiles only.
    values: Values,
}

impl Default for Tally {
    fn default() -> Self {
        let values = Values::default();
        Self { rows: 0, sum: 0.0, lost: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, values }
    }
}

impl Tally {
    pub(super) fn count_row(&mut self) {
        self.rows += 1;
    }

    /// Takes in the number of a row that was counted.
    pub(super) fn take(&mut self, number: f64, keep: bool) {
        self.add(number);
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if keep {
            self.values.push(number);
        }
    }

    fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        self.lost += if self.sum.abs() >= number.abs() {
            (self.sum - sum) + number
        } else {
            (number - sum) + self.sum
        };
        self.sum = sum;
    }

    fn merge(&mut self, other: Self, exact_max: usize) {
        self.rows += other.rows;
        self.add(other.sum);
        self.lost += other.lost;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.values.merge(other.values, exact_max);
    }

    /// How many rows count.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn is_approximate(&self) -> bool {
        self.values.is_approximate()
    }

    fn total(&self) -> f64 {
        // What an infinite sum has lost is not a number.
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }

    /// The figure of the group, which has a row.
    pub(super) fn figure(self, kind: FigureKind) -> f64 {
        match kind {
            FigureKind::Count => self.rows as f64,
            FigureKind::Sum => self.total(),
            FigureKind::Avg => self.total() / self.rows as f64,
            FigureKind::Min => self.min,
            FigureKind::Max => self.max,
            FigureKind::Quantile(q) => {
                let (min, max) = (self.min, self.max);
                self.values.quantile(q).map_or(f64::NAN, |number| number.max(min).min(max))
            }
        }
    }
}

/// The groups of all slices so far.
#[derive(Debug)]
pub(super) struct Groups {
    tallies: HashMap<Key, Tally>,
    key_bytes: usize,
    /// What numbers that are kept for quantiles take.
    cells: usize,
    is_truncated: bool,
    bounds: Bounds,
}

impl Groups {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { tallies: HashMap::new(), key_bytes: 0, cells: 0, is_truncated: false, bounds }
    }

    /// Whether there was a group for which there was no room.
    pub(super) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Adds the groups of one slice. A new one is let in where there is room; since room never grows, one that
    /// was not let in will not be later.
    pub(super) fn add(&mut self, part: Part) -> Result<(), QueryFault> {
        let mut part: Vec<(Key, Tally)> = part.into_iter().collect();
        // Which groups find room shall depend on the rows alone.
        part.sort_unstable_by(|a, b| (Reverse(a.1.rows), &a.0).cmp(&(Reverse(b.1.rows), &b.0)));
        for (key, tally) in part {
            if !self.tallies.contains_key(&key) {
                let has_room = self.tallies.len() < self.bounds.told_apart
                    && self.key_bytes + key.len() <= self.bounds.key_bytes;
                if !has_room {
                    self.is_truncated = true;
                    continue;
                }
                self.key_bytes += key.len();
            }
            let known = self.tallies.entry(key).or_default();
            let before = known.values.cells();
            known.merge(tally, self.bounds.exact);
            self.cells = self.cells - before + known.values.cells();
        }
        if self.cells > self.bounds.cells { self.shrink() } else { Ok(()) }
    }

    /// Puts the numbers of the largest groups in ranges until half of the room is free, so that this is rare.
    fn shrink(&mut self) -> Result<(), QueryFault> {
        let mut largest: Vec<(&Key, &mut Tally)> = self.tallies.iter_mut().collect();
        largest.sort_unstable_by(|a, b| (Reverse(a.1.rows), a.0).cmp(&(Reverse(b.1.rows), b.0)));
        for (_, tally) in largest {
            if self.cells <= self.bounds.cells / 2 {
                break;
            }
            let before = tally.values.cells();
            tally.values.shrink();
            self.cells = self.cells - before + tally.values.cells();
        }
        if self.cells <= self.bounds.cells / 2 {
            return Ok(());
        }
        let problem = format!("the quantiles of {} groups take too much memory", self.tallies.len());
        let remedy = "group by fewer fields, ask for a shorter range, or search for less";
        Err(QueryFault::Limit(format!("{problem}: {remedy}")))
    }
}

impl IntoIterator for Groups {
    type Item = (Key, Tally);
    type IntoIter = hashbrown::hash_map::IntoIter<Key, Tally>;

    fn into_iter(self) -> Self::IntoIter {
        self.tallies.into_iter()
    }
}
