//! Secrets: made of 256 random bits, shown once, stored as SHA-256, compared in constant time.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ControlError;

/// Longer texts are no secrets of ours and are not even hashed.
const BYTES_MAX: usize = 128;

/// A secret in the clear. Debugging prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new secret: the prefix and 43 letters, digits, `-` and `_`.
    pub(crate) fn generate(prefix: &str) -> Result<Self, ControlError> {
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
    }

    /// A secret that was made elsewhere.
    pub fn of(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one who is to have it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when `presented` is the same, in time that does not depend on where they differ.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// A secret that follows from this one and does not lead back to it.
    pub(crate) fn derive(presented: &str, purpose: &str) -> Self {
        let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(presented).finalize();
        Self(URL_SAFE_NO_PAD.encode(digest))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What is stored of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// The hash of a presented text; `None` when it cannot be one of ours.
    pub(crate) fn of(presented: &str) -> Option<Self> {
        let plausible = !presented.is_empty() && presented.len() <= BYTES_MAX;
        plausible.then(|| Self(Sha256::digest(presented).into()))
    }

    pub(crate) fn of_secret(secret: &Secret) -> Self {
        Self(Sha256::digest(secret.expose()).into())
    }

    /// As it is stored.
    pub(crate) fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Compares with what is stored, in constant time.
    pub(crate) fn is(&self, stored: &str) -> bool {
        self.hex().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

/// A new identifier: the prefix and 16 hex digits.
pub(crate) fn new_id(prefix: &str) -> Result<String, ControlError> {
    Ok(format!("{prefix}_{}", hex(&random::<8>()?)))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], ControlError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(ControlError::Random)?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_different_and_never_printed() {
        let (a, b) = (Secret::generate("bw_").unwrap(), Secret::generate("bw_").unwrap());
        assert_eq!(a.expose().len(), 46);
        assert_ne!(a, b);
        assert!(a.matches(a.expose()) && !a.matches(b.expose()) && !a.matches(""));
        assert_eq!(format!("{a:?}"), "Secret(***)");
    }

    #[test]
    fn a_hash_knows_its_stored_form() {
        let hash = Hash::of("bw_x").unwrap();
        assert!(hash.is(&hash.hex()) && !hash.is("") && !hash.is(&"0".repeat(64)));
        assert!(Hash::of("").is_none() && Hash::of(&"x".repeat(BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn derived_secrets_depend_on_both_parts() {
        let of = |token: &str, purpose: &str| Secret::derive(token, purpose).expose().to_owned();
        assert_eq!(of("a", "csrf"), of("a", "csrf"));
        assert_ne!(of("a", "csrf"), of("b", "csrf"));
        assert_ne!(of("a", "csrf"), of("a", "other"));
    }
}
