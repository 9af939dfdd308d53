//! Control data, scoped by tenant, on SQLite or PostgreSQL behind one code path.
//!
//! On SQLite there is `control.db` and one file per tenant; on PostgreSQL a shared schema and one schema per
//! tenant. Statements are written once: `$1` placeholders, and only the column types `TEXT`, `BIGINT`,
//! `DOUBLE PRECISION` and `{blob}` (which migrations spell per backend). Flags are `BIGINT` 0 and 1, times
//! `BIGINT` milliseconds, JSON `TEXT`; anything else fails on one of the two.

mod database; // the whole database, and its tenants
mod error; // what goes wrong, and what to do about it
pub mod jobs; // work that is done later, at least once
pub mod leases; // who owns what, for how long
mod migrate; // tables, up and down
mod parts; // tenants' parts, made and dropped
mod pool; // how each backend connects
mod scope; // one tenant's part, or the shared one
#[cfg(any(test, feature = "testing"))]
pub mod testing; // a database of each kind

pub use database::{Database, DatabaseSettings};
pub use error::{DbError, Remedy};
pub use migrate::{Migration, MigrationSet, MigrationStatus};
pub use scope::{Backend, Conn, Scope, Tx};

#[cfg(test)]
mod tests;
