//! Chunks of exemplars: times and values as columns, labels as one compressed text.

use model::{Exemplar, Labels};

use super::ints::{self, Effort, Scratch};
use super::{check_count, expect_end, floats, put_sealed, unseal};
use crate::segment::wire::{Damaged, Decoded, put_text, put_varint};

/// Most bytes that the labels of one chunk may decompress to.
const LABEL_BYTES_MAX: usize = 64 << 20;
/// Trace ids are random, so more effort saves nothing.
const ZSTD_LEVEL: i32 = 1;

/// Appends a chunk of exemplars, sorted by time.
pub(crate) fn encode_exemplars(exemplars: &[Exemplar], effort: Effort, out: &mut Vec<u8>) {
    put_sealed(out, |out| {
        let times: Vec<i64> = exemplars.iter().map(|e| e.t_ms).collect();
        let values: Vec<f64> = exemplars.iter().map(|e| e.value).collect();
        ints::encode(&times, effort, out);
        floats::encode(&values, effort, out);
        let mut text = Vec::new();
        for exemplar in exemplars {
            put_text(&mut text, exemplar.labels.packed());
        }
        let packed = zstd::bulk::compress(&text, ZSTD_LEVEL).expect("compressing into memory");
        put_varint(out, text.len() as u64);
        out.extend_from_slice(&packed);
    });
}

/// Appends the `count` exemplars of a chunk.
pub(crate) fn decode_exemplars(
    bytes: &[u8],
    count: usize,
    scratch: &mut Scratch,
    exemplars: &mut Vec<Exemplar>,
) -> Decoded<()> {
    check_count(count)?;
    let mut reader = unseal(bytes)?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    ints::decode(&mut reader, count, &mut scratch.pco(), &mut times)?;
    floats::decode(&mut reader, count, scratch, &mut values)?;
    let text_len = reader.count(LABEL_BYTES_MAX, "length of labels")?;
    let packed = reader.take(reader.len())?;
    let text = zstd::bulk::decompress(packed, text_len).map_err(|_| Damaged("zstd bytes"))?;
    let mut reader = crate::segment::wire::Reader::new(&text);
    for (t_ms, value) in times.into_iter().zip(values) {
        let labels = Labels::from_packed(reader.text()?).map_err(|_| Damaged("labels of an exemplar"))?;
        exemplars.push(Exemplar { t_ms, value, labels });
    }
    expect_end(&reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_round_trip() {
        let exemplars: Vec<Exemplar> = (0..100)
            .map(|i| Exemplar {
                t_ms: 1_700_000_000_000 + i * 997,
                value: i as f64 / 8.0,
                labels: Labels::from_pairs([("trace_id", format!("{:032x}", i * i).as_str())])
                    .expect("labels"),
            })
            .collect();
        for some in [&exemplars[..], &exemplars[..1], &[]] {
            let mut out = Vec::new();
            encode_exemplars(some, Effort::Dense, &mut out);
            let mut back = Vec::new();
            decode_exemplars(&out, some.len(), &mut Scratch::default(), &mut back).expect("own bytes");
            assert_eq!(back, some);
        }
    }
}
