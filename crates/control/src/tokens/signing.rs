//! Our keys: made here, sealed in the database, rotated.
//!
//! One key signs. When it is replaced it goes on verifying until the last token it signed has expired. A
//! unique index holds that only one key is current, so of two processes that rotate at once one wins and the
//! other takes the winner's key.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use sqlx::Row;

use crate::der::rsa_parts;
use crate::error::ControlError;
use crate::secret::new_id;
use crate::tokens::news::{FRESH, Kind, publish};
use crate::tokens::{ACCESS_SECONDS, Tokens, number};

/// Another process may sign with the old key until it has read the news: a second, and much room.
const LATE_MS: i64 = 60_000;

/// The keys this process knows.
#[derive(Default)]
pub(super) struct SigningKeys {
    current: Option<Arc<SigningKey>>,
    pub(super) known: HashMap<String, KnownKey>,
}

/// The key that signs.
pub(super) struct SigningKey {
    pub(super) kid: String,
    /// `None` when the key file no longer opens it.
    pair: Option<RsaKeyPair>,
    signs_until: i64,
}

/// The public part of a key that verifies still.
pub(super) struct KnownKey {
    decoding: DecodingKey,
    pub(super) n: String,
    pub(super) e: String,
    pub(super) created_at: i64,
    pub(super) verifies_until: i64,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// The key that verifies what was signed under this identifier.
    pub(super) fn verifying(&self, kid: &str, now: i64) -> Option<DecodingKey> {
        self.known.get(kid).filter(|key| now < key.verifies_until).map(|key| key.decoding.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

impl SigningKey {
    /// An RS256 signature of a message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ControlError> {
        let damaged =
            |message: &str| ControlError::Damaged { what: "signing key", message: message.to_owned() };
        let pair = self.pair.as_ref().ok_or_else(|| {
            damaged("the key file does not open it; put the file back, or rotate the signing key")
        })?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| damaged("it does not sign; rotate the signing key"))?;
        Ok(signature)
    }
}

impl Tokens {
    /// Makes a new key the one that signs. Tokens of the one before stay valid until they expire. Returns the
    /// new key's identifier, or the winner's when another process rotated at the same time.
    pub async fn rotate_signing_key(&self) -> Result<String, ControlError> {
        self.read_news(FRESH).await?;
        let before = self.shared.keys.read().current.as_ref().map(|key| key.kid.clone());
        self.replace_key(before.as_deref()).await?;
        Ok(self.current()?.kid.clone())
    }

    /// The key that signs now. Rotates when its time is over.
    pub(super) async fn signing_key(&self) -> Result<Arc<SigningKey>, ControlError> {
        self.read_news(FRESH).await?;
        let current = self.shared.keys.read().current.clone();
        match current {
            Some(key) if self.now() < key.signs_until => Ok(key),
            other => {
                self.replace_key(other.as_ref().map(|key| key.kid.as_str())).await?;
                self.current()
            }
        }
    }

    fn current(&self) -> Result<Arc<SigningKey>, ControlError> {
        self.shared.keys.read().current.clone().ok_or_else(|| ControlError::Damaged {
            what: "signing_keys",
            message: "no key is current".to_owned(),
        })
    }

    /// Puts a new key in the place of `before`, unless someone else did already.
    async fn replace_key(&self, before: Option<&str>) -> Result<(), ControlError> {
        // A tenth of a second of arithmetic.
        let made = kit::spawn::spawn_blocking("make signing key", || RsaKeyPair::generate(KeySize::Rsa2048));
        let failed =
            |message: &str| ControlError::Damaged { what: "new signing key", message: message.to_owned() };
        let pair = made.await.map_err(|error| failed(&error.to_string()))?;
        let pair = pair.map_err(|_| failed("the system could not make one"))?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed("it has no form to be stored in"))?;
        let (n, e) = rsa_parts(pair.public_key().as_ref()).ok_or_else(|| failed("it has no public part"))?;
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        let kid = new_id("jwt")?;
        let sealed = self.shared.control.shared.keyring.seal(&purpose(&kid), private.as_ref())?;

        let now = self.now();
        let settings = &self.shared.settings;
        let signs_for = i64::try_from(settings.rotate_after.as_millis()).unwrap_or(i64::MAX);
        let signs_until = now.saturating_add(signs_for);
        let verifies_after = ACCESS_SECONDS * 1000 + LATE_MS;
        let mut tx = self.shared.control.begin().await?;
        if let Some(before) = before {
            let retired = sqlx::query(
                "UPDATE signing_keys SET state = 'old', signs_until = $1, verifies_until = $2 \
                 WHERE kid = $3 AND state = 'current'",
            )
            .bind(now)
            .bind(now.saturating_add(verifies_after))
            .bind(before)
            .execute(&mut *tx)
            .await?;
            if retired.rows_affected() == 0 {
                drop(tx);
                return self.load_keys().await;
            }
        }
        let inserted = sqlx::query(
            "INSERT INTO signing_keys (kid, state, private, n, e, created_at, signs_until, verifies_until) \
             VALUES ($1, 'current', $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(kid.as_str())
        .bind(sealed)
        .bind(n)
        .bind(e)
        .bind(now)
        .bind(signs_until)
        .bind(signs_until.saturating_add(verifies_after))
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 1 {
            publish(&mut tx, Kind::Keys, &kid, now.saturating_add(verifies_after)).await?;
            tx.commit().await?;
        } else {
            drop(tx);
        }
        self.load_keys().await
    }

    /// Reads every key there is.
    pub(super) async fn load_keys(&self) -> Result<(), ControlError> {
        let mut connection = self.shared.control.read().await?;
        let mut keys = SigningKeys::default();
        let rows = sqlx::query(
            "SELECT kid, state, private, n, e, created_at, signs_until, verifies_until FROM signing_keys",
        )
        .fetch_all(&mut *connection)
        .await?;
        drop(connection);
        for row in rows {
            let kid: String = row.try_get("kid")?;
            if row.try_get::<String, _>("state")? == "current" {
                let pair = self.unsealed(&kid, &row.try_get::<String, _>("private")?);
                let signs_until = number(&row, "signs_until")?;
                keys.current = Some(Arc::new(SigningKey { kid: kid.clone(), pair, signs_until }));
            }
            let (n, e): (String, String) = (row.try_get("n")?, row.try_get("e")?);
            let decoding = DecodingKey::from_rsa_components(&n, &e).map_err(|error| {
                ControlError::Damaged { what: "signing_keys.n", message: error.to_string() }
            })?;
            let created_at = number(&row, "created_at")?;
            let verifies_until = number(&row, "verifies_until")?;
            keys.known.insert(kid, KnownKey { decoding, n, e, created_at, verifies_until });
        }
        *self.shared.keys.write() = keys;
        Ok(())
    }

    /// The key pair; `None`, and a line in the log, when it cannot be opened. Verifying goes on without it.
    fn unsealed(&self, kid: &str, sealed: &str) -> Option<RsaKeyPair> {
        let private = self.shared.control.shared.keyring.unseal(&purpose(kid), sealed);
        let opened = private
            .map_err(|error| error.to_string())
            .and_then(|private| RsaKeyPair::from_pkcs8(&private).map_err(|error| error.to_string()));
        opened.inspect_err(|error| tracing::error!(kid, error, "cannot open the signing key")).ok()
    }
}

fn purpose(kid: &str) -> String {
    format!("signing_key/{kid}")
}
