//! The signed statement about who signed in: checked claim by claim.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::sso::error::SsoError;
use crate::sso::oidc::jwks::KeySet;

/// Longest statement. Those with many groups have some ten thousand bytes.
const BYTES_MAX: usize = 64 << 10;

/// How far the provider's clock may be off.
const LEEWAY_SECONDS: i64 = 60;

/// A statement is fetched right after it was made.
const AGE_SECONDS_MAX: i64 = 600;

/// Longest subject, as the standard says.
const SUBJECT_BYTES_MAX: usize = 255;

/// What a statement must fit.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(super) now_ms: i64,
}

/// The claims of a statement that holds; `None` when it names a key that is not among `keys`.
pub(super) fn check(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Option<Value>, SsoError> {
    if token.len() > BYTES_MAX {
        return Err(refused("is longer than 65536 bytes"));
    }
    let header = decode_header(token).map_err(|_| refused("is not signed in a way we accept"))?;
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) || header.crit.is_some() {
        return Err(refused("is not signed with RS256 or ES256"));
    }
    let Some(key) = keys.find(header.kid.as_deref(), header.alg) else { return Ok(None) };
    // Claims are judged below, by our own clock.
    let mut signature_only = Validation::new(header.alg);
    signature_only.required_spec_claims.clear();
    (signature_only.validate_exp, signature_only.validate_aud) = (false, false);
    let decoded = decode::<Value>(token, key, &signature_only);
    let claims = decoded.map_err(|_| refused("has a signature that does not fit"))?.claims;
    judge(&claims, expected)?;
    Ok(Some(claims))
}

fn judge(claims: &Value, expected: &Expected<'_>) -> Result<(), SsoError> {
    if claims["iss"] != *expected.issuer {
        return Err(refused(&format!("was not issued by {}", expected.issuer)));
    }
    audience(claims, expected.client_id)?;
    let now = expected.now_ms.div_euclid(1000);
    let time = |name: &str| {
        // Some providers send fractions of seconds.
        let value = claims[name].as_i64().or_else(|| claims[name].as_f64().map(|seconds| seconds as i64));
        value.ok_or_else(|| refused(&format!("has no time {name}")))
    };
    if now.saturating_sub(LEEWAY_SECONDS) >= time("exp")? {
        return Err(refused("has expired"));
    }
    let age = now.saturating_sub(time("iat")?);
    if !(-LEEWAY_SECONDS..=AGE_SECONDS_MAX).contains(&age) {
        return Err(refused("was not issued just now; do the clocks agree?"));
    }
    if !claims["nbf"].is_null() && time("nbf")? > now.saturating_add(LEEWAY_SECONDS) {
        return Err(refused("is not valid yet"));
    }
    let nonce = claims["nonce"].as_str().unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(refused("was not made for this sign-in"));
    }
    if !claims["at_hash"].is_null() {
        let half = &Sha256::digest(expected.access_token)[..16];
        if claims["at_hash"] != URL_SAFE_NO_PAD.encode(half) {
            return Err(refused("belongs to another access token"));
        }
    }
    match claims["sub"].as_str() {
        Some(sub) if !sub.is_empty() && sub.len() <= SUBJECT_BYTES_MAX => Ok(()),
        _ => Err(refused("names no subject")),
    }
}

fn audience(claims: &Value, client_id: &str) -> Result<(), SsoError> {
    let others = match &claims["aud"] {
        Value::String(one) if one == client_id => false,
        Value::Array(all) if all.iter().any(|one| one == client_id) => all.len() > 1,
        _ => return Err(refused("is for another client")),
    };
    match &claims["azp"] {
        Value::Null if !others => Ok(()),
        Value::String(azp) if azp == client_id => Ok(()),
        _ => Err(refused("was handed to another client")),
    }
}

pub(super) fn refused(message: &str) -> SsoError {
    SsoError::Refused { what: "token", message: message.to_owned() }
}
