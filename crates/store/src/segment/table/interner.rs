//! Distinct texts, numbered in the order in which they came.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// A set of texts in one allocation.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: Texts,
    numbers: HashTable<u32>,
}

/// Texts by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, number: usize) -> &str {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.all[start..self.ends[number]]
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Position of a text, where texts are sorted.
    pub(crate) fn find_sorted(&self, text: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(text) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.all.capacity() + 8 * self.ends.capacity()
    }
}

impl Interner {
    /// The number of a text, a new one if it has not been seen.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        let hash = xxh3_64(text.as_bytes());
        let texts = &self.texts;
        if let Some(&number) = self.numbers.find(hash, |&n| texts.get(n as usize) == text) {
            return number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text);
        let texts = &self.texts;
        self.numbers.insert_unique(hash, number, |&n| xxh3_64(texts.get(n as usize).as_bytes()));
        number
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The texts sorted, and for each number its place among them.
    pub(crate) fn into_sorted(self) -> (Texts, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_unstable_by_key(|&n| self.texts.get(n as usize));
        let mut sorted = Texts { all: String::with_capacity(self.texts.all.len()), ends: Vec::new() };
        sorted.ends.reserve_exact(order.len());
        let mut places = vec![0; order.len()];
        for (place, &number) in order.iter().enumerate() {
            sorted.push(self.texts.get(number as usize));
            places[number as usize] = place as u32;
        }
        (sorted, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbered_once_and_sort() {
        let mut interner = Interner::default();
        let numbers: Vec<u32> = ["b", "", "b", "a", "é"].iter().map(|t| interner.intern(t)).collect();
        assert_eq!(numbers, [0, 1, 0, 2, 3]);
        let (sorted, places) = interner.into_sorted();
        assert_eq!(sorted.iter().collect::<Vec<_>>(), ["", "a", "b", "é"]);
        assert_eq!(places, [2, 0, 1, 3]);
        assert_eq!((sorted.find_sorted("b"), sorted.find_sorted("c")), (Some(2), None));
    }
}
