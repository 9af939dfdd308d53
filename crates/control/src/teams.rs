//! Teams and who is in them, and projects, each of which a team may own.
//!
//! They group things and grant nothing, so it is the route that checks `members:manage`.

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::keys::tenant_of_row;
use crate::lists::LIST_MAX;
use crate::secret::new_id;
use crate::users::{self, User, read_user, user_of_row};

/// People in one team.
const MEMBERS_MAX: i64 = 1_000;

const TEAM: &str = "teams.id, teams.tenant_id, teams.name, teams.created_at";
const PROJECT: &str = "id, tenant_id, name, description, team_id, created_at, updated_at";

/// Some of a tenant's people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Identifier.
    pub id: String,
    /// Where it belongs.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// Something a tenant works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Identifier.
    pub id: String,
    /// Where it belongs.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The identifier of the team that owns it.
    pub team: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
}

/// A project to be created, or what it becomes.
#[derive(Clone, Copy, Debug)]
pub struct NewProject<'a> {
    /// At most 100 bytes.
    pub name: &'a str,
    /// At most 1,000 bytes; may be empty.
    pub description: &'a str,
    /// The identifier of the team that owns it.
    pub team: Option<&'a str>,
}

impl Control {
    /// Creates a team without anyone in it.
    pub async fn create_team(&self, tenant: &TenantId, name: &str) -> Result<Team, ControlError> {
        one_line("name", name, 100)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        let team = Team {
            id: new_id("team")?,
            tenant: tenant.clone(),
            name: name.trim().to_owned(),
            created_at: self.now(),
        };
        let insert =
            sqlx::query("INSERT INTO teams (id, tenant_id, name, created_at) VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(team.id.as_str()).bind(tenant.as_str());
        let insert = insert.bind(team.name.as_str()).bind(team.created_at);
        tx.execute(insert).await.map_err(|error| named_twice(error, "team", name))?;
        tx.commit().await?;
        Ok(team)
    }

    /// Changes what people call a team.
    pub async fn rename_team(&self, tenant: &TenantId, id: &str, name: &str) -> Result<Team, ControlError> {
        one_line("name", name, 100)?;
        let mut tx = self.begin().await?;
        let statement =
            format!("UPDATE teams SET name = $1 WHERE tenant_id = $2 AND id = $3 RETURNING {TEAM}");
        let update = sqlx::query(AssertSqlSafe(statement)).bind(name.trim()).bind(tenant.as_str()).bind(id);
        let row = update.fetch_optional(&mut *tx).await.map_err(|error| named_twice(error, "team", name))?;
        let team = team_of_row(&row.ok_or_else(|| not_found("team", id))?)?;
        tx.commit().await?;
        Ok(team)
    }

    /// Removes a team. Its people stay; its projects belong to no team.
    pub async fn delete_team(&self, tenant: &TenantId, id: &str) -> Result<(), ControlError> {
        self.delete_named(tenant, "team", "teams", id).await
    }

    /// The tenant's teams in order of name, after `after` if given, at most `limit` (and 1000).
    pub async fn teams(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Team>, ControlError> {
        let rows = self.list(TEAM, "teams", "name", tenant, after, limit).await?;
        rows.iter().map(team_of_row).collect()
    }

    /// The teams someone is in, in order of name.
    pub async fn teams_of(&self, tenant: &TenantId, user: &str) -> Result<Vec<Team>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!(
            "SELECT {TEAM} FROM teams JOIN team_members ON team_members.team_id = teams.id \
             WHERE teams.tenant_id = $1 AND team_members.user_id = $2 ORDER BY teams.name LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(user);
        let rows = rows.bind(i64::from(LIST_MAX)).fetch_all(&mut *connection).await?;
        rows.iter().map(team_of_row).collect()
    }

    /// The people in a team, in order of email; there are at most 1000.
    pub async fn team_members(&self, tenant: &TenantId, team: &str) -> Result<Vec<User>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!(
            "SELECT {} FROM users JOIN team_members ON team_members.user_id = users.id \
             JOIN teams ON teams.id = team_members.team_id \
             WHERE teams.tenant_id = $1 AND teams.id = $2 ORDER BY users.email",
            users::COLUMNS
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(team);
        rows.fetch_all(&mut *connection).await?.iter().map(user_of_row).collect()
    }

    /// Puts someone into a team. Twice changes nothing.
    pub async fn add_team_member(
        &self,
        tenant: &TenantId,
        team: &str,
        user: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        read_team(&mut tx, tenant, team).await?;
        read_user(&mut tx, tenant, user).await?;
        let count = sqlx::query("SELECT COUNT(*) FROM team_members WHERE team_id = $1").bind(team);
        if count.fetch_one(&mut *tx).await?.try_get::<i64, _>(0)? >= MEMBERS_MAX {
            let message = format!("the team has {MEMBERS_MAX} members already; make another team");
            return Err(ControlError::Invalid { field: "team", message });
        }
        let insert = sqlx::query(
            "INSERT INTO team_members (team_id, user_id, added_at) VALUES ($1, $2, $3) \
             ON CONFLICT (team_id, user_id) DO NOTHING",
        );
        tx.execute(insert.bind(team).bind(user).bind(self.now())).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes someone out of a team. Twice changes nothing.
    pub async fn remove_team_member(
        &self,
        tenant: &TenantId,
        team: &str,
        user: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        read_team(&mut tx, tenant, team).await?;
        let delete = sqlx::query("DELETE FROM team_members WHERE team_id = $1 AND user_id = $2");
        tx.execute(delete.bind(team).bind(user)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Creates a project.
    pub async fn create_project(
        &self,
        tenant: &TenantId,
        new: NewProject<'_>,
    ) -> Result<Project, ControlError> {
        check(&new)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        if let Some(team) = new.team {
            read_team(&mut tx, tenant, team).await?;
        }
        let statement = format!(
            "INSERT INTO projects (id, tenant_id, name, description, team_id, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING {PROJECT}"
        );
        let insert = sqlx::query(AssertSqlSafe(statement)).bind(new_id("project")?).bind(tenant.as_str());
        let insert = insert.bind(new.name.trim()).bind(new.description.trim()).bind(new.team);
        let row = insert.bind(self.now()).fetch_one(&mut *tx).await;
        let project = project_of_row(&row.map_err(|error| named_twice(error, "project", new.name))?)?;
        tx.commit().await?;
        Ok(project)
    }

    /// Replaces a project's name, description and team.
    pub async fn update_project(
        &self,
        tenant: &TenantId,
        id: &str,
        new: NewProject<'_>,
    ) -> Result<Project, ControlError> {
        check(&new)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        if let Some(team) = new.team {
            read_team(&mut tx, tenant, team).await?;
        }
        let statement = format!(
            "UPDATE projects SET name = $1, description = $2, team_id = $3, updated_at = $4 \
             WHERE tenant_id = $5 AND id = $6 RETURNING {PROJECT}"
        );
        let update = sqlx::query(AssertSqlSafe(statement)).bind(new.name.trim()).bind(new.description.trim());
        let update = update.bind(new.team).bind(self.now()).bind(tenant.as_str()).bind(id);
        let row = update.fetch_optional(&mut *tx).await;
        let row = row.map_err(|error| named_twice(error, "project", new.name))?;
        let project = project_of_row(&row.ok_or_else(|| not_found("project", id))?)?;
        tx.commit().await?;
        Ok(project)
    }

    /// One project, by identifier.
    pub async fn project(&self, tenant: &TenantId, id: &str) -> Result<Project, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {PROJECT} FROM projects WHERE tenant_id = $1 AND id = $2");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id);
        let row = row.fetch_optional(&mut *connection).await?;
        project_of_row(&row.ok_or_else(|| not_found("project", id))?)
    }

    /// Removes a project.
    pub async fn delete_project(&self, tenant: &TenantId, id: &str) -> Result<(), ControlError> {
        self.delete_named(tenant, "project", "projects", id).await
    }

    /// The tenant's projects in order of name, after `after` if given, at most `limit` (and 1000).
    pub async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Project>, ControlError> {
        let rows = self.list(PROJECT, "projects", "name", tenant, after, limit).await?;
        rows.iter().map(project_of_row).collect()
    }

    async fn delete_named(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        table: &str,
        id: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let statement = format!("DELETE FROM {table} WHERE tenant_id = $1 AND id = $2");
        let delete = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id);
        let done = tx.execute(delete).await?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(not_found(kind, id)) } else { Ok(()) }
    }
}

async fn read_team(tx: &mut Tx, tenant: &TenantId, id: &str) -> Result<(), ControlError> {
    let team = sqlx::query("SELECT id FROM teams WHERE tenant_id = $1 AND id = $2");
    let found = team.bind(tenant.as_str()).bind(id).fetch_optional(&mut **tx).await?;
    found.map(drop).ok_or_else(|| not_found("team", id))
}

fn named_twice(error: sqlx::Error, kind: &'static str, name: &str) -> ControlError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => {
            ControlError::Exists { kind, name: name.trim().to_owned() }
        }
        error => error.into(),
    }
}

fn check(new: &NewProject<'_>) -> Result<(), ControlError> {
    one_line("name", new.name, 100)?;
    if new.description.trim().is_empty() { Ok(()) } else { one_line("description", new.description, 1_000) }
}

fn team_of_row(row: &AnyRow) -> Result<Team, ControlError> {
    Ok(Team {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
    })
}

fn project_of_row(row: &AnyRow) -> Result<Project, ControlError> {
    Ok(Project {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        team: row.try_get("team_id")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
