//! API keys: `bw_` and 43 characters, hashed, scoped, expiring, revocable, rotated with an overlap.
//!
//! A key carries scopes of its own, or it belongs to a service account and does what that one's role permits.

use std::sync::Arc;

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::cache::Known;
use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::lists::LIST_MAX;
use crate::permissions::{Actor, ActorKind, Permission, Principal};
use crate::roles::Grant;
use crate::scopes::KeyScopes;
use crate::secret::{Hash, Secret, new_id};
use crate::service_accounts;

/// Every key begins with this, so that secret scanners find leaked ones.
const KEY_PREFIX: &str = "bw_";

/// Characters of a key that are kept readable, to tell keys apart.
const SHOWN_CHARS: usize = 9;

/// Longest time an old secret works beside the new one.
const OVERLAP_MS_MAX: i64 = 30 * 86_400_000;

const COLUMNS: &str = "id, tenant_id, name, prefix, scopes, service_account_id, selector, created_by, created_at, \
     rotated_at, old_expires_at, expires_at, last_used_at, revoked_at";

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyGrant {
    /// What these scopes permit.
    Scopes(KeyScopes),
    /// What the role of this service account permits, by the account's identifier.
    ServiceAccount(String),
}

/// A key as operators see it; the key itself was shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Identifier.
    pub id: String,
    /// Whose.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// The beginning of the key.
    pub prefix: String,
    /// What it may do.
    pub grant: KeyGrant,
    /// Which telemetry it sees, as a label selector: that of whoever created it. `None` for one that sees all, and
    /// for one of a service account, which sees what the account sees.
    pub selector: Option<String>,
    /// Who created it, as the audit log names them; empty for keys of before there were names.
    pub created_by: String,
    /// Milliseconds since the Unix epoch, as the times below.
    pub created_at: i64,
    /// When its secret was last replaced.
    pub rotated_at: Option<i64>,
    /// Until when the secret before that works, too.
    pub old_expires_at: Option<i64>,
    /// Not valid from then on; `None` never expires.
    pub expires_at: Option<i64>,
    /// Behind by up to ten seconds.
    pub last_used_at: Option<i64>,
    /// Not valid since.
    pub revoked_at: Option<i64>,
}

/// A key to be created.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// What people call it, at most 100 bytes.
    pub name: &'a str,
    /// What it may do.
    pub grant: KeyGrant,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires_at: Option<i64>,
}

/// What is to change about a key; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct KeyChange<'a> {
    /// What people call it.
    pub name: Option<&'a str>,
    /// What it may do; only for keys that belong to no service account.
    pub scopes: Option<KeyScopes>,
    /// Milliseconds since the Unix epoch; `Some(None)` never expires.
    pub expires_at: Option<Option<i64>>,
}

impl Control {
    /// Creates a key. The secret is returned here and never again. Nobody creates a key that may do more
    /// than they may themselves, or sees more: it keeps the selector that its creator's role has.
    pub async fn create_key(
        &self,
        tenant: &TenantId,
        by: &Principal,
        new: NewKey<'_>,
    ) -> Result<(ApiKey, Secret), ControlError> {
        by.need_in(tenant, Permission::KeysManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        may_use(&mut tx, tenant, by, &new.grant, by.selector.as_deref()).await?;
        let created = self.insert_key(&mut tx, tenant, by, new).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// The tenant's keys, the oldest first, revoked ones included, after the key `after` if given, at most
    /// `limit` (and 1000).
    pub async fn keys(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, ControlError> {
        let mut connection = self.read().await?;
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM api_keys WHERE tenant_id = $1 AND ($2 = '' OR (created_at, id) > \
             (SELECT created_at, id FROM api_keys WHERE tenant_id = $1 AND id = $2)) \
             ORDER BY created_at, id LIMIT $3"
        )))
        .bind(tenant.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit.min(LIST_MAX)))
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(key_of_row).collect()
    }

    /// Makes a key invalid for good: here at once, in other processes within ten seconds. Revoking it twice
    /// changes nothing.
    /// Whoever does so may do what the key may.
    pub async fn revoke_key(&self, tenant: &TenantId, by: &Principal, id: &str) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        match self.managed_key(&mut tx, tenant, by, id).await {
            // One that is revoked already stays so.
            Ok(_) | Err(ControlError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE tenant_id = $2 AND id = $3",
        )
        .bind(self.now())
        .bind(tenant.as_str())
        .bind(id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.shared.keys.forget(id);
        if done.rows_affected() == 0 { Err(not_found("key", id)) } else { Ok(()) }
    }

    /// Replaces the secret of a key. The one before works for `overlap_ms` more, at most 30 days; one before
    /// that ends at once.
    pub async fn rotate_key(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
        overlap_ms: i64,
    ) -> Result<(ApiKey, Secret), ControlError> {
        if !(0..=OVERLAP_MS_MAX).contains(&overlap_ms) {
            let message = format!("{overlap_ms} is not between 0 and {OVERLAP_MS_MAX}, which is 30 days");
            return Err(ControlError::Invalid { field: "overlap_ms", message });
        }
        let secret = Secret::generate(KEY_PREFIX)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        self.managed_key(&mut tx, tenant, by, id).await?;
        let statement = format!(
            "UPDATE api_keys SET old_hash = hash, old_expires_at = $1, hash = $2, prefix = $3, rotated_at = $4 \
             WHERE tenant_id = $5 AND id = $6 RETURNING {COLUMNS}"
        );
        let update = sqlx::query(AssertSqlSafe(statement)).bind(now.saturating_add(overlap_ms));
        let update = update.bind(Hash::of_secret(&secret).hex()).bind(shown(&secret)).bind(now);
        let key = key_of_row(&update.bind(tenant.as_str()).bind(id).fetch_one(&mut *tx).await?)?;
        tx.commit().await?;
        // The old secret's end must be known here, too.
        self.shared.keys.forget(id);
        Ok((key, secret))
    }

    /// Changes the name, the scopes or the end of a key.
    pub async fn change_key(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
        change: KeyChange<'_>,
    ) -> Result<ApiKey, ControlError> {
        if let Some(name) = change.name {
            one_line("name", name, 100)?;
        }
        if let Some(expires_at) = change.expires_at {
            check_end(expires_at, self.now())?;
        }
        let mut tx = self.begin().await?;
        let before = self.managed_key(&mut tx, tenant, by, id).await?;
        let scopes = match (&before.grant, change.scopes) {
            (KeyGrant::Scopes(before), None) => before.to_json(),
            (KeyGrant::Scopes(_), Some(scopes)) => {
                by.need_cover(scopes.permissions(), before.selector.as_deref())?;
                scopes.to_json()
            }
            (KeyGrant::ServiceAccount(_), None) => NO_SCOPES.to_owned(),
            (KeyGrant::ServiceAccount(account), Some(_)) => {
                let message = format!("the key does what the role of {account} permits; change that role");
                return Err(ControlError::Invalid { field: "scopes", message });
            }
        };
        let statement = format!(
            "UPDATE api_keys SET name = $1, scopes = $2, expires_at = $3 WHERE tenant_id = $4 AND id = $5 \
             RETURNING {COLUMNS}"
        );
        let update = sqlx::query(AssertSqlSafe(statement)).bind(change.name.unwrap_or(&before.name).trim());
        let update = update.bind(scopes).bind(change.expires_at.unwrap_or(before.expires_at));
        let key = key_of_row(&update.bind(tenant.as_str()).bind(id).fetch_one(&mut *tx).await?)?;
        tx.commit().await?;
        self.shared.keys.forget(id);
        Ok(key)
    }

    /// Whose key this is, in a tenant that may be used. Costs a query only for a key not seen in the last
    /// ten seconds.
    pub async fn authenticate_key(&self, presented: &str) -> Result<Arc<Principal>, ControlError> {
        let principal = self.identify_key(presented).await?;
        self.active_tenant(&principal.tenant).await?;
        Ok(principal)
    }

    /// The same for a caller who looks at the tenant itself: whose key it is, also while the tenant may not be
    /// used.
    pub async fn identify_key(&self, presented: &str) -> Result<Arc<Principal>, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidKey)?;
        let at = self.shared.clock.monotonic();
        let found = match self.shared.keys.get(&hash, at) {
            Some(found) => found,
            None => {
                let forgotten = self.shared.keys.forgotten();
                let found = self.find_key(&hash).await?;
                self.shared.keys.put(hash, found.clone(), at, forgotten);
                found
            }
        };
        let now = self.now();
        let known = found.filter(|known| known.expires_at.is_none_or(|expires_at| now < expires_at));
        let Known { key_id, principal, .. } = known.ok_or(ControlError::InvalidKey)?;
        let mut used = self.shared.used.lock();
        match used.get_mut(&*key_id) {
            Some(last) => *last = now,
            None => {
                used.insert(key_id.to_string(), now);
            }
        }
        drop(used);
        Ok(principal)
    }

    async fn find_key(&self, hash: &Hash) -> Result<Option<Known>, ControlError> {
        let mut connection = self.read().await?;
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS}, hash, old_hash FROM api_keys \
             WHERE (hash = $1 OR old_hash = $1) AND revoked_at IS NULL"
        )))
        .bind(hash.hex())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let key = key_of_row(&row)?;
        let expires_at = if hash.is(&row.try_get::<String, _>("hash")?) {
            key.expires_at
        } else if row.try_get::<Option<String>, _>("old_hash")?.is_some_and(|old| hash.is(&old)) {
            // The old secret ends with the overlap, and with the key.
            let ends = [key.expires_at, key.old_expires_at].into_iter().flatten().min();
            Some(ends.unwrap_or(0))
        } else {
            return Ok(None);
        };
        let (who, grant) = match &key.grant {
            KeyGrant::Scopes(scopes) => {
                let who = Actor { kind: ActorKind::Key, id: key.id.clone(), name: key.name };
                (who, Grant { permissions: scopes.permissions(), selector: key.selector })
            }
            KeyGrant::ServiceAccount(account) => {
                match service_accounts::grant(&mut connection, &key.tenant, account).await? {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
        };
        let principal = Principal {
            tenant: key.tenant,
            who,
            key_id: Some(key.id.clone()),
            permissions: grant.permissions,
            selector: grant.selector,
        };
        Ok(Some(Known { key_id: key.id.into(), principal: Arc::new(principal), expires_at }))
    }

    /// Locks the tenant and reads a key that is not revoked, which `by` must be allowed to change.
    async fn managed_key(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
    ) -> Result<ApiKey, ControlError> {
        by.need_in(tenant, Permission::KeysManage)?;
        self.lock_tenant(tx, tenant).await?;
        let statement =
            format!("SELECT {COLUMNS} FROM api_keys WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id);
        let row = row.fetch_optional(&mut **tx).await?.ok_or_else(|| not_found("key", id))?;
        let key = key_of_row(&row)?;
        may_use(tx, tenant, by, &key.grant, key.selector.as_deref()).await?;
        Ok(key)
    }

    pub(crate) async fn insert_key(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        new: NewKey<'_>,
    ) -> Result<(ApiKey, Secret), ControlError> {
        one_line("name", new.name, 100)?;
        let now = self.now();
        check_end(new.expires_at, now)?;
        let secret = Secret::generate(KEY_PREFIX)?;
        let key = ApiKey {
            id: new_id("key")?,
            tenant: tenant.clone(),
            name: new.name.trim().to_owned(),
            prefix: shown(&secret),
            selector: match &new.grant {
                KeyGrant::Scopes(_) => by.selector.clone(),
                KeyGrant::ServiceAccount(_) => None,
            },
            grant: new.grant,
            created_by: by.who.name.clone(),
            created_at: now,
            rotated_at: None,
            old_expires_at: None,
            expires_at: new.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let (scopes, account) = match &key.grant {
            KeyGrant::Scopes(scopes) => (scopes.to_json(), None),
            KeyGrant::ServiceAccount(account) => (NO_SCOPES.to_owned(), Some(account.as_str())),
        };
        let insert = sqlx::query(
            "INSERT INTO api_keys (id, tenant_id, name, hash, prefix, scopes, service_account_id, selector, \
             created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(key.id.as_str())
        .bind(tenant.as_str())
        .bind(key.name.as_str())
        .bind(Hash::of_secret(&secret).hex())
        .bind(key.prefix.as_str())
        .bind(scopes)
        .bind(account)
        .bind(key.selector.as_deref())
        .bind(key.created_by.as_str())
        .bind(now)
        .bind(new.expires_at);
        tx.execute(insert).await?;
        Ok((key, secret))
    }
}

/// The column of scopes of a key that has none of its own.
const NO_SCOPES: &str = "[]";

/// The beginning of a key, by which people tell keys apart.
fn shown(secret: &Secret) -> String {
    secret.expose().chars().take(SHOWN_CHARS).collect()
}

fn check_end(expires_at: Option<i64>, now: i64) -> Result<(), ControlError> {
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        let message = "lies in the past; give a later time or none".to_owned();
        return Err(ControlError::Invalid { field: "expires_at", message });
    }
    Ok(())
}

/// Checks that `by` may hold a key that does this. The selector is of a key with scopes of its own.
async fn may_use(
    tx: &mut Tx,
    tenant: &TenantId,
    by: &Principal,
    grant: &KeyGrant,
    selector: Option<&str>,
) -> Result<(), ControlError> {
    match grant {
        KeyGrant::Scopes(scopes) => by.need_cover(scopes.permissions(), selector),
        KeyGrant::ServiceAccount(account) => {
            let found = service_accounts::grant(tx, tenant, account).await?;
            let (_, grant) = found.ok_or_else(|| not_found("service account", account))?;
            by.need_cover(grant.permissions, grant.selector.as_deref())
        }
    }
}

fn key_of_row(row: &AnyRow) -> Result<ApiKey, ControlError> {
    let grant = match row.try_get("service_account_id")? {
        Some(account) => KeyGrant::ServiceAccount(account),
        None => KeyGrant::Scopes(KeyScopes::from_json(&row.try_get::<String, _>("scopes")?)?),
    };
    Ok(ApiKey {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        grant,
        selector: row.try_get("selector")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        rotated_at: row.try_get("rotated_at")?,
        old_expires_at: row.try_get("old_expires_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

pub(crate) fn tenant_of_row(row: &AnyRow) -> Result<TenantId, ControlError> {
    let id: String = row.try_get("tenant_id")?;
    TenantId::new(&id)
        .map_err(|error| ControlError::Damaged { what: "tenant_id", message: error.to_string() })
}
