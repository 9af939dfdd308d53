//! As much DER as keys and certificates need: stepping over elements.

/// Tag of a sequence.
pub const SEQUENCE: u8 = 0x30;
/// Tag of a whole number.
pub const INTEGER: u8 = 0x02;

/// The content of the element at the front, which must have this tag, and what comes after it.
pub fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    if first != tag {
        return None;
    }
    rest.split_at_checked(length)
}

/// Modulus and exponent of an `RSAPublicKey`, without leading zeros.
pub(crate) fn rsa_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (parts, _) = value(der, SEQUENCE)?;
    let (modulus, rest) = value(parts, INTEGER)?;
    let (exponent, _) = value(rest, INTEGER)?;
    Some((without_zeros(modulus), without_zeros(exponent)))
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_stepped_over_and_torn_ones_are_none() {
        assert_eq!(value(&[2, 1, 5, 9], INTEGER), Some((&[5][..], &[9][..])));
        assert_eq!(value(&[0x30, 0x81, 2, 1, 2], SEQUENCE), Some((&[1, 2][..], &[][..])));
        for der in [&[][..], &[2], &[2, 2, 1], &[4, 0], &[2, 0x80], &[2, 0x84, 0, 0, 0, 1, 1], &[2, 0x82, 1]]
        {
            assert_eq!(value(der, INTEGER), None, "{der:?}");
        }
        assert_eq!(rsa_parts(&[0x30, 7, 2, 2, 0, 200, 2, 1, 3]), Some((&[200][..], &[3][..])));
    }
}
