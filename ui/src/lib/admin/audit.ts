/** The audit log's filters, as the address holds them and as the server is asked. */
import type { AuditRow } from "../api/audit";
import type { RangeMs } from "../time/range";

export const AUDIT_FILTERS = ["actor", "action", "target", "result", "q"] as const;
export type AuditFilters = Record<(typeof AUDIT_FILTERS)[number], string>;

export const RESULTS = ["ok", "refused", "failed"] as const;
export const RESULT_TONES = { ok: "ok", refused: "warn", failed: "bad" } as const;

export function readFilters(params: URLSearchParams): AuditFilters {
  return Object.fromEntries(AUDIT_FILTERS.map((key) => [key, params.get(key) ?? ""])) as AuditFilters;
}

const PAGE = 200;

/** What the server is asked; blank filters are left out. */
export function auditQuery(filters: AuditFilters, range: RangeMs, cursor: string | null): URLSearchParams {
  const query = span(range);
  for (const key of AUDIT_FILTERS) if (filters[key].trim() !== "") query.set(key, filters[key].trim());
  query.set("limit", String(PAGE));
  if (cursor !== null) query.set("cursor", cursor);
  return query;
}

export const span = (range: RangeMs): URLSearchParams =>
  new URLSearchParams({ start: new Date(range.from).toISOString(), end: new Date(range.to).toISOString() });

/** Each node numbers its own chain; the hash tells rows apart. */
export const rowKey = (row: AuditRow): string => row.hash || `${row.at} ${row.seq}`;

/** New rows before those that are shown; rows already there stay where they are. */
export function withNewer(shown: readonly AuditRow[], newest: readonly AuditRow[]): { rows: AuditRow[]; joined: boolean } {
  const known = new Set(shown.map(rowKey));
  const fresh = newest.filter((row) => !known.has(rowKey(row)));
  // When nothing of the newest page is known, rows between the two were never read.
  const joined = shown.length === 0 || newest.length === 0 || fresh.length < newest.length;
  return { rows: joined ? [...fresh, ...shown] : [...newest], joined };
}

export const actorText = (row: AuditRow): string => (row.actor ? row.actor.name || row.actor.id : "nobody");

/** Everything of a row by name, for its detail. */
export function rowFacts(row: AuditRow): [string, string][] {
  const facts: [string, string][] = [
    ["Action", row.action],
    ["Result", row.status > 0 ? `${row.result}, status ${row.status}` : row.result],
    ["Actor", row.actor ? `${row.actor.name} (${row.actor.kind} ${row.actor.id})` : "nobody"],
    ["Request", `${row.method} ${row.route}`.trim()],
    ["Target", row.target],
    ["Address", row.address],
    ["Times", row.count > 1 ? `${row.count} within the minute` : ""],
    ["Number", `${row.seq} of ${row.node}`],
    ["Hash", row.hash],
  ];
  return facts.filter(([, value]) => value !== "");
}

/** The detail as text to read; empty for none. */
export const detailText = (detail: unknown): string => (detail === null ? "" : JSON.stringify(detail, null, 2));
