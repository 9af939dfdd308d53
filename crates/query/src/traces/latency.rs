//! Quantiles of durations in little memory.

use std::collections::BTreeMap;

/// Parts of every power of two: a quantile is off by 3% at most.
const PARTS_BITS: u32 = 5;

/// Durations, counted in cells that grow with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    cells: BTreeMap<u16, u64>,
    count: u64,
    min_ns: i64,
    max_ns: i64,
}

impl Latency {
    /// Counts a duration; negative ones as zero.
    pub fn add(&mut self, duration_ns: i64) {
        let duration_ns = duration_ns.max(0);
        *self.cells.entry(cell(duration_ns)).or_default() += 1;
        self.min_ns = if self.count == 0 { duration_ns } else { self.min_ns.min(duration_ns) };
        self.max_ns = self.max_ns.max(duration_ns);
        self.count += 1;
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (cell, count) in &other.cells {
            *self.cells.entry(*cell).or_default() += count;
        }
        self.min_ns = if self.count == 0 { other.min_ns } else { self.min_ns.min(other.min_ns) };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.count += other.count;
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Nanoseconds that a part `q` (0 to 1) of the durations do not exceed; none without durations.
    pub fn quantile_ns(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let found = self.cells.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        let (low, high) = bounds(*found?.0);
        let middle = (low as f64 + high as f64) / 2.0;
        Some(middle.clamp(self.min_ns as f64, self.max_ns as f64))
    }

    /// The same in milliseconds, for people.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.quantile_ns(q).map(|ns| (ns / 1e3).round() / 1e3)
    }

    /// Cells with anything in them: their middle in nanoseconds and how many durations are in them.
    pub fn cells(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.cells.iter().map(|(cell, count)| {
            let (low, high) = bounds(*cell);
            ((low as f64 + high as f64) / 2.0, *count)
        })
    }
}

fn cell(ns: i64) -> u16 {
    let ns = ns as u64;
    if ns < 1 << PARTS_BITS {
        return ns as u16;
    }
    let shift = 63 - ns.leading_zeros() - PARTS_BITS;
    ((shift << PARTS_BITS) + (ns >> shift) as u32) as u16
}

/// The first and the last duration of a cell.
fn bounds(cell: u16) -> (u64, u64) {
    let cell = u64::from(cell);
    let parts = 1u64 << PARTS_BITS;
    if cell < 2 * parts {
        return (cell, cell);
    }
    let shift = cell / parts - 1;
    let low = (cell % parts + parts) << shift;
    (low, low + (1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_duration_lies_in_its_cell(ns in 0i64..) {
            let (low, high) = bounds(cell(ns));
            prop_assert!((low..=high).contains(&(ns as u64)));
            prop_assert!((high - low) as f64 <= low as f64 / 31.0);
        }

        #[test]
        fn quantiles_are_off_by_little(mut all in prop::collection::vec(0i64..1_000_000_000, 1..200), q in 0.0f64..=1.0) {
            let mut latency = Latency::default();
            all.iter().for_each(|ns| latency.add(*ns));
            all.sort_unstable();
            let rank = ((q * all.len() as f64).ceil() as usize).clamp(1, all.len());
            let want = all[rank - 1] as f64;
            let got = latency.quantile_ns(q).unwrap();
            prop_assert!((got - want).abs() <= want / 31.0 + 1.0, "{got} {want}");
        }
    }
}
