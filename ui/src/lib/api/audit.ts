/** The audit log of the caller's tenant. */
import { request } from "./client";

export interface AuditRow {
  seq: number;
  at: string;
  /** Null for nobody we know, as at a refused sign-in. */
  actor: { kind: string; id: string; name: string } | null;
  action: string;
  method: string;
  route: string;
  target: string;
  result: "ok" | "refused" | "failed";
  status: number;
  address: string;
  /** How often within the minute; 1 for everything but machine traffic. */
  count: number;
  /** A JSON object, or its text; empty for none. */
  detail: unknown;
  hash: string;
}

export interface AuditPage {
  items: AuditRow[];
  next: string | null;
}

export interface AuditVerdict {
  ok: boolean;
  rows: number;
  first_bad?: { node: string; seq: number; what: string };
}

const AUDIT = "/api/v1/monitoring/audit";

export const fetchAudit = (query: URLSearchParams, signal: AbortSignal) => request<AuditPage>(`${AUDIT}?${query}`, { signal });
export const verifyAudit = () => request<AuditVerdict>(`${AUDIT}/verify`);
/** Where the browser downloads the rows from. */
export const auditExport = (format: "jsonl" | "csv", query: URLSearchParams) =>
  `${AUDIT}/export?${new URLSearchParams([["format", format], ...query])}`;
