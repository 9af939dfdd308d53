/** Time ranges as the address bar holds them: `now-1h`, `now`, `now/d`, epoch milliseconds or ISO 8601. */
import { parseDuration } from "./duration";

/** Both ends as written, before `now` is resolved. */
export interface RangeText {
  from: string;
  to: string;
}

/** Both ends in epoch milliseconds. */
export interface RangeMs {
  from: number;
  to: number;
}

export const DEFAULT_RANGE: RangeText = { from: "now-1h", to: "now" };

/** The relative ranges the picker offers. */
export const PRESETS: readonly { label: string; from: string; to: string }[] = [
  { label: "Last 5 minutes", from: "now-5m", to: "now" },
  { label: "Last 15 minutes", from: "now-15m", to: "now" },
  { label: "Last 30 minutes", from: "now-30m", to: "now" },
  { label: "Last 1 hour", from: "now-1h", to: "now" },
  { label: "Last 3 hours", from: "now-3h", to: "now" },
  { label: "Last 6 hours", from: "now-6h", to: "now" },
  { label: "Last 12 hours", from: "now-12h", to: "now" },
  { label: "Last 24 hours", from: "now-24h", to: "now" },
  { label: "Today so far", from: "now/d", to: "now" },
  { label: "Last 2 days", from: "now-2d", to: "now" },
  { label: "Last 7 days", from: "now-7d", to: "now" },
  { label: "Last 30 days", from: "now-30d", to: "now" },
];

function startOf(ms: number, unit: string): number {
  const date = new Date(ms);
  switch (unit) {
    case "y":
      date.setMonth(0, 1);
      date.setHours(0, 0, 0, 0);
      break;
    case "w":
      date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
      date.setHours(0, 0, 0, 0);
      break;
    case "d":
      date.setHours(0, 0, 0, 0);
      break;
    case "h":
      date.setMinutes(0, 0, 0);
      break;
    case "m":
      date.setSeconds(0, 0);
      break;
    default:
      date.setMilliseconds(0);
  }
  return date.getTime();
}

/** Epoch milliseconds of one end, or null when it cannot be read. `/unit` rounds down in the reader's zone. */
export function parseTime(text: string, nowMs: number): number | null {
  const trimmed = text.trim();
  const relative = /^now((?:[+-](?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+)*)(?:\/([smhdwy]))?$/.exec(trimmed);
  if (relative) {
    let at = nowMs;
    for (const part of (relative[1] ?? "").matchAll(/([+-])([^+-]+)/g)) {
      const ms = parseDuration(part[2] ?? "");
      if (ms === null) return null;
      at += part[1] === "-" ? -ms : ms;
    }
    return relative[2] ? startOf(at, relative[2]) : at;
  }
  if (/^-?\d{9,16}$/.test(trimmed)) {
    const digits = Number(trimmed);
    // Ten digits or fewer can only be seconds: as milliseconds they would lie before May 1970.
    return trimmed.replace("-", "").length <= 10 ? digits * 1000 : digits;
  }
  if (/^\d{4}-\d{2}-\d{2}/.test(trimmed)) {
    const iso = trimmed.length > 10 ? trimmed.replace(" ", "T") : `${trimmed}T00:00:00`;
    const parsed = Date.parse(iso);
    return Number.isNaN(parsed) ? null : parsed;
  }
  return null;
}

/** Both ends resolved; null when one cannot be read or the range is empty. */
export function resolveRange(range: RangeText, nowMs: number): RangeMs | null {
  const from = parseTime(range.from, nowMs);
  const to = parseTime(range.to, nowMs);
  return from === null || to === null || from >= to ? null : { from, to };
}

/** True when the range follows the clock, so that live samples belong on its right edge. */
export function isLive(range: RangeText): boolean {
  return range.to.trim() === "now";
}

/** What the picker's button reads. */
export function describeRange(range: RangeText, nowMs: number): string {
  const preset = PRESETS.find((p) => p.from === range.from && p.to === range.to);
  if (preset) return preset.label;
  const relative = /^now-(\S+)$/.exec(range.from);
  if (relative && range.to === "now" && !relative[1]?.includes("/")) return `Last ${relative[1]}`;
  const resolved = resolveRange(range, nowMs);
  return resolved ? `${shortDate(resolved.from)} – ${shortDate(resolved.to)}` : "Invalid range";
}

/** The same length of time, moved by `factor` lengths: -0.5 is half a screen back. */
export function shiftRange(range: RangeMs, factor: number): RangeMs {
  const by = Math.round((range.to - range.from) * factor);
  return { from: range.from + by, to: range.to + by };
}

/** The range around the same middle, `factor` times as long. */
export function scaleRange(range: RangeMs, factor: number): RangeMs {
  const middle = (range.from + range.to) / 2;
  const half = ((range.to - range.from) * factor) / 2;
  return { from: Math.round(middle - half), to: Math.round(middle + half) };
}

const two = (n: number) => String(n).padStart(2, "0");

function shortDate(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** `2026-01-31 17:04:05` in the reader's zone. */
export function localTime(ms: number): string {
  return `${shortDate(ms)}:${two(new Date(ms).getSeconds())}`;
}

/** The same instant in UTC, to the millisecond. */
export function utcTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().replace("T", " ").replace("Z", " UTC");
}
