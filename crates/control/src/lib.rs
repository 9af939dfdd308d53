//! Who may do what, and what they saved: keys, users, sign-in links, sessions, saved objects.
//!
//! Keys, users and sessions sit in the shared part of the database, because a request shows its key before
//! anyone knows its tenant; objects sit in the tenant's part. Of every secret only the SHA-256 is stored:
//! secrets carry 256 random bits, so no slow hash is needed.

mod cache; // keys seen lately
mod control; // the whole, and the first start
mod deletions; // what was asked to go
mod error; // what goes wrong, and what to do about it
mod keys; // API keys
mod objects; // what people saved
mod schema; // tables
mod secret; // made, shown once, compared
mod sessions; // sign-in links and sessions
mod users; // people

pub use control::{Control, First};
pub use deletions::Deletion;
pub use error::{ControlError, Remedy};
pub use keys::{ApiKey, KeyScope, KeyScopes, NewKey, Principal};
pub use objects::{Object, ObjectKind};
pub use secret::Secret;
pub use sessions::{Session, SessionPrincipal, SignInLink};
pub use users::{NewUser, Role, User};

#[cfg(test)]
mod tests;
