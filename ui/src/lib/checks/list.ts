/** Checks in words: states, latencies, uptime, days, outages. */
import { formatValue } from "../format";
import { humanDuration } from "../time/duration";
import type { CheckOutcome, CheckState, CheckSummary, CheckView, Outage, Timings, UptimeDay } from "./types";

export type Tone = "ok" | "warn" | "bad" | "idle";

export const STATUS_TONES: Record<string, Tone> = { healthy: "ok", degraded: "warn", unhealthy: "bad", unknown: "idle" };

/** What a row shows: a check that is turned off has no state worth reading. */
export function shownState(check: Pick<CheckView, "isActive" | "state">): { tone: Tone; text: string } {
  if (!check.isActive) return { tone: "idle", text: "paused" };
  const { status, flapping } = check.state;
  return { tone: flapping ? "warn" : (STATUS_TONES[status] ?? "idle"), text: flapping ? `${status}, flapping` : status };
}

export const latencyText = (ms: number | null | undefined): string => (ms === null || ms === undefined ? "–" : formatValue(ms / 1000, "seconds"));

/** Shares near one keep the digits that tell them apart: 99.95 %, 99.999 %, but never a rounded-up 100 %. */
export function uptimeText(uptime: number | null): string {
  if (uptime === null) return "–";
  if (uptime >= 1) return "100 %";
  const percent = uptime * 100;
  const places = percent >= 99.99 ? 3 : percent >= 99 ? 2 : 1;
  const floored = Math.floor(percent * 10 ** places) / 10 ** places;
  return `${floored.toFixed(places)} %`;
}

/** How well a day was, for its colour. */
export function dayTone(uptime: number | null): Tone {
  if (uptime === null) return "idle";
  return uptime >= 0.999 ? "ok" : uptime >= 0.98 ? "warn" : "bad";
}

/** The last `count` days up to today (UTC), those without runs between them. */
export function daysShown(days: readonly UptimeDay[], count: number, nowMs: number): UptimeDay[] {
  const known = new Map(days.map((day) => [day.day, day.uptime]));
  return Array.from({ length: count }, (_, i) => {
    const day = new Date(nowMs - (count - 1 - i) * 86_400_000).toISOString().slice(0, 10);
    return { day, uptime: known.get(day) ?? null };
  });
}

export const outageText = (outage: Pick<Outage, "from" | "until">, nowMs: number): string =>
  humanDuration(Math.max(0, ((outage.until === null ? nowMs : Date.parse(outage.until)) - Date.parse(outage.from)) / 1000));

/** One line for all: what is bad first. */
export function summaryText(summary: CheckSummary): string {
  const parts = [
    summary.unhealthy > 0 && `${summary.unhealthy.toLocaleString("en")} unhealthy`,
    summary.unknown > 0 && `${summary.unknown.toLocaleString("en")} unknown`,
    `${summary.healthy.toLocaleString("en")} healthy`,
    summary.paused > 0 && `${summary.paused.toLocaleString("en")} paused`,
  ];
  return parts.filter((part) => part !== false).join(", ");
}

export const totalOf = (summary: CheckSummary): number => summary.healthy + summary.unhealthy + summary.unknown + summary.paused;

export interface TimingPart {
  name: string;
  ms: number;
  /** Where it begins. */
  from: number;
}

/** Parts of an attempt one after the other; what no part accounts for is the rest. */
export function timingParts(timings: Timings | undefined): TimingPart[] {
  const parts: TimingPart[] = [];
  let from = 0;
  for (const [name, ms] of [["name", timings?.dns], ["connect", timings?.connect], ["TLS", timings?.tls], ["first byte", timings?.firstByte]] as const) {
    if (ms == null || ms <= 0) continue;
    parts.push({ name, ms, from });
    from += ms;
  }
  const rest = (timings?.total ?? 0) - from;
  if (parts.length > 0 && rest > 0.05) parts.push({ name: "rest", ms: rest, from });
  return parts;
}

/** What an outcome saw, as names and texts. */
export function factsOf(outcome: CheckOutcome): [string, string][] {
  const { address, httpStatus, certificate, values = {}, texts = {} } = outcome.details;
  return [
    ...(address ? [["address", address] as [string, string]] : []),
    ...(httpStatus !== undefined ? [["status", String(httpStatus)] as [string, string]] : []),
    ...(certificate ? [["certificate", `${certificate.subject}, by ${certificate.issuer}, ${certificate.daysLeft} days left`] as [string, string]] : []),
    ...Object.entries(values).map(([name, value]): [string, string] => [name, formatValue(value)]),
    ...Object.entries(texts),
  ];
}

/** Since when it is as it is. */
export const sinceOf = (state: CheckState): string | null => (state.status === "unhealthy" ? (state.downSince ?? state.since) : state.since);
