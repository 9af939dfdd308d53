//! Incidents, running escalations, runs of remediation, documents and subscriptions.

use db::Migration;

pub(super) const SECOND: Migration = Migration {
    version: 2,
    name: "incidents",
    // `open_key` is the key while the incident is open, so that there is one open incident of a key at most.
    up: r#"
CREATE TABLE response_counters (
    name TEXT PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO response_counters (name, last) VALUES ('incident', 0);
INSERT INTO response_counters (name, last) VALUES ('run', 0);
CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    open_key TEXT UNIQUE,
    status TEXT NOT NULL,
    severity TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    resolved_at BIGINT,
    entries BIGINT NOT NULL,
    events BIGINT NOT NULL,
    page TEXT,
    body TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX incidents_time ON incidents (created_at, id);
CREATE INDEX incidents_status ON incidents (status, created_at);
CREATE INDEX incidents_page ON incidents (page, created_at);
CREATE TABLE incident_events (
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    over_at BIGINT,
    PRIMARY KEY (incident_id, event_id)
);
CREATE INDEX incident_events_event ON incident_events (event_id);
CREATE INDEX incident_events_open ON incident_events (over_at, event_id);
CREATE TABLE incident_timeline (
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    who TEXT,
    text TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (incident_id, n)
);
CREATE TABLE postmortems (
    incident_id TEXT PRIMARY KEY REFERENCES incidents (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    text TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE escalations (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at BIGINT,
    version BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (incident_id, policy)
);
CREATE INDEX escalations_due ON escalations (due_at);
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    incident_id TEXT,
    agent TEXT,
    requested_at BIGINT NOT NULL,
    due_at BIGINT,
    body TEXT NOT NULL,
    output TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX runs_status ON runs (status, requested_at);
CREATE INDEX runs_action ON runs (kind, action, requested_at);
CREATE INDEX runs_incident ON runs (incident_id, requested_at);
CREATE INDEX runs_due ON runs (due_at);
CREATE TABLE status_subscriptions (
    id TEXT PRIMARY KEY,
    page TEXT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    confirm_hash TEXT,
    confirmed_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (page, kind, address)
);
CREATE INDEX status_subscriptions_confirm ON status_subscriptions (confirm_hash);
CREATE INDEX status_subscriptions_page ON status_subscriptions (page, id);
"#,
    down: r#"
DROP TABLE status_subscriptions;
DROP TABLE runs;
DROP TABLE escalations;
DROP TABLE postmortems;
DROP TABLE incident_timeline;
DROP TABLE incident_events;
DROP TABLE incidents;
DROP TABLE response_counters;
"#,
};
