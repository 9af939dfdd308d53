//! Who may do what, and what they saved: tenants, people, roles, keys, sessions, saved objects.
//!
//! Keys, people and sessions sit in the shared part of the database, because a request shows its key before
//! anyone knows its tenant; objects sit in the tenant's part. Of a secret that we make only the SHA-256 is
//! stored: it carries 256 random bits, so no slow hash is needed. A password, which a person makes, is kept
//! as argon2id. What must be read back is sealed under a key outside the database.

mod cache; // keys seen lately
mod control; // the whole, and the first start
mod error; // what goes wrong, and what to do about it
mod keys; // API keys
mod objects; // what people saved
mod permissions; // what someone may do, and whoever asks
mod roles; // what a tenant's own roles permit
mod schema; // tables
mod sealed; // secrets that must be read back
mod secret; // made, shown once, compared
mod sessions; // sign-in links and sessions
mod users; // people

pub use control::{Control, First};
pub use error::{ControlError, Remedy};
pub use keys::{ApiKey, KeyScope, KeyScopes, NewKey};
pub use objects::{Object, ObjectKind};
pub use permissions::{Actor, ActorKind, Permission, Permissions, Principal, Role};
pub use sealed::Keyring;
pub use secret::Secret;
pub use sessions::{Session, SessionPrincipal, SignInLink};
pub use users::{NewUser, User};

#[cfg(test)]
mod tests;
