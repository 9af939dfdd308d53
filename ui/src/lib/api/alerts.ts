/** Alerting: what fired, rules, silences, channels, routes. Moments are RFC 3339, as the API writes them. */
import { request, requestAll, type Page } from "./client";
import type { Schemas } from "./types";

export type AlertEvent = Schemas["AlertEvent"];
export type AlertEventDetail = Schemas["AlertEventDetail"];
export type EventEntry = Schemas["AlertEventEntry"];
export type Notification = Schemas["Notification"];
export type Severity = Schemas["Severity"];
export type Priority = Schemas["Priority"];
export type AlertRule = Schemas["AlertRule"];
export type NewRule = Schemas["NewRule"];
export type RuleSpec = Schemas["RuleSpec"];
export type RuleType = Schemas["RuleType"];
export type Condition = Schemas["Condition"];
export type ChannelRef = Schemas["ChannelRef"];
export type BacktestOutcome = Schemas["BacktestOutcome"];
export type BacktestFiring = Schemas["BacktestFiring"];
export type Silence = Schemas["Silence"];
export type NewSilence = Schemas["NewSilence"];
export type SilencePreview = Schemas["SilencePreview"];
export type ChannelTestOutcome = Schemas["ChannelTestOutcome"];
export type RoutePreview = Schemas["RoutePreview"];
export type SavedObject = Schemas["Object"];

const BASE = "/api/v1/monitoring";
const quietly = (signal?: AbortSignal) => (signal ? { signal } : {});
const one = (path: string, id: string) => `${BASE}/${path}/${encodeURIComponent(id)}`;

export interface EventQuery {
  /** States and severities with commas between; all without. */
  state?: string;
  severity?: string;
  /** Key of a rule, such as `rule/High CPU`. */
  rule?: string;
  /** Epoch milliseconds. */
  since?: number;
  until?: number;
  after?: string;
  limit?: number;
}

export function fetchEvents(asked: EventQuery, signal?: AbortSignal): Promise<Page<AlertEvent>> {
  const query = new URLSearchParams();
  const { since, until, ...texts } = asked;
  for (const [key, value] of Object.entries(texts)) if (value !== undefined && value !== "") query.set(key, String(value));
  if (since !== undefined) query.set("since", new Date(since).toISOString());
  if (until !== undefined) query.set("until", new Date(until).toISOString());
  return request(`${BASE}/alerts/events?${query}`, quietly(signal));
}

/** What goes on, at most so many: whoever has more than that firing needs another rule, not a longer list. */
export const FIRING_MAX = 5000;

/** Everything that fires or is taken care of, the newest first. */
export async function fetchFiring(signal?: AbortSignal): Promise<AlertEvent[]> {
  const events: AlertEvent[] = [];
  let after: string | undefined;
  do {
    const page = await fetchEvents({ state: "firing,acknowledged", limit: 1000, ...(after !== undefined && { after }) }, signal);
    events.push(...page.items);
    after = page.next ?? undefined;
  } while (after !== undefined && events.length < FIRING_MAX);
  return events;
}

export const fetchEvent = (id: string, signal?: AbortSignal) => request<AlertEventDetail>(one("alerts/events", id), quietly(signal));

export type EventChange = "acknowledge" | "unacknowledge" | "resolve";

/** `note` belongs to an acknowledgement. */
export function changeEvent(id: string, change: EventChange, note = ""): Promise<AlertEvent> {
  const json = change === "acknowledge" ? { note: note.trim() || null } : undefined;
  return request(`${one("alerts/events", id)}/${change}`, { method: "POST", ...(json && { json }) });
}

export const fetchRules = (signal?: AbortSignal) => requestAll<AlertRule>(`${BASE}/alerts`, signal);
export const fetchRule = (id: string, signal?: AbortSignal) => request<AlertRule>(one("alerts", id), quietly(signal));
export const createRule = (json: NewRule) => request<AlertRule>(`${BASE}/alerts`, { json });
export const putRule = (id: string, json: NewRule) => request<AlertRule>(one("alerts", id), { method: "PUT", json });
export const deleteRule = (id: string) => request<void>(one("alerts", id), { method: "DELETE" });

/** The rule of this name; null when it is gone. */
export async function ruleNamed(name: string, signal?: AbortSignal): Promise<AlertRule | null> {
  const query = new URLSearchParams({ search: name, limit: "1000" });
  const page = await request<Page<AlertRule>>(`${BASE}/alerts?${query}`, quietly(signal));
  return page.items.find((rule) => rule.name === name) ?? null;
}

export const backtest = (rule: RuleSpec, hours: number, signal?: AbortSignal) =>
  request<BacktestOutcome>(`${BASE}/alerts/backtest`, { json: { rule, hours } satisfies Schemas["Backtest"], ...quietly(signal) });

export const fetchSilences = async (signal?: AbortSignal): Promise<Silence[]> =>
  (await request<Page<Silence>>(`${BASE}/silences`, quietly(signal))).items;
export const createSilence = (json: NewSilence) => request<Silence>(`${BASE}/silences`, { json });
export const putSilence = (id: string, json: NewSilence) => request<Silence>(one("silences", id), { method: "PUT", json });
export const endSilence = (id: string) => request<void>(one("silences", id), { method: "DELETE" });
export const previewSilence = (matchers: string[], signal?: AbortSignal) =>
  request<SilencePreview>(`${BASE}/silences/preview`, { json: { matchers }, ...quietly(signal) });

/** Kinds of saved objects that the alerting is made of. */
export type AlertingKind = "channel" | "route";

export const fetchObjects = (kind: AlertingKind, signal?: AbortSignal) => requestAll<SavedObject>(`${BASE}/objects/${kind}`, signal);
export const putObject = (kind: AlertingKind, name: string, json: object) =>
  request<SavedObject>(one(`objects/${kind}`, name), { method: "PUT", json });
export const deleteObject = (kind: AlertingKind, name: string) => request<void>(one(`objects/${kind}`, name), { method: "DELETE" });

export const testChannel = (channel: ChannelRef) => request<ChannelTestOutcome>(`${BASE}/channels/test`, { json: { channel } });
export const previewRoutes = (labels: Record<string, string>, signal?: AbortSignal) =>
  request<RoutePreview>(`${BASE}/routes/preview`, { json: { labels }, ...quietly(signal) });
