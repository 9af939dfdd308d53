//! One tenant's part of the database, or the shared one. Whoever holds a scope can reach no other.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AssertSqlSafe, Executor, Pool, Transaction};

use crate::error::DbError;
use crate::pool::SqlitePools;

/// A connection for reading, returned to its pool when dropped. Dereferences to a connection of sqlx.
pub type Conn = PoolConnection<Any>;

/// A transaction, rolled back when dropped without `commit`. Dereferences to a connection of sqlx.
pub type Tx = Transaction<'static, Any>;

/// Which database is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Files on this machine.
    Sqlite,
    /// A server.
    Postgres,
}

/// Access to one part of the database. Clones share it.
#[derive(Clone, Debug)]
pub struct Scope {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) enum Inner {
    Sqlite { name: String, pools: SqlitePools },
    Postgres { schema: String, pool: Pool<Any> },
}

impl Scope {
    pub(crate) fn sqlite(name: String, pools: SqlitePools) -> Self {
        Self { inner: Arc::new(Inner::Sqlite { name, pools }) }
    }

    pub(crate) fn postgres(schema: String, pool: Pool<Any>) -> Self {
        Self { inner: Arc::new(Inner::Postgres { schema, pool }) }
    }

    /// Which part it is, for messages.
    pub fn name(&self) -> &str {
        match &*self.inner {
            Inner::Sqlite { name, .. } => name,
            Inner::Postgres { schema, .. } => schema,
        }
    }

    /// Which database is behind.
    pub fn backend(&self) -> Backend {
        match &*self.inner {
            Inner::Sqlite { .. } => Backend::Sqlite,
            Inner::Postgres { .. } => Backend::Postgres,
        }
    }

    /// A connection for reading. On SQLite it refuses to write.
    pub async fn read(&self) -> Result<Conn, DbError> {
        match &*self.inner {
            Inner::Sqlite { pools, .. } => Ok(pools.readers.acquire().await?),
            Inner::Postgres { schema, pool } => {
                let mut connection = pool.acquire().await?;
                // Every time: the connection may have served another tenant.
                connection.execute(AssertSqlSafe(format!("SET search_path TO {}", quoted(schema)))).await?;
                Ok(connection)
            }
        }
    }

    /// A transaction that may write. On SQLite it holds the write lock from the start, so it cannot fail
    /// half-way because another writer was first.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        match &*self.inner {
            Inner::Sqlite { pools, .. } => Ok(pools.writer.begin_with("BEGIN IMMEDIATE").await?),
            Inner::Postgres { schema, pool } => {
                let mut transaction = pool.begin().await?;
                let path = AssertSqlSafe(format!("SET LOCAL search_path TO {}", quoted(schema)));
                transaction.execute(path).await?;
                Ok(transaction)
            }
        }
    }
}

/// A PostgreSQL identifier, whatever it holds.
pub(crate) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
