//! What a sign-in has begun with: good once, for ten minutes, in one browser.

use serde::{Deserialize, Serialize};
use sqlx::{Executor, Row};

use crate::error::ControlError;
use crate::secret::{Hash, Secret};
use crate::sso::error::SsoError;
use crate::sso::provider::Provider;
use crate::sso::{Begun, Sso};

const LIFE_MS: i64 = 10 * 60_000;

/// Sign-ins under way with one provider. Anyone may begin one, so there is an end to it: above it the oldest gives way,
/// so that nobody else is kept from signing in.
const STATES_MAX: i64 = 10_000;

const STATE_PREFIX: &str = "bwo_";
const BROWSER_PREFIX: &str = "bwb_";

/// Longest path to go to after.
const RETURN_TO_BYTES_MAX: usize = 1_000;

/// What only we know of a sign-in under way.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Private {
    pub(super) return_to: String,
    /// Of OpenID Connect: comes back inside the signed statement.
    #[serde(default)]
    pub(super) nonce: String,
    /// Of OpenID Connect: proves that whoever redeems the code began the sign-in (PKCE).
    #[serde(default)]
    pub(super) verifier: String,
    /// Of SAML: which request is answered.
    #[serde(default)]
    pub(super) request_id: String,
}

impl Sso {
    /// Writes a sign-in down. Returns its state, and what the caller needs but for the address.
    pub(super) async fn put_state(
        &self,
        provider: &Provider,
        private: Private,
        browser: Option<&str>,
    ) -> Result<(Secret, Begun), ControlError> {
        let private = Private { return_to: checked_path(&private.return_to)?, ..private };
        let control = &self.shared.control;
        let state = Secret::generate(STATE_PREFIX)?;
        let kept =
            browser.filter(|value| value.starts_with(BROWSER_PREFIX) && value.len() == state.expose().len());
        let browser = match kept {
            Some(value) => Secret::of(value.to_owned()),
            None => Secret::generate(BROWSER_PREFIX)?,
        };
        let hash = Hash::of_secret(&state).hex();
        let text = serde_json::to_vec(&private).expect("texts make JSON");
        let sealed = control.shared.keyring.seal(&purpose(&hash), &text)?;
        let now = control.now();
        let expires_at = now.saturating_add(LIFE_MS);
        let mut tx = control.begin().await?;
        let old = sqlx::query(
            "DELETE FROM sso_states WHERE hash IN (SELECT hash FROM sso_states WHERE provider_id = $1 \
             ORDER BY expires_at DESC, hash LIMIT $2 OFFSET $3)",
        );
        tx.execute(old.bind(provider.id.as_str()).bind(STATES_MAX).bind(STATES_MAX - 1)).await?;
        let insert = sqlx::query(
            "INSERT INTO sso_states (hash, provider_id, browser_hash, private, expires_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash)
        .bind(provider.id.as_str())
        .bind(Hash::of_secret(&browser).hex())
        .bind(sealed)
        .bind(expires_at);
        tx.execute(insert).await?;
        tx.commit().await?;
        Ok((state, Begun { url: String::new(), browser, expires_at }))
    }

    /// Uses a state up. It must have been begun with this provider, in this browser.
    pub(super) async fn take_state(
        &self,
        provider_id: &str,
        state: &str,
        browser: &str,
    ) -> Result<Private, ControlError> {
        let control = &self.shared.control;
        let (Some(hash), Some(browser)) = (Hash::of(state), Hash::of(browser)) else {
            return Err(SsoError::State.into());
        };
        let mut tx = control.begin().await?;
        let row = sqlx::query(
            "DELETE FROM sso_states WHERE hash = $1 AND provider_id = $2 \
             RETURNING hash, browser_hash, private, expires_at",
        )
        .bind(hash.hex())
        .bind(provider_id)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        let row = row.ok_or(SsoError::State)?;
        let is_same = hash.is(&row.try_get::<String, _>("hash")?)
            && browser.is(&row.try_get::<String, _>("browser_hash")?);
        if !is_same || row.try_get::<i64, _>("expires_at")? <= control.now() {
            return Err(SsoError::State.into());
        }
        let sealed: String = row.try_get("private")?;
        let text = control.shared.keyring.unseal(&purpose(&hash.hex()), &sealed)?;
        let damaged = |error: serde_json::Error| ControlError::Damaged {
            what: "sso_states.private",
            message: error.to_string(),
        };
        serde_json::from_slice(&text).map_err(damaged)
    }
}

/// A path of ours and nothing that a browser would take for another site.
fn checked_path(path: &str) -> Result<String, ControlError> {
    let path = if path.is_empty() { "/" } else { path };
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
        && path.len() <= RETURN_TO_BYTES_MAX;
    if is_ours {
        return Ok(path.to_owned());
    }
    let message = "must be a path of this site, such as /explore".to_owned();
    Err(ControlError::Invalid { field: "return_to", message })
}

fn purpose(hash: &str) -> String {
    format!("sso_state/{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_to() {
        for (path, good) in [
            ("", true),
            ("/", true),
            ("/explore?q=1#x", true),
            ("//evil.test", false),
            ("/\\evil.test", false),
            ("https://evil.test", false),
            ("javascript:alert(1)", false),
            ("/a\r\nSet-Cookie: x", false),
            ("explore", false),
        ] {
            assert_eq!(checked_path(path).is_ok(), good, "{path:?}");
        }
        assert!(checked_path(&format!("/{}", "x".repeat(1_000))).is_err());
    }
}
