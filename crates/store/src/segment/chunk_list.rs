//! The list of a series' chunks, as the series table stores it: a few bytes per chunk, statistics included.
//!
//! The chunks of a series lie side by side in file order, so an entry has a length only, and the offset of
//! the first comes from a column of the table. A vector of timestamps that a chunk is the first to use lies
//! just before it. A chunk whose values are all the same has no bytes beside its entry.

use super::chunk::{Summary, from_decimal};
use super::layout::Vector;
use super::wire::{Damaged, Decoded, Reader, put_varint, put_zigzag};

/// What a chunk holds. The discriminant is what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// Float samples.
    Float = 0,
    /// Native histograms.
    Histogram = 1,
    /// Exemplars.
    Exemplars = 2,
}

/// Statistics of a chunk of finite floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChunkStats {
    /// First value.
    pub first: f64,
    /// Last value.
    pub last: f64,
    /// Lowest value.
    pub min: f64,
    /// Highest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
}

/// One chunk of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChunkEntry {
    pub(crate) kind: ChunkKind,
    /// Index of its vector of timestamps; unused for exemplars.
    pub(crate) vector: u32,
    /// The vector lies before the chunk, for the first time.
    pub(crate) brings_vector: bool,
    /// Samples or exemplars.
    pub(crate) count: u32,
    pub(crate) min_t_ms: i64,
    pub(crate) max_t_ms: i64,
    /// First byte in the `.chunks` file.
    pub(crate) offset: u64,
    /// Bytes; 0 when the statistics say it all.
    pub(crate) len: u32,
    pub(crate) stats: Option<Summary>,
}

const STATS_SHIFT: u32 = 2;
const SHAPE_SHIFT: u32 = 4;
const BRINGS_VECTOR: u8 = 1 << 6;

const STATS_DECIMAL: u8 = 1;
const STATS_FLOAT: u8 = 2;

const SHAPE_GENERAL: u8 = 0;
const SHAPE_RISING: u8 = 1;
const SHAPE_CONSTANT: u8 = 2;

impl Summary {
    /// The statistics in plain numbers, for `count` values.
    pub(crate) fn stats(&self, count: u32) -> ChunkStats {
        match *self {
            Self::Float { first, last, min, max, sum, .. } => ChunkStats { first, last, min, max, sum },
            Self::Decimal { places, first, last, min, max, sum_above_first } => {
                let sum = i128::from(first) * i128::from(count) + i128::from(sum_above_first);
                let value = |scaled| from_decimal(scaled, places);
                // Dividing the exact sum rounds once or twice, an ordinary sum once per value.
                let sum = sum as f64 / from_decimal_scale(places);
                ChunkStats { first: value(first), last: value(last), min: value(min), max: value(max), sum }
            }
        }
    }

    /// The bits of every value, where all have the same.
    pub(crate) fn constant(&self) -> Option<f64> {
        match *self {
            Self::Decimal { places, first, min, max, .. } => {
                (min == max).then(|| from_decimal(first, places))
            }
            Self::Float { first, constant, .. } => constant.then_some(first),
        }
    }

    fn shape(&self) -> u8 {
        match *self {
            _ if self.constant().is_some() => SHAPE_CONSTANT,
            Self::Decimal { first, last, min, max, .. } if first == min && last == max => SHAPE_RISING,
            Self::Float { first, last, min, max, .. } if same(first, min) && same(last, max) => SHAPE_RISING,
            _ => SHAPE_GENERAL,
        }
    }
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

fn from_decimal_scale(places: u8) -> f64 {
    10f64.powi(i32::from(places))
}

impl ChunkEntry {
    /// Appends the entry; its offset follows from the chunks before it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let shape = self.stats.map_or(SHAPE_GENERAL, |s| s.shape());
        let form = match self.stats {
            None => 0,
            Some(Summary::Decimal { .. }) => STATS_DECIMAL,
            Some(Summary::Float { .. }) => STATS_FLOAT,
        };
        let brings = if self.brings_vector { BRINGS_VECTOR } else { 0 };
        out.push(self.kind as u8 | form << STATS_SHIFT | shape << SHAPE_SHIFT | brings);
        if self.kind == ChunkKind::Exemplars {
            put_varint(out, u64::from(self.count));
            put_zigzag(out, self.min_t_ms);
            put_varint(out, self.max_t_ms.wrapping_sub(self.min_t_ms) as u64);
        } else {
            put_varint(out, u64::from(self.vector));
        }
        match self.stats {
            None => {}
            Some(Summary::Decimal { places, first, last, min, max, sum_above_first }) => {
                out.push(places);
                put_zigzag(out, first);
                if shape != SHAPE_CONSTANT {
                    put_zigzag(out, last.wrapping_sub(first));
                    put_zigzag(out, sum_above_first);
                }
                if shape == SHAPE_GENERAL {
                    put_varint(out, first.wrapping_sub(min) as u64);
                    put_varint(out, max.wrapping_sub(first) as u64);
                }
            }
            Some(Summary::Float { first, last, min, max, sum, .. }) => {
                let numbers = [first, sum, last, min, max];
                let used = match shape {
                    SHAPE_GENERAL => 5,
                    SHAPE_RISING => 3,
                    _ => 2,
                };
                for number in &numbers[..used] {
                    out.extend_from_slice(&number.to_bits().to_le_bytes());
                }
            }
        }
        put_varint(out, u64::from(self.len));
    }

    fn decode(reader: &mut Reader<'_>, vectors: &[Vector], offset: &mut u64) -> Decoded<Self> {
        let head = reader.u8()?;
        let kind = match head & 3 {
            0 => ChunkKind::Float,
            1 => ChunkKind::Histogram,
            2 => ChunkKind::Exemplars,
            _ => return Err(Damaged("kind of a chunk")),
        };
        let mut entry = Self {
            kind,
            vector: 0,
            brings_vector: head & BRINGS_VECTOR != 0,
            count: 0,
            min_t_ms: 0,
            max_t_ms: 0,
            offset: 0,
            len: 0,
            stats: None,
        };
        if kind == ChunkKind::Exemplars {
            entry.count = u32::try_from(reader.varint()?).map_err(|_| Damaged("number of exemplars"))?;
            entry.min_t_ms = reader.zigzag()?;
            entry.max_t_ms = entry.min_t_ms.wrapping_add(reader.varint()? as i64);
        } else {
            let index = reader.varint()?;
            let vector = usize::try_from(index).ok().and_then(|i| vectors.get(i));
            let vector = vector.ok_or(Damaged("reference to timestamps"))?;
            entry.vector = index as u32;
            (entry.count, entry.min_t_ms, entry.max_t_ms) = (vector.count, vector.min_t_ms, vector.max_t_ms);
            if entry.brings_vector {
                *offset = offset.checked_add(u64::from(vector.len)).ok_or(Damaged("offset of a chunk"))?;
            }
        }
        let shape = head >> SHAPE_SHIFT & 3;
        entry.stats = match head >> STATS_SHIFT & 3 {
            0 => None,
            STATS_DECIMAL => Some(take_decimal(reader, shape)?),
            STATS_FLOAT => Some(take_float(reader, shape)?),
            _ => return Err(Damaged("statistics of a chunk")),
        };
        entry.offset = *offset;
        entry.len = u32::try_from(reader.varint()?).map_err(|_| Damaged("length of a chunk"))?;
        *offset = offset.checked_add(u64::from(entry.len)).ok_or(Damaged("offset of a chunk"))?;
        Ok(entry)
    }
}

fn take_decimal(reader: &mut Reader<'_>, shape: u8) -> Decoded<Summary> {
    let places = reader.u8()?;
    let first = reader.zigzag()?;
    let (mut last, mut sum_above_first) = (first, 0);
    if shape != SHAPE_CONSTANT {
        last = first.wrapping_add(reader.zigzag()?);
        sum_above_first = reader.zigzag()?;
    }
    let (mut min, mut max) = (first, last);
    if shape == SHAPE_GENERAL {
        min = first.wrapping_sub(reader.varint()? as i64);
        max = first.wrapping_add(reader.varint()? as i64);
    }
    Ok(Summary::Decimal { places, first, last, min, max, sum_above_first })
}

fn take_float(reader: &mut Reader<'_>, shape: u8) -> Decoded<Summary> {
    let mut number = || reader.u64().map(f64::from_bits);
    let (first, sum) = (number()?, number()?);
    let last = if shape == SHAPE_CONSTANT { first } else { number()? };
    let (min, max) = if shape == SHAPE_GENERAL { (number()?, number()?) } else { (first, last) };
    Ok(Summary::Float { first, last, min, max, sum, constant: shape == SHAPE_CONSTANT })
}

/// Reads a list into `entries`, which it clears. `offset` is where the first chunk, or the vector that it
/// brings, begins.
pub(crate) fn decode_list(
    bytes: &[u8],
    mut offset: u64,
    vectors: &[Vector],
    entries: &mut Vec<ChunkEntry>,
) -> Decoded<()> {
    entries.clear();
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        entries.push(ChunkEntry::decode(&mut reader, vectors, &mut offset)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> Vec<Vector> {
        (0..3)
            .map(|i| Vector {
                offset: 8,
                len: 20 + i,
                count: 100 * (i + 1),
                min_t_ms: i64::from(i),
                max_t_ms: 9_000,
            })
            .collect()
    }

    fn decimal(first: i64, last: i64, min: i64, max: i64) -> Option<Summary> {
        Some(Summary::Decimal { places: 2, first, last, min, max, sum_above_first: last - first })
    }

    fn float(first: f64, last: f64, min: f64, max: f64, constant: bool) -> Option<Summary> {
        Some(Summary::Float { first, last, min, max, sum: 1.5, constant })
    }

    #[test]
    fn lists_round_trip() {
        let vectors = vectors();
        let mut entries = Vec::new();
        let mut offset = 8;
        for (i, stats) in [
            None,
            decimal(5, 9, 1, 12),
            decimal(5, 9, 5, 9),
            decimal(-1 << 60, 1 << 60, i64::MIN, i64::MAX),
            decimal(-7, -7, -7, -7),
            float(0.5, 0.25, 0.1, 0.9, false),
            float(0.1, 0.9, 0.1, 0.9, false),
            float(-0.0, -0.0, -0.0, -0.0, true),
        ]
        .into_iter()
        .enumerate()
        {
            let vector = i % 3;
            let len = if stats.is_some_and(|s| s.constant().is_some()) { 0 } else { 100 + i as u32 };
            if i < 3 {
                offset += u64::from(vectors[vector].len);
            }
            entries.push(ChunkEntry {
                kind: if i == 0 { ChunkKind::Histogram } else { ChunkKind::Float },
                vector: vector as u32,
                brings_vector: i < 3,
                count: vectors[vector].count,
                min_t_ms: vectors[vector].min_t_ms,
                max_t_ms: 9_000,
                offset,
                len,
                stats,
            });
            offset += u64::from(len);
        }
        entries.push(ChunkEntry {
            kind: ChunkKind::Exemplars,
            vector: 0,
            brings_vector: false,
            count: 3,
            min_t_ms: -5,
            max_t_ms: 1_700_000_000_000,
            offset,
            len: 77,
            stats: None,
        });
        let mut out = Vec::new();
        entries.iter().for_each(|e| e.encode(&mut out));
        let mut back = Vec::new();
        decode_list(&out, 8, &vectors, &mut back).expect("own bytes");
        assert_eq!(back, entries);
    }

    #[test]
    fn statistics_are_in_plain_numbers() {
        let stats = decimal(150, 250, 150, 250).expect("some").stats(2);
        assert_eq!(stats, ChunkStats { first: 1.5, last: 2.5, min: 1.5, max: 2.5, sum: 4.0 });
    }

    proptest! {
        #[test]
        fn arbitrary_lists_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), offset: u64) {
            let mut entries = Vec::new();
            let _ = decode_list(&bytes, offset, &vectors(), &mut entries);
            for entry in entries {
                let _ = entry.stats.map(|s| s.stats(entry.count));
            }
        }
    }
}
