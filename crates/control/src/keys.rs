//! API keys: `bw_` and 43 characters, hashed, scoped, expiring, revocable.

use std::sync::Arc;

use db::Tx;
use model::TenantId;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};

use crate::cache::Known;
use crate::control::Control;
use crate::error::{ControlError, one_line};
use crate::permissions::{Actor, ActorKind, Permission, Permissions, Principal};
use crate::secret::{Hash, Secret, new_id};

/// Every key begins with this, so that secret scanners find leaked ones.
const KEY_PREFIX: &str = "bw_";

/// Characters of a key that are kept readable, to tell keys apart.
const SHOWN_CHARS: usize = 9;

const COLUMNS: &str = "id, tenant_id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at";

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyScope {
    /// Send telemetry.
    Ingest,
    /// Read telemetry.
    Query,
    /// Everything else, the other two included.
    Admin,
}

impl KeyScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Query, Self::Admin];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Admin => "admin",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// What it permits.
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Ingest => Permissions::of(&[Permission::TelemetryWrite]),
            Self::Query => Permissions::of(&[
                Permission::TelemetryRead,
                Permission::ObjectsRead,
                Permission::SettingsRead,
            ]),
            Self::Admin => Permissions::TENANT,
        }
    }
}

/// A set of scopes, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyScopes(u8);

impl KeyScopes {
    /// Every scope.
    pub const ALL: Self = Self(0b111);

    /// The given scopes; `None` without any.
    pub fn of(scopes: &[KeyScope]) -> Option<Self> {
        let bits = scopes.iter().fold(0, |bits, scope| bits | 1 << *scope as u8);
        (bits != 0).then_some(Self(bits))
    }

    /// True when these scopes permit what `scope` stands for.
    pub fn allow(self, scope: KeyScope) -> bool {
        let has = |scope: KeyScope| self.0 & (1 << scope as u8) != 0;
        has(scope) || has(KeyScope::Admin)
    }

    /// What the scopes permit together.
    pub fn permissions(self) -> Permissions {
        self.iter().fold(Permissions::NONE, |all, scope| all.and(scope.permissions()))
    }

    /// The scopes one by one.
    pub fn iter(self) -> impl Iterator<Item = KeyScope> {
        KeyScope::ALL.into_iter().filter(move |scope| self.0 & (1 << *scope as u8) != 0)
    }

    fn to_json(self) -> String {
        Value::from(self.iter().map(KeyScope::as_str).collect::<Vec<_>>()).to_string()
    }

    fn from_json(text: &str) -> Result<Self, ControlError> {
        let damaged = |message: String| ControlError::Damaged { what: "api_keys.scopes", message };
        let names: Value = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let names = names.as_array().ok_or_else(|| damaged("is not a list".to_owned()))?;
        // A scope of a newer version permits nothing this version knows.
        let scopes: Vec<_> = names.iter().filter_map(|name| KeyScope::parse(name.as_str()?)).collect();
        Self::of(&scopes).ok_or_else(|| damaged("names no known scope".to_owned()))
    }
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
    /// What it may be used for.
    pub scopes: KeyScopes,
    /// Milliseconds since the Unix epoch, as the times below.
    pub created_at: i64,
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
    /// What it may be used for.
    pub scopes: KeyScopes,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires_at: Option<i64>,
}

impl Control {
    /// Creates a key. The secret is returned here and never again.
    pub async fn create_key(
        &self,
        tenant: &TenantId,
        new: NewKey<'_>,
    ) -> Result<(ApiKey, Secret), ControlError> {
        let mut tx = self.begin().await?;
        let created = self.insert_key(&mut tx, tenant, new).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// The tenant's keys, the oldest first, revoked ones included.
    pub async fn keys(&self, tenant: &TenantId) -> Result<Vec<ApiKey>, ControlError> {
        let mut connection = self.read().await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM api_keys WHERE tenant_id = $1 ORDER BY created_at, id"
        )))
        .bind(tenant.as_str())
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(key_of_row).collect()
    }

    /// Makes a key invalid for good: here at once, in other processes within ten seconds. Revoking it twice
    /// changes nothing.
    pub async fn revoke_key(&self, tenant: &TenantId, id: &str) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
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
        if done.rows_affected() == 0 {
            return Err(ControlError::NotFound { kind: "key", name: id.chars().take(80).collect() });
        }
        Ok(())
    }

    /// Whose key this is. Costs a query only for a key not seen in the last ten seconds.
    pub async fn authenticate_key(&self, presented: &str) -> Result<Arc<Principal>, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidKey)?;
        let at = self.shared.clock.monotonic();
        let found = match self.shared.keys.get(&hash, at) {
            Some(found) => found,
            None => {
                let found = self.find_key(&hash).await?;
                self.shared.keys.put(hash, found.clone(), at);
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
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS}, hash FROM api_keys WHERE hash = $1 AND revoked_at IS NULL"
        )))
        .bind(hash.hex())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row.filter(|row| row.try_get("hash").is_ok_and(|stored: String| hash.is(&stored)))
        else {
            return Ok(None);
        };
        let key = key_of_row(&row)?;
        let principal = Principal {
            tenant: key.tenant,
            who: Actor { kind: ActorKind::Key, id: key.id.clone(), name: key.name },
            key_id: Some(key.id.clone()),
            permissions: key.scopes.permissions(),
            selector: None,
        };
        let (key_id, principal) = (key.id.into(), Arc::new(principal));
        Ok(Some(Known { key_id, principal, expires_at: key.expires_at }))
    }

    pub(crate) async fn insert_key(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        new: NewKey<'_>,
    ) -> Result<(ApiKey, Secret), ControlError> {
        one_line("name", new.name, 100)?;
        let now = self.now();
        if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
            let message = "lies in the past; give a later time or none".to_owned();
            return Err(ControlError::Invalid { field: "expires_at", message });
        }
        let secret = Secret::generate(KEY_PREFIX)?;
        let key = ApiKey {
            id: new_id("key")?,
            tenant: tenant.clone(),
            name: new.name.to_owned(),
            prefix: secret.expose().chars().take(SHOWN_CHARS).collect(),
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let insert = sqlx::query(
            "INSERT INTO api_keys (id, tenant_id, name, hash, prefix, scopes, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key.id.as_str())
        .bind(tenant.as_str())
        .bind(new.name)
        .bind(Hash::of_secret(&secret).hex())
        .bind(key.prefix.as_str())
        .bind(key.scopes.to_json())
        .bind(now)
        .bind(new.expires_at);
        tx.execute(insert).await?;
        Ok((key, secret))
    }
}

fn key_of_row(row: &AnyRow) -> Result<ApiKey, ControlError> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        scopes: KeyScopes::from_json(&row.try_get::<String, _>("scopes")?)?,
        created_at: row.try_get("created_at")?,
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
