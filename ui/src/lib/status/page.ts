/** A status page as the public reads it: words, bars of days, and what happened by day. */
import type { Schemas } from "../api/types";

export type StatusPage = Schemas["StatusPage"];
export type StatusComponent = StatusPage["components"][number];
export type StatusDay = StatusComponent["days"][number];
export type StatusIncident = StatusPage["incidents"][number];
export type StatusMaintenance = StatusPage["maintenances"][number];
export type ComponentState = StatusPage["state"];
export type Phase = StatusIncident["phase"];
export type Impact = StatusIncident["impact"];
export type Tone = "ok" | "warn" | "bad" | "idle";

/** The page as it is kept. */
export interface StatusPageSpec {
  title: string;
  description?: string;
  components?: ComponentSpec[];
  maintenances?: { title: string; text?: string; from: string; until: string; components: string[] }[];
  public?: boolean;
}

export interface ComponentSpec {
  name: string;
  description?: string;
  group?: string;
  state?: ComponentState;
  checks?: string[];
  matchers?: string[];
}

export const PHASES: readonly Phase[] = ["investigating", "identified", "monitoring", "resolved"];
const PHASE_WORDS: Record<Phase, string> = { investigating: "Investigating", identified: "Identified", monitoring: "Monitoring", resolved: "Resolved" };
export const phaseText = (phase: Phase): string => PHASE_WORDS[phase] ?? phase;

export const IMPACTS: readonly [Impact, string][] = [
  ["none", "Nothing is worse for them"],
  ["degraded", "Slower, or only in part"],
  ["outage", "Does not work"],
];

export const STATES: readonly ComponentState[] = ["operational", "degraded", "outage", "maintenance"];
export const STATE_TONES: Record<ComponentState, Tone> = { operational: "ok", degraded: "warn", outage: "bad", maintenance: "idle" };
const STATE_WORDS: Record<ComponentState, string> = { operational: "Operational", degraded: "Degraded", outage: "Outage", maintenance: "Maintenance" };
export const stateText = (state: ComponentState): string => STATE_WORDS[state] ?? state;

const OVERALL: Record<ComponentState, string> = {
  operational: "Everything works",
  degraded: "Some of it is slower than usual, or works only in part",
  outage: "Something does not work",
  maintenance: "Something is being worked on",
};
export const overallText = (state: ComponentState): string => OVERALL[state] ?? state;

/** Components by their headings, in the order of the page; those without a heading stand where the first of them does. */
export function groupsOf(components: readonly StatusComponent[]): { group: string; components: StatusComponent[] }[] {
  const groups = new Map<string, StatusComponent[]>();
  for (const component of components) {
    const key = component.group ?? "";
    groups.set(key, [...(groups.get(key) ?? []), component]);
  }
  return [...groups].map(([group, of]) => ({ group, components: of }));
}

const WELL = 0.999;
const BAD = 0.95;

/** An outage of that length makes a day a bad one, however short the rest of it was hurt. */
const LONG_OUTAGE_MS = 30 * 60_000;

/** How a day's bar looks: what was told counts beside what was measured. */
export function dayTone(day: StatusDay): Tone {
  if (day.outageMs >= LONG_OUTAGE_MS || (day.uptime !== null && day.uptime < BAD)) return "bad";
  if (day.outageMs > 0 || day.degradedMs > 0 || (day.uptime !== null && day.uptime < WELL)) return "warn";
  return day.uptime === null ? "idle" : "ok";
}

/** `99.98 %`; never 100 where it was less. */
export function shareText(share: number | null): string {
  if (share === null) return "not known";
  if (share >= 1) return "100 %";
  return `${(Math.floor(share * 10_000) / 100).toFixed(2)} %`;
}

/** The mean of the days of which something is known. */
export function meanUptime(days: readonly StatusDay[]): number | null {
  const known = days.flatMap((day) => (day.uptime === null ? [] : [day.uptime]));
  return known.length === 0 ? null : known.reduce((sum, one) => sum + one, 0) / known.length;
}

/** What a day's bar says. */
export function dayText(day: StatusDay): string {
  const minutes = (ms: number) => `${Math.max(1, Math.round(ms / 60_000))} min`;
  const told = [
    day.outageMs > 0 ? `outage ${minutes(day.outageMs)}` : "",
    day.degradedMs > 0 ? `degraded ${minutes(day.degradedMs)}` : "",
    day.maintenanceMs > 0 ? `maintenance ${minutes(day.maintenanceMs)}` : "",
  ].filter((one) => one !== "");
  return [shareText(day.uptime), ...told].join(", ");
}

/** A day of UTC, as the bars count them. */
export const dayOf = (moment: string): string => moment.slice(0, 10);

export const isOver = (incident: StatusIncident): boolean => incident.resolvedAt !== null || incident.phase === "resolved";

/** What is over, by the day on which it began; days without anything are left out. */
export function historyOf(incidents: readonly StatusIncident[]): { day: string; incidents: StatusIncident[] }[] {
  const days = new Map<string, StatusIncident[]>();
  for (const incident of incidents.filter(isOver)) {
    const day = dayOf(incident.startedAt);
    days.set(day, [...(days.get(day) ?? []), incident]);
  }
  return [...days].map(([day, of]) => ({ day, incidents: of })).sort((a, b) => b.day.localeCompare(a.day));
}

/** Work that goes on or lies ahead, the next first. */
export const plannedOf = (maintenances: readonly StatusMaintenance[], nowMs: number): StatusMaintenance[] =>
  maintenances.filter((one) => Date.parse(one.until) > nowMs).sort((a, b) => Date.parse(a.from) - Date.parse(b.from));

/** Tenant and name of a page, from its address; null for any other. */
export function statusPath(path: string): { tenant: string; name: string } | null {
  const found = /^\/status\/([^/]+)\/([^/]+)\/?$/.exec(path);
  if (!found) return null;
  try {
    return { tenant: decodeURIComponent(found[1] ?? ""), name: decodeURIComponent(found[2] ?? "") };
  } catch {
    return null;
  }
}
