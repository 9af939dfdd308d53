//! Columns of 64-bit integers: what every other column becomes where it can.
//!
//! Three codes, each self-delimiting once the count is known:
//! - steps: a first value, the usual step, and the few places with another step. Constants, regular
//!   timestamps and slow counters cost a few bytes.
//! - packed: blocks of [`BLOCK`] values or differences, less the block's lowest, in equal bits. Quick.
//! - pco: what compaction tries on long columns.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec};

use super::bitpack::{self, BLOCK};
use crate::segment::wire::{Damaged, Decoded, Reader, put_varint, put_zigzag, varint_len, zigzag};

/// How much work encoding may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A flush: tens of millions of samples a second.
    Quick,
    /// Compaction: the smallest of all codes.
    Dense,
}

/// Below this many numbers the tables of pco cost more than they save.
const PCO_NUMBERS_MIN: usize = 128;
/// One page of pco.
const PCO_NUMBERS_MAX: usize = 1 << 18;
/// A steps code this small is not worth trying pco against.
const STEPS_BYTES_SMALL: usize = 24;

const STEPS: u8 = 0;
const PACKED: u8 = 1;
const PACKED_DELTAS: u8 = 2;
const PCO: u8 = 3;

/// Memory that decoding uses again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Free for whoever decodes a column of integers on the way to something else.
    pub(crate) ints: Vec<i64>,
    pco: DecompressorScratch,
}

/// Appends a column.
pub(crate) fn encode(values: &[i64], effort: Effort, out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    let start = out.len();
    let deltas: Vec<i64> = values.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    let base = majority(&deltas);
    let others = deltas.iter().filter(|&&d| d != base).count();
    let plain = Plan::of(values);
    let differences = Plan::of(&deltas);
    let differences_len = differences.len + varint_len(zigzag(first));
    let packed_len = 1 + plain.len.min(differences_len);
    if others * 2 < packed_len {
        put_steps(first, base, &deltas, out);
    }
    let steps_len = out.len() - start;
    if steps_len == 0 || steps_len > packed_len {
        out.truncate(start);
        if plain.len <= differences_len {
            out.push(PACKED);
            plain.put(values, out);
        } else {
            out.push(PACKED_DELTAS);
            put_zigzag(out, first);
            differences.put(&deltas, out);
        }
    }
    let best_len = out.len() - start;
    let suits_pco = (PCO_NUMBERS_MIN..=PCO_NUMBERS_MAX).contains(&values.len());
    if effort == Effort::Dense && suits_pco && best_len > STEPS_BYTES_SMALL {
        // Pco would find the order by trying, which takes most of its time.
        let seconds: Vec<i64> = deltas.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
        let lens = [plain.len, differences.len, Plan::of(&seconds).len];
        let order = (0..lens.len()).min_by_key(|&order| lens[order]).unwrap_or(0);
        let dense = pco_bytes(values, DeltaSpec::TryConsecutive(order));
        if 1 + varint_len(dense.len() as u64) + dense.len() < best_len {
            out.truncate(start);
            out.push(PCO);
            put_varint(out, dense.len() as u64);
            out.extend_from_slice(&dense);
        }
    }
}

/// Appends `count` values read from a column. The caller has bounded `count`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    pco_scratch: &mut PcoScratch<'_>,
    out: &mut Vec<i64>,
) -> Decoded<()> {
    if count == 0 {
        return Ok(());
    }
    match reader.u8()? {
        STEPS => take_steps(reader, count, out),
        PACKED => take_packed(reader, count, out),
        PACKED_DELTAS => {
            let mut value = reader.zigzag()?;
            out.push(value);
            let start = out.len();
            take_packed(reader, count - 1, out)?;
            for delta in &mut out[start..] {
                value = value.wrapping_add(*delta);
                *delta = value;
            }
            Ok(())
        }
        PCO => {
            let len = reader.count(reader.len(), "pco length")?;
            let start = out.len();
            out.resize(start + count, 0);
            take_pco(reader.take(len)?, pco_scratch.0, &mut out[start..])
        }
        _ => Err(Damaged("integer code")),
    }
}

/// The part of [`Scratch`] that decoding integers needs, so that the rest can be its destination.
pub(crate) struct PcoScratch<'a>(&'a mut DecompressorScratch);

impl Scratch {
    /// Splits into a destination and what decoding needs.
    pub(crate) fn split(&mut self) -> (&mut Vec<i64>, PcoScratch<'_>) {
        (&mut self.ints, PcoScratch(&mut self.pco))
    }

    /// What decoding into memory of the caller needs.
    pub(crate) fn pco(&mut self) -> PcoScratch<'_> {
        PcoScratch(&mut self.pco)
    }
}

/// The value that more than half of the numbers have, if there is one; otherwise any of them.
fn majority(values: &[i64]) -> i64 {
    let mut candidate = 0;
    let mut lead = 0u32;
    for &value in values {
        if lead == 0 {
            candidate = value;
        }
        lead = if value == candidate { lead + 1 } else { lead - 1 };
    }
    candidate
}

fn put_steps(first: i64, base: i64, deltas: &[i64], out: &mut Vec<u8>) {
    out.push(STEPS);
    put_zigzag(out, first);
    put_zigzag(out, base);
    let mut run = 0;
    for &delta in deltas {
        if delta == base {
            run += 1;
        } else {
            put_varint(out, run);
            put_zigzag(out, delta.wrapping_sub(base));
            run = 0;
        }
    }
    if run > 0 {
        put_varint(out, run);
    }
}

fn take_steps(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Decoded<()> {
    let mut value = reader.zigzag()?;
    let base = reader.zigzag()?;
    out.reserve(count);
    out.push(value);
    let mut left = count - 1;
    while left > 0 {
        let run = reader.count(left, "run of steps")?;
        if base == 0 {
            out.resize(out.len() + run, value);
        } else {
            for _ in 0..run {
                value = value.wrapping_add(base);
                out.push(value);
            }
        }
        left -= run;
        if left > 0 {
            value = value.wrapping_add(base).wrapping_add(reader.zigzag()?);
            out.push(value);
            left -= 1;
        }
    }
    Ok(())
}

/// What packing would write.
struct Plan {
    /// Low bits that are zero in every number.
    shift: u32,
    /// Bytes.
    len: usize,
}

impl Plan {
    fn of(values: &[i64]) -> Self {
        let all = values.iter().fold(0, |all, v| all | v);
        let shift = if all == 0 { 0 } else { all.trailing_zeros() };
        let blocks = values.chunks(BLOCK).map(|block| {
            let (low, width) = frame(block, shift);
            varint_len(zigzag(low)) + 1 + bitpack::packed_len(block.len(), width)
        });
        Self { shift, len: 1 + blocks.sum::<usize>() }
    }

    fn put(&self, values: &[i64], out: &mut Vec<u8>) {
        out.push(self.shift as u8);
        for block in values.chunks(BLOCK) {
            let (low, width) = frame(block, self.shift);
            put_zigzag(out, low);
            out.push(width as u8);
            let offsets = block.iter().map(|v| (v >> self.shift).wrapping_sub(low) as u64);
            bitpack::pack(offsets, width, out);
        }
    }
}

/// The lowest number of a block and the bits of the largest distance from it.
fn frame(block: &[i64], shift: u32) -> (i64, u32) {
    let (low, high) = block.iter().fold((i64::MAX, i64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let (low, high) = (low >> shift, high >> shift);
    (low, bitpack::width_of(high.wrapping_sub(low) as u64))
}

fn take_packed(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Decoded<()> {
    let shift = u32::from(reader.u8()?);
    if shift > 63 {
        return Err(Damaged("shift"));
    }
    let mut offsets = [0u64; BLOCK];
    let mut left = count;
    out.reserve(count);
    while left > 0 {
        let offsets = &mut offsets[..left.min(BLOCK)];
        let low = reader.zigzag()?;
        let width = u32::from(reader.u8()?);
        bitpack::unpack(reader, width, offsets)?;
        out.extend(offsets.iter().map(|&offset| low.wrapping_add(offset as i64) << shift));
        left -= offsets.len();
    }
    Ok(())
}

/// Numbers as one pco chunk of one page.
pub(crate) fn pco_bytes<T: Number>(values: &[T], deltas: DeltaSpec) -> Vec<u8> {
    let config = ChunkConfig::default().with_delta_spec(deltas);
    let mut out = Vec::new();
    let mut write = || -> pco::errors::PcoResult<()> {
        let file = FileCompressor::default();
        file.write_header(&mut out)?;
        let mut chunk = file.chunk_compressor(values, &config)?;
        chunk.write_meta(&mut out)?;
        for page in 0..chunk.n_per_page().len() {
            chunk.write_page(page, &mut out)?;
        }
        Ok(())
    };
    write().expect("at least one number, fewer than a page, into memory");
    out
}

/// Reads back [`pco_bytes`]; the count is known from elsewhere.
pub(crate) fn take_pco<T: Number>(
    bytes: &[u8],
    scratch: &mut DecompressorScratch,
    values: &mut [T],
) -> Decoded<()> {
    let damaged = |_| Damaged("pco bytes");
    let (file, rest) = FileDecompressor::new(bytes).map_err(damaged)?;
    let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(damaged)?;
    let mut page = chunk.page_decompressor_with_scratch(rest, values.len(), scratch).map_err(damaged)?;
    let progress = page.read(values).map_err(damaged)?;
    if progress.finished && progress.n_processed == values.len() { Ok(()) } else { Err(Damaged("pco count")) }
}

/// Reads floats written with [`pco_bytes`].
pub(crate) fn take_pco_floats(bytes: &[u8], scratch: &mut PcoScratch<'_>, values: &mut [f64]) -> Decoded<()> {
    take_pco(bytes, scratch.0, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64], effort: Effort) -> usize {
        let mut out = Vec::new();
        encode(values, effort, &mut out);
        let mut reader = Reader::new(&out);
        let mut back = Vec::new();
        let mut scratch = Scratch::default();
        decode(&mut reader, values.len(), &mut scratch.pco(), &mut back).expect("own bytes");
        assert!(reader.is_empty());
        assert_eq!(back, values);
        out.len()
    }

    #[test]
    fn usual_columns_are_small() {
        let regular: Vec<i64> = (0..960).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        let mut gaps = regular.clone();
        gaps.drain(300..320);
        let pages: Vec<i64> = (0..960).map(|i| 4096 * ((i * i) % 16)).collect();
        let slow: Vec<i64> = (0..960).map(|i| 100 + i / 100).collect();
        for (values, bytes_max, name) in [
            (vec![5; 960], 8, "constant"),
            (regular, 16, "regular"),
            (gaps, 20, "regular with a gap"),
            (pages, 600, "multiples of 4096"),
            (slow, 30, "slow counter"),
        ] {
            for effort in [Effort::Quick, Effort::Dense] {
                let bytes = round_trip(&values, effort);
                assert!(bytes <= bytes_max, "{name}: {bytes}");
            }
        }
    }

    #[test]
    fn extremes_round_trip() {
        for values in [vec![], vec![i64::MIN], vec![i64::MIN, i64::MAX, 0, -1, 1, i64::MIN]] {
            round_trip(&values, Effort::Quick);
            let long: Vec<i64> = values.iter().copied().cycle().take(values.len() * 100).collect();
            round_trip(&long, Effort::Dense);
        }
    }

    fn column() -> impl Strategy<Value = Vec<i64>> {
        prop_oneof![
            prop::collection::vec(any::<i64>(), 0..300),
            prop::collection::vec(-50i64..50, 0..300),
            (any::<i64>(), prop::collection::vec(0u8..20, 0..300)).prop_map(|(start, steps)| {
                steps
                    .iter()
                    .scan(start, |at, &step| {
                        *at = at.wrapping_add(if step == 0 { 7 } else { 100 });
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
            code in 0u8..5,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            count in 0usize..2000,
        ) {
            let mut all = vec![code];
            all.extend(bytes);
            let mut out = Vec::new();
            let _ = decode(&mut Reader::new(&all), count, &mut Scratch::default().pco(), &mut out);
            prop_assert!(out.len() <= count);
        }

        #[test]
        fn damaged_pco_does_not_panic(at in 0usize..200, bit in 0u8..8, cut in 0usize..200) {
            let values: Vec<i64> = (0..500).map(|i: i64| i * i % 977).collect();
            let mut bytes = pco_bytes(&values, DeltaSpec::Auto);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            bytes.truncate(bytes.len().saturating_sub(cut / 4));
            let mut back = vec![0i64; 500];
            let _ = take_pco(&bytes, &mut DecompressorScratch::default(), &mut back);
        }
    }
}
