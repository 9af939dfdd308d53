//! Tenant-scoped database connections on SQLite and PostgreSQL, and the migration runner.
