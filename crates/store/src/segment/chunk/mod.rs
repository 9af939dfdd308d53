//! Chunks: samples of one series as bytes, each with a checksum in front.
//!
//! Decoders take any bytes: they return [`Damaged`] rather than panic, and allocate no more than the count
//! they are told, which itself is bounded by the constants here.

mod bitpack; // blocks of equal bits
mod exemplars; // exemplars with their labels
mod floats; // columns of floats
mod histograms; // native histograms, bucket by bucket
mod ints; // columns of integers
mod times; // columns of timestamps

pub(crate) use exemplars::{decode_exemplars, encode_exemplars};
pub(crate) use floats::{Summary, from_decimal};
pub(crate) use histograms::{decode_histograms, encode_histograms};
pub(crate) use ints::{Effort, Scratch};

use crate::segment::wire::{Damaged, Decoded, Reader};

/// Most samples of a chunk.
pub(crate) const SAMPLES_MAX: usize = 8192;

/// Version of the bytes of every kind of chunk.
const VERSION: u8 = 1;
const HAS_STARTS: u8 = 1;
const STARTS_ABSOLUTE: u8 = 0;
const STARTS_AFTER_SAMPLE: u8 = 1;

/// Appends a chunk: checksum, version, then what `body` writes.
fn put_sealed<T>(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, VERSION]);
    let result = body(out);
    let crc = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    result
}

/// Checks the checksum and the version; the reader is at the body.
fn unseal(bytes: &[u8]) -> Decoded<Reader<'_>> {
    let mut reader = Reader::new(bytes);
    let crc = reader.u32().map_err(|_| Damaged("chunk"))?;
    if crc != crc32c::crc32c(&bytes[4..]) {
        return Err(Damaged("chunk (its checksum does not match)"));
    }
    if reader.u8()? != VERSION {
        return Err(Damaged("chunk version"));
    }
    Ok(reader)
}

/// Appends a column of integers without a checksum of its own.
pub(crate) fn encode_plain_ints(values: &[i64], effort: Effort, out: &mut Vec<u8>) {
    ints::encode(values, effort, out);
}

/// Appends `count` values of [`encode_plain_ints`]. The caller has bounded `count`.
pub(crate) fn decode_plain_ints(
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut Scratch,
    values: &mut Vec<i64>,
) -> Decoded<()> {
    ints::decode(reader, count, &mut scratch.pco(), values)
}

/// All bytes of a chunk must have a meaning.
fn expect_end(reader: &Reader<'_>) -> Decoded<()> {
    if reader.is_empty() { Ok(()) } else { Err(Damaged("end of a chunk")) }
}

/// Appends a vector of timestamps, ascending, at most [`SAMPLES_MAX`].
pub(crate) fn encode_times(times: &[i64], effort: Effort, out: &mut Vec<u8>) {
    put_sealed(out, |out| times::encode(times, effort, out));
}

/// Reads a vector of `count` timestamps.
pub(crate) fn decode_times(bytes: &[u8], count: usize, scratch: &mut Scratch) -> Decoded<Vec<i64>> {
    check_count(count)?;
    let mut reader = unseal(bytes)?;
    let mut times = Vec::with_capacity(count);
    times::decode(&mut reader, count, &mut scratch.pco(), &mut times)?;
    expect_end(&reader)?;
    Ok(times)
}

fn check_count(count: usize) -> Decoded<()> {
    if count > SAMPLES_MAX { Err(Damaged("number of samples")) } else { Ok(()) }
}

/// Appends the values, and start timestamps where there are any, of samples at `times`.
pub(crate) fn encode_floats(
    times: &[i64],
    values: &[f64],
    starts: &[i64],
    effort: Effort,
    out: &mut Vec<u8>,
) -> Option<Summary> {
    put_sealed(out, |out| {
        out.push(if starts.is_empty() { 0 } else { HAS_STARTS });
        let summary = floats::encode(values, effort, out);
        put_starts(times, starts, effort, out);
        summary
    })
}

/// Appends the values of a chunk of floats at `times`, and its start timestamps if it has some; says whether
/// it has.
pub(crate) fn decode_floats(
    bytes: &[u8],
    times: &[i64],
    scratch: &mut Scratch,
    values: &mut Vec<f64>,
    starts: &mut Vec<i64>,
) -> Decoded<bool> {
    check_count(times.len())?;
    let mut reader = unseal(bytes)?;
    let has_starts = reader.u8()? & HAS_STARTS != 0;
    floats::decode(&mut reader, times.len(), scratch, values)?;
    if has_starts {
        take_starts(&mut reader, times, scratch, starts)?;
    }
    expect_end(&reader)?;
    Ok(has_starts)
}

/// Start timestamps are constant for cumulative counters, and the time of the sample before for deltas.
fn put_starts(times: &[i64], starts: &[i64], effort: Effort, out: &mut Vec<u8>) {
    if starts.is_empty() {
        return;
    }
    let at = out.len();
    out.push(STARTS_ABSOLUTE);
    ints::encode(starts, effort, out);
    let mut after = vec![STARTS_AFTER_SAMPLE];
    let distances: Vec<i64> = starts.iter().zip(before(times)).map(|(s, t)| s.wrapping_sub(t)).collect();
    ints::encode(&distances, effort, &mut after);
    if after.len() < out.len() - at {
        out.truncate(at);
        out.extend_from_slice(&after);
    }
}

fn take_starts(
    reader: &mut Reader<'_>,
    times: &[i64],
    scratch: &mut Scratch,
    starts: &mut Vec<i64>,
) -> Decoded<()> {
    let code = reader.u8()?;
    let at = starts.len();
    ints::decode(reader, times.len(), &mut scratch.pco(), starts)?;
    match code {
        STARTS_ABSOLUTE => {}
        STARTS_AFTER_SAMPLE => {
            for (start, time) in starts[at..].iter_mut().zip(before(times)) {
                *start = start.wrapping_add(time);
            }
        }
        _ => return Err(Damaged("code of start timestamps")),
    }
    Ok(())
}

/// For each sample the time of the one before; for the first its own.
fn before(times: &[i64]) -> impl Iterator<Item = i64> {
    times.first().into_iter().chain(times).copied().take(times.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn starts_of_cumulative_and_delta_samples_cost_a_few_bytes() {
        let times: Vec<i64> = (0..500).map(|i| 1_700_000_000_000 + i * 15_000 + i * i % 5).collect();
        let values: Vec<f64> = (0..500).map(f64::from).collect();
        let mut plain = Vec::new();
        encode_floats(&times, &values, &[], Effort::Quick, &mut plain);
        let cumulative = vec![1_600_000_000_000; 500];
        let delta: Vec<i64> = before(&times).collect();
        for starts in [cumulative, delta] {
            let mut out = Vec::new();
            encode_floats(&times, &values, &starts, Effort::Quick, &mut out);
            assert!(out.len() < plain.len() + 14, "{} {}", out.len(), plain.len());
            let (mut v, mut s) = (Vec::new(), Vec::new());
            let has = decode_floats(&out, &times, &mut Scratch::default(), &mut v, &mut s);
            assert_eq!(has, Ok(true));
            assert!(v == values && s == starts);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let times: Vec<i64> = (0..50).map(|i| i * 1000).collect();
        let values: Vec<f64> = times.iter().map(|t| (t * t) as f64).collect();
        let mut out = Vec::new();
        encode_floats(&times, &values, &[], Effort::Quick, &mut out);
        for bit in 0..out.len() * 8 {
            let mut bytes = out.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (mut v, mut s) = (Vec::new(), Vec::new());
            assert!(decode_floats(&bytes, &times, &mut Scratch::default(), &mut v, &mut s).is_err());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_do_not_panic(body in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..300) {
            let mut bytes = Vec::new();
            put_sealed(&mut bytes, |out| out.extend_from_slice(&body));
            let times = vec![0; count];
            let mut scratch = Scratch::default();
            let (mut v, mut s) = (Vec::new(), Vec::new());
            let _ = decode_floats(&bytes, &times, &mut scratch, &mut v, &mut s);
            let _ = decode_times(&bytes, count, &mut scratch);
            let _ = decode_histograms(&bytes, &times, &mut scratch, &mut Vec::new(), &mut s);
            let _ = decode_exemplars(&bytes, count, &mut scratch, &mut Vec::new());
            prop_assert!(v.len() <= count);
        }
    }
}
