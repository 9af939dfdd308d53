/** The audit log of the caller's tenant. */
import { request } from "./client";
import type { Schemas } from "./types";

export type AuditRow = Schemas["AuditEntry"];
export type AuditPage = Schemas["AuditPage"];
export type AuditVerdict = Schemas["AuditVerdict"];

const AUDIT = "/api/v1/monitoring/audit";

export const fetchAudit = (query: URLSearchParams, signal: AbortSignal) => request<AuditPage>(`${AUDIT}?${query}`, { signal });
export const verifyAudit = () => request<AuditVerdict>(`${AUDIT}/verify`);
/** Where the browser downloads the rows from. */
export const auditExport = (format: "jsonl" | "csv", query: URLSearchParams) =>
  `${AUDIT}/export?${new URLSearchParams([["format", format], ...query])}`;
