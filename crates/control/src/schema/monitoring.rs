//! Step 3 of a tenant's part: the two tables whose names and columns are given from outside, spelled exactly
//! so. Flags, times and JSON have the physical types of every table of ours.

use db::Migration;

pub(super) const MONITORING: Migration = Migration {
    version: 3,
    name: "health checks and monitoring alerts",
    up: r#"
CREATE TABLE "HealthCheck" (
    "id" TEXT PRIMARY KEY,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "interval" BIGINT NOT NULL,
    "timeout" BIGINT NOT NULL,
    "retries" BIGINT NOT NULL,
    "config" TEXT,
    "isActive" BIGINT NOT NULL DEFAULT 1,
    "createdAt" BIGINT NOT NULL
);
CREATE TABLE "MonitoringAlert" (
    "id" TEXT PRIMARY KEY,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "condition" TEXT NOT NULL,
    "channels" TEXT NOT NULL,
    "cooldown" BIGINT NOT NULL,
    "isActive" BIGINT NOT NULL DEFAULT 1,
    "lastTriggered" BIGINT,
    "createdAt" BIGINT NOT NULL,
    "updatedAt" BIGINT NOT NULL
);
"#,
    down: r#"DROP TABLE "MonitoringAlert"; DROP TABLE "HealthCheck";"#,
};
