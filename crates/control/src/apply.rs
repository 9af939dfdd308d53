//! Objects as code: what files may declare, as it is now, and a set of changes made all or none.
//!
//! Objects sit in the tenant's part of the database; roles, limits and settings in the shared one. A set that
//! changes both is a saga: a row of `applies` says what is to be done in the shared part, the transaction of the
//! tenant's part leaves the row's id in `applied`, and the shared one, open all the while, removes the row. A
//! crash between the two commits leaves row and id, and [`Control::resume_sagas`] does the rest; a row without
//! its id is of a set of which nothing was done.

mod saga; // what a crash left
mod shared; // roles, limits, settings

use db::Tx;
use model::TenantId;
use serde_json::Value;
use sqlx::Row;

use crate::control::Control;
use crate::error::ControlError;
use crate::objects::{self, ObjectKind};
use crate::permissions::Principal;
use crate::tenants::object_text;

pub use shared::RoleSpec;

/// Objects of one tenant that files may declare.
const DECLARED_MAX: i64 = 10_000;

/// Bytes of their specifications.
const DECLARED_BYTES_MAX: i64 = 64 << 20;

/// What a file may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeclaredKind {
    /// A saved object.
    Object(ObjectKind),
    /// A role of the tenant's own.
    Role,
    /// The tenant's limits.
    Limits,
    /// The tenant's settings.
    Settings,
}

impl DeclaredKind {
    /// Every kind. Preferences are not among them: people set those for themselves.
    pub fn all() -> impl Iterator<Item = Self> {
        let objects = ObjectKind::ALL.into_iter().filter(|kind| *kind != ObjectKind::Preference);
        objects.map(Self::Object).chain([Self::Role, Self::Limits, Self::Settings])
    }

    /// The spelling in files and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object(kind) => kind.as_str(),
            Self::Role => "role",
            Self::Limits => "limits",
            Self::Settings => "settings",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == text)
    }

    /// Checks a name and a content as far as this crate knows them.
    pub fn check(self, name: &str, spec: &Value) -> Result<(), ControlError> {
        match self {
            Self::Object(_) => objects::check(name, spec).map(drop),
            Self::Role => shared::check_role(name, spec),
            Self::Limits | Self::Settings if name != crate::tenants::SELF => {
                let message = format!("must be {:?}: a tenant has one of these", crate::tenants::SELF);
                Err(ControlError::Invalid { field: "name", message })
            }
            Self::Limits | Self::Settings => object_text("spec", spec).map(drop),
        }
    }

    fn is_shared(self) -> bool {
        !matches!(self, Self::Object(_))
    }
}

/// Something that a file may declare, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// What it is.
    pub kind: DeclaredKind,
    /// Unique among its kind.
    pub name: String,
    /// Its content, an object.
    pub spec: Value,
    /// The file that owns it; `None` for what people made.
    pub file: Option<String>,
    /// The version of a saved object; 0 for the rest, which have none.
    pub version: i64,
}

/// One change of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Of what.
    pub kind: DeclaredKind,
    /// Which.
    pub name: String,
    /// What it is planned against; `None` for what is not there.
    pub before: Option<Declared>,
    /// What it becomes; `None` removes it. Limits and settings that are removed are empty.
    pub after: Option<Value>,
    /// Which file owns it from then on.
    pub file: Option<String>,
}

impl Write {
    /// Whether the content changes, and not only who owns it.
    pub fn changes_content(&self) -> bool {
        self.before.as_ref().map(|before| &before.spec) != self.after.as_ref()
    }
}

/// Why a set was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// The place in the set of the change that failed; `None` where it was none in particular.
    pub at: Option<usize>,
    /// Why.
    pub error: ControlError,
}

impl<E: Into<ControlError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { at: None, error: error.into() }
    }
}

impl Control {
    /// Everything of a tenant that files may declare, by kind and name. Refused where it is more than one set can
    /// hold.
    pub async fn declared(&self, tenant: &TenantId) -> Result<Vec<Declared>, ControlError> {
        let mut found = Vec::new();
        {
            let mut connection = self.scope(tenant).await?.read().await?;
            let totals = sqlx::query(
                "SELECT COUNT(*), CAST(COALESCE(SUM(LENGTH(spec)), 0) AS BIGINT) FROM objects WHERE kind <> 'preference'",
            );
            let totals = totals.fetch_one(&mut *connection).await?;
            let (count, bytes): (i64, i64) = (totals.try_get(0)?, totals.try_get(1)?);
            if count > DECLARED_MAX || bytes > DECLARED_BYTES_MAX {
                let message = format!(
                    "the tenant has {count} objects of {bytes} bytes; sets of at most {DECLARED_MAX} objects and \
                     {DECLARED_BYTES_MAX} bytes can be kept in files"
                );
                return Err(ControlError::Invalid { field: "objects", message });
            }
            for kind in DeclaredKind::all() {
                let DeclaredKind::Object(of) = kind else { continue };
                let select = sqlx::query(
                    "SELECT name, spec, version, created_at, updated_at, file FROM objects WHERE kind = $1 ORDER BY name",
                );
                for row in select.bind(of.as_str()).fetch_all(&mut *connection).await? {
                    let object = self.object_of_row(of, &row)?;
                    found.push(Declared {
                        kind,
                        name: object.name,
                        spec: object.spec,
                        file: object.file,
                        version: object.version,
                    });
                }
            }
        }
        found.extend(shared::read(&mut *self.read().await?, tenant).await?);
        Ok(found)
    }

    /// Makes a set of changes, all or none. Each holds only against what it was planned against. Changes of roles
    /// need what changing them one by one needs; the caller has checked the rest.
    pub async fn apply(&self, tenant: &TenantId, by: &Principal, writes: &[Write]) -> Result<(), Failed> {
        if writes.is_empty() {
            return Ok(());
        }
        let scope = self.scope(tenant).await?;
        let _one = self.shared.applying.lock().await;
        let is_shared = writes.iter().any(|write| write.kind.is_shared());
        let is_own = writes.iter().any(|write| !write.kind.is_shared());
        let intent = match is_shared && is_own {
            true => Some(self.intend(tenant, writes).await?),
            false => None,
        };
        let mut shared = None;
        if is_shared {
            let mut tx = self.begin().await?;
            self.lock_tenant(&mut tx, tenant).await?;
            self.write_all(&mut tx, tenant, by, writes, true).await?;
            if let Some(intent) = &intent {
                saga::forget(&mut tx, intent).await?;
            }
            shared = Some(tx);
        }
        if is_own {
            let mut tx = scope.begin().await?;
            self.write_all(&mut tx, tenant, by, writes, false).await?;
            if let Some(intent) = &intent {
                saga::mark(&mut tx, intent, self.now()).await?;
            }
            tx.commit().await?;
        }
        self.crash_between_parts()?;
        if let Some(tx) = shared {
            let committed = tx.commit().await;
            self.forget_what_changed(tenant);
            committed?;
        }
        Ok(())
    }

    /// The changes of one part, removals first, so that what replaces them finds room.
    async fn write_all(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        writes: &[Write],
        shared: bool,
    ) -> Result<(), Failed> {
        let mut order: Vec<usize> = (0..writes.len()).collect();
        order.sort_by_key(|at| writes[*at].after.is_some());
        for at in order {
            let write = &writes[at];
            if write.kind.is_shared() == shared {
                let done = self.write_one(tx, tenant, by, write).await;
                done.map_err(|error| Failed { at: Some(at), error })?;
            }
        }
        Ok(())
    }

    async fn write_one(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        write: &Write,
    ) -> Result<(), ControlError> {
        let DeclaredKind::Object(kind) = write.kind else {
            return self.write_shared(tx, tenant, by, write).await;
        };
        let expected = write.before.as_ref().map_or(0, |before| before.version);
        let done = match &write.after {
            Some(spec) if write.changes_content() => {
                match self.write_object(tx, kind, &write.name, spec, Some(expected)).await {
                    Err(ControlError::Changed { .. }) => return Err(overtaken(write)),
                    written => written?,
                };
                let update = sqlx::query("UPDATE objects SET file = $1 WHERE kind = $2 AND name = $3");
                update
                    .bind(write.file.as_deref())
                    .bind(kind.as_str())
                    .bind(&write.name)
                    .execute(&mut **tx)
                    .await?
            }
            Some(_) => {
                let update = sqlx::query(
                    "UPDATE objects SET file = $1 WHERE kind = $2 AND name = $3 AND version = $4",
                );
                let update = update.bind(write.file.as_deref()).bind(kind.as_str());
                update.bind(&write.name).bind(expected).execute(&mut **tx).await?
            }
            None => {
                let delete =
                    sqlx::query("DELETE FROM objects WHERE kind = $1 AND name = $2 AND version = $3");
                crate::projections::unproject(tx, kind, &write.name).await?;
                delete.bind(kind.as_str()).bind(&write.name).bind(expected).execute(&mut **tx).await?
            }
        };
        if done.rows_affected() == 0 { Err(overtaken(write)) } else { Ok(()) }
    }

    /// Roles, limits and settings hold at once.
    pub(crate) fn forget_what_changed(&self, tenant: &TenantId) {
        self.shared.tenants.forget(tenant);
        self.shared.keys.forget_tenant(tenant);
    }
}

pub(crate) fn overtaken(write: &Write) -> ControlError {
    ControlError::Overtaken { kind: write.kind.as_str(), name: write.name.clone() }
}
