//! Tables. A step that was released is never edited; a change is a new step.

mod files; // step 6 of the shared part, 4 of a tenant's
mod identity; // step 2 of the shared part
mod key_selectors; // step 4 of the shared part
mod monitoring; // step 3 of a tenant's part
mod origins; // step 5 of the shared part
mod removal; // step 7 of the shared part
mod tokens; // step 3 of the shared part

use db::{Migration, MigrationSet};

/// In the shared part.
pub(crate) const SHARED: MigrationSet = MigrationSet { name: "control", migrations: &STEPS };

const STEPS: [Migration; 7] = [
    FIRST,
    identity::IDENTITY,
    tokens::TOKENS,
    key_selectors::KEY_SELECTORS,
    origins::ORIGINS,
    files::SHARED_FILES,
    removal::REMOVAL,
];

/// In each tenant's part.
pub(crate) const TENANT: MigrationSet = MigrationSet {
    name: "objects",
    migrations: &[OBJECTS, DELETIONS, monitoring::MONITORING, files::TENANT_FILES],
};

/// Tables of the shared part whose rows belong to the tenant in their column `tenant_id`. What refers to a
/// person, a team or the like goes with it. `jobs` is a table of [`db::jobs`]. A test compares the list with the database.
pub(crate) const OF_TENANT: &[&str] = &[
    "applies",
    "audit_heads",
    "audit_outbox",
    "jobs",
    "token_families",
    "sso_providers",
    "invitations",
    "projects",
    "teams",
    "service_accounts",
    "roles",
    "api_keys",
    "users",
];

const FIRST: Migration = Migration {
    version: 1,
    name: "keys, users, links and sessions",
    up: "
CREATE TABLE control_facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, email)
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at);
CREATE TABLE sign_in_links (
    hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
",
    down: "
DROP TABLE sessions;
DROP TABLE sign_in_links;
DROP TABLE api_keys;
DROP TABLE users;
DROP TABLE control_facts;
",
};

const OBJECTS: Migration = Migration {
    version: 1,
    name: "saved objects",
    up: "
CREATE TABLE objects (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
",
    down: "DROP TABLE objects;",
};

const DELETIONS: Migration = Migration {
    version: 2,
    name: "deletes of rows",
    up: "
CREATE TABLE deletions (
    id BIGINT PRIMARY KEY,
    signal TEXT NOT NULL,
    query TEXT NOT NULL,
    start_ns BIGINT NOT NULL,
    end_ns BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    finished_at BIGINT
);
",
    down: "DROP TABLE deletions;",
};
