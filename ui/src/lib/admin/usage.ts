/** Use against limits, as bars. */
import type { Limits, Usage } from "../api/tenants";
import { formatValue, type Unit } from "../format";

export interface Quota {
  key: keyof Limits;
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

export type Tone = "ok" | "warn" | "bad" | "idle";

export interface Bar extends Omit<Quota, "key"> {
  /** Of a limit, or of a part of one after a dot. */
  key: string;
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
  const used: Partial<Record<keyof Limits, number>> = {
    requests: use.requests_per_second * RATE_WINDOW_S,
    in_flight_bytes: use.in_flight_bytes,
    series: use.series,
    stored_bytes: use.stored_bytes_total,
    concurrent_queries: use.concurrent_queries,
  };
  return QUOTAS.flatMap((quota): Bar[] => {
    const amount = used[quota.key];
    if (amount === undefined) return [];
    const whole = bar(quota, amount, limits[quota.key] ?? null);
    if (quota.key !== "stored_bytes") return [whole];
    const parts = Object.entries(use.stored_bytes).map(([signal, bytes]) => {
      const part = bar({ ...quota, key: `stored_bytes.${signal}`, label: `of ${signal}` }, bytes, null);
      return { ...part, share: amount > 0 ? bytes / Math.max(amount, whole.limit ?? 0) : 0 };
    });
    return [whole, ...parts];
  });
}

function bar(quota: Omit<Bar, "used" | "limit" | "share" | "tone" | "text">, used: number, limit: number | null): Bar {
  const share = limit === null ? 0 : limit <= 0 ? 1 : Math.min(1, used / limit);
  const of = limit === null ? "" : ` of ${formatValue(limit, quota.unit)}`;
  return { ...quota, used, limit, share, tone: toneOf(used, limit), text: `${formatValue(used, quota.unit)}${of}` };
}

const REFUSED: Record<keyof Usage["refused"], string> = {
  requests: "requests",
  bytes: "bodies over the bytes in flight",
  series: "new series",
  stored_bytes: "writes over what may be stored",
  queries: "queries",
};

/** What was turned away for being over a limit, in words. */
export function refusals(refused: Usage["refused"]): string[] {
  return Object.entries(REFUSED).flatMap(([key, what]) => {
    const count = refused[key as keyof typeof REFUSED];
    return count > 0 ? [`${count.toLocaleString("en")} ${what}`] : [];
  });
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

export type LimitTexts = Partial<Record<keyof Limits, string>>;

/** The limits that an editor's texts say, and which of them cannot be read. */
export function limitsOf(texts: Readonly<LimitTexts>): { limits: Limits; bad: (keyof Limits)[] } {
  const limits: Limits = {};
  const bad: (keyof Limits)[] = [];
  for (const { key } of QUOTAS) {
    const value = parseLimit(texts[key] ?? "");
    if (Number.isNaN(value)) bad.push(key);
    else if (value !== null) limits[key] = value;
  }
  return { limits, bad };
}
