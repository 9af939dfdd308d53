//! Ending tokens before their time.

use db::Tx;
use model::TenantId;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::error::{ControlError, not_found, one_line};
use crate::secret::Hash;
use crate::tokens::news::{Kind, publish};
use crate::tokens::{ACCESS_SECONDS, AccessPrincipal, Tokens};
use crate::users::{COLUMNS, User, user_of_row};

/// Why a family ended whose token was shown twice.
pub(super) const REUSED: &str = "a refresh token was used twice";

/// Longest reason.
const WHY_BYTES_MAX: usize = 200;

/// Which families end.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    /// One.
    Family(&'a str),
    /// One of a tenant's, as people ask for it.
    OfTenant(&'a TenantId, &'a str),
    /// All of a person's but one.
    OfUser(&'a TenantId, &'a str, Option<&'a str>),
    /// All of a person's, who is known to be meant.
    OfPerson(&'a str),
    /// All that were begun through a provider.
    OfProvider(&'a str),
    /// All of a tenant's that were not begun through a provider.
    OfOtherWays(&'a TenantId),
}

/// A family that its holder has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which.
    pub family: String,
    /// Whose.
    pub user: User,
}

impl Tokens {
    /// Ends one access token; its family goes on.
    pub async fn revoke_access(&self, token: &AccessPrincipal) -> Result<(), ControlError> {
        let until = token.expires_at.saturating_add(1000);
        let mut tx = self.shared.control.begin().await?;
        publish(&mut tx, Kind::Token, &token.token_id, until).await?;
        tx.commit().await?;
        self.shared.news.revoked(&token.token_id, until);
        Ok(())
    }

    /// Ends the family of a refresh token for whoever holds it, and says which and whose; `None` for one that is no
    /// token of ours or of a family that has ended. Nothing is issued for it, so nothing limits how often.
    pub async fn revoke_presented(&self, presented: &str) -> Result<Option<Revoked>, ControlError> {
        let Some(hash) = Hash::of(presented) else { return Ok(None) };
        let row = {
            let mut connection = self.shared.control.read().await?;
            let statement = format!(
                "SELECT {COLUMNS}, token_families.id AS family, refresh_tokens.hash AS token_hash \
                 FROM refresh_tokens JOIN token_families ON token_families.id = refresh_tokens.family \
                 JOIN users ON users.id = token_families.user_id WHERE refresh_tokens.hash = $1"
            );
            sqlx::query(AssertSqlSafe(statement)).bind(hash.hex()).fetch_optional(&mut *connection).await?
        };
        let Some(row) = row.filter(|row| row.try_get("token_hash").is_ok_and(|kept: String| hash.is(&kept)))
        else {
            return Ok(None);
        };
        let family: String = row.try_get("family")?;
        let ended = self.revoke_found(Which::Family(&family), "revoked by its holder").await?;
        Ok(if ended > 0 { Some(Revoked { family, user: user_of_row(&row)? }) } else { None })
    }

    /// Ends a family of a person's own, by its identifier.
    pub async fn revoke_own_family(
        &self,
        tenant: &TenantId,
        user_id: &str,
        family: &str,
        why: &str,
    ) -> Result<(), ControlError> {
        let known = {
            let mut connection = self.shared.control.read().await?;
            let row = sqlx::query(
                "SELECT 1 FROM token_families WHERE id = $1 AND user_id = $2 AND tenant_id = $3 \
                 AND revoked_at IS NULL AND expires_at > $4",
            );
            let row = row.bind(family).bind(user_id).bind(tenant.as_str()).bind(self.now());
            row.fetch_optional(&mut *connection).await?
        };
        known.ok_or_else(|| not_found("token family", family))?;
        self.revoke_family(tenant, family, why).await
    }

    /// Ends a family of the tenant: its refresh token and every access token. Ending it twice changes
    /// nothing.
    pub async fn revoke_family(
        &self,
        tenant: &TenantId,
        family: &str,
        why: &str,
    ) -> Result<(), ControlError> {
        one_line("why", why, WHY_BYTES_MAX)?;
        if self.revoke_found(Which::OfTenant(tenant, family), why).await? > 0 {
            return Ok(());
        }
        let mut connection = self.shared.control.read().await?;
        let known = sqlx::query("SELECT 1 FROM token_families WHERE id = $1 AND tenant_id = $2")
            .bind(family)
            .bind(tenant.as_str())
            .fetch_optional(&mut *connection)
            .await?;
        match known {
            Some(_) => Ok(()),
            None => Err(not_found("token family", family)),
        }
    }

    /// Ends every family of a person, but for one to be kept. Returns how many ended.
    pub async fn revoke_families(
        &self,
        tenant: &TenantId,
        user_id: &str,
        but: Option<&str>,
        why: &str,
    ) -> Result<u64, ControlError> {
        one_line("why", why, WHY_BYTES_MAX)?;
        self.revoke_found(Which::OfUser(tenant, user_id, but), why).await
    }

    pub(super) async fn revoke_found(&self, which: Which<'_>, why: &str) -> Result<u64, ControlError> {
        let now = self.now();
        let mut tx = self.shared.control.begin().await?;
        let ended = end(&mut tx, now, which, why).await?;
        tx.commit().await?;
        for family in &ended {
            self.shared.news.revoked(family, until(now));
        }
        Ok(ended.len() as u64)
    }
}

/// Ends every family of a person as part of a change that takes their access away. Every process, this one
/// too, learns of it within a second of the commit.
pub(crate) async fn end_families(
    tx: &mut Tx,
    now: i64,
    user_id: &str,
    why: &str,
) -> Result<(), ControlError> {
    end_families_of(tx, now, Which::OfPerson(user_id), why).await
}

/// The same for any of them.
pub(crate) async fn end_families_of(
    tx: &mut Tx,
    now: i64,
    which: Which<'_>,
    why: &str,
) -> Result<(), ControlError> {
    end(tx, now, which, why).await.map(drop)
}

/// A token issued a moment before its family ended lives until then at most.
fn until(now: i64) -> i64 {
    now.saturating_add((ACCESS_SECONDS + 60) * 1000)
}

/// Ends families and publishes which.
pub(super) async fn end(
    tx: &mut Tx,
    now: i64,
    which: Which<'_>,
    why: &str,
) -> Result<Vec<String>, ControlError> {
    // First the one row that everything which revokes locks, so that two of them cannot wait for each
    // other's families.
    tx.execute("UPDATE token_news_last SET seq = seq WHERE one = 1").await?;
    let (column, value, tenant, but) = match which {
        Which::Family(family) => ("id", family, None, None),
        Which::OfTenant(tenant, family) => ("id", family, Some(tenant), None),
        Which::OfUser(tenant, user_id, but) => ("user_id", user_id, Some(tenant), but),
        Which::OfPerson(user_id) => ("user_id", user_id, None, None),
        Which::OfProvider(provider) => ("provider_id", provider, None, None),
        Which::OfOtherWays(tenant) => ("provider_id", "", Some(tenant), None),
    };
    let statement = format!(
        "UPDATE token_families SET revoked_at = $1, revoked_why = $2 \
         WHERE {column} = $3 AND revoked_at IS NULL AND expires_at > $1 \
         AND (tenant_id = $4 OR $5 = 1) AND id <> $6 RETURNING id"
    );
    let found = sqlx::query(AssertSqlSafe(statement))
        .bind(now)
        .bind(why)
        .bind(value)
        .bind(tenant.map_or("", TenantId::as_str))
        .bind(i64::from(tenant.is_none()))
        .bind(but.unwrap_or_default())
        .fetch_all(&mut **tx)
        .await?;
    let mut ended = Vec::with_capacity(found.len());
    for row in found {
        let family: String = row.try_get("id")?;
        publish(tx, Kind::Family, &family, until(now)).await?;
        ended.push(family);
    }
    Ok(ended)
}
