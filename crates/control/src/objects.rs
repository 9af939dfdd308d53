//! What people saved: dashboards, queries, rules and the like, in their tenant's part of the database.

use db::Tx;
use model::TenantId;
use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::lists::LIST_MAX;
use crate::projections::{project, unproject};

/// Largest object, as JSON text.
const SPEC_BYTES_MAX: usize = 1 << 20;

/// Bytes of the specifications of one page of a list.
const PAGE_BYTES_MAX: i64 = 8 << 20;

/// Largest object of a kind that is encrypted where it is stored.
const SEALED_BYTES_MAX: usize = crate::sealed::PLAIN_BYTES_MAX;

/// Before a specification that is encrypted; no JSON begins so.
const SEALED: &str = "sealed:";

/// Kinds of objects. What is inside belongs to whoever uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A page of charts.
    Dashboard,
    /// A query with a name.
    Query,
    /// An alert rule.
    Rule,
    /// A health check.
    Check,
    /// A way to reach people.
    Channel,
    /// Which alerts go where.
    Route,
    /// Who is on call when.
    Schedule,
    /// Who is called next while nobody takes care.
    Escalation,
    /// What to do.
    Runbook,
    /// What the public sees.
    StatusPage,
    /// A service level objective.
    Slo,
    /// Processing of what comes in.
    Pipeline,
    /// A person's or the tenant's preferences.
    Preference,
    /// What an agent collects.
    Agent,
    /// Groups of rules as Prometheus writes them.
    RuleFile,
    /// An `alertmanager.yml`.
    Alertmanager,
    /// Alerts that make others needless.
    Inhibition,
    /// Times of day, week and year.
    TimeInterval,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Dashboard,
        Self::Query,
        Self::Rule,
        Self::Check,
        Self::Channel,
        Self::Route,
        Self::Schedule,
        Self::Escalation,
        Self::Runbook,
        Self::StatusPage,
        Self::Slo,
        Self::Pipeline,
        Self::Preference,
        Self::Agent,
        Self::RuleFile,
        Self::Alertmanager,
        Self::Inhibition,
        Self::TimeInterval,
    ];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Query => "saved_query",
            Self::Rule => "rule",
            Self::Check => "check",
            Self::Channel => "channel",
            Self::Route => "route",
            Self::Schedule => "schedule",
            Self::Escalation => "escalation",
            Self::Runbook => "runbook",
            Self::StatusPage => "status_page",
            Self::Slo => "slo",
            Self::Pipeline => "pipeline",
            Self::Preference => "preference",
            Self::Agent => "agent",
            Self::RuleFile => "rule_file",
            Self::Alertmanager => "alertmanager",
            Self::Inhibition => "inhibition",
            Self::TimeInterval => "time_interval",
        }
    }

    /// Whether it holds secrets, so that it is encrypted where it is stored.
    fn is_secret(self) -> bool {
        matches!(self, Self::Channel | Self::Pipeline | Self::Agent | Self::Check | Self::Alertmanager)
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One saved object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Unique among its kind within the tenant.
    pub name: String,
    /// Its content.
    pub spec: Value,
    /// 1, and one more with each change.
    pub version: i64,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
    /// The file that owns it; `None` for what people made.
    pub file: Option<String>,
}

/// A page of a list of objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// In order of name.
    pub items: Vec<Object>,
    /// After which name the next page begins; `None` behind the last.
    pub next: Option<String>,
}

impl Control {
    /// Creates or replaces an object that no file owns. With `expected` it replaces only that version; 0 stands for an object
    /// that does not exist yet.
    pub async fn put_object(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        name: &str,
        spec: &Value,
        expected: Option<i64>,
    ) -> Result<Object, ControlError> {
        let mut tx = self.scope(tenant).await?.begin().await?;
        let object = self.write_object(&mut tx, kind, name, spec, expected).await?;
        if let Some(file) = object.file {
            return Err(owned(kind, name, file));
        }
        tx.commit().await?;
        Ok(object)
    }

    /// The same within a transaction of the tenant's part, whoever owns it. After an error it must not be committed.
    pub(crate) async fn write_object(
        &self,
        tx: &mut Tx,
        kind: ObjectKind,
        name: &str,
        spec: &Value,
        expected: Option<i64>,
    ) -> Result<Object, ControlError> {
        let text = self.stored(kind, name, check(name, spec)?)?;
        let now = self.now();
        // One statement decides, so that two writers cannot both see version 3 and both write version 4.
        let row = sqlx::query(
            "INSERT INTO objects (kind, name, spec, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4) \
             ON CONFLICT (kind, name) DO UPDATE \
             SET spec = excluded.spec, version = objects.version + 1, updated_at = excluded.updated_at \
             RETURNING name, spec, version, created_at, updated_at, file",
        )
        .bind(kind.as_str())
        .bind(name)
        .bind(text)
        .bind(now)
        .fetch_one(&mut **tx)
        .await?;
        let object = self.object_of_row(kind, &row)?;
        let found = object.version - 1;
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(ControlError::Changed {
                kind: kind.as_str(),
                name: name.to_owned(),
                expected,
                found,
            });
        }
        project(tx, &object).await?;
        Ok(object)
    }

    /// One object.
    pub async fn object(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        name: &str,
    ) -> Result<Object, ControlError> {
        let mut connection = self.scope(tenant).await?.read().await?;
        let row = sqlx::query(
            "SELECT name, spec, version, created_at, updated_at, file FROM objects WHERE kind = $1 AND name = $2",
        )
        .bind(kind.as_str())
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
        self.object_of_row(kind, &row.ok_or_else(|| missing(kind, name))?)
    }

    /// Objects of a kind in order of name, after `after` if given: at most `limit` (and 1000), and as many as have
    /// 8 MiB together, but one at least.
    pub async fn objects(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Objects, ControlError> {
        let (after, limit) = (after.unwrap_or_default(), limit.clamp(1, LIST_MAX));
        let mut connection = self.scope(tenant).await?.read().await?;
        // Names and sizes first, so that no more is read than is answered.
        let sizes = sqlx::query(
            "SELECT name, CAST(OCTET_LENGTH(spec) AS BIGINT) FROM objects \
             WHERE kind = $1 AND name > $2 ORDER BY name LIMIT $3",
        );
        let sizes = sizes.bind(kind.as_str()).bind(after).bind(i64::from(limit) + 1);
        let sizes = sizes.fetch_all(&mut *connection).await?;
        let (mut last, mut bytes, mut count): (Option<String>, i64, u32) = (None, 0, 0);
        for row in &sizes {
            bytes = bytes.saturating_add(row.try_get(1)?);
            if count >= limit || (count > 0 && bytes > PAGE_BYTES_MAX) {
                break;
            }
            (last, count) = (Some(row.try_get(0)?), count + 1);
        }
        let Some(last) = last else { return Ok(Objects::default()) };
        let select = sqlx::query(
            "SELECT name, spec, version, created_at, updated_at, file FROM objects \
             WHERE kind = $1 AND name > $2 AND name <= $3 ORDER BY name LIMIT $4",
        );
        let select = select.bind(kind.as_str()).bind(after).bind(last.as_str()).bind(i64::from(limit));
        let rows = select.fetch_all(&mut *connection).await?;
        let items = rows.iter().map(|row| self.object_of_row(kind, row)).collect::<Result<_, _>>()?;
        Ok(Objects { items, next: (sizes.len() > count as usize).then_some(last) })
    }

    /// Removes an object that no file owns.
    pub async fn delete_object(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        name: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.scope(tenant).await?.begin().await?;
        let delete = sqlx::query("DELETE FROM objects WHERE kind = $1 AND name = $2 RETURNING file");
        let gone = delete.bind(kind.as_str()).bind(name).fetch_optional(&mut *tx).await?;
        let gone = gone.ok_or_else(|| missing(kind, name))?;
        if let Some(file) = gone.try_get::<Option<String>, _>("file")? {
            return Err(owned(kind, name, file));
        }
        unproject(&mut tx, kind, name).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Control {
    /// A specification as it is stored: sealed where its kind holds secrets.
    pub(crate) fn stored(&self, kind: ObjectKind, name: &str, text: String) -> Result<String, ControlError> {
        if !kind.is_secret() {
            return Ok(text);
        }
        if text.len() > SEALED_BYTES_MAX {
            let message = format!("has {} bytes; at most {SEALED_BYTES_MAX} are allowed", text.len());
            return Err(ControlError::Invalid { field: "spec", message });
        }
        Ok(format!("{SEALED}{}", self.shared.keyring.seal(&purpose(kind, name), text.as_bytes())?))
    }

    pub(crate) fn object_of_row(&self, kind: ObjectKind, row: &AnyRow) -> Result<Object, ControlError> {
        let name: String = row.try_get("name")?;
        let spec: String = row.try_get("spec")?;
        let damaged = |message: String| ControlError::Damaged { what: "objects.spec", message };
        // What was written before specifications were sealed reads as it is.
        let spec = match spec.strip_prefix(SEALED) {
            Some(sealed) => {
                let plain = self.shared.keyring.unseal(&purpose(kind, &name), sealed)?;
                serde_json::from_slice(&plain).map_err(|error| damaged(error.to_string()))?
            }
            None => serde_json::from_str(&spec).map_err(|error| damaged(error.to_string()))?,
        };
        Ok(Object {
            kind,
            name,
            spec,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            file: row.try_get("file")?,
        })
    }
}

/// What a sealed specification is bound to, so that one cannot be put in another's place.
fn purpose(kind: ObjectKind, name: &str) -> String {
    format!("object/{}/{name}", kind.as_str())
}

/// Checks a name and a content, and answers the content as it is stored.
pub(crate) fn check(name: &str, spec: &Value) -> Result<String, ControlError> {
    one_line("name", name, 200)?;
    let text = spec.to_string();
    if text.len() > SPEC_BYTES_MAX {
        let message = format!("has {} bytes; at most {SPEC_BYTES_MAX} are allowed", text.len());
        return Err(ControlError::Invalid { field: "spec", message });
    }
    // PostgreSQL's TEXT cannot hold it, SQLite's can; both refuse it here.
    if text.contains("\\u0000") {
        let message = "must not hold the character U+0000".to_owned();
        return Err(ControlError::Invalid { field: "spec", message });
    }
    Ok(text)
}

pub(crate) fn owned(kind: ObjectKind, name: &str, file: String) -> ControlError {
    ControlError::Owned { kind: kind.as_str(), name: name.to_owned(), file }
}

fn missing(kind: ObjectKind, name: &str) -> ControlError {
    not_found(kind.as_str(), name)
}
