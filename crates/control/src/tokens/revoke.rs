//! Ending tokens before their time.

use model::TenantId;
use sqlx::{Executor, Row};

use crate::error::{ControlError, one_line};
use crate::tokens::news::Kind;
use crate::tokens::{ACCESS_SECONDS, AccessPrincipal, Tokens};

/// Why a family ended whose token was shown twice.
pub(super) const REUSED: &str = "a refresh token was used twice";

/// Longest reason.
const WHY_BYTES_MAX: usize = 200;

/// Which families end.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    Family(&'a str),
    /// One of a tenant's, as people ask for it.
    OfTenant(&'a TenantId, &'a str),
    /// All of a person's but one.
    OfUser(&'a TenantId, &'a str, Option<&'a str>),
}

impl Tokens {
    /// Ends one access token; its family goes on.
    pub async fn revoke_access(&self, token: &AccessPrincipal) -> Result<(), ControlError> {
        let until = token.expires_at.saturating_add(1000);
        let mut tx = self.shared.control.begin().await?;
        self.publish(&mut tx, Kind::Token, &token.token_id, until).await?;
        tx.commit().await?;
        self.shared.news.revoked(&token.token_id, until);
        Ok(())
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
            None => {
                let name = family.chars().take(80).collect();
                Err(ControlError::NotFound { kind: "token family", name })
            }
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
        // A token issued a moment before the family ended lives for this much longer at most.
        let until = now.saturating_add((ACCESS_SECONDS + 60) * 1000);
        let mut tx = self.shared.control.begin().await?;
        // First the one row that everything which revokes locks, so that two of them cannot wait for each
        // other's families.
        tx.execute("UPDATE token_news_last SET seq = seq WHERE one = 1").await?;
        let found = match which {
            Which::Family(family) => {
                sqlx::query(
                    "UPDATE token_families SET revoked_at = $1, revoked_why = $2 \
                     WHERE revoked_at IS NULL AND id = $3 RETURNING id",
                )
                .bind(now)
                .bind(why)
                .bind(family)
                .fetch_all(&mut *tx)
                .await?
            }
            Which::OfTenant(tenant, family) => {
                sqlx::query(
                    "UPDATE token_families SET revoked_at = $1, revoked_why = $2 \
                     WHERE revoked_at IS NULL AND id = $3 AND tenant_id = $4 RETURNING id",
                )
                .bind(now)
                .bind(why)
                .bind(family)
                .bind(tenant.as_str())
                .fetch_all(&mut *tx)
                .await?
            }
            Which::OfUser(tenant, user_id, but) => {
                sqlx::query(
                    "UPDATE token_families SET revoked_at = $1, revoked_why = $2 \
                     WHERE revoked_at IS NULL AND expires_at > $1 AND user_id = $3 AND tenant_id = $4 \
                     AND id <> $5 RETURNING id",
                )
                .bind(now)
                .bind(why)
                .bind(user_id)
                .bind(tenant.as_str())
                .bind(but.unwrap_or_default())
                .fetch_all(&mut *tx)
                .await?
            }
        };
        let mut ended = Vec::with_capacity(found.len());
        for row in found {
            let family: String = row.try_get("id")?;
            self.publish(&mut tx, Kind::Family, &family, until).await?;
            ended.push(family);
        }
        tx.commit().await?;
        for family in &ended {
            self.shared.news.revoked(family, until);
        }
        Ok(ended.len() as u64)
    }
}
