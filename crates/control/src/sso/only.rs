//! Tenants whose people sign in through a provider and in no other way: the setting `sso_only`.

use model::TenantId;
use serde_json::Value;
use sqlx::{AnyConnection, Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::{Permission, Permissions};
use crate::roles::find_grant;
use crate::sessions::SignInMethod;
use crate::sso::error::SsoError;
use crate::tokens::{Which, end_families_of};
use crate::users::User;

/// The setting's name.
pub const SSO_ONLY: &str = "sso_only";

/// Refuses the other ways where the tenant asks for a provider. A platform administrator may always use a
/// link, so that a provider that is down or set up wrongly locks nobody out for good.
pub(crate) async fn refuse_if_sso_only(
    connection: &mut AnyConnection,
    user: &User,
    method: SignInMethod,
) -> Result<(), ControlError> {
    if matches!(method, SignInMethod::Oidc | SignInMethod::Saml) {
        return Ok(());
    }
    let row = sqlx::query("SELECT settings FROM tenants WHERE id = $1").bind(user.tenant.as_str());
    let settings: Option<String> =
        row.fetch_optional(&mut *connection).await?.map(|row| row.try_get(0)).transpose()?;
    let settings: Value = serde_json::from_str(settings.as_deref().unwrap_or("{}"))
        .map_err(|error| ControlError::Damaged { what: "tenants.settings", message: error.to_string() })?;
    if settings[SSO_ONLY] != true {
        return Ok(());
    }
    let grant = find_grant(connection, &user.tenant, &user.role).await?;
    let permissions = grant.map_or(Permissions::NONE, |grant| grant.permissions);
    if method == SignInMethod::Link && permissions.has(Permission::PlatformManage) {
        return Ok(());
    }
    Err(SsoError::Only.into())
}

/// Ends what people of the tenant have begun by other ways, but for platform administrators who came with a link.
pub(crate) async fn end_other_ways(control: &Control, tenant: &TenantId) -> Result<(), ControlError> {
    let mut tx = control.begin().await?;
    end_families_of(&mut tx, control.now(), Which::OfOtherWays(tenant), "a provider is the only way in now")
        .await?;
    let delete = sqlx::query(
        "DELETE FROM sessions WHERE method NOT IN ('oidc', 'saml') AND user_id IN \
         (SELECT users.id FROM users WHERE users.tenant_id = $1 \
         AND NOT (users.role = 'platform_admin' AND sessions.method = 'link'))",
    );
    tx.execute(delete.bind(tenant.as_str())).await?;
    tx.commit().await?;
    Ok(())
}
