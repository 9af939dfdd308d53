//! One record of the log: what is on disk.
//!
//! ```text
//! length u32   bytes after the checksum
//! checksum u32 CRC32C of the file's number, the length and everything after the checksum
//! seq u64 · signal u8 · kind u8 · tenant length u8 · tenant · payload
//! ```
//!
//! The file's number is part of the checksum, so that bytes left in a recycled file never count.

use model::TenantId;

/// Bytes before `seq`.
pub(crate) const PREFIX_BYTES: usize = 8;

/// Bytes between the checksum and the tenant.
const FIXED_BYTES: usize = 8 + 1 + 1 + 1;

/// Longest record, prefix included.
pub(crate) const RECORD_BYTES_MAX: usize = 256 << 20;

/// A record that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) seq: u64,
    pub(crate) signal: u8,
    pub(crate) kind: u8,
    pub(crate) tenant: &'a str,
    pub(crate) payload: &'a [u8],
}

/// Starts a record; the payload is what the caller appends.
pub(crate) fn begin(out: &mut Vec<u8>, signal: u8, kind: u8, tenant: &TenantId) {
    out.clear();
    out.extend_from_slice(&[0; PREFIX_BYTES + 8]);
    out.extend_from_slice(&[signal, kind, tenant.as_str().len() as u8]);
    out.extend_from_slice(tenant.as_str().as_bytes());
}

/// Numbers a record whose payload is complete.
pub(crate) fn number(record: &mut [u8], seq: u64) {
    let len = (record.len() - PREFIX_BYTES) as u32;
    record[..4].copy_from_slice(&len.to_le_bytes());
    record[PREFIX_BYTES..PREFIX_BYTES + 8].copy_from_slice(&seq.to_le_bytes());
}

/// Completes a numbered record for the file it goes to.
pub(crate) fn stamp(record: &mut [u8], file_no: u64) {
    let sum = checksum(&record[..4], &record[PREFIX_BYTES..], file_no);
    record[4..PREFIX_BYTES].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(len: &[u8], rest: &[u8], file_no: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&file_no.to_le_bytes()), len), rest)
}

/// Length of a record with its prefix, from its first four bytes; `None` where no record starts.
pub(crate) fn len_of(prefix: [u8; 4]) -> Option<usize> {
    let len = u32::from_le_bytes(prefix) as usize;
    (FIXED_BYTES..=RECORD_BYTES_MAX - PREFIX_BYTES).contains(&len).then_some(PREFIX_BYTES + len)
}

/// Reads a record of exactly the length that [`len_of`] told; `None` when it is torn, or not of this file.
pub(crate) fn parse(bytes: &[u8], file_no: u64) -> Option<Record<'_>> {
    let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES)?;
    if checksum(&prefix[..4], rest, file_no).to_le_bytes() != prefix[4..] {
        return None;
    }
    let (fixed, rest) = rest.split_at_checked(FIXED_BYTES)?;
    let (tenant, payload) = rest.split_at_checked(usize::from(fixed[10]))?;
    Some(Record {
        seq: u64::from_le_bytes(fixed[..8].try_into().ok()?),
        signal: fixed[8],
        kind: fixed[9],
        tenant: std::str::from_utf8(tenant).ok()?,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(seq: u64, payload: &[u8], file_no: u64) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out, 1, 7, &TenantId::default_tenant());
        out.extend_from_slice(payload);
        number(&mut out, seq);
        stamp(&mut out, file_no);
        out
    }

    proptest! {
        #[test]
        fn a_record_round_trips(seq: u64, payload: Vec<u8>, file_no: u64) {
            let bytes = record(seq, &payload, file_no);
            prop_assert_eq!(len_of(bytes[..4].try_into().expect("four")), Some(bytes.len()));
            let want = Record { seq, signal: 1, kind: 7, tenant: "default", payload: &payload };
            prop_assert_eq!(parse(&bytes, file_no), Some(want));
            prop_assert_eq!(parse(&bytes, file_no.wrapping_add(1)), None);
        }

        #[test]
        fn a_changed_bit_is_noticed(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let mut bytes = record(5, &payload, 3);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(parse(&bytes, 3), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes, 0);
        }
    }
}
