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

use control::Permission;

pub(crate) use fields::Paging;
pub(crate) use roles::NewRole as GivenRole;
pub(crate) use tenants::check_settings;
#[cfg(test)]
pub(crate) use tend::look as tend_now;
pub(crate) use tend::run as tend;

use crate::chain::Need;
use crate::openapi::Routes;

/// Every route, by what it needs.
pub(crate) fn routes() -> Vec<(Need, Routes)> {
    let settings = Need::protected(Permission::SettingsRead, Permission::SettingsManage);
    let members = Need::protected(Permission::MembersRead, Permission::MembersManage);
    vec![
        (Need::always(Permission::PlatformManage), tenants::platform_routes()),
        (settings, tenants::routes().merge(usage::routes())),
        (Need::always(Permission::DataDelete), export::routes()),
        (
            members,
            members::routes()
                .merge(invitations::routes())
                .merge(roles::routes())
                .merge(teams::routes())
                .merge(projects::routes()),
        ),
        (Need::always(Permission::KeysManage), keys::routes().merge(service_accounts::routes())),
        (Need::always(Permission::SettingsManage), sso::routes()),
    ]
}
