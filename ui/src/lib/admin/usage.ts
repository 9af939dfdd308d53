/** Use against limits, as bars. */
import type { Limits, Usage } from "../api/tenants";
import { formatValue, type Unit } from "../format";

export interface Quota {
  /** Name in the limits' object, dotted for one inside another. */
  key: string;
  label: string;
  unit: Unit;
  /** What it bounds, for whoever sets it. */
  about: string;
}

/** What can be limited, in the order it is shown. */
export const QUOTAS: readonly Quota[] = [
  { key: "requests_per_second", label: "Requests", unit: "per-second", about: "requests a second; more are answered 429" },
  { key: "in_flight_bytes", label: "Bytes in flight", unit: "bytes", about: "bodies being taken in at one moment" },
  { key: "series", label: "Series", unit: "short", about: "metric series of the last hour; new ones are refused" },
  { key: "stored_bytes.metrics", label: "Stored metrics", unit: "bytes", about: "on disk; the oldest go first" },
  { key: "stored_bytes.logs", label: "Stored logs", unit: "bytes", about: "on disk; the oldest go first" },
  { key: "stored_bytes.traces", label: "Stored traces", unit: "bytes", about: "on disk; the oldest go first" },
  { key: "stored_bytes.events", label: "Stored events", unit: "bytes", about: "on disk; the oldest go first" },
  { key: "concurrent_queries", label: "Queries at once", unit: "short", about: "more wait, then are refused" },
];

/** The number at a dotted key; null where there is none. */
export function numberAt(object: unknown, key: string): number | null {
  let at: unknown = object;
  for (const part of key.split(".")) {
    if (at === null || typeof at !== "object" || !Object.hasOwn(at, part)) return null;
    at = (at as Record<string, unknown>)[part];
  }
  return typeof at === "number" && Number.isFinite(at) ? at : null;
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

export function usageBars(usage: Pick<Usage, "limits" | "use">): Bar[] {
  const total = numberAt(usage.limits, "stored_bytes");
  const bars = QUOTAS.map((quota) => bar(quota, numberAt(usage.use, quota.key) ?? 0, numberAt(usage.limits, quota.key)));
  if (total === null) return bars;
  // One limit may hold for all that is stored together.
  const used = Object.values(usage.use.stored_bytes).reduce((sum, bytes) => sum + bytes, 0);
  const at = bars.findIndex((one) => one.key.startsWith("stored_bytes"));
  return bars.toSpliced(at, 0, bar({ key: "stored_bytes", label: "Stored in all", unit: "bytes", about: "on disk" }, used, total));
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
  return digits === undefined ? NaN : Math.round(Number(digits) * (BYTE_UNITS[unit] ?? NaN));
}

/** A limit as people write it: exact, and in the largest unit that is. */
export function limitText(limit: number | null, unit: Unit): string {
  if (limit === null) return "";
  if (unit !== "bytes" || limit === 0) return String(limit);
  for (const name of ["ti", "gi", "mi", "ki"]) {
    const size = BYTE_UNITS[name] ?? 1;
    if (limit % size === 0) return `${limit / size} ${name[0]?.toUpperCase()}iB`;
  }
  return String(limit);
}

/** The limits' object of an editor's texts. Limits it does not know are kept as they were. */
export function limitsOf(before: Limits, texts: Readonly<Record<string, string>>): { limits: Limits; bad: string[] } {
  const limits = structuredClone(before);
  const bad: string[] = [];
  for (const [key, text] of Object.entries(texts)) {
    const value = parseLimit(text);
    if (Number.isNaN(value)) {
      bad.push(key);
      continue;
    }
    const [first = "", second] = key.split(".");
    if (second === undefined) {
      if (value === null) delete limits[first];
      else limits[first] = value;
      continue;
    }
    const inner = { ...(limits[first] as Limits | undefined) };
    if (value === null) delete inner[second];
    else inner[second] = value;
    if (Object.keys(inner).length === 0) delete limits[first];
    else limits[first] = inner;
  }
  return { limits, bad };
}
