//! Step 7 of the shared part: which tenants were removed, and what commands leave for the audit trail.

use db::Migration;

pub(super) const REMOVAL: Migration = Migration {
    version: 7,
    name: "removed tenants and rows for the audit trail",
    up: "
-- A node that was away while a tenant was removed learns here that what it still has of it must go.
CREATE TABLE removed_tenants (
    id TEXT PRIMARY KEY,
    removed_at BIGINT NOT NULL
);

-- What a command did beside the server, until a server seals it into the tenant's chain.
CREATE TABLE audit_outbox (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    -- When a server took it; one that did not come back within a minute leaves it to another.
    taken_at BIGINT NOT NULL
);
CREATE INDEX audit_outbox_at ON audit_outbox (at);
",
    down: "
DROP TABLE audit_outbox;
DROP TABLE removed_tenants;
",
};
