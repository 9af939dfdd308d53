//! Public keys of providers, as they publish them.

use std::collections::HashMap;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// Keys of one provider. The large ones publish fewer than ten.
const KEYS_MAX: usize = 100;

/// Public keys of a provider, those that sign the way we accept.
pub(crate) struct KeySet {
    by_kid: HashMap<String, (Algorithm, DecodingKey)>,
    /// Of those without an identifier.
    unnamed: Vec<(Algorithm, DecodingKey)>,
}

impl KeySet {
    /// Reads a published document. Keys for other uses, or of kinds we do not accept, are passed over.
    pub(crate) fn parse(document: &Value) -> Option<Self> {
        let listed = document.get("keys")?.as_array()?;
        let mut keys = Self { by_kid: HashMap::new(), unnamed: Vec::new() };
        for value in listed.iter().take(KEYS_MAX) {
            let Ok(key) = serde_json::from_value::<Jwk>(value.clone()) else { continue };
            if key.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
                continue;
            }
            let algorithm = match &key.algorithm {
                AlgorithmParameters::RSA(_) => Algorithm::RS256,
                AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                    Algorithm::ES256
                }
                _ => continue,
            };
            let Ok(decoding) = DecodingKey::from_jwk(&key) else { continue };
            match key.common.key_id {
                Some(kid) => drop(keys.by_kid.insert(kid, (algorithm, decoding))),
                None => keys.unnamed.push((algorithm, decoding)),
            }
        }
        Some(keys)
    }

    /// Keys that can be used.
    pub(crate) fn len(&self) -> usize {
        self.by_kid.len() + self.unnamed.len()
    }

    /// The key of this identifier for this algorithm. Without an identifier, the only key there is.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |(of_key, _): &&(Algorithm, DecodingKey)| *of_key == algorithm;
        let found = match kid {
            Some(kid) => self.by_kid.get(kid).filter(fits),
            None => {
                let mut all = self.by_kid.values().chain(&self.unnamed).filter(fits);
                all.next().filter(|_| all.next().is_none())
            }
        };
        found.map(|(_, key)| key)
    }
}
