//! Tables of jobs and leases. A step that was released is never edited; a change is a new step.

use crate::migrate::{Migration, MigrationSet};

/// In the shared part.
pub const TABLES: MigrationSet = MigrationSet { name: "jobs", migrations: &[JOBS, LEASES] };

// `due_at` is, while a job waits, the moment from which it may be claimed; while it runs, the end of its lease.
// `claims` counts how often it was claimed, and is the epoch of the present claim.
//
// `jobs_lanes` is the only index of what waits that begins with the queue: beside another PostgreSQL's planner takes
// that one, as long as it knows nothing of the rows, and reads all of a long queue.
const JOBS: Migration = Migration {
    version: 1,
    name: "jobs",
    up: "
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority BIGINT NOT NULL,
    payload TEXT NOT NULL,
    dedup_key TEXT,
    state TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    keep_ms BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    attempts_max BIGINT NOT NULL,
    claims BIGINT NOT NULL,
    worker TEXT NOT NULL,
    error TEXT NOT NULL,
    effect_at BIGINT,
    ended_at BIGINT,
    UNIQUE (dedup_key, queue, tenant_id)
);
CREATE INDEX jobs_lanes ON jobs (queue, tenant_id, priority, due_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (queue, due_at) WHERE state = 'running';
CREATE INDEX jobs_ended ON jobs (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_tenant ON jobs (tenant_id, id);
",
    down: "DROP TABLE jobs;",
};

const LEASES: Migration = Migration {
    version: 2,
    name: "leases",
    up: "
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX leases_expiry ON leases (expires_at);
",
    down: "DROP TABLE leases;",
};
