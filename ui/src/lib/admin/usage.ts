/** Use against limits, as bars. */
import type { Limits, Usage } from "../api/tenants";
import { formatValue, type Unit } from "../format";

export interface Quota {
  /** Name in the limits' object. */
  key: string;
  label: string;
  unit: Unit;
  /** What it bounds, for whoever sets it. */
  about: string;
}

/** What can be limited, in the order it is shown. */
export const QUOTAS: readonly Quota[] = [
  { key: "requests", label: "Requests a minute", unit: "short", about: "or in the rate window that is configured; more are answered 429" },
  { key: "requests_per_caller", label: "Requests by one caller", unit: "short", about: "of those, by one person, key or service account" },
  { key: "in_flight_bytes", label: "Bytes in flight", unit: "bytes", about: "bodies being taken in at one moment" },
  { key: "series", label: "Series", unit: "short", about: "metric series active at once; new ones are refused" },
  { key: "stored_bytes", label: "Stored", unit: "bytes", about: "telemetry on disk" },
  { key: "concurrent_queries", label: "Queries at once", unit: "short", about: "more wait, then are refused" },
  { key: "query_seconds", label: "Time of a query", unit: "seconds", about: "after which it is ended" },
];

/** The default of `performance.rate_limit_window_ms`. */
const RATE_WINDOW_S = 60;

/** The number that a key has; null where there is none. */
export function numberAt(limits: Limits, key: string): number | null {
  const value = limits[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export type Tone = "ok" | "warn" | "bad" | "idle";

export interface Bar extends Quota {
  used: number;
  limit: number | null;
  /** Width, 0 to 1: of the limit, never beyond it. */
  share: number;
  tone: Tone;
  text: string;
}

/** From here on a bar warns. */
export const WARN_SHARE = 0.8;

export function toneOf(used: number, limit: number | null): Tone {
  if (limit === null) return "idle";
  if (used >= limit) return "bad";
  return used >= limit * WARN_SHARE ? "warn" : "ok";
}

/** What is used of what can be measured; stored signals stand under what they add up to. */
export function usageBars({ limits, use }: Pick<Usage, "limits" | "use">): Bar[] {
  const stored = Object.entries(use.stored_bytes);
  const used: Record<string, number> = {
    requests: use.requests_per_second * RATE_WINDOW_S,
    in_flight_bytes: use.in_flight_bytes,
    series: use.series,
    stored_bytes: stored.reduce((sum, [, bytes]) => sum + bytes, 0),
    concurrent_queries: use.concurrent_queries,
  };
  return QUOTAS.flatMap((quota): Bar[] => {
    const amount = used[quota.key];
    if (amount === undefined) return [];
    const whole = bar(quota, amount, numberAt(limits, quota.key));
    if (quota.key !== "stored_bytes") return [whole];
    const parts = stored.map(([signal, bytes]) => {
      const part = bar({ ...quota, key: `stored_bytes.${signal}`, label: `of ${signal}` }, bytes, null);
      return { ...part, share: amount > 0 ? bytes / Math.max(amount, whole.limit ?? 0) : 0 };
    });
    return [whole, ...parts];
  });
}

function bar(quota: Quota, used: number, limit: number | null): Bar {
  const share = limit === null ? 0 : limit <= 0 ? 1 : Math.min(1, used / limit);
  const of = limit === null ? "" : ` of ${formatValue(limit, quota.unit)}`;
  return { ...quota, used, limit, share, tone: toneOf(used, limit), text: `${formatValue(used, quota.unit)}${of}` };
}

/** What costs most, each with its share of the largest. */
export function shares<T>(items: readonly T[], costOf: (item: T) => number): { item: T; cost: number; share: number }[] {
  const rows = items.map((item) => ({ item, cost: costOf(item) })).sort((a, b) => b.cost - a.cost);
  const most = rows[0]?.cost ?? 0;
  return rows.map((row) => ({ ...row, share: most > 0 ? row.cost / most : 0 }));
}

const BYTE_UNITS: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ki: 1024, mi: 1024 ** 2, gi: 1024 ** 3, ti: 1024 ** 4 };

/** A limit as written: `10 GiB`, `5M`, `200`; null is no limit, NaN what cannot be read. */
export function parseLimit(text: string): number | null {
  const written = text.trim().toLowerCase();
  if (written === "") return null;
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)\s*(ki|mi|gi|ti|k|m|g|t|)b?$/.exec(written.replaceAll(/(?<=\d)[,_](?=\d)/g, "")) ?? [];
  const limit = digits === undefined ? NaN : Number(digits) * (BYTE_UNITS[unit] ?? NaN);
  // Nothing at all is no limit: a tenant that may do nothing is suspended.
  return limit > 0 ? limit : NaN;
}

/** A limit as people write it: exact, and in the largest unit that is. */
export function limitText(limit: number | null, unit: Unit): string {
  if (limit === null) return "";
  if (unit !== "bytes") return String(limit);
  for (const name of ["ti", "gi", "mi", "ki"]) {
    const size = BYTE_UNITS[name] ?? 1;
    if (limit % size === 0) return `${limit / size} ${name[0]?.toUpperCase()}iB`;
  }
  return String(limit);
}

/** The limits' object of an editor's texts. Limits it does not know are kept as they were. */
export function limitsOf(before: Limits, texts: Readonly<Record<string, string>>): { limits: Limits; bad: string[] } {
  const limits = { ...before };
  const bad: string[] = [];
  for (const [key, text] of Object.entries(texts)) {
    const value = parseLimit(text);
    if (value === null) delete limits[key];
    else if (Number.isNaN(value)) bad.push(key);
    else limits[key] = value;
  }
  return { limits, bad };
}
