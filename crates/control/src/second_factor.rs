//! The second factor: an authenticator, and recovery codes for whoever lost it.

use db::Tx;
use model::TenantId;
use sqlx::{Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::links::refuse_oneself;
use crate::permissions::Principal;
use crate::secret::{Hash, Secret, random};
use crate::totp;
use crate::users::{User, delete_sessions};

/// Recovery codes made at once.
const RECOVERY_CODES: usize = 10;

/// What an authenticator is set up with. Shown once.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// To be typed: base32.
    pub secret: Secret,
    /// To be scanned, as a QR code: `otpauth://totp/…`.
    pub uri: Secret,
}

/// Whether someone has a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// Since when, milliseconds since the Unix epoch.
    pub confirmed_at: i64,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
}

impl Control {
    /// Begins to set up an authenticator. It counts only once a code of it was given; until then beginning
    /// again replaces it. `issuer` is what the authenticator shows beside the address.
    pub async fn enrol_second_factor(
        &self,
        tenant: &TenantId,
        user: &str,
        issuer: &str,
    ) -> Result<Enrolment, ControlError> {
        let user = self.user(tenant, user).await?;
        let secret = random::<{ totp::SECRET_BYTES }>()?;
        let sealed = self.shared.keyring.seal(&purpose(&user.id), &secret)?;
        let mut tx = self.begin().await?;
        let insert = sqlx::query(
            "INSERT INTO second_factors (user_id, secret, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, last_step = 0 \
             WHERE second_factors.confirmed_at IS NULL",
        );
        let done = tx.execute(insert.bind(user.id.as_str()).bind(sealed).bind(self.now())).await?;
        if done.rows_affected() == 0 {
            return Err(ControlError::Exists { kind: "second factor of", name: user.email });
        }
        tx.commit().await?;
        let uri = Secret::of(totp::uri(&secret, issuer, &user.email));
        Ok(Enrolment { secret: Secret::of(totp::base32(&secret)), uri })
    }

    /// Ends the setting up with a code of the authenticator. Returns the recovery codes, shown once.
    pub async fn confirm_second_factor(
        &self,
        tenant: &TenantId,
        user: &str,
        code: &str,
    ) -> Result<Vec<Secret>, ControlError> {
        let user = self.user(tenant, user).await?;
        let attempt = self.begin_attempt(Some(tenant), &user.email, "").await?;
        let mut tx = self.begin().await?;
        self.use_step(&mut tx, &user.id, code).await?;
        let update = sqlx::query(
            "UPDATE second_factors SET confirmed_at = $1 WHERE user_id = $2 AND confirmed_at IS NULL",
        );
        if tx.execute(update.bind(self.now()).bind(user.id.as_str())).await?.rows_affected() == 0 {
            return Err(ControlError::Exists { kind: "second factor of", name: user.email });
        }
        let codes = new_codes(&mut tx, &user.id).await?;
        self.forgive(&mut tx, &attempt).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// Takes the second factor away, with a code of it or a recovery code.
    pub async fn disable_second_factor(
        &self,
        tenant: &TenantId,
        user: &str,
        code: &str,
    ) -> Result<(), ControlError> {
        let user = self.user(tenant, user).await?;
        let attempt = self.begin_attempt(Some(tenant), &user.email, "").await?;
        let mut tx = self.begin().await?;
        self.use_code(&mut tx, &user.id, code).await?;
        remove(&mut tx, &user).await?;
        self.forgive(&mut tx, &attempt).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes the second factor of someone else away who lost it, and ends their sessions.
    pub async fn reset_second_factor(
        &self,
        tenant: &TenantId,
        by: &Principal,
        user: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let user = self.managed(&mut tx, tenant, by, user).await?;
        refuse_oneself(by, &user)?;
        delete_sessions(&mut tx, self.now(), &user.id, None).await?;
        remove(&mut tx, &user).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Replaces the recovery codes, with a code of the authenticator. Shown once.
    pub async fn new_recovery_codes(
        &self,
        tenant: &TenantId,
        user: &str,
        code: &str,
    ) -> Result<Vec<Secret>, ControlError> {
        let user = self.user(tenant, user).await?;
        let attempt = self.begin_attempt(Some(tenant), &user.email, "").await?;
        let mut tx = self.begin().await?;
        if !self.has_second_factor(&mut tx, &user.id).await? {
            return Err(ControlError::WrongCredentials);
        }
        self.use_step(&mut tx, &user.id, code).await?;
        let codes = new_codes(&mut tx, &user.id).await?;
        self.forgive(&mut tx, &attempt).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// Whether someone has a second factor.
    pub async fn second_factor(
        &self,
        tenant: &TenantId,
        user: &str,
    ) -> Result<Option<SecondFactor>, ControlError> {
        let user = self.user(tenant, user).await?;
        let mut connection = self.read().await?;
        let row = sqlx::query(
            "SELECT confirmed_at, (SELECT COUNT(*) FROM recovery_codes WHERE recovery_codes.user_id = $1) \
             FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL",
        );
        let row = row.bind(user.id.as_str()).fetch_optional(&mut *connection).await?;
        let of = |row: sqlx::any::AnyRow| {
            Ok(SecondFactor { confirmed_at: row.try_get(0)?, recovery_codes: row.try_get(1)? })
        };
        row.map(of).transpose()
    }

    pub(crate) async fn has_second_factor(&self, tx: &mut Tx, user: &str) -> Result<bool, ControlError> {
        let row = sqlx::query("SELECT 1 FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL");
        Ok(row.bind(user).fetch_optional(&mut **tx).await?.is_some())
    }

    /// Accepts a code of the authenticator or a recovery code, each once.
    pub(crate) async fn use_code(&self, tx: &mut Tx, user: &str, given: &str) -> Result<(), ControlError> {
        // Authenticators show `123 456`.
        let is_step = |c: char| c.is_ascii_digit() || c.is_whitespace();
        if given.chars().all(is_step) && given.chars().filter(char::is_ascii_digit).count() == 6 {
            return self.use_step(tx, user, given).await;
        }
        let hash = Hash::of(&given.trim().to_lowercase()).ok_or(ControlError::WrongCredentials)?;
        let delete = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2");
        match tx.execute(delete.bind(user).bind(hash.hex())).await?.rows_affected() {
            0 => Err(ControlError::WrongCredentials),
            _ => Ok(()),
        }
    }

    /// Accepts a code of the authenticator, if neither it nor a later one was accepted before.
    async fn use_step(&self, tx: &mut Tx, user: &str, given: &str) -> Result<(), ControlError> {
        let row = sqlx::query("SELECT secret FROM second_factors WHERE user_id = $1").bind(user);
        let row = row.fetch_optional(&mut **tx).await?.ok_or(ControlError::WrongCredentials)?;
        let sealed: String = row.try_get(0)?;
        let secret = self.shared.keyring.unseal(&purpose(user), &sealed)?;
        let given: String = given.chars().filter(|c| !c.is_whitespace()).take(7).collect();
        let step = totp::matching_step(&secret, &given, self.now()).ok_or(ControlError::WrongCredentials)?;
        // Of two that show the same code at once, one succeeds.
        let update =
            sqlx::query("UPDATE second_factors SET last_step = $1 WHERE user_id = $2 AND last_step < $1");
        match tx.execute(update.bind(step).bind(user)).await?.rows_affected() {
            0 => Err(ControlError::WrongCredentials),
            _ => Ok(()),
        }
    }
}

/// What a sealed secret of an authenticator belongs to.
fn purpose(user: &str) -> String {
    format!("second_factors/{user}")
}

async fn new_codes(tx: &mut Tx, user: &str) -> Result<Vec<Secret>, ControlError> {
    tx.execute(sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(user)).await?;
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let code = Secret::of(totp::recovery_code()?);
        let insert = sqlx::query("INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)");
        tx.execute(insert.bind(user).bind(Hash::of_secret(&code).hex())).await?;
        codes.push(code);
    }
    Ok(codes)
}

async fn remove(tx: &mut Tx, user: &User) -> Result<(), ControlError> {
    tx.execute(sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(user.id.as_str())).await?;
    tx.execute(sqlx::query("DELETE FROM second_factors WHERE user_id = $1").bind(user.id.as_str())).await?;
    Ok(())
}
