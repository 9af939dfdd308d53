/** Instants to the nanosecond. Epoch nanoseconds do not fit a double, so seconds and the rest are kept apart. */

export interface Instant {
  /** Whole epoch seconds. */
  s: number;
  /** Nanoseconds within the second. */
  ns: number;
}

const seconds = new Map<string, number>();

/**
 * An instant as the server writes it: RFC 3339, or epoch seconds, milliseconds, microseconds or nanoseconds by their
 * size. Null when it is neither.
 */
export function parseInstant(text: string | number): Instant | null {
  if (typeof text === "number" || /^\d+$/.test(text)) return ofEpoch(String(text));
  const parts = /^(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?(Z|[+-]\d{2}:?\d{2})?$/.exec(text);
  if (!parts) return null;
  const head = (parts[1] ?? "").replace(" ", "T") + (parts[3] ?? "Z");
  let s = seconds.get(head);
  if (s === undefined) {
    s = Date.parse(head) / 1000;
    // A trace's spans share their seconds; the memory is small and forgets all at once.
    if (seconds.size > 1000) seconds.clear();
    seconds.set(head, s);
  }
  return Number.isNaN(s) ? null : { s, ns: Number((parts[2] ?? "").padEnd(9, "0")) };
}

function ofEpoch(digits: string): Instant | null {
  if (!/^\d{1,19}$/.test(digits)) return null;
  const unit = digits.length <= 10 ? 0 : digits.length <= 13 ? 3 : digits.length <= 16 ? 6 : 9;
  const cut = digits.length - unit;
  return { s: Number(digits.slice(0, cut) || "0"), ns: Number(digits.slice(cut).padEnd(9, "0")) };
}

/** Nanoseconds from `base` to `at`; exact for anything less than a hundred days apart. */
export const since = (base: Instant, at: Instant): number => (at.s - base.s) * 1e9 + (at.ns - base.ns);

export const epochMs = (at: Instant): number => at.s * 1000 + at.ns / 1e6;

/** Epoch milliseconds of what the server wrote, NaN when it cannot be read. */
export function msOf(text: string | number): number {
  const at = parseInstant(text);
  return at ? epochMs(at) : NaN;
}

const UNITS: readonly [string, number][] = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];

/** A length for reading, three digits of it: `1.24 ms`, `3 min 20 s`. */
export function formatNs(ns: number): string {
  if (!Number.isFinite(ns)) return "–";
  const abs = Math.abs(ns);
  if (abs >= 120e9) {
    const total = Math.round(abs / 1e9);
    const [h, m, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
    return (ns < 0 ? "-" : "") + (h > 0 ? `${h} h ${m} min` : s > 0 ? `${m} min ${s} s` : `${m} min`);
  }
  for (const [unit, size] of UNITS) {
    if (abs < size && unit !== "ns") continue;
    const value = ns / size;
    const shown = Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value) : Number(value.toPrecision(3));
    return `${shown} ${unit}`;
  }
  return "0 ns";
}

/** A length as the search syntax takes it, exact enough to select a box by: `1.5ms`. */
export function durationLiteral(ns: number): string {
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["us", 1e3], ["ns", 1]] as const) {
    if (ns < size && unit !== "ns") continue;
    return `${Number((ns / size).toPrecision(4))}${unit}`;
  }
  return "0ns";
}

const PARSE: Record<string, number> = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, m: 60e9, min: 60e9, h: 3600e9 };

/** Nanoseconds of `1.5ms`, `2 s`; null when it is not a length. */
export function parseLength(text: string): number | null {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|min|m|h)\s*$/.exec(text);
  return parts ? Number(parts[1]) * (PARSE[parts[2] ?? ""] ?? NaN) : null;
}

/** Round steps for an axis of `span` nanoseconds with about `count` marks: 1, 2 or 5 of a power of ten. */
export function axisMarks(from: number, to: number, count: number): number[] {
  const span = to - from;
  if (!(span > 0) || count < 1) return [];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? power * 10;
  const marks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) marks.push(at);
  return marks;
}
