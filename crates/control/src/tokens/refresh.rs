//! Refresh tokens: used once each, in families.

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};

use crate::error::ControlError;
use crate::secret::{Hash, Secret, new_id};
use crate::sessions::SESSION_LIFE_MS;
use crate::tokens::{ACCESS_SECONDS, Binding, TokenPair, Tokens, Which, end_families_of, number};
use crate::users::lock_active;

const DAY_MS: i64 = 86_400_000;

/// A refresh token that is not used within this is of no use any more.
const REFRESH_LIFE_MS: i64 = 30 * DAY_MS;

/// A family ends after this, however often it is renewed.
const FAMILY_LIFE_MS: i64 = 90 * DAY_MS;

/// So that secret scanners find leaked ones, and nothing else is taken for one.
const PREFIX: &str = "bwr_";

/// Longest address that is kept: IPv6 with an IPv4 tail has 45 bytes.
const ADDRESS_BYTES_MAX: usize = 64;

/// Families of one person, as many as sessions.
const FAMILIES_MAX: i64 = 50;

/// All tokens that descend from one sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFamily {
    /// Identifier.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// When they signed in, milliseconds since the Unix epoch, as the times below.
    pub created_at: i64,
    /// When a pair was issued last.
    pub last_used_at: i64,
    /// Not valid from then on.
    pub expires_at: i64,
    /// Not valid since.
    pub revoked_at: Option<i64>,
    /// Why not.
    pub revoked_why: Option<String>,
    /// Where they signed in from; empty when unknown.
    pub address: String,
}

impl Tokens {
    /// The first pair of a new family, for a person by whose session it is asked for. The session must still be there:
    /// what ends it, such as another password, ends what it could have been exchanged for.
    pub async fn issue_to(
        &self,
        session_id: &str,
        user_id: &str,
        binding: Binding<'_>,
    ) -> Result<TokenPair, ControlError> {
        let binding = bounded(binding);
        // Before the transaction, since a rotation is one of its own.
        let key = self.signing_key().await?;
        let now = self.now();
        let mut tx = self.shared.control.begin().await?;
        lock_active(&mut tx, user_id).await?.ok_or(ControlError::InvalidToken)?;
        let session = sqlx::query(
            "SELECT method, provider_id, created_at, expires_at FROM sessions \
             WHERE id = $1 AND user_id = $2 AND expires_at > $3",
        );
        let session = session.bind(session_id).bind(user_id).bind(now).fetch_optional(&mut *tx).await?;
        let session = session.ok_or(ControlError::InvalidSession)?;
        let holder = self.find_holder(&mut tx, user_id).await?.ok_or(ControlError::InvalidToken)?;
        self.end_oldest(&mut tx, user_id, now).await?;
        self.count_issue(&mut tx, user_id).await?;
        let family = new_id("family")?;
        // A provider may have said when its word ends.
        let session_ends_at = number(&session, "expires_at")?;
        let is_cut = session_ends_at < number(&session, "created_at")?.saturating_add(SESSION_LIFE_MS);
        let expires_at = if is_cut { session_ends_at } else { now.saturating_add(FAMILY_LIFE_MS) };
        let insert = sqlx::query(
            "INSERT INTO token_families \
             (id, user_id, tenant_id, created_at, last_used_at, expires_at, bound_address, bound_agent, method, \
             provider_id) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9)",
        )
        .bind(family.as_str())
        .bind(holder.user.id.as_str())
        .bind(holder.user.tenant.as_str())
        .bind(now)
        .bind(expires_at)
        .bind(binding.address)
        .bind(agent_hash(binding.agent))
        .bind(session.try_get::<String, _>("method")?)
        .bind(session.try_get::<String, _>("provider_id")?);
        tx.execute(insert).await?;
        let refresh = self.insert_refresh(&mut tx, &family, expires_at).await?;
        // Made before anything is final: a key that does not sign uses no refresh token up.
        let access = self.make_access(&key, &holder, &family, binding)?;
        tx.commit().await?;
        Ok(TokenPair { access, refresh, expires_in: ACCESS_SECONDS, family })
    }

    /// The next pair of a family. The token is used up; shown again it ends the family and every access
    /// token of it. Every way in which it may be wrong has one error.
    pub async fn refresh(&self, presented: &str, binding: Binding<'_>) -> Result<TokenPair, ControlError> {
        let binding = bounded(binding);
        let hash = Hash::of(presented).filter(|_| presented.starts_with(PREFIX));
        let hash = hash.ok_or(ControlError::InvalidToken)?;
        let key = self.signing_key().await?;
        let now = self.now();
        let mut tx = self.shared.control.begin().await?;
        // Of all that come with the same token this statement lets one through; the others wait for its
        // transaction and then find the token used.
        let used = sqlx::query(
            "UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 \
             RETURNING family",
        )
        .bind(now)
        .bind(hash.hex())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(used) = used else {
            drop(tx);
            self.end_reused(&hash).await?;
            return Err(ControlError::InvalidToken);
        };
        let family: String = used.try_get("family")?;
        // Takes the family's lock, so that it cannot be revoked in between.
        let live = sqlx::query(
            "UPDATE token_families SET last_used_at = $1 \
             WHERE id = $2 AND revoked_at IS NULL AND expires_at > $1 \
             RETURNING user_id, expires_at, bound_address, bound_agent",
        )
        .bind(now)
        .bind(family.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let live = live.ok_or(ControlError::InvalidToken)?;
        // Whoever comes from elsewhere is refused and uses nothing up: the transaction is dropped.
        if !self.is_bound(&live, binding)? {
            return Err(ControlError::InvalidToken);
        }
        let user_id: String = live.try_get("user_id")?;
        let holder = self.find_holder(&mut tx, &user_id).await?.ok_or(ControlError::InvalidToken)?;
        self.count_issue(&mut tx, &user_id).await?;
        let refresh = self.insert_refresh(&mut tx, &family, number(&live, "expires_at")?).await?;
        // Made before anything is final: a key that does not sign uses no refresh token up.
        let access = self.make_access(&key, &holder, &family, binding)?;
        tx.commit().await?;
        Ok(TokenPair { access, refresh, expires_in: ACCESS_SECONDS, family })
    }

    /// A person's families that are neither revoked nor expired, the latest used first.
    pub async fn families(&self, tenant: &TenantId, user_id: &str) -> Result<Vec<TokenFamily>, ControlError> {
        let mut connection = self.shared.control.read().await?;
        let rows = sqlx::query(
            "SELECT id, user_id, created_at, last_used_at, expires_at, revoked_at, revoked_why, bound_address \
             FROM token_families \
             WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $3 \
             ORDER BY last_used_at DESC, id LIMIT $4",
        )
        .bind(tenant.as_str())
        .bind(user_id)
        .bind(self.now())
        .bind(FAMILIES_MAX)
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(family_of_row).collect()
    }

    /// Makes room for one more family of a person: above the bound the one unused for longest ends.
    async fn end_oldest(&self, tx: &mut Tx, user_id: &str, now: i64) -> Result<(), ControlError> {
        let old = sqlx::query(
            "SELECT id FROM token_families WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
             ORDER BY last_used_at DESC, created_at DESC, id LIMIT $3 OFFSET $4",
        );
        let old = old.bind(user_id).bind(now).bind(FAMILIES_MAX).bind(FAMILIES_MAX - 1);
        for row in old.fetch_all(&mut **tx).await? {
            let family: String = row.try_get("id")?;
            end_families_of(tx, now, Which::Family(&family), "the person has newer ones").await?;
        }
        Ok(())
    }

    async fn insert_refresh(
        &self,
        tx: &mut Tx,
        family: &str,
        family_expires_at: i64,
    ) -> Result<Secret, ControlError> {
        let secret = Secret::generate(PREFIX)?;
        let now = self.now();
        let insert = sqlx::query(
            "INSERT INTO refresh_tokens (hash, family, issued_at, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(Hash::of_secret(&secret).hex())
        .bind(family)
        .bind(now)
        .bind(now.saturating_add(REFRESH_LIFE_MS).min(family_expires_at));
        tx.execute(insert).await?;
        Ok(secret)
    }

    /// Ends the family of a token that was used before; does nothing about one that never was, or expired.
    async fn end_reused(&self, hash: &Hash) -> Result<(), ControlError> {
        let row = {
            let mut connection = self.shared.control.read().await?;
            sqlx::query(
                "SELECT refresh_tokens.hash, family, tenant_id FROM refresh_tokens \
                 JOIN token_families ON token_families.id = family \
                 WHERE hash = $1 AND used_at IS NOT NULL AND revoked_at IS NULL",
            )
            .bind(hash.hex())
            .fetch_optional(&mut *connection)
            .await?
        };
        let Some(row) = row.filter(|row| row.try_get("hash").is_ok_and(|stored: String| hash.is(&stored)))
        else {
            return Ok(());
        };
        let family: String = row.try_get("family")?;
        tracing::warn!(family, "a refresh token was shown twice; its family is revoked");
        self.revoke_found(Which::Family(&family), super::revoke::REUSED).await?;
        Ok(())
    }

    fn is_bound(&self, family: &AnyRow, binding: Binding<'_>) -> Result<bool, ControlError> {
        let settings = &self.shared.settings;
        let address: String = family.try_get("bound_address")?;
        let agent: String = family.try_get("bound_agent")?;
        Ok((!settings.bind_address || address == binding.address)
            && (!settings.bind_agent || agent == agent_hash(binding.agent)))
    }
}

/// An address that is too long is unknown.
fn bounded(binding: Binding<'_>) -> Binding<'_> {
    if binding.address.len() <= ADDRESS_BYTES_MAX { binding } else { Binding { address: "", ..binding } }
}

/// User agents are long, and name their users; the hash is enough to compare.
fn agent_hash(agent: &str) -> String {
    Secret::derive(agent, "user agent").expose().to_owned()
}

fn family_of_row(row: &AnyRow) -> Result<TokenFamily, ControlError> {
    Ok(TokenFamily {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        created_at: row.try_get("created_at")?,
        last_used_at: row.try_get("last_used_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        revoked_why: row.try_get("revoked_why")?,
        address: row.try_get("bound_address")?,
    })
}
