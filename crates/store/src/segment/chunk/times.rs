//! Columns of timestamps: distances from a regular grid.
//!
//! A scrape that is late by a few milliseconds is late once: its distance from the grid says that in fewer
//! bits than two differences would. A regular column is a constant here, and gaps are single steps.

use super::ints::{self, Effort, PcoScratch};
use crate::segment::wire::{Decoded, Reader, put_zigzag};

/// Appends a column of ascending times.
pub(crate) fn encode(times: &[i64], effort: Effort, out: &mut Vec<u8>) {
    let mut steps: Vec<i64> = times.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    let step = match steps.len() {
        0 => 0,
        // The median, because gaps would distort a mean; rounded, because intervals are.
        len => {
            let median = *steps.select_nth_unstable(len / 2).1;
            round_interval(median)
        }
    };
    put_zigzag(out, step);
    let distances: Vec<i64> =
        times.iter().enumerate().map(|(i, t)| t.wrapping_sub(step.wrapping_mul(i as i64))).collect();
    ints::encode(&distances, effort, out);
}

/// The nearest whole second where the interval is seconds long and within 1 % of one: jitter moves the
/// median of a short column, and a wrong step makes distances grow.
fn round_interval(step: i64) -> i64 {
    let second = step.saturating_add(500) / 1000 * 1000;
    if step >= 1000 && (step - second).abs() <= step / 100 { second } else { step }
}

/// Appends `count` times. The caller has bounded `count`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    pco: &mut PcoScratch<'_>,
    out: &mut Vec<i64>,
) -> Decoded<()> {
    let step = reader.zigzag()?;
    let start = out.len();
    ints::decode(reader, count, pco, out)?;
    for (i, time) in out[start..].iter_mut().enumerate() {
        *time = time.wrapping_add(step.wrapping_mul(i as i64));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::chunk::ints::Scratch;
    use proptest::prelude::*;

    fn round_trip(times: &[i64], effort: Effort) -> usize {
        let mut out = Vec::new();
        encode(times, effort, &mut out);
        let mut reader = Reader::new(&out);
        let mut back = Vec::new();
        decode(&mut reader, times.len(), &mut Scratch::default().pco(), &mut back).expect("own bytes");
        assert!(reader.is_empty());
        assert_eq!(back, times);
        out.len()
    }

    #[test]
    fn regular_times_cost_a_few_bytes_and_jitter_its_own_bits() {
        let regular: Vec<i64> = (0..960).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        let jitter: Vec<i64> = regular.iter().enumerate().map(|(i, t)| t + (i * i % 7) as i64).collect();
        let mut gap = regular.clone();
        gap.drain(100..200);
        for (times, bytes_max, name) in
            [(&regular, 16, "regular"), (&jitter, 450, "jitter"), (&gap, 22, "gap")]
        {
            let bytes = round_trip(times, Effort::Quick);
            assert!(bytes <= bytes_max, "{name}: {bytes}");
        }
    }

    proptest! {
        #[test]
        fn any_times_round_trip(times in prop::collection::vec(any::<i64>(), 0..300)) {
            round_trip(&times, Effort::Quick);
            round_trip(&times, Effort::Dense);
        }
    }
}
