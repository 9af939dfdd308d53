//! Our public keys, as anyone may have them.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::error::ControlError;
use crate::tokens::Tokens;
use crate::tokens::news::FRESH;
use crate::tokens::signing::{KnownKey, SigningKeys};

impl Tokens {
    /// The JSON Web Key Set, the newest key first. A key stays in it until the last token it signed has
    /// expired.
    pub async fn jwks(&self) -> Result<Value, ControlError> {
        self.read_news(FRESH).await?;
        Ok(document(&self.shared.keys.read(), self.now()))
    }
}

fn document(keys: &SigningKeys, now: i64) -> Value {
    let mut valid: Vec<_> = keys.known.iter().filter(|(_, key)| now < key.verifies_until).collect();
    valid.sort_by_key(|(kid, key)| (Reverse(key.created_at), kid.as_str()));
    let listed: Vec<_> = valid.into_iter().map(|(kid, key)| entry(kid, key)).collect();
    json!({"keys": listed})
}

fn entry(kid: &str, key: &KnownKey) -> Value {
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": key.n, "e": key.e})
}
