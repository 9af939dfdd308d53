//! Numbers of which a quantile is asked: all of them, or how many lie in each of many narrow ranges.

use std::collections::BTreeMap;

/// Binary digits of a double that do not tell its range. Of the 52 of its fraction six are left, so that a range
/// is as wide as a 64th of its smallest number, and its middle is off by a 128th at most.
const RANGE_BITS: u32 = 46;
/// What one range takes, in numbers of eight bytes: its place, its count and its share of a tree's node.
const RANGE_CELLS: usize = 3;

/// Finite numbers of one group.
#[derive(Debug)]
pub(super) enum Values {
    /// As they came.
    Exact(Vec<f64>),
    /// How many there are by range, which ascend as their numbers do.
    Ranges(BTreeMap<i32, u64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Values {
    /// One more.
    pub(super) fn push(&mut self, number: f64) {
        match self {
            Self::Exact(numbers) => numbers.push(number),
            Self::Ranges(ranges) => *ranges.entry(range_of(number)).or_default() += 1,
        }
    }

    /// Those of another too; in ranges where there are more than `exact_max`.
    pub(super) fn merge(&mut self, other: Self, exact_max: usize) {
        match other {
            Self::Exact(numbers) => match self {
                Self::Exact(own) if own.is_empty() => *own = numbers,
                Self::Exact(own) => own.extend(numbers),
                Self::Ranges(_) => numbers.into_iter().for_each(|number| self.push(number)),
            },
            Self::Ranges(ranges) => {
                let mut own = std::mem::take(self).into_ranges();
                for (range, count) in ranges {
                    *own.entry(range).or_default() += count;
                }
                *self = Self::Ranges(own);
            }
        }
        if matches!(self, Self::Exact(numbers) if numbers.len() > exact_max) {
            *self = Self::Ranges(std::mem::take(self).into_ranges());
        }
    }

    /// Puts them in ranges where that takes less.
    pub(super) fn shrink(&mut self) {
        if let Self::Exact(numbers) = self {
            let ranges = in_ranges(numbers);
            if ranges.len() * RANGE_CELLS < numbers.len() {
                *self = Self::Ranges(ranges);
            }
        }
    }

    fn into_ranges(self) -> BTreeMap<i32, u64> {
        match self {
            Self::Exact(numbers) => in_ranges(&numbers),
            Self::Ranges(ranges) => ranges,
        }
    }

    /// What they take, in numbers of eight bytes.
    pub(super) fn cells(&self) -> usize {
        match self {
            Self::Exact(numbers) => numbers.len(),
            Self::Ranges(ranges) => ranges.len() * RANGE_CELLS,
        }
    }

    /// True when they are no longer known one by one.
    pub(super) fn is_approximate(&self) -> bool {
        matches!(self, Self::Ranges(_))
    }

    /// The number that a part `q` (0 to 1) of them do not exceed, between its two neighbours in proportion, as
    /// the `quantile` of PromQL does; none where there are no numbers.
    pub(super) fn quantile(self, q: f64) -> Option<f64> {
        let count = match &self {
            Self::Exact(numbers) => numbers.len() as u64,
            Self::Ranges(ranges) => ranges.values().sum(),
        };
        let rank = q * count.checked_sub(1)? as f64;
        let low = rank.floor() as u64;
        let (below, above) = match self {
            Self::Exact(mut numbers) => {
                let (_, below, rest) = numbers.select_nth_unstable_by(low as usize, f64::total_cmp);
                (*below, rest.iter().copied().min_by(f64::total_cmp).unwrap_or(*below))
            }
            Self::Ranges(ranges) => (at_rank(&ranges, low), at_rank(&ranges, (low + 1).min(count - 1))),
        };
        let share = rank - low as f64;
        // Not by their difference, which may be more than a double holds.
        Some(if below == above { below } else { below * (1.0 - share) + above * share })
    }
}

fn in_ranges(numbers: &[f64]) -> BTreeMap<i32, u64> {
    let mut ranges = BTreeMap::new();
    for number in numbers {
        *ranges.entry(range_of(*number)).or_default() += 1;
    }
    ranges
}

/// The middle of the range in which the number of this rank (from 0) lies.
fn at_rank(ranges: &BTreeMap<i32, u64>, rank: u64) -> f64 {
    let mut seen = 0;
    let found = ranges.iter().find(|(_, count)| {
        seen += **count;
        seen > rank
    });
    found.map_or(f64::NAN, |(range, _)| middle_of(*range))
}

/// The digits of a double as an integer of the same order; the way back is the same.
fn ordered(digits: i64) -> i64 {
    digits ^ (((digits >> 63) as u64) >> 1) as i64
}

fn range_of(number: f64) -> i32 {
    // Makes zero of minus zero.
    let number = number + 0.0;
    (ordered(number.to_bits() as i64) >> RANGE_BITS) as i32
}

fn middle_of(range: i32) -> f64 {
    // The two ranges at zero hold nothing that is as large as 1e-309.
    if matches!(range, -1 | 0) {
        return 0.0;
    }
    let middle = (i64::from(range) << RANGE_BITS) | (1 << (RANGE_BITS - 1));
    f64::from_bits(ordered(middle) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(numbers: &[f64]) -> Values {
        Values::Exact(numbers.to_vec())
    }

    #[test]
    fn quantiles_lie_between_neighbours_in_proportion() {
        let rows: [(&[f64], f64, Option<f64>); 8] = [
            (&[], 0.5, None),
            (&[7.0], 0.99, Some(7.0)),
            (&[3.0, 1.0, 2.0], 0.5, Some(2.0)),
            (&[3.0, 1.0, 2.0], 0.0, Some(1.0)),
            (&[3.0, 1.0, 2.0], 1.0, Some(3.0)),
            (&[4.0, 1.0, 3.0, 2.0], 0.5, Some(2.5)),
            (&[-10.0, 10.0], 0.25, Some(-5.0)),
            (&[f64::MAX, f64::MIN], 0.5, Some(0.0)),
        ];
        for (numbers, q, want) in rows {
            assert_eq!(exact(numbers).quantile(q), want, "{numbers:?} {q}");
        }
    }

    #[test]
    fn ranges_are_taken_where_they_take_less() {
        let mut few = exact(&[1.0, 2.0, 3.0]);
        few.shrink();
        assert_eq!((few.is_approximate(), few.cells()), (false, 3));
        let mut many = exact(&[1.0; 100]);
        many.shrink();
        assert_eq!((many.is_approximate(), many.cells()), (true, RANGE_CELLS));
    }

    #[test]
    fn numbers_without_digits_are_zero() {
        for number in [0.0, -0.0, f64::from_bits(1), -f64::from_bits(1)] {
            assert_eq!(middle_of(range_of(number)), 0.0);
        }
    }

    proptest! {
        #[test]
        fn ranges_ascend_and_their_middles_are_off_by_little(
            a in prop::num::f64::NORMAL,
            b in prop::num::f64::NORMAL,
        ) {
            prop_assert_eq!(range_of(a).min(range_of(b)), range_of(a.min(b)));
            let middle = middle_of(range_of(a));
            prop_assert!((middle - a).abs() <= a.abs() / 128.0, "{middle} for {a}");
        }

        #[test]
        fn quantiles_by_range_are_off_by_little_however_they_were_put_together(
            parts in prop::collection::vec(prop::collection::vec(0.001f64..1e9, 0..40), 1..6),
            exact_max in 0usize..100,
            q in 0.0f64..=1.0,
        ) {
            let all: Vec<f64> = parts.iter().flatten().copied().collect();
            let mut left = Values::default();
            let mut right = Values::default();
            for (at, part) in parts.iter().enumerate() {
                let side = if at % 2 == 0 { &mut left } else { &mut right };
                side.merge(exact(part), exact_max);
            }
            left.merge(right, exact_max);
            prop_assert!(left.is_approximate() || all.len() <= exact_max);
            let (got, want) = (left.quantile(q), exact(&all).quantile(q));
            prop_assert_eq!(got.is_some(), want.is_some());
            if let (Some(got), Some(want)) = (got, want) {
                prop_assert!((got - want).abs() <= want / 127.0, "{got} {want}");
            }
        }
    }
}
