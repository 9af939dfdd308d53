//! Trace and span identifiers. One that is all zeros is none, as W3C Trace Context has it.

use model::{Records, Value};

/// An identifier of exactly `N` bytes.
pub fn id_of_bytes<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let id: [u8; N] = bytes.try_into().ok()?;
    (id != [0; N]).then_some(id)
}

/// An identifier of exactly `2 * N` hexadecimal digits of either case.
pub fn id_of_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() == 2 * N { id_of_short_hex(text) } else { None }
}

/// The same, but missing digits at the front are zeros, as in 64-bit trace ids of older tracers. Hyphens of
/// a UUID are passed over.
pub fn id_of_short_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digits = text.iter().filter(|byte| **byte != b'-');
    let count = digits.clone().count();
    if count == 0 || count > 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (at, byte) in (2 * N - count..).zip(digits) {
        let digit = char::from(*byte).to_digit(16)? as u8;
        id[at / 2] |= if at.is_multiple_of(2) { digit << 4 } else { digit };
    }
    (id != [0; N]).then_some(id)
}

/// A trace id as logs carry it: 32 digits, 16 of older tracers, or a UUID. Shorter texts may mean anything else.
pub fn trace_id_of_text(text: &str) -> Option<[u8; 16]> {
    if matches!(text.len(), 16 | 32 | 36) { id_of_short_hex(text.as_bytes()) } else { None }
}

/// The value of a fixed column for an identifier; null for none.
pub fn push_id<const N: usize>(records: &mut Records, id: Option<[u8; N]>) -> Value {
    id.map_or(Value::Null, |id| Value::Bytes(records.push_text(id)))
}

/// Appends bytes in lower-case hexadecimal.
pub fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_ids_have_their_length_and_are_not_zero() {
        for (text, want) in [
            ("00f067aa0ba902b7", Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7])),
            ("00F067AA0BA902B7", Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7])),
            ("0000000000000000", None),
            ("f067aa0ba902b7", None),
            ("00f067aa0ba902bx", None),
            ("", None),
        ] {
            assert_eq!(id_of_hex::<8>(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn short_ids_are_padded_at_the_front() {
        for (text, want) in [
            ("1", Some([0, 0, 0, 1])),
            ("abc", Some([0, 0, 0x0a, 0xbc])),
            ("01020304", Some([1, 2, 3, 4])),
            ("0102-0304", Some([1, 2, 3, 4])),
            ("0", None),
            ("-", None),
            ("", None),
            ("010203040", None),
            ("x1", None),
        ] {
            assert_eq!(id_of_short_hex::<4>(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn trace_ids_of_logs_have_one_of_three_lengths() {
        let id = Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        for (text, want) in [
            ("0102030405060708090a0B0c0d0e0f10", id),
            ("01020304-0506-0708-090a-0b0c0d0e0f10", id),
            ("0000000000000001", Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
            ("12", None),
            ("0000000000000000", None),
            ("", None),
        ] {
            assert_eq!(trace_id_of_text(text), want, "{text}");
        }
    }

    #[test]
    fn hex_is_written_in_lower_case() {
        let mut out = Vec::new();
        write_hex(&mut out, &[0, 0x0f, 0xab]);
        assert_eq!(out, b"000fab");
    }
}
