//! Objects as code: which file owns what, in step 6 of the shared part and step 4 of a tenant's.

use db::Migration;

/// Of the shared part.
pub(super) const SHARED_FILES: Migration = Migration {
    version: 6,
    name: "files that own roles, limits and settings",
    up: "
-- The file that owns it; NULL for what people made.
ALTER TABLE roles ADD COLUMN file TEXT;
ALTER TABLE tenants ADD COLUMN limits_file TEXT;
ALTER TABLE tenants ADD COLUMN settings_file TEXT;
-- Sets of files whose changes span both parts and are under way: what is still to be done in this one.
CREATE TABLE applies (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    changes TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
",
    down: "
DROP TABLE applies;
ALTER TABLE tenants DROP COLUMN settings_file;
ALTER TABLE tenants DROP COLUMN limits_file;
ALTER TABLE roles DROP COLUMN file;
",
};

/// Of a tenant's part.
pub(super) const TENANT_FILES: Migration = Migration {
    version: 4,
    name: "files that own objects",
    up: "
ALTER TABLE objects ADD COLUMN file TEXT;
-- The sets of files of which this part has everything.
CREATE TABLE applied (
    id TEXT PRIMARY KEY,
    applied_at BIGINT NOT NULL
);
",
    down: "
DROP TABLE applied;
ALTER TABLE objects DROP COLUMN file;
",
};
