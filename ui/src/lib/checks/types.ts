/** Health checks, as the description of the API has them. */
import type { Schemas } from "../api/types";

export const CHECK_TYPES = [
  "http",
  "external_api",
  "tcp",
  "tls",
  "dns",
  "icmp",
  "grpc",
  "websocket",
  "database",
  "postgresql",
  "mysql",
  "redis",
  "disk",
  "memory",
  "heartbeat",
  "query",
  "command",
  "custom",
] as const satisfies readonly CheckType[];

export type CheckType = Schemas["CheckType"];
export type CheckStatus = Schemas["CheckStatus"];

/** What a type may be told; the form writes it field by field. */
export type CheckConfig = Record<string, unknown>;

/** A check as the form holds it. Seconds. */
type Written = Schemas["NewHealthCheck"];
export type CheckSpec = Omit<Written, "config"> &
  Required<Pick<Written, "target" | "interval" | "timeout" | "retries" | "isActive">> & { config?: CheckConfig };

/** A check with what the server knows of it. */
export type CheckView = Schemas["HealthCheck"];
export type CheckState = Schemas["HealthCheckState"];
export type CheckSummary = Schemas["HealthCheckSummary"];
export type CheckPage = Schemas["HealthChecks"];
export type CheckDetails = Schemas["HealthCheckDetails"];
/** Milliseconds; absent where there was none. */
export type Timings = Schemas["HealthCheckTimings"];

/** One run. */
export type CheckOutcome = Schemas["HealthCheckResult"];

export interface ResultPage {
  items: CheckOutcome[];
  next: string | null;
}

export type Uptime = Schemas["HealthCheckUptime"];
export type UptimeDay = Schemas["HealthCheckDay"];
export type Outage = Schemas["HealthCheckOutage"];
