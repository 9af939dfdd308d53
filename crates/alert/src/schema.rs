//! Tables of a tenant's part. A step that was released is never edited; a change is a new step.

mod incidents; // incidents and what belongs to them

use db::{Migration, MigrationSet};

/// In each tenant's part, beside the tables of the control plane.
pub const TENANT: MigrationSet = MigrationSet { name: "alerts", migrations: &[FIRST, incidents::SECOND] };

const FIRST: Migration = Migration {
    version: 1,
    name: "events, states of rules, notifications, silences",
    up: r#"
CREATE TABLE "AlertEvent" (
    "id" TEXT PRIMARY KEY,
    "rule" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "priority" TEXT NOT NULL,
    "value" DOUBLE PRECISION,
    "labels" TEXT NOT NULL,
    "annotations" TEXT NOT NULL,
    "runbook" TEXT,
    "channels" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "startsAt" BIGINT NOT NULL,
    "firedAt" BIGINT NOT NULL,
    "endsAt" BIGINT,
    "acknowledgedAt" BIGINT,
    "acknowledgedBy" TEXT,
    "resolvedBy" TEXT,
    "updatedAt" BIGINT NOT NULL
);
CREATE INDEX alert_events_time ON "AlertEvent" ("firedAt", "id");
CREATE INDEX alert_events_open ON "AlertEvent" ("state", "firedAt");
CREATE INDEX alert_events_fingerprint ON "AlertEvent" ("fingerprint", "firedAt");
CREATE TABLE alert_event_log (
    event_id TEXT NOT NULL REFERENCES "AlertEvent" ("id") ON DELETE CASCADE,
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    who TEXT,
    detail TEXT,
    PRIMARY KEY (event_id, n)
);
CREATE TABLE rule_states (
    rule TEXT PRIMARY KEY,
    evaluated_at BIGINT NOT NULL,
    version TEXT NOT NULL
);
CREATE TABLE rule_alerts (
    rule TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    event_id TEXT,
    alert TEXT NOT NULL,
    PRIMARY KEY (rule, fingerprint)
);
CREATE TABLE alert_groups (
    group_key TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE alert_told (
    group_key TEXT NOT NULL,
    receiver TEXT NOT NULL,
    entry TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (group_key, receiver)
);
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    group_key TEXT NOT NULL,
    channel TEXT NOT NULL,
    event TEXT NOT NULL,
    status TEXT NOT NULL,
    priority TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX notifications_time ON notifications (created_at, id);
CREATE INDEX notifications_open ON notifications (status, created_at);
CREATE TABLE notification_events (
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL,
    PRIMARY KEY (event_id, notification_id)
);
CREATE TABLE deliveries (
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL,
    channel TEXT NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    status_code BIGINT,
    error TEXT,
    PRIMARY KEY (notification_id, attempt)
);
CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX silences_end ON silences (ends_at);
"#,
    down: r#"
DROP TABLE silences;
DROP TABLE deliveries;
DROP TABLE notification_events;
DROP TABLE notifications;
DROP TABLE alert_told;
DROP TABLE alert_groups;
DROP TABLE rule_alerts;
DROP TABLE rule_states;
DROP TABLE alert_event_log;
DROP TABLE "AlertEvent";
"#,
};
