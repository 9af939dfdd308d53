//! What a series is looked up by: a hash of its label bytes as they came in.
//!
//! The same labels may have several fingerprints (another order, another protocol); different labels never
//! share one, because lengths and positions are hashed too. The seed differs by process, so that nobody can
//! prepare collisions.

use model::{LabelSpan, Labels};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Computes fingerprints; keeps a buffer between calls.
#[derive(Default)]
pub(crate) struct Fingerprinter {
    seed: u64,
    scratch: Vec<u8>,
}

const IN_PLACE: u8 = 1;
const COPIED: u8 = 2;
const CANONICAL: u8 = 3;

/// Bytes between labels (tags and lengths of the protocol) up to which hashing in place is cheaper.
const FRAMING_BYTES_MAX: usize = 8;

impl Fingerprinter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, scratch: Vec::with_capacity(1024) }
    }

    /// The fingerprint of labels as a request has them.
    pub(crate) fn of_spans(&mut self, labels: &[LabelSpan], text: &[u8]) -> u128 {
        let scratch = &mut self.scratch;
        scratch.clear();
        let spans = || labels.iter().flat_map(|label| [label.name, label.value]);
        let start = labels.first().map_or(0, |label| label.name.start) as usize;
        let end = labels.last().map_or(0, |label| label.value.start as usize + label.value.len as usize);
        let len: usize = spans().map(|span| span.len as usize).sum();
        match text.get(start..end) {
            Some(region) if region.len() <= len + 2 * labels.len() * FRAMING_BYTES_MAX => {
                scratch.push(IN_PLACE);
                scratch.extend_from_slice(&xxh3_128_with_seed(region, self.seed).to_le_bytes());
                for span in spans() {
                    // A span before the region wraps around and is as distinct as any other.
                    let offset = span.start.wrapping_sub(start as u32);
                    let packed = u64::from(offset) << 32 | u64::from(span.len);
                    scratch.extend_from_slice(&packed.to_le_bytes());
                    if offset as usize + span.len as usize > region.len() {
                        scratch.extend_from_slice(span.of(text));
                    }
                }
            }
            _ => {
                scratch.push(COPIED);
                for span in spans() {
                    scratch.extend_from_slice(&span.len.to_le_bytes());
                    scratch.extend_from_slice(span.of(text));
                }
            }
        }
        xxh3_128_with_seed(scratch, self.seed)
    }

    /// The fingerprint of sorted and checked labels.
    pub(crate) fn of_labels(&mut self, labels: &Labels) -> u128 {
        self.scratch.clear();
        self.scratch.push(CANONICAL);
        self.scratch.extend_from_slice(labels.packed().as_bytes());
        xxh3_128_with_seed(&self.scratch, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use model::{MetricBatch, Span};

    use super::*;

    fn of(pairs: &[(&str, &str)], padding: usize, reversed: bool) -> u128 {
        let mut batch = MetricBatch::default();
        let mut spans = Vec::new();
        let mut push = |text: &str| {
            batch.push_text(&vec![b'.'; padding]);
            batch.push_text(text.as_bytes())
        };
        for (name, value) in pairs {
            let (name, value) = if reversed {
                let value = push(value);
                (push(name), value)
            } else {
                (push(name), push(value))
            };
            spans.push(LabelSpan { name, value });
        }
        Fingerprinter::new(7).of_spans(&spans, &batch.text)
    }

    #[test]
    fn labels_that_differ_only_in_where_texts_end_differ() {
        for padding in [0, 1, 100] {
            for reversed in [false, true] {
                let same = of(&[("ab", "c"), ("d", "e")], padding, reversed);
                assert_eq!(same, of(&[("ab", "c"), ("d", "e")], padding, reversed));
                assert_ne!(same, of(&[("a", "bc"), ("d", "e")], padding, reversed));
                assert_ne!(same, of(&[("ab", "c"), ("d", "f")], padding, reversed));
                assert_ne!(same, of(&[("ab", "c")], padding, reversed));
            }
        }
    }

    #[test]
    fn position_in_the_request_does_not_matter() {
        let labels = |start| {
            vec![LabelSpan { name: Span { start, len: 1 }, value: Span { start: start + 2, len: 1 } }]
        };
        let mut fingerprinter = Fingerprinter::new(1);
        let first = fingerprinter.of_spans(&labels(0), b"a=b;a=b");
        assert_eq!(first, fingerprinter.of_spans(&labels(4), b"a=b;a=b"));
    }

    #[test]
    fn spans_outside_the_text_never_panic() {
        let span = Span { start: u32::MAX - 3, len: 1 };
        Fingerprinter::new(1).of_spans(&[LabelSpan { name: span, value: span }], b"abc");
    }
}
