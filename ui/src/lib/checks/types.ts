/** Shapes of the health checks' API, by hand until its description holds them. */

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
] as const;
export type CheckType = (typeof CHECK_TYPES)[number];

export type CheckStatus = "healthy" | "unhealthy" | "unknown";

/** What a type may be told; see `crates/probe/src/check/spec/config.rs`. */
export type CheckConfig = Record<string, unknown>;

/** A check as it is written. Seconds. */
export interface CheckSpec {
  name: string;
  type: CheckType;
  target: string;
  interval: number;
  timeout: number;
  retries: number;
  config?: CheckConfig;
  isActive: boolean;
  description?: string;
  labels?: Record<string, string>;
  critical?: boolean;
  dependsOn?: string[];
  locations?: string[];
  quorum?: number | null;
  failureThreshold?: number;
  successThreshold?: number;
  runbook?: string | null;
}

export interface CheckState {
  status: CheckStatus;
  since: string | null;
  downSince: string | null;
  flapping: boolean;
  lastAt: string | null;
  latencyMs: number | null;
  message: string | null;
}

/** A check with what the server knows of it. */
export interface CheckView extends CheckSpec {
  id: string;
  createdAt: string;
  updatedAt: string;
  version: number;
  state: CheckState;
  /** Of a heartbeat: where the program reports. */
  pushUrl?: string;
  /** The file that owns it. */
  file?: string | null;
}

export interface CheckSummary {
  status: "healthy" | "degraded" | "unhealthy" | "unknown";
  healthy: number;
  unhealthy: number;
  unknown: number;
  paused: number;
}

export interface CheckPage {
  checks: CheckView[];
  next: string | null;
  summary: CheckSummary;
}

/** Milliseconds; absent where there was none. */
export interface Timings {
  dns?: number;
  connect?: number;
  tls?: number;
  firstByte?: number;
  total?: number;
}

export interface Certificate {
  subject: string;
  issuer: string;
  names: string[];
  /** Epoch milliseconds. */
  notBefore: number;
  notAfter: number;
  daysLeft: number;
}

export interface CheckDetails {
  address?: string;
  httpStatus?: number;
  certificate?: Certificate;
  timings?: Timings;
  values?: Record<string, number>;
  texts?: Record<string, string>;
}

/** One run. */
export interface CheckOutcome {
  at: string;
  status: CheckStatus;
  latencyMs: number;
  attempts: number;
  message: string | null;
  place: string;
  details: CheckDetails;
}

export interface ResultPage {
  results: CheckOutcome[];
  next: string | null;
}

export interface UptimeWindow {
  window: string;
  /** Null without a run. */
  uptime: number | null;
  runs: number;
  meanLatencyMs: number | null;
  p95LatencyMs: number | null;
}

export interface UptimeDay {
  /** `2026-11-01`, UTC. */
  day: string;
  uptime: number | null;
}

export interface Outage {
  /** Epoch milliseconds. */
  from: number;
  until: number | null;
  message: string | null;
}

export interface Uptime {
  windows: UptimeWindow[];
  days: UptimeDay[];
  outages: Outage[];
}
