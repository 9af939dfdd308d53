//! A stable name of 64 bits for a label set, the one Alertmanager shows and accepts.

use std::fmt::Write;

use crate::Labels;

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Stands behind every name and every value; no UTF-8 text holds it.
const SEPARATOR: u8 = 0xff;

/// The fingerprint of a label set: FNV-1a of 64 bits over every name and value in order of name, each followed
/// by the byte 255 (`labelSetToFingerprint` of prometheus/common, model/signature.go). Alertmanager's API writes
/// it as 16 hex digits.
pub fn fingerprint(labels: &Labels) -> u64 {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    texts.fold(OFFSET_BASIS, |hash, text| {
        text.bytes().chain([SEPARATOR]).fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    })
}

/// A text in double quotes, with backslash, quote and line break escaped and all else as it is: the same for ever,
/// since keys made of it are stored.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A label set as Alertmanager writes it in group keys: `{a="x", b="y"}`.
pub fn label_text(labels: &Labels) -> String {
    let mut out = String::from("{");
    for (i, (name, value)) in labels.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(out, "{comma}{name}={}", quoted(value)).expect("writing to a String cannot fail");
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_alertmanager() {
        // Taken from the answers of Alertmanager 0.25 to `GET /api/v2/alerts`.
        for (labels, want) in FROM_ALERTMANAGER {
            let labels: Labels = labels.iter().map(|(n, v)| (String::from(*n), String::from(*v))).collect();
            assert_eq!(format!("{:016x}", fingerprint(&labels)), *want, "{labels:?}");
        }
        assert_eq!(fingerprint(&Labels::new()), OFFSET_BASIS);
    }

    type Row = (&'static [(&'static str, &'static str)], &'static str);
    const FROM_ALERTMANAGER: &[Row] = &[
        (&[("alertname", "DiskFull"), ("host", "a")], "2d1f268574210637"),
        (&[("alertname", "ünïcode"), ("severity", "critical"), ("x", "a\"b\\c")], "c3d21d57300caa12"),
        (&[("a", "b")], "d2b371819297f98a"),
    ];
}
