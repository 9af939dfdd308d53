//! `/api/v1/tenants`: tenants, their people, roles, teams, keys and providers.
//!
//! `{tenant}` is an identifier, or `current` for the caller's own. Another tenant than one's own does not
//! exist, but for those who manage the platform.

mod export; // everything there is, as an archive
mod fields; // what bodies and lists share
mod invitations; // who is to join
mod keys; // API keys
mod members; // people
mod projects; // what they work on
mod roles; // what they may do
mod scope; // the tenant of a path
mod service_accounts; // programs with a role
mod sso; // identity providers
mod teams; // who works together
mod tenants; // the tenants themselves
mod tend; // what is left to do
mod usage; // what a tenant uses

use std::sync::Arc;

use control::{Permission, Tenant};

#[cfg(test)]
pub(crate) use tend::look as tend_now;
pub(crate) use tend::run as tend;

use crate::app::SharedApp;
use crate::chain::{Identity, Need};
use crate::error::Fault;
use crate::openapi::Routes;

/// Every route, by what it needs.
pub(crate) fn routes() -> Vec<(Need, Routes)> {
    let settings = Need::protected(Permission::SettingsRead, Permission::SettingsManage);
    let members = Need::protected(Permission::MembersRead, Permission::MembersManage);
    vec![
        (Need::always(Permission::PlatformManage), Routes::from(tenants::platform_routes())),
        (settings, Routes::from(tenants::routes()).merge(Routes::from(usage::routes()))),
        (Need::always(Permission::DataDelete), Routes::from(export::routes())),
        (
            members,
            Routes::from(members::routes())
                .merge(Routes::from(invitations::routes()))
                .merge(Routes::from(roles::routes()))
                .merge(teams::routes())
                .merge(Routes::from(projects::routes())),
        ),
        (
            Need::always(Permission::KeysManage),
            Routes::from(keys::routes()).merge(Routes::from(service_accounts::routes())),
        ),
        (Need::always(Permission::SettingsManage), Routes::from(sso::routes())),
    ]
}

/// The tenant that a path names, if the caller may know of it and it exists.
async fn tenant_of(app: &SharedApp, identity: &Identity, named: &str) -> Result<Arc<Tenant>, Fault> {
    let id = identity.tenant_of_path(named)?;
    Ok(app.control()?.tenant(&id).await?)
}
