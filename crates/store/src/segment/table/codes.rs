//! A label column as numbers, in as few bytes as its values need.

/// A code per row; 0 is an absent label.
#[derive(Debug)]
pub(super) enum Codes {
    /// Up to 255 values.
    Bytes(Vec<u8>),
    /// Up to 65,535 values.
    Shorts(Vec<u16>),
    /// More.
    Words(Vec<u32>),
    /// Few rows have the label: their numbers, ascending, and codes.
    Sparse(Vec<u32>, Vec<u32>),
}

impl Codes {
    /// Packs a column; `values` is the highest code.
    pub(super) fn pack(codes: &[u32], values: usize) -> Self {
        let present = codes.iter().filter(|&&c| c != 0).count();
        if present < codes.len() / 16 {
            let with = || codes.iter().enumerate().filter(|(_, c)| **c != 0);
            return Self::Sparse(
                with().map(|(row, _)| row as u32).collect(),
                with().map(|(_, c)| *c).collect(),
            );
        }
        match values {
            0..=0xff => Self::Bytes(codes.iter().map(|&c| c as u8).collect()),
            0x100..=0xffff => Self::Shorts(codes.iter().map(|&c| c as u16).collect()),
            _ => Self::Words(codes.to_vec()),
        }
    }

    pub(super) fn get(&self, row: u32) -> u32 {
        let at = row as usize;
        match self {
            Self::Bytes(codes) => codes.get(at).copied().map_or(0, u32::from),
            Self::Shorts(codes) => codes.get(at).copied().map_or(0, u32::from),
            Self::Words(codes) => codes.get(at).copied().unwrap_or(0),
            Self::Sparse(rows, codes) => rows.binary_search(&row).map_or(0, |i| codes[i]),
        }
    }

    /// True when one of these rows, ascending, has the label.
    pub(super) fn is_in_any(&self, rows: &[u32]) -> bool {
        match self {
            Self::Sparse(with, _) => with.iter().any(|row| rows.binary_search(row).is_ok()),
            _ => rows.iter().any(|&row| self.get(row) != 0),
        }
    }

    /// Rows of `0..rows` whose code is accepted. `accepted` has an element for every code.
    pub(super) fn filter_all(&self, rows: u32, accepted: &[bool]) -> Vec<u32> {
        fn filter<T: Copy + Into<u32>>(codes: &[T], accepted: &[bool]) -> Vec<u32> {
            let hit = |(row, code): (usize, &T)| accepted[(*code).into() as usize].then_some(row as u32);
            codes.iter().enumerate().filter_map(hit).collect()
        }
        match self {
            Self::Bytes(codes) => filter(codes, accepted),
            Self::Shorts(codes) => filter(codes, accepted),
            Self::Words(codes) => filter(codes, accepted),
            Self::Sparse(with, codes) if !accepted[0] => {
                with.iter().zip(codes).filter(|(_, c)| accepted[**c as usize]).map(|(row, _)| *row).collect()
            }
            Self::Sparse(with, codes) => {
                let mut refused = with
                    .iter()
                    .zip(codes)
                    .filter(|(_, c)| !accepted[**c as usize])
                    .map(|(row, _)| *row)
                    .peekable();
                (0..rows).filter(|row| refused.next_if_eq(row).is_none()).collect()
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bytes(codes) => codes.len(),
            Self::Shorts(codes) => 2 * codes.len(),
            Self::Words(codes) => 4 * codes.len(),
            Self::Sparse(rows, codes) => 4 * (rows.len() + codes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_width_filters_as_a_plain_column_does(
            codes in prop::collection::vec(prop_oneof![Just(0u32), Just(0), 0u32..5], 0..200),
            padding in prop_oneof![Just(0usize), Just(100), Just(400)],
            values in prop_oneof![Just(5usize), Just(300), Just(70_000)],
            accepted in prop::collection::vec(any::<bool>(), 5),
        ) {
            let mut codes = codes;
            codes.resize(codes.len() + padding, 0);
            let packed = Codes::pack(&codes, values);
            let mut all = accepted.clone();
            all.resize(values + 1, false);
            let want: Vec<u32> =
                (0..codes.len() as u32).filter(|&row| accepted[codes[row as usize] as usize]).collect();
            prop_assert_eq!(packed.filter_all(codes.len() as u32, &all), want);
            let some: Vec<u32> = (0..codes.len() as u32).filter(|row| row % 3 == 1).collect();
            let has = some.iter().any(|&row| codes[row as usize] != 0);
            prop_assert_eq!(packed.is_in_any(&some), has);
            for (row, &code) in codes.iter().enumerate() {
                prop_assert_eq!(packed.get(row as u32), code);
            }
        }
    }
}
