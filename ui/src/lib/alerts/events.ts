/** What fires: its order, what the list shows of it, and how a message changes the list. */
import type { AlertEvent, AlertEventDetail, Severity } from "../api/alerts";
import { formatValue } from "../format";
import { humanDuration } from "../time/duration";

/** From worst to least. */
export const SEVERITIES: readonly Severity[] = ["critical", "error", "warning", "info"];

export const STATE_TONES: Record<string, "ok" | "warn" | "bad" | "idle"> = { firing: "bad", acknowledged: "warn", resolved: "ok" };

export interface EventFilter {
  /** Words that its name, labels and annotations must hold; `key=value` is a label. */
  text: string;
  severity: readonly Severity[];
  state: string;
  rule: string;
}

export function readEventFilter(params: URLSearchParams): EventFilter {
  const severity = (params.get("severity") ?? "").split(",");
  return {
    text: params.get("q") ?? "",
    severity: SEVERITIES.filter((one) => severity.includes(one)),
    state: params.get("state") ?? "",
    rule: params.get("rule") ?? "",
  };
}

/** `severity` of the address with one taken in, or out again. */
export function toggleSeverity(chosen: readonly Severity[], one: Severity): string | null {
  const next = SEVERITIES.filter((each) => (each === one ? !chosen.includes(one) : chosen.includes(each)));
  return next.length === 0 || next.length === SEVERITIES.length ? null : next.join(",");
}

const isPart = (hay: string, needle: string) => hay.toLowerCase().includes(needle.toLowerCase());

/** Each word is found in what the alert says; `key=value` and `key:value` are found in that label alone. */
export function matchesText(event: Pick<AlertEvent, "name" | "labels" | "annotations">, text: string): boolean {
  const words = text.trim().split(/\s+/).filter((word) => word !== "");
  const all = [event.name, ...Object.entries(event.labels).flatMap(([key, value]) => [`${key}=${value}`, value]), ...Object.values(event.annotations)];
  return words.every((word) => {
    const pair = /^([A-Za-z_][\w.:]*)[=:]"?(.*?)"?$/.exec(word);
    const label = pair ? event.labels[pair[1] ?? ""] : undefined;
    if (pair && label !== undefined) return isPart(label, pair[2] ?? "");
    return all.some((hay) => isPart(hay, word));
  });
}

export const fits = (event: AlertEvent, filter: EventFilter): boolean =>
  (filter.severity.length === 0 || filter.severity.includes(event.severity)) &&
  (filter.state === "" || event.state === filter.state) &&
  (filter.rule === "" || event.rule === filter.rule) &&
  matchesText(event, filter.text);

/** A line of the list: the head of a severity, or an alert. */
export type Line = { kind: "head"; severity: Severity; count: number; open: number; folded: boolean } | { kind: "event"; event: AlertEvent };

/** By severity, worst first; in each what nobody takes care of first, then the newest. */
export function linesOf(events: readonly AlertEvent[], folded: readonly string[]): Line[] {
  return SEVERITIES.flatMap((severity): Line[] => {
    const group = events.filter((event) => event.severity === severity);
    if (group.length === 0) return [];
    const rank = (event: AlertEvent) => Number(event.state === "acknowledged");
    group.sort((a, b) => rank(a) - rank(b) || Date.parse(b.firedAt) - Date.parse(a.firedAt) || a.name.localeCompare(b.name));
    const isFolded = folded.includes(severity);
    const head: Line = { kind: "head", severity, count: group.length, open: group.filter((event) => event.state === "firing").length, folded: isFolded };
    return [head, ...(isFolded ? [] : group.map((event): Line => ({ kind: "event", event })))];
  });
}

/** The list with one event as it is now: changed, added, or gone because it is over. */
export function withEvent(events: readonly AlertEvent[], event: AlertEvent): AlertEvent[] {
  const known = events.find((one) => one.id === event.id);
  // Messages overtake each other: an older one changes nothing.
  if (known && known.updatedAt > event.updatedAt) return [...events];
  const rest = events.filter((one) => one.id !== event.id);
  return event.state === "resolved" ? rest : known ? events.map((one) => (one.id === event.id ? event : one)) : [event, ...rest];
}

/** What a person reads first: the summary, else the description. */
export const summaryOf = (event: Pick<AlertEvent, "annotations">): string =>
  event.annotations.summary ?? event.annotations.description ?? event.annotations.message ?? "";

/** Labels worth a place in a row: those that tell alerts of a rule apart. */
export const ownLabels = (labels: Record<string, string>): [string, string][] =>
  Object.entries(labels).filter(([name]) => name !== "alertname" && name !== "severity");

export const valueText = (value: number | null): string => (value === null ? "–" : formatValue(value));

/** How long it went on, or goes on. */
export function lasted(event: Pick<AlertEvent, "firedAt" | "endsAt">, nowMs: number): string {
  const end = event.endsAt ? Date.parse(event.endsAt) : nowMs;
  return humanDuration(Math.max(0, (end - Date.parse(event.firedAt)) / 1000));
}

/** Name of the rule that fired; empty for what others sent. */
export const ruleName = (event: Pick<AlertEvent, "rule">): string => (event.rule.startsWith("rule/") ? event.rule.slice(5) : "");

/** An address that may be opened, or nothing: a runbook is a name, or such an address. */
export function linkOf(text: string | null | undefined): string {
  return /^https?:\/\//i.test(text ?? "") ? (text ?? "") : "";
}

const WORDS: Record<string, string> = {
  fired: "Fired",
  acknowledged: "Acknowledged",
  unacknowledged: "Nobody takes care of it any more",
  resolved: "Over",
  escalated: "Became worse",
  severity: "Severity changed",
};

export const entryText = (what: string): string => WORDS[what] ?? what.charAt(0).toUpperCase() + what.slice(1).replaceAll("_", " ");

export const NOTIFICATION_TONES: Record<string, "ok" | "warn" | "bad" | "idle"> = {
  sent: "ok",
  queued: "idle",
  pending: "idle",
  failed: "bad",
  skipped: "idle",
};

/** How the messages about an event went, in a line. */
export function toldText(notifications: AlertEventDetail["notifications"]): string {
  if (notifications.length === 0) return "Nobody was told.";
  const sent = notifications.filter((one) => one.status === "sent");
  const channels = new Set(sent.map((one) => one.channel));
  const failed = notifications.filter((one) => one.status === "failed").length;
  const parts = [`${sent.length} of ${notifications.length} messages sent${channels.size > 0 ? ` to ${[...channels].join(", ")}` : ""}`];
  if (failed > 0) parts.push(`${failed} failed`);
  return parts.join("; ") + ".";
}
