//! Codes of an authenticator: RFC 6238 with SHA-1, six digits, thirty seconds, which is what every
//! application understands.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use crate::error::ControlError;
use crate::secret::random;

/// Length of one step.
const STEP_MS: i64 = 30_000;

/// Bytes of a secret: as many as SHA-1 has.
pub(crate) const SECRET_BYTES: usize = 20;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step that a time lies in.
pub(crate) fn step_at(now_ms: i64) -> i64 {
    now_ms.div_euclid(STEP_MS)
}

/// The code of a step.
pub(crate) fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // Dynamic truncation, RFC 4226, section 5.3.
    let at = usize::from(tag[tag.len() - 1] & 0x0f);
    let bytes: [u8; 4] = tag[at..at + 4].try_into().expect("SHA-1 has 20 bytes and `at` is at most 15");
    format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000)
}

/// The step whose code was given, if it is this one or the one before or after: clocks differ.
pub(crate) fn matching_step(secret: &[u8], given: &str, now_ms: i64) -> Option<i64> {
    let now = step_at(now_ms);
    // All three are computed, so that the time says nothing about which it was.
    let found = [now - 1, now, now + 1].map(|step| {
        let same: bool = code(secret, step).as_bytes().ct_eq(given.as_bytes()).into();
        same.then_some(step)
    });
    found.into_iter().flatten().next()
}

/// What an authenticator reads from a QR code.
pub(crate) fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let (issuer, account) = (percent(issuer), percent(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        base32(secret)
    )
}

/// A recovery code: 80 random bits as `abcd-efgh-ijkl-mnop`.
pub(crate) fn recovery_code() -> Result<String, ControlError> {
    let text = base32(&random::<10>()?).to_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
    Ok(groups.join("-"))
}

/// Base32 without padding, RFC 4648.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut group = [0u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        for n in 0..(chunk.len() * 8).div_ceil(5) {
            text.push(char::from(BASE32[(bits >> (35 - 5 * n) & 31) as usize]));
        }
    }
    text
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(char::from(byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six digits.
        for (seconds, want) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(b"12345678901234567890", step_at(seconds * 1000)), want, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_one_on_either_side() {
        let (secret, now) = (b"12345678901234567890", 1_700_000_000_000);
        let step = step_at(now);
        for off in -3..=3i64 {
            let found = matching_step(secret, &code(secret, step + off), now);
            assert_eq!(found, (off.abs() <= 1).then_some(step + off), "{off}");
        }
        for bad in ["", "12345", "1234567", "abcdef", "é"] {
            assert_eq!(matching_step(secret, bad, now), None);
        }
    }

    #[test]
    fn base32_is_that_of_the_rfc_and_uris_are_escaped() {
        for (bytes, want) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), want);
        }
        assert_eq!(
            uri(b"foo", "Acme & Co", "a@b"),
            "otpauth://totp/Acme%20%26%20Co:a@b?secret=MZXW6&issuer=Acme%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
        let code = recovery_code().unwrap();
        assert_eq!((code.len(), code.matches('-').count()), (19, 3));
    }
}
