//! Who may do what, and what they saved: tenants, people, roles, keys, sessions, saved objects.
//!
//! Keys, people and sessions sit in the shared part of the database, because a request shows its key before
//! anyone knows its tenant; objects sit in the tenant's part. Of a secret that we make only the SHA-256 is
//! stored: it carries 256 random bits, so no slow hash is needed. A password, which a person makes, is kept
//! as argon2id. What must be read back is sealed under a key outside the database.

mod apply; // sets of objects from files
pub mod audit; // what happened, chained
mod cache; // what was looked up lately
mod control; // the whole, and the first start
mod deletions; // what was asked to go
pub mod der; // as much of it as keys need
mod error; // what goes wrong, and what to do about it
mod invitations; // how people join
mod keys; // API keys
mod links; // sign-in links
mod lists; // page by page
mod members; // what lists say of people
mod objects; // what people saved
mod passwords; // which are good enough, and how they are kept
mod permissions; // what someone may do, and whoever asks
mod projections; // tables beside objects
mod provision; // a tenant in one call
mod removal; // tenants that go, and what is left of them elsewhere
mod roles; // roles of a tenant's own
mod schema; // tables
mod scopes; // what a key may be used for
mod sealed; // secrets that must be read back
mod second_factor; // authenticators and recovery codes
mod secret; // made, shown once, compared
mod service_accounts; // programs with a role of their own
mod sessions; // begun, listed and ended
mod sign_in; // with a password
pub mod sso; // sign-in through a provider
mod teams; // teams and projects
mod tenants; // what is known of each
mod throttle; // guessing is slow
mod tokens; // access and refresh tokens
mod totp; // codes of an authenticator
mod upgrades; // tables of tenants, up and down
mod users; // people

pub use apply::{Declared, DeclaredKind, Failed, RoleSpec, Write};
pub use control::{Control, First};
pub use deletions::Deletion;
pub use error::{ControlError, Remedy};
pub use invitations::Invitation;
pub use keys::{ApiKey, KeyChange, KeyGrant, NewKey};
pub use links::SignInLink;
pub use members::MemberFacts;
pub use objects::{Object, ObjectKind, Objects};
pub use permissions::{Actor, ActorKind, Permission, Permissions, Principal, Role};
pub use projections::Projected;
pub use provision::{Defaults, NewTenant, ProvisionStep, Resumed, TenantResult};
pub use roles::{CustomRole, NewRole};
pub use scopes::{KeyScope, KeyScopes};
pub use sealed::Keyring;
pub use second_factor::{Enrolment, SecondFactor};
pub use secret::Secret;
pub use service_accounts::{ServiceAccount, ServiceAccountChange};
pub use sessions::{Client, Session, SessionInfo, SessionPrincipal, SignInMethod};
pub use sign_in::{PasswordReset, SignIn};
pub use sso::SsoError;
pub use teams::{NewProject, Project, Team};
pub use tenants::{PLATFORM_TENANT, Tenant, TenantState};
pub use tokens::{AccessPrincipal, Binding, Revoked, TokenFamily, TokenPair, TokenSettings, Tokens};
pub use upgrades::{SetStatus, TenantMigration};
pub use users::{NewUser, User, UserState};

#[cfg(test)]
mod tests;
