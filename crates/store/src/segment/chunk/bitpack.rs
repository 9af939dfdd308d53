//! Runs of up to 64 numbers, each in the same number of bits.

use crate::segment::wire::{Damaged, Decoded, Reader};

/// Numbers packed together: a few blocks per chunk of a flushed head, and an outlier costs only its block.
pub(crate) const BLOCK: usize = 64;

/// Bits that hold a number.
pub(crate) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Bytes that [`pack`] writes for `count` numbers.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends numbers that fit in `width` bits.
pub(crate) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut pending = 0u128;
    let mut bits = 0;
    for value in values {
        pending |= u128::from(value) << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            bits -= 64;
        }
    }
    out.extend_from_slice(&(pending as u64).to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// Reads back up to [`BLOCK`] numbers.
pub(crate) fn unpack(reader: &mut Reader<'_>, width: u32, values: &mut [u64]) -> Decoded<()> {
    if width > 64 || values.len() > BLOCK {
        return Err(Damaged("bit width"));
    }
    let packed = reader.take(packed_len(values.len(), width))?;
    // Room behind the last number, so that every load is a whole word.
    let mut bytes = [0u8; BLOCK * 8 + 16];
    bytes[..packed.len()].copy_from_slice(packed);
    let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
    let width = width as usize;
    if width <= 56 {
        for (i, value) in values.iter_mut().enumerate() {
            let bit = i * width;
            *value = u64::from_le_bytes(load(&bytes, bit / 8)) >> (bit % 8) & mask;
        }
    } else {
        for (i, value) in values.iter_mut().enumerate() {
            let bit = i * width;
            *value = (u128::from_le_bytes(load(&bytes, bit / 8)) >> (bit % 8)) as u64 & mask;
        }
    }
    Ok(())
}

fn load<const N: usize>(bytes: &[u8; BLOCK * 8 + 16], at: usize) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&bytes[at..at + N]);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_round_trip(width in 0u32..=64, values in prop::collection::vec(any::<u64>(), 0..=BLOCK)) {
            let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
            let values: Vec<u64> = values.into_iter().map(|v| v & mask).collect();
            let mut out = Vec::new();
            pack(values.iter().copied(), width, &mut out);
            prop_assert_eq!(out.len(), packed_len(values.len(), width));
            let mut reader = Reader::new(&out);
            let mut back = vec![9; values.len()];
            prop_assert_eq!(unpack(&mut reader, width, &mut back), Ok(()));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(back, values);
        }
    }
}
