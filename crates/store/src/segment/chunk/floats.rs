//! Columns of floats, bit for bit.
//!
//! Most measurements are integers or decimals with few places, and the differences of their scaled integers
//! are far shorter than those of their bits. A column is therefore written as integers over a power of ten
//! when nearly every value divides back to exactly the same bits; the few others (the stale marker, other
//! NaNs, infinities, -0, noise) are listed beside them. A column that is not decimal is written as bits:
//! differences by XOR in blocks, or pco.

use pco::DeltaSpec;

use super::bitpack::{self, BLOCK};
use super::ints::{self, Effort, Scratch};
use crate::segment::wire::{Damaged, Decoded, Reader, put_varint};

/// Most decimal places looked for. With more, ordinary doubles begin to look like decimals.
const PLACES_MAX: usize = 12;
const POWERS: [f64; PLACES_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// Codes below this are the decimal places of integers; this bit says that exceptions follow.
const EXCEPTIONS: u8 = 0x40;
const XOR: u8 = 0x80;
const PCO: u8 = 0x81;

const PCO_NUMBERS_MIN: usize = 128;

/// What is known about a column once it is encoded. Absent where a value is not finite or is listed as an
/// exception, because then a reader must look at the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Summary {
    /// Integers over a power of ten.
    Decimal {
        /// Decimal places.
        places: u8,
        /// First value, scaled.
        first: i64,
        /// Last value, scaled.
        last: i64,
        /// Lowest value, scaled.
        min: i64,
        /// Highest value, scaled.
        max: i64,
        /// Sum of the values less the first of each, scaled.
        sum_above_first: i64,
    },
    /// Other finite values.
    Float {
        /// First value.
        first: f64,
        /// Last value.
        last: f64,
        /// Lowest value.
        min: f64,
        /// Highest value.
        max: f64,
        /// Sum.
        sum: f64,
        /// All values have the same bits.
        constant: bool,
    },
}

/// What a decimal means. Encoding checks with this very function, so decoding is exact by construction.
pub(crate) fn from_decimal(scaled: i64, places: u8) -> f64 {
    match POWERS.get(usize::from(places)) {
        Some(power) if places > 0 => scaled as f64 / power,
        _ => scaled as f64,
    }
}

/// The integer that means exactly this value, if there is one.
fn to_decimal(value: f64, places: usize) -> Option<i64> {
    let scaled = value * POWERS[places];
    // Rounds half away from zero; where that is off by one, the check below fails and nothing is lost.
    let scaled = (scaled + 0.5f64.copysign(scaled)) as i64;
    let exact = from_decimal(scaled, places as u8).to_bits() == value.to_bits();
    exact.then_some(scaled)
}

/// A column as integers, and where and what the exceptions are.
struct Decimals {
    places: u8,
    scaled: Vec<i64>,
    exceptions: Vec<(usize, f64)>,
}

impl Decimals {
    /// `None` when too many values are no decimals of a common power.
    fn of(values: &[f64]) -> Option<Self> {
        let exceptions_max = values.len() / 8 + 2;
        let mut decimals =
            Self { places: 0, scaled: Vec::with_capacity(values.len()), exceptions: Vec::new() };
        // Starts over with more places when a value needs them, which most columns show at once. The last
        // round may find values that have become too large for the power.
        while let Some(places) = decimals.fill(values, exceptions_max)? {
            decimals.places = places;
        }
        Some(decimals)
    }

    /// Scales all values; returns more places where a value needs them, and `None` when the exceptions are
    /// too many.
    fn fill(&mut self, values: &[f64], exceptions_max: usize) -> Option<Option<u8>> {
        let places = usize::from(self.places);
        self.scaled.clear();
        self.exceptions.clear();
        for (i, &value) in values.iter().enumerate() {
            if let Some(integer) = to_decimal(value, places) {
                self.scaled.push(integer);
                continue;
            }
            if let Some(more) = (places + 1..=PLACES_MAX).find(|&more| to_decimal(value, more).is_some()) {
                return Some(Some(more as u8));
            }
            if self.exceptions.len() == exceptions_max {
                return None;
            }
            self.exceptions.push((i, value));
            // Whatever continues the column most cheaply.
            self.scaled.push(self.scaled.last().copied().unwrap_or(0));
        }
        Some(None)
    }

    fn summary(&self) -> Option<Summary> {
        if !self.exceptions.is_empty() {
            return None;
        }
        let (&first, &last) = (self.scaled.first()?, self.scaled.last()?);
        let (mut min, mut max, mut sum) = (first, first, 0i128);
        for &value in &self.scaled {
            min = min.min(value);
            max = max.max(value);
            sum += i128::from(value) - i128::from(first);
        }
        let sum_above_first = i64::try_from(sum).ok()?;
        Some(Summary::Decimal { places: self.places, first, last, min, max, sum_above_first })
    }
}

/// Appends a column and says what is known about it.
pub(crate) fn encode(values: &[f64], effort: Effort, out: &mut Vec<u8>) -> Option<Summary> {
    if let Some(decimals) = Decimals::of(values) {
        if decimals.exceptions.is_empty() {
            out.push(decimals.places);
        } else {
            out.push(decimals.places | EXCEPTIONS);
            put_exceptions(&decimals.exceptions, out);
        }
        ints::encode(&decimals.scaled, effort, out);
        return decimals.summary();
    }
    let start = out.len();
    out.push(XOR);
    put_xor(values, out);
    if effort == Effort::Dense && values.len() >= PCO_NUMBERS_MIN {
        let dense = ints::pco_bytes(values, DeltaSpec::Auto);
        if dense.len() + 3 < out.len() - start {
            out.truncate(start);
            out.push(PCO);
            put_varint(out, dense.len() as u64);
            out.extend_from_slice(&dense);
        }
    }
    float_summary(values)
}

fn float_summary(values: &[f64]) -> Option<Summary> {
    let (&first, &last) = (values.first()?, values.last()?);
    let (mut min, mut max, mut sum) = (first, first, 0.0);
    for &value in values {
        min = min.min(value);
        max = max.max(value);
        sum += value;
    }
    let constant = values.iter().all(|v| v.to_bits() == first.to_bits());
    let finite = values.iter().all(|v| v.is_finite()) && f64::is_finite(sum);
    finite.then_some(Summary::Float { first, last, min, max, sum, constant })
}

/// Appends `count` values. The caller has bounded `count`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut Scratch,
    out: &mut Vec<f64>,
) -> Decoded<()> {
    let code = reader.u8()?;
    match code {
        XOR => take_xor(reader, count, out),
        PCO => {
            let len = reader.count(reader.len(), "pco length")?;
            let start = out.len();
            out.resize(start + count, 0.0);
            ints::take_pco_floats(reader.take(len)?, &mut scratch.pco(), &mut out[start..])
        }
        _ => {
            let places = code & !EXCEPTIONS;
            if usize::from(places) > PLACES_MAX {
                return Err(Damaged("float code"));
            }
            let mut exceptions = *reader;
            if code & EXCEPTIONS != 0 {
                skip_exceptions(reader, count)?;
            }
            let (scaled, mut pco) = scratch.split();
            scaled.clear();
            ints::decode(reader, count, &mut pco, scaled)?;
            let start = out.len();
            match POWERS[usize::from(places)] {
                _ if places == 0 => out.extend(scaled.iter().map(|&v| v as f64)),
                power => out.extend(scaled.iter().map(|&v| v as f64 / power)),
            }
            if code & EXCEPTIONS != 0 {
                take_exceptions(&mut exceptions, count, |at, value| out[start + at] = value)?;
            }
            Ok(())
        }
    }
}

/// Count, then for each the distance from the one before, with a low bit for the stale marker, whose bits
/// are known.
fn put_exceptions(exceptions: &[(usize, f64)], out: &mut Vec<u8>) {
    put_varint(out, exceptions.len() as u64);
    let mut next = 0;
    for &(at, value) in exceptions {
        let stale = model::is_stale(value);
        put_varint(out, ((at - next) as u64) << 1 | u64::from(stale));
        if !stale {
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        next = at + 1;
    }
}

fn skip_exceptions(reader: &mut Reader<'_>, count: usize) -> Decoded<()> {
    take_exceptions(reader, count, |_, _| {})
}

fn take_exceptions(reader: &mut Reader<'_>, count: usize, mut put: impl FnMut(usize, f64)) -> Decoded<()> {
    let mut next = 0;
    for _ in 0..reader.count(count, "exceptions")? {
        let word = reader.varint()?;
        let at = usize::try_from(word >> 1).ok().and_then(|gap| gap.checked_add(next));
        let at = at.filter(|&at| at < count).ok_or(Damaged("position of an exception"))?;
        put(at, if word & 1 == 1 { model::STALE_NAN } else { f64::from_bits(reader.u64()?) });
        next = at + 1;
    }
    Ok(())
}

fn put_xor(values: &[f64], out: &mut Vec<u8>) {
    let mut before = 0;
    let mut block = [0u64; BLOCK];
    for values in values.chunks(BLOCK) {
        let block = &mut block[..values.len()];
        let mut all = 0;
        for (word, value) in block.iter_mut().zip(values) {
            *word = value.to_bits() ^ before;
            before = value.to_bits();
            all |= *word;
        }
        let shift = if all == 0 { 0 } else { all.trailing_zeros() };
        let width = bitpack::width_of(all >> shift);
        out.extend_from_slice(&[shift as u8, width as u8]);
        bitpack::pack(block.iter().map(|word| word >> shift), width, out);
    }
}

fn take_xor(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Decoded<()> {
    let mut before = 0;
    let mut block = [0u64; BLOCK];
    let mut left = count;
    out.reserve(count);
    while left > 0 {
        let block = &mut block[..left.min(BLOCK)];
        let (shift, width) = (u32::from(reader.u8()?), u32::from(reader.u8()?));
        if shift > 63 {
            return Err(Damaged("shift"));
        }
        bitpack::unpack(reader, width, block)?;
        out.extend(block.iter().map(|word| {
            before ^= word << shift;
            f64::from_bits(before)
        }));
        left -= block.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::STALE_NAN;
    use proptest::prelude::*;

    fn round_trip(values: &[f64], effort: Effort) -> (usize, Option<Summary>) {
        let mut out = Vec::new();
        let summary = encode(values, effort, &mut out);
        let mut reader = Reader::new(&out);
        let mut back = Vec::new();
        decode(&mut reader, values.len(), &mut Scratch::default(), &mut back).expect("own bytes");
        assert!(reader.is_empty());
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        (out.len(), summary)
    }

    #[test]
    fn decimals_are_small_even_with_a_stale_marker_at_the_end() {
        let mut gauge: Vec<f64> = (0..120).map(|i| f64::from(5000 + (i * 37) % 100) / 100.0).collect();
        let (bytes, summary) = round_trip(&gauge, Effort::Quick);
        assert!(bytes < 120, "{bytes}");
        assert!(matches!(summary, Some(Summary::Decimal { places: 2, first: 5000, .. })), "{summary:?}");
        gauge.push(STALE_NAN);
        let (bytes, summary) = round_trip(&gauge, Effort::Quick);
        assert!(bytes < 130, "{bytes}");
        assert_eq!(summary, None);
    }

    #[test]
    fn odd_values_keep_their_bits() {
        let odd = [
            0.0,
            -0.0,
            f64::NAN,
            -f64::NAN,
            STALE_NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            9_007_199_254_740_993.0,
            9.3e18,
            -9.3e18,
            0.1 + 0.2,
            1.0 / 3.0,
        ];
        for value in odd {
            for count in [1, 2, 200] {
                round_trip(&vec![value; count], Effort::Quick);
                round_trip(&vec![value; count], Effort::Dense);
            }
            let mut among = vec![1.5; 300];
            among[0] = value;
            among[150] = value;
            round_trip(&among, Effort::Dense);
        }
        round_trip(&odd, Effort::Quick);
        round_trip(&[], Effort::Quick);
    }

    fn column() -> impl Strategy<Value = Vec<f64>> {
        prop_oneof![
            prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..300),
            prop::collection::vec(
                prop_oneof![
                    20 => (-1_000_000i64..1_000_000).prop_map(|v| v as f64 / 1000.0),
                    1 => any::<f64>(),
                    1 => Just(STALE_NAN),
                    1 => Just(-0.0)
                ],
                0..300
            ),
            (any::<i32>(), prop::collection::vec(0u32..1000, 0..300)).prop_map(|(start, steps)| {
                steps
                    .iter()
                    .scan(f64::from(start), |at, &step| {
                        *at += f64::from(step);
                        Some(*at)
                    })
                    .collect()
            }),
        ]
    }

    proptest! {
        #[test]
        fn columns_round_trip(values in column()) {
            round_trip(&values, Effort::Quick);
            round_trip(&values, Effort::Dense);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(
            code in prop_oneof![0u8..16, Just(0x40u8), Just(0x42u8), Just(0x80u8), Just(0x81u8)],
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            count in 0usize..2000,
        ) {
            let mut all = vec![code];
            all.extend(bytes);
            let mut out = Vec::new();
            let _ = decode(&mut Reader::new(&all), count, &mut Scratch::default(), &mut out);
            prop_assert!(out.len() <= count);
        }
    }
}
