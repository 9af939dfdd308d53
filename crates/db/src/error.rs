//! What goes wrong, and what to do about it.

use model::TenantId;

/// What the caller should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The request asked for something that cannot be.
    FixRequest,
    /// The same call may succeed soon.
    RetryLater,
    /// The configuration is wrong.
    FixConfig,
    /// A person must look.
    CallOperator,
}

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL is not one of ours. Carries no secret.
    #[error("database.url: {0}")]
    Url(String),
    /// The folder of a SQLite database cannot be used.
    #[error("cannot use the database folder {folder}: {source}")]
    Folder {
        /// Which.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// The tenant has no part of the database.
    #[error("tenant {tenant} has no part of the database; create the tenant first")]
    NoTenant {
        /// Which.
        tenant: TenantId,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// A migration that already ran reads differently now.
    #[error(
        "migration {set} {version} ({name}) changed after it was applied; restore its text and add a new one"
    )]
    MigrationChanged {
        /// Whose.
        set: &'static str,
        /// Which.
        version: i64,
        /// Its name.
        name: String,
    },
    /// The database was written by a newer program.
    #[error("{set} is at migration {found}, this program knows up to {known}; start a newer version")]
    Newer {
        /// Whose.
        set: &'static str,
        /// Applied.
        found: i64,
        /// Known.
        known: i64,
    },
    /// A migration failed and was rolled back.
    #[error("migration {set} {version} ({name}) failed and was rolled back: {source}")]
    Migration {
        /// Whose.
        set: &'static str,
        /// Which.
        version: i64,
        /// Its name.
        name: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A statement or a connection failed.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
}

impl DbError {
    /// What the caller should do next.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Url(_) => Remedy::FixConfig,
            Self::Folder { .. } | Self::MigrationChanged { .. } | Self::Newer { .. } => Remedy::CallOperator,
            Self::NoTenant { .. } => Remedy::FixRequest,
            Self::Closed => Remedy::RetryLater,
            Self::Migration { .. } => Remedy::CallOperator,
            Self::Sql(error) => sql_remedy(error),
        }
    }

    /// True when a unique key already has this value.
    pub fn is_conflict(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.as_database_error().is_some_and(|error| error.is_unique_violation())
    }
}

/// What to do about an error of the driver. Its own enum may grow, so the last arm is a decision too: a
/// person looks at what we did not foresee.
fn sql_remedy(error: &sqlx::Error) -> Remedy {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Remedy::FixConfig,
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Remedy::RetryLater,
        sqlx::Error::RowNotFound => Remedy::FixRequest,
        sqlx::Error::Database(error) if error.is_unique_violation() || error.is_foreign_key_violation() => {
            Remedy::FixRequest
        }
        // SQLite: busy, locked, full. PostgreSQL: too many connections, shutting down, cancelled by the
        // statement timeout, serialisation failure, deadlock.
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("5" | "6" | "13" | "261" | "517") => Remedy::RetryLater,
            // A character that no text of PostgreSQL may hold: U+0000.
            Some("22021") => Remedy::FixRequest,
            Some("53300" | "57P01" | "57P03" | "57014" | "40001" | "40P01" | "53100") => Remedy::RetryLater,
            _ => Remedy::CallOperator,
        },
        _ => Remedy::CallOperator,
    }
}
