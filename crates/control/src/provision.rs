//! A tenant in one call: five steps, all of them or none.
//!
//! The shared part of the database and the tenant's own cannot change in one transaction, so this is a saga:
//! a row in state `creating` says what is under way, each step marks it, the last makes it `active`. A step
//! that fails undoes what was done. After a crash [`Control::resume_sagas`] undoes it: whoever asked never
//! got the link to sign in with, and asks again.

use std::collections::HashSet;
use std::time::Duration;

use db::Tx;
use kit::spawn::spawn;
use model::TenantId;
use parking_lot::Mutex;
use serde_json::Value;
use sqlx::{Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, one_line};
use crate::keys::{KeyGrant, NewKey};
use crate::links::SignInLink;
use crate::objects::ObjectKind;
use crate::permissions::{Principal, Role};
use crate::scopes::KeyScopes;
use crate::secret::{Secret, new_id};
use crate::tenants::{Tenant, TenantState, missing, object_text};
use crate::users::{NewUser, User, check_person};

/// A creation that has not moved for this long belongs to a process that is gone.
pub(crate) const STALE_MS: i64 = 60_000;

/// The link to the first administrator may wait in a mailbox.
const LINK_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Dashboards and rules a tenant may begin with.
const DEFAULTS_MAX: usize = 200;

/// A tenant to be created.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Identifier; also the subdomain.
    pub id: TenantId,
    /// What people call it, at most 100 bytes.
    pub name: String,
    /// An object.
    pub settings: Value,
    /// An object.
    pub limits: Value,
    /// The first administrator.
    pub admin_email: String,
    /// What people call them.
    pub admin_name: String,
    /// The name of a key with every scope, to begin with; `None` makes no key.
    pub key_name: Option<String>,
}

/// What every new tenant begins with, by name. What is inside belongs to whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Dashboards.
    pub dashboards: Vec<(String, Value)>,
    /// Alert rules.
    pub rules: Vec<(String, Value)>,
}

/// One step of a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvisionStep {
    /// Which.
    pub name: &'static str,
    /// When it was done, milliseconds since the Unix epoch.
    pub done_at_ms: i64,
}

/// A tenant that was created.
#[derive(Debug)]
pub struct TenantResult {
    /// The tenant, active.
    pub tenant: Tenant,
    /// What was done, in order.
    pub steps: Vec<ProvisionStep>,
    /// The first administrator.
    pub admin: User,
    /// How they sign in first: one use, within seven days.
    pub link: SignInLink,
    /// The key that was asked for. Shown once.
    pub key: Option<Secret>,
}

/// What a look for unfinished work found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Tenants half created, now gone.
    pub undone: Vec<TenantId>,
    /// Tenants half deleted: the caller removes their telemetry and finishes.
    pub deleting: Vec<TenantId>,
}

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    CreateSchema,
    ApplyMigrations,
    ConfigureSettings,
    CreateAdmin,
    DefaultDashboards,
}

impl Step {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CreateSchema => "create_schema",
            Self::ApplyMigrations => "apply_migrations",
            Self::ConfigureSettings => "configure_settings",
            Self::CreateAdmin => "create_admin",
            Self::DefaultDashboards => "default_dashboards",
        }
    }
}

/// For tests: how the work after a step ends.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With an error, before the step is marked.
    Fails(Step),
    /// As in a crash: nothing runs any more, not even the undoing.
    Crashes(Step),
    /// Not before the fault is taken away, as when the process was stopped for a while.
    Overtaken(Step),
}

/// Creations that run in this process, which no sweep of ours may undo; and the fault a test wants.
#[derive(Default)]
pub(crate) struct Creations {
    running: Mutex<HashSet<TenantId>>,
    #[cfg(test)]
    pub(crate) fault: Mutex<Option<Fault>>,
    #[cfg(test)]
    pub(crate) waiting: std::sync::atomic::AtomicBool,
}

impl Control {
    /// Creates a tenant, ready to be used. An id that is taken is `Exists`. Goes on to its end, or to
    /// having undone everything, even if the caller stops waiting.
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        defaults: Defaults,
    ) -> Result<TenantResult, ControlError> {
        one_line("name", &new.name, 100)?;
        object_text("settings", &new.settings)?;
        object_text("limits", &new.limits)?;
        check_person(&new.admin_email, &new.admin_name)?;
        if let Some(name) = &new.key_name {
            one_line("key_name", name, 100)?;
        }
        if defaults.dashboards.len() + defaults.rules.len() > DEFAULTS_MAX {
            let message = format!("are more than {DEFAULTS_MAX}; give fewer");
            return Err(ControlError::Invalid { field: "defaults", message });
        }
        let control = self.clone();
        let creation = spawn("create-tenant", async move {
            let id = new.id.clone();
            if !control.shared.creations.running.lock().insert(id.clone()) {
                return Err(taken(&id));
            }
            let created = control.run_creation(&new, &defaults).await;
            control.shared.creations.running.lock().remove(&id);
            created
        });
        creation.await.map_err(|stopped| ControlError::Stopped {
            what: "tenant creation",
            message: stopped.to_string(),
        })?
    }

    async fn run_creation(&self, new: &NewTenant, defaults: &Defaults) -> Result<TenantResult, ControlError> {
        let id = &new.id;
        // What lies there without a row is someone's data, put there by other hands; it is not ours to drop.
        if self.read_tenant(id).await?.is_some() {
            return Err(taken(id));
        }
        if self.shared.db.has_tenant(id).await? {
            return Err(ControlError::Exists { kind: "data of tenant", name: id.to_string() });
        }
        self.refuse_just_removed(id).await?;
        let attempt = new_id("attempt")?;
        let mut tx = self.begin().await?;
        let insert = sqlx::query(
            "INSERT INTO tenants (id, name, state, attempt, created_at, updated_at) \
             VALUES ($1, $2, 'creating', $3, $4, $4) ON CONFLICT (id) DO NOTHING",
        );
        let insert = insert.bind(id.as_str()).bind(new.name.trim()).bind(attempt.as_str()).bind(self.now());
        let claimed = tx.execute(insert).await?.rows_affected();
        tx.commit().await?;
        self.forget_tenant(id);
        if claimed == 0 {
            return Err(taken(id));
        }
        let made = self.make(new, defaults, &attempt).await;
        if made.is_err()
            && !self.crashed()
            && let Err(error) = self.undo(id, &attempt).await
        {
            // The row stays, so the next sweep tries again.
            tracing::warn!(tenant = %id, %error, "a tenant half created could not be undone yet");
        }
        self.forget_tenant(id);
        made
    }

    async fn make(
        &self,
        new: &NewTenant,
        defaults: &Defaults,
        attempt: &str,
    ) -> Result<TenantResult, ControlError> {
        let (id, mut steps) = (&new.id, Vec::with_capacity(5));
        let mut done = |step: Step| {
            steps.push(ProvisionStep { name: step.as_str(), done_at_ms: self.now() });
            self.fault(step)
        };
        // Whoever was overtaken must not make a part that nobody knows of.
        self.still_ours(id, attempt, Step::CreateSchema).await?;
        self.shared.db.create_part(id, &self.shared.tenant_sets).await?;
        done(Step::CreateSchema).await?;
        self.still_ours(id, attempt, Step::ApplyMigrations).await?;
        self.shared.db.create_tenant(id, &self.shared.tenant_sets).await?;
        self.shared.migrated.lock().insert(id.clone());
        done(Step::ApplyMigrations).await?;

        // Every further step is marked in the transaction that does it: a commit waits for the disk.
        let mut tx = self.begin().await?;
        mark(&mut tx, id, attempt, Step::ConfigureSettings, self.now()).await?;
        let update = sqlx::query("UPDATE tenants SET settings = $1, limits = $2 WHERE id = $3");
        let update = update.bind(object_text("settings", &new.settings)?);
        tx.execute(update.bind(object_text("limits", &new.limits)?).bind(id.as_str())).await?;
        tx.commit().await?;
        done(Step::ConfigureSettings).await?;

        let mut tx = self.begin().await?;
        mark(&mut tx, id, attempt, Step::CreateAdmin, self.now()).await?;
        let admin = NewUser { email: &new.admin_email, name: &new.admin_name, role: Role::Admin.as_str() };
        let admin = self.insert_user(&mut tx, id, admin).await?;
        let link = self.insert_link(&mut tx, &admin.id, "", LINK_LIFE).await?;
        let key = match new.key_name.as_deref() {
            None => None,
            Some(name) => {
                let key = NewKey { name, grant: KeyGrant::Scopes(KeyScopes::ALL), expires_at: None };
                Some(self.insert_key(&mut tx, id, &Principal::system(), key).await?.1)
            }
        };
        tx.commit().await?;
        done(Step::CreateAdmin).await?;

        let dashboards = defaults.dashboards.iter().map(|object| (ObjectKind::Dashboard, object));
        let rules = defaults.rules.iter().map(|object| (ObjectKind::Rule, object));
        let mut tx = self.scope(id).await?.begin().await?;
        for (kind, (name, spec)) in dashboards.chain(rules) {
            self.write_object(&mut tx, kind, name, spec, None).await?;
        }
        tx.commit().await?;
        done(Step::DefaultDashboards).await?;

        let mut tx = self.begin().await?;
        mark(&mut tx, id, attempt, Step::DefaultDashboards, self.now()).await?;
        let update = sqlx::query("UPDATE tenants SET state = 'active', attempt = '' WHERE id = $1");
        tx.execute(update.bind(id.as_str())).await?;
        tx.commit().await?;
        let tenant = self.read_tenant(id).await?.ok_or_else(|| missing(id))?;
        Ok(TenantResult { tenant, steps, admin, link, key })
    }

    /// Marks a step before it is done, and refuses to do it for an attempt that another process took over.
    async fn still_ours(&self, id: &TenantId, attempt: &str, step: Step) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        mark(&mut tx, id, attempt, step, self.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes what an attempt made, its row last. Leaves what others made once another process has taken it over.
    async fn undo(&self, id: &TenantId, attempt: &str) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let update = sqlx::query(
            "UPDATE tenants SET step = 'undo', updated_at = $1 \
             WHERE id = $2 AND state = 'creating' AND attempt = $3",
        );
        let ours = tx.execute(update.bind(self.now()).bind(id.as_str()).bind(attempt)).await?;
        tx.commit().await?;
        if ours.rows_affected() == 0 {
            // Whoever took it over removed what there was then; what this attempt made since, nobody knows of.
            if self.read_tenant(id).await?.is_none() {
                self.shared.db.drop_tenant(id).await?;
            }
            return Ok(());
        }
        self.shared.db.drop_tenant(id).await?;
        let mut tx = self.begin().await?;
        self.delete_rows(&mut tx, id).await?;
        let delete = sqlx::query("DELETE FROM tenants WHERE id = $1 AND state = 'creating' AND attempt = $2");
        tx.execute(delete.bind(id.as_str()).bind(attempt)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives a tenant that is there what new ones begin with, once and for all: later calls do nothing, so that
    /// what people change or delete stays so. Nothing that is there is replaced.
    pub async fn give_defaults(&self, id: &TenantId, defaults: &Defaults) -> Result<(), ControlError> {
        let fact = format!("defaults_given/{id}");
        {
            let mut connection = self.read().await?;
            let given = sqlx::query("SELECT name FROM control_facts WHERE name = $1").bind(fact.as_str());
            if given.fetch_optional(&mut *connection).await?.is_some() {
                return Ok(());
            }
        }
        let dashboards = defaults.dashboards.iter().map(|object| (ObjectKind::Dashboard, object));
        let rules = defaults.rules.iter().map(|object| (ObjectKind::Rule, object));
        let mut tx = self.scope(id).await?.begin().await?;
        for (kind, (name, spec)) in dashboards.chain(rules) {
            let known = sqlx::query("SELECT 1 FROM objects WHERE kind = $1 AND name = $2");
            let known = known.bind(kind.as_str()).bind(name.as_str()).fetch_optional(&mut *tx).await?;
            if known.is_none() {
                self.write_object(&mut tx, kind, name, spec, None).await?;
            }
        }
        tx.commit().await?;
        // After them: a stop in between gives them again, which changes nothing.
        let mut tx = self.begin().await?;
        let insert = sqlx::query(
            "INSERT INTO control_facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        );
        tx.execute(insert.bind(fact).bind(self.now().to_string())).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Undoes creations that a process which is gone left behind, and lists deletions to be finished. To be
    /// called at start and every now and then. One that fails does not keep the others.
    pub async fn resume_sagas(&self) -> Result<Resumed, ControlError> {
        let mut resumed = Resumed::default();
        self.resume_applies().await?;
        let now = self.now();
        let rows = {
            let mut connection = self.read().await?;
            sqlx::query(
                "SELECT id, state, attempt, updated_at FROM tenants WHERE state IN ('creating', 'deleting') ORDER BY id",
            )
            .fetch_all(&mut *connection)
            .await?
        };
        for row in rows {
            let id: String = row.try_get("id")?;
            let id = TenantId::new(&id)
                .map_err(|error| ControlError::Damaged { what: "tenants.id", message: error.to_string() })?;
            let (state, attempt): (String, String) = (row.try_get("state")?, row.try_get("attempt")?);
            if state == TenantState::Deleting.as_str() {
                resumed.deleting.push(id);
                continue;
            }
            let stale = now.saturating_sub(STALE_MS);
            let running = self.shared.creations.running.lock().contains(&id);
            if running || row.try_get::<i64, _>("updated_at")? > stale {
                continue;
            }
            // Of several processes that look at once, one takes it over.
            let taken_over = new_id("attempt")?;
            let mut tx = self.begin().await?;
            let update = sqlx::query(
                "UPDATE tenants SET attempt = $1, updated_at = $2 \
                 WHERE id = $3 AND state = 'creating' AND attempt = $4 AND updated_at <= $5",
            );
            let update = update.bind(taken_over.as_str()).bind(now).bind(id.as_str());
            let ours = tx.execute(update.bind(attempt).bind(stale)).await?;
            tx.commit().await?;
            if ours.rows_affected() == 1 {
                let undone = self.undo(&id, &taken_over).await;
                self.forget_tenant(&id);
                match undone {
                    Ok(()) => resumed.undone.push(id),
                    // The others need not wait for it; the next look that finds it stale tries again.
                    Err(error) => tracing::warn!(tenant = %id, %error, "a tenant half created stays for now"),
                }
            }
        }
        Ok(resumed)
    }

    #[cfg(test)]
    async fn fault(&self, step: Step) -> Result<(), ControlError> {
        while *self.shared.creations.fault.lock() == Some(Fault::Overtaken(step)) {
            self.shared.creations.waiting.store(true, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let fault = *self.shared.creations.fault.lock();
        if fault == Some(Fault::Fails(step)) || fault == Some(Fault::Crashes(step)) {
            return Err(ControlError::Stopped { what: "test", message: step.as_str().to_owned() });
        }
        Ok(())
    }

    #[cfg(not(test))]
    async fn fault(&self, _: Step) -> Result<(), ControlError> {
        Ok(())
    }

    #[cfg(test)]
    fn crashed(&self) -> bool {
        matches!(*self.shared.creations.fault.lock(), Some(Fault::Crashes(_)))
    }

    #[cfg(not(test))]
    fn crashed(&self) -> bool {
        false
    }
}

/// Writes down how far a creation is, and refuses to go on when another process took it over. The row stays
/// locked until the transaction ends.
async fn mark(tx: &mut Tx, id: &TenantId, attempt: &str, step: Step, now: i64) -> Result<(), ControlError> {
    let update = sqlx::query(
        "UPDATE tenants SET step = $1, updated_at = $2 WHERE id = $3 AND state = 'creating' AND attempt = $4",
    );
    let update = update.bind(step.as_str()).bind(now).bind(id.as_str()).bind(attempt);
    match tx.execute(update).await?.rows_affected() {
        0 => Err(overtaken(id)),
        _ => Ok(()),
    }
}

fn taken(id: &TenantId) -> ControlError {
    ControlError::Exists { kind: "tenant", name: id.to_string() }
}

fn overtaken(id: &TenantId) -> ControlError {
    let message = format!("tenant {id}: it took so long that another process undid it; try again");
    ControlError::Stopped { what: "tenant creation", message }
}
