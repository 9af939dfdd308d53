//! Step 2 of the shared part: tenants, roles, teams, passwords and what guards signing in.
//!
//! Rows of step 1 stay valid: a role is a name, and the three there were still are. Whoever was
//! administrator of the first tenant keeps what they could do, which now includes other tenants.

use db::Migration;

pub(super) const IDENTITY: Migration = Migration {
    version: 2,
    name: "tenants and identity",
    up: "
CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    -- What was done last while the state is 'creating'.
    step TEXT NOT NULL DEFAULT '',
    -- Which attempt at creating it is under way, so that a stale one cannot go on.
    attempt TEXT NOT NULL DEFAULT '',
    settings TEXT NOT NULL DEFAULT '{}',
    limits TEXT NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO tenants (id, name, state, created_at, updated_at)
    SELECT tenant_id, tenant_id, 'active', MIN(created_at), MIN(created_at)
    FROM (SELECT tenant_id, created_at FROM users UNION ALL SELECT tenant_id, created_at FROM api_keys) AS known
    GROUP BY tenant_id;

ALTER TABLE users ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE users ADD COLUMN last_sign_in_at BIGINT;
CREATE INDEX users_email ON users (email);
UPDATE users SET role = 'platform_admin'
    WHERE tenant_id = 'default' AND email = 'admin@localhost' AND role = 'admin';

ALTER TABLE sessions ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'link';
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
UPDATE sessions SET id = 'session_' || substr(hash, 1, 16);
CREATE UNIQUE INDEX sessions_id ON sessions (id);

ALTER TABLE api_keys ADD COLUMN service_account_id TEXT;
ALTER TABLE api_keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN rotated_at BIGINT;
-- The secret before the last rotation, valid until then.
ALTER TABLE api_keys ADD COLUMN old_hash TEXT;
ALTER TABLE api_keys ADD COLUMN old_expires_at BIGINT;
CREATE UNIQUE INDEX api_keys_old_hash ON api_keys (old_hash);
CREATE INDEX api_keys_service_account ON api_keys (service_account_id);

CREATE TABLE roles (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    selector TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE teams (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);
CREATE TABLE team_members (
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_user ON team_members (user_id);
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    team_id TEXT REFERENCES teams (id) ON DELETE SET NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);
CREATE INDEX projects_team ON projects (team_id);
CREATE TABLE service_accounts (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    invited_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_tenant ON invitations (tenant_id, created_at);
CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE TABLE password_resets (
    hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX password_resets_user ON password_resets (user_id);
CREATE TABLE second_factors (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    -- The 30-second step of the code accepted last; no code of it or of one before is accepted again.
    last_step BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    PRIMARY KEY (user_id, hash)
);
-- Failed attempts: one row an account (its hash, whether it exists or not) and one a network address.
CREATE TABLE sign_in_failures (
    subject TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX sign_in_failures_last ON sign_in_failures (last_at);
",
    down: "
DROP TABLE sign_in_failures;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
DROP TABLE password_resets;
DROP TABLE passwords;
DROP TABLE invitations;
DROP TABLE service_accounts;
DROP TABLE projects;
DROP TABLE team_members;
DROP TABLE teams;
DROP TABLE roles;

DROP INDEX api_keys_service_account;
DROP INDEX api_keys_old_hash;
-- The program before could not read keys without scopes.
DELETE FROM api_keys WHERE service_account_id IS NOT NULL;
ALTER TABLE api_keys DROP COLUMN old_expires_at;
ALTER TABLE api_keys DROP COLUMN old_hash;
ALTER TABLE api_keys DROP COLUMN rotated_at;
ALTER TABLE api_keys DROP COLUMN created_by;
ALTER TABLE api_keys DROP COLUMN service_account_id;

DROP INDEX sessions_id;
ALTER TABLE sessions DROP COLUMN user_agent;
ALTER TABLE sessions DROP COLUMN address;
ALTER TABLE sessions DROP COLUMN method;
ALTER TABLE sessions DROP COLUMN id;

-- Nobody may come back with more than they had: whoever was disabled goes, unknown roles become the weakest.
DELETE FROM users WHERE state <> 'active';
UPDATE users SET role = 'admin' WHERE role = 'platform_admin';
UPDATE users SET role = 'viewer' WHERE role NOT IN ('viewer', 'editor', 'admin');
DROP INDEX users_email;
ALTER TABLE users DROP COLUMN last_sign_in_at;
ALTER TABLE users DROP COLUMN state;
DROP TABLE tenants;
",
};
