//! Split-block bloom filters of a slice's blocks, laid out so that one token costs one read.
//!
//! Every block of a slice has the same number of 32-byte lanes. They are stored lane by lane:
//! `lane 0 of block 0, lane 0 of block 1, …, CRC32C | lane 1 of block 0, …`. A token picks one lane and one
//! bit in each of its eight words, so the answer for all blocks of a slice is in one row of at most
//! 16 × 32 + 4 bytes.

/// Blocks of a slice at most.
pub(crate) const BLOCKS_MAX: usize = 16;
/// Bytes of a lane of one block.
const LANE_BYTES: usize = 32;
/// Bits for each distinct token: about one false hit in a hundred.
const BITS_PER_TOKEN: usize = 11;
/// Lanes at most: 1 MiB a block, far more than 4,096 rows need unless their texts are huge.
const LANES_MAX: usize = 1 << 15;
const CRC_BYTES: usize = 4;

/// Odd multipliers, one for each word of a lane.
const MULTIPLIERS: [u32; 8] =
    [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1, 0xd35a_2d97, 0x68e3_1da5, 0xb529_7a4d];

/// Bytes of one row of lanes.
pub(crate) fn row_bytes(blocks: usize) -> usize {
    blocks * LANE_BYTES + CRC_BYTES
}

/// The lane that a token is in.
pub(crate) fn lane_of(token: u64, lanes: u32) -> u32 {
    (((token >> 32) * u64::from(lanes)) >> 32) as u32
}

/// The filters of a slice, for the distinct tokens of each of its blocks: lanes, and their rows.
pub(crate) fn encode(blocks: &[Vec<u64>]) -> (u32, Vec<u8>) {
    let most = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let lanes = (most * BITS_PER_TOKEN).div_ceil(8 * LANE_BYTES).clamp(1, LANES_MAX);
    let width = row_bytes(blocks.len());
    let mut rows = vec![0u8; lanes * width];
    for (block, tokens) in blocks.iter().enumerate() {
        for &token in tokens {
            let at = lane_of(token, lanes as u32) as usize * width + block * LANE_BYTES;
            let lane = &mut rows[at..at + LANE_BYTES];
            for (word, mask) in lane.chunks_exact_mut(4).zip(masks(token)) {
                for (byte, bits) in word.iter_mut().zip(mask.to_le_bytes()) {
                    *byte |= bits;
                }
            }
        }
    }
    for row in rows.chunks_exact_mut(width) {
        let (lanes, crc) = row.split_at_mut(width - CRC_BYTES);
        crc.copy_from_slice(&crc32c::crc32c(lanes).to_le_bytes());
    }
    (lanes as u32, rows)
}

/// The blocks that may have a token, one bit each, from the row of its lane; `None` when the row is damaged.
pub(crate) fn probe(row: &[u8], token: u64) -> Option<u32> {
    let (lanes, crc) = row.split_last_chunk::<CRC_BYTES>()?;
    if crc32c::crc32c(lanes) != u32::from_le_bytes(*crc) {
        return None;
    }
    let masks = masks(token);
    let mut hits = 0;
    for (block, lane) in lanes.chunks_exact(LANE_BYTES).enumerate() {
        let mut words = lane.as_chunks::<4>().0.iter().zip(masks);
        let has_all = words.all(|(word, mask)| u32::from_le_bytes(*word) & mask == mask);
        hits |= u32::from(has_all) << block;
    }
    Some(hits)
}

fn masks(token: u64) -> [u32; 8] {
    MULTIPLIERS.map(|odd| 1 << ((token as u32).wrapping_mul(odd) >> 27))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn look_up(rows: &[u8], lanes: u32, blocks: usize, token: u64) -> u32 {
        let width = row_bytes(blocks);
        let at = lane_of(token, lanes) as usize * width;
        probe(&rows[at..at + width], token).expect("undamaged")
    }

    proptest! {
        #[test]
        fn no_token_is_missed(blocks in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..300), 1..=16)) {
            let (lanes, rows) = encode(&blocks);
            for (block, tokens) in blocks.iter().enumerate() {
                for &token in tokens {
                    prop_assert!(look_up(&rows, lanes, blocks.len(), token) & (1 << block) != 0);
                }
            }
        }
    }

    #[test]
    fn few_tokens_that_are_not_there_hit() {
        let token = |n: u64| xxh3_64(&n.to_le_bytes());
        let blocks: Vec<Vec<u64>> =
            (0..16).map(|block| (0..10_000).map(|n| token(block * 10_000 + n)).collect()).collect();
        let (lanes, rows) = encode(&blocks);
        let hits: u32 = (0..5000).map(|n| look_up(&rows, lanes, 16, token(1_000_000 + n)).count_ones()).sum();
        assert!(hits < 5000 * 16 / 50, "{hits} of 80000");
    }

    #[test]
    fn a_damaged_row_is_noticed() {
        let (_, mut rows) = encode(&[vec![7]]);
        let width = row_bytes(1);
        rows[3] ^= 1;
        assert_eq!(probe(&rows[..width], 7), None);
        assert_eq!(probe(&[], 7), None);
    }
}
