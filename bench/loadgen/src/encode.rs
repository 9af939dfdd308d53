//! Remote write 1.0: labels prepared once per series, samples appended.

use anyhow::Result;

/// One request in the making; its memory is reused.
#[derive(Default)]
pub(crate) struct WriteRequest {
    body: Vec<u8>,
    packed: Vec<u8>,
    samples: usize,
}

impl WriteRequest {
    /// Adds a series with one sample. `labels` are encoded by [`encode_labels`].
    pub(crate) fn push(&mut self, labels: &[u8], value: f64, t_ms: i64) {
        let mut sample = [0u8; 20];
        sample[0] = 1 << 3 | 1;
        sample[1..9].copy_from_slice(&value.to_le_bytes());
        sample[9] = 2 << 3;
        let end = 10 + put_varint(&mut sample[10..], t_ms as u64);
        let length = labels.len() + 2 + end;
        self.body.push(1 << 3 | 2);
        push_varint(&mut self.body, length as u64);
        self.body.extend_from_slice(labels);
        self.body.push(2 << 3 | 2);
        self.body.push(end as u8);
        self.body.extend_from_slice(&sample[..end]);
        self.samples += 1;
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// The compressed body; the request is empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>> {
        self.packed.resize(snap::raw::max_compress_len(self.body.len()), 0);
        let length = snap::raw::Encoder::new().compress(&self.body, &mut self.packed)?;
        self.body.clear();
        self.samples = 0;
        Ok(self.packed[..length].to_vec())
    }
}

/// The label messages of a series, sorted by name.
pub(crate) fn encode_labels(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let mut out = Vec::new();
    for (name, value) in sorted {
        let mut label = Vec::new();
        for (tag, text) in [(1u8, name), (2, value)] {
            label.push(tag << 3 | 2);
            push_varint(&mut label, text.len() as u64);
            label.extend_from_slice(text.as_bytes());
        }
        out.push(1 << 3 | 2);
        push_varint(&mut out, label.len() as u64);
        out.extend_from_slice(&label);
    }
    out
}

fn push_varint(out: &mut Vec<u8>, value: u64) {
    let mut bytes = [0u8; 10];
    let length = put_varint(&mut bytes, value);
    out.extend_from_slice(&bytes[..length]);
}

fn put_varint(out: &mut [u8], mut value: u64) -> usize {
    let mut n = 0;
    while value >= 0x80 {
        out[n] = value as u8 | 0x80;
        value >>= 7;
        n += 1;
    }
    out[n] = value as u8;
    n + 1
}
