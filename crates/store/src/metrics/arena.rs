//! Samples of all series of one head, in small blocks chained by series, freed all at once.

use model::Point;

/// Samples of a block. Most series have a handful when their head is flushed.
const BLOCK_POINTS: usize = 7;

/// Blocks of a page: just under 8 KiB, a size that allocators serve without waste.
const PAGE_BLOCKS: usize = 68;

/// No block.
pub(crate) const NONE: u32 = u32::MAX;

struct Block {
    next: u32,
    len: u32,
    points: [Point; BLOCK_POINTS],
}

const _: () = assert!(size_of::<Block>() * PAGE_BLOCKS <= 8192);

/// The samples of one series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    /// No samples.
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE };
}

/// The blocks.
#[derive(Default)]
pub(crate) struct Arena {
    pages: Vec<Box<[Block]>>,
    used: usize,
}

impl Arena {
    /// Adds samples to the end of a chain.
    pub(crate) fn extend(&mut self, chain: &mut Chain, mut points: &[Point]) {
        while !points.is_empty() {
            if chain.last == NONE || self.block(chain.last).len as usize == BLOCK_POINTS {
                let fresh = self.allocate();
                if chain.last == NONE {
                    chain.first = fresh;
                } else {
                    self.block_mut(chain.last).next = fresh;
                }
                chain.last = fresh;
            }
            let block = self.block_mut(chain.last);
            let len = block.len as usize;
            let take = points.len().min(BLOCK_POINTS - len);
            block.points[len..len + take].copy_from_slice(&points[..take]);
            block.len += take as u32;
            points = &points[take..];
        }
    }

    /// The samples of a chain in the order in which they were added.
    pub(crate) fn iter(&self, chain: Chain) -> impl Iterator<Item = Point> + '_ {
        let mut next = chain.first;
        std::iter::from_fn(move || {
            (next != NONE).then(|| {
                let block = self.block(next);
                next = block.next;
                &block.points[..block.len as usize]
            })
        })
        .flatten()
        .copied()
    }

    /// Bytes of all pages.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.len() * PAGE_BLOCKS * size_of::<Block>()
    }

    fn allocate(&mut self) -> u32 {
        if self.used == self.pages.len() * PAGE_BLOCKS {
            let empty =
                || Block { next: NONE, len: 0, points: [Point { t_ms: 0, value: 0.0 }; BLOCK_POINTS] };
            self.pages.push((0..PAGE_BLOCKS).map(|_| empty()).collect());
        }
        self.used += 1;
        (self.used - 1) as u32
    }

    fn block(&self, at: u32) -> &Block {
        &self.pages[at as usize / PAGE_BLOCKS][at as usize % PAGE_BLOCKS]
    }

    fn block_mut(&mut self, at: u32) -> &mut Block {
        &mut self.pages[at as usize / PAGE_BLOCKS][at as usize % PAGE_BLOCKS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_keep_their_own_samples_in_order() {
        let mut arena = Arena::default();
        let mut chains = [Chain::EMPTY; 5];
        for round in 0..40 {
            for (i, chain) in chains.iter_mut().enumerate() {
                let point = |n: usize| Point { t_ms: (round * 10 + n) as i64, value: i as f64 };
                arena.extend(chain, &(0..i).map(point).collect::<Vec<_>>());
            }
        }
        for (i, chain) in chains.into_iter().enumerate() {
            let times: Vec<_> = arena.iter(chain).map(|p| (p.t_ms, p.value as usize)).collect();
            let want: Vec<_> = (0..40).flat_map(|r| (0..i).map(move |n| ((r * 10 + n) as i64, i))).collect();
            assert_eq!(times, want);
        }
    }
}
