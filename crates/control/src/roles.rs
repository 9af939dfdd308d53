//! What the roles of a tenant permit.

use model::TenantId;
use sqlx::{AnyConnection, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::{Actor, ActorKind, Permissions, Principal, Role};
use crate::users::User;

/// What a role permits and shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) permissions: Permissions,
    pub(crate) selector: Option<String>,
}

impl Control {
    /// Whoever proved to be this person.
    pub(crate) async fn principal_of(&self, user: &User) -> Result<Principal, ControlError> {
        // A built-in role needs no query.
        let grant = match Role::parse(&user.role) {
            Some(role) => Some(Grant { permissions: role.permissions(), selector: None }),
            None => find_grant(&mut *self.read().await?, &user.tenant, &user.role).await?,
        };
        // A role that is gone permits nothing.
        let grant = grant.unwrap_or(Grant { permissions: Permissions::NONE, selector: None });
        Ok(Principal {
            tenant: user.tenant.clone(),
            who: Actor { kind: ActorKind::User, id: user.id.clone(), name: user.email.clone() },
            key_id: None,
            permissions: grant.permissions,
            selector: grant.selector,
        })
    }
}

/// What a role of this name grants in the tenant; `None` without such a role.
pub(crate) async fn find_grant(
    connection: &mut AnyConnection,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<Grant>, ControlError> {
    if let Some(role) = Role::parse(name) {
        return Ok(Some(Grant { permissions: role.permissions(), selector: None }));
    }
    let row = sqlx::query("SELECT permissions, selector FROM roles WHERE tenant_id = $1 AND name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let permissions = Permissions::from_json("roles.permissions", &row.try_get::<String, _>("permissions")?)?;
    Ok(Some(Grant { permissions, selector: row.try_get("selector")? }))
}
