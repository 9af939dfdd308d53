/** Incidents as the pages show them: which are listed, what an entry of a timeline says, how runs stand. */
import { readEventFilter } from "../alerts/events";
import type { Incident, IncidentEntry, IncidentStatus, Remediation, Severity } from "../api/incidents";
import { humanDuration } from "../time/duration";

export const STATUSES: readonly IncidentStatus[] = ["open", "acknowledged", "resolved"];
export const STATUS_TONES: Record<IncidentStatus, "ok" | "warn" | "bad"> = { open: "bad", acknowledged: "warn", resolved: "ok" };

export interface IncidentFilter {
  text: string;
  severity: readonly Severity[];
  /** What goes on: open or acknowledged. Everything with `all`. */
  status: "" | "all" | IncidentStatus;
}

export function readFilter(params: URLSearchParams): IncidentFilter {
  const status = params.get("status") ?? "";
  const { text, severity } = readEventFilter(params);
  return { text, severity, status: status === "all" ? "all" : (STATUSES.find((one) => one === status) ?? "") };
}

/** `status` as the API asks for it. */
export const askedStatus = (status: IncidentFilter["status"]): string => (status === "all" ? "" : status === "" ? "open,acknowledged" : status);

/** Each word is found in its number, title, people or labels; `key=value` is a label. */
export function fitsText(incident: Incident, text: string): boolean {
  const words = text.trim().toLowerCase().split(/\s+/).filter((word) => word !== "");
  const people = [incident.assignee, incident.openedBy, ...Object.values(incident.roles)].filter((one) => one !== null && one !== undefined);
  const labels = Object.entries(incident.labels).map(([name, value]) => `${name}=${value}`);
  const all = [`#${incident.number}`, incident.title, incident.route ?? "", ...people, ...labels].map((one) => one.toLowerCase());
  return words.every((word) => all.some((hay) => hay.includes(word)));
}

const RANK: Record<IncidentStatus, number> = { open: 0, acknowledged: 1, resolved: 2 };

/** Nobody's first, then those taken care of, then what is over; in each the newest first. */
export const inOrder = (incidents: readonly Incident[]): Incident[] =>
  incidents.toSorted((a, b) => RANK[a.status] - RANK[b.status] || Date.parse(b.createdAt) - Date.parse(a.createdAt) || b.number - a.number);

/** How long it went on, or goes on. */
export function lasted(incident: Pick<Incident, "createdAt" | "resolvedAt">, nowMs: number): string {
  const end = incident.resolvedAt ? Date.parse(incident.resolvedAt) : nowMs;
  return humanDuration(Math.max(0, (end - Date.parse(incident.createdAt)) / 1000));
}

const WORDS: Record<string, string> = {
  opened: "Opened",
  event_joined: "An alert joined",
  event_over: "An alert is over",
  called: "Called",
  acknowledged: "Acknowledged",
  unacknowledged: "Nobody takes care of it any more",
  assigned: "Given to somebody",
  role: "Role",
  note: "Note",
  severity: "Severity",
  runbook: "Runbook",
  step: "Step",
  action: "Remediation",
  published: "Status page",
  update: "The public was told",
  resolved: "Resolved",
  reopened: "Opened again",
};

export const entryText = (kind: string): string => WORDS[kind] ?? kind.charAt(0).toUpperCase() + kind.slice(1).replaceAll("_", " ");

export type EntryGroup = "people" | "alerts" | "calls" | "runbooks";
const GROUPS: Record<string, EntryGroup> = { event_joined: "alerts", event_over: "alerts", called: "calls", runbook: "runbooks", step: "runbooks", action: "runbooks" };

/** Which part of the timeline an entry belongs to; what people did, unless it is said otherwise. */
export const groupOf = (entry: Pick<IncidentEntry, "kind">): EntryGroup => GROUPS[entry.kind] ?? "people";

/** Roles that are offered, beside those that are given already. */
export const ROLES = ["commander", "communications", "operations", "scribe"];
export const rolesShown = (given: Readonly<Record<string, string>>): string[] => [...new Set([...Object.keys(given), "commander"])].sort();

export const RUN_TONES: Record<string, "ok" | "warn" | "bad" | "idle"> = {
  waiting_approval: "warn",
  approved: "idle",
  sent: "idle",
  running: "idle",
  succeeded: "ok",
  failed: "bad",
  timed_out: "bad",
  refused: "idle",
};
const RUN_WORDS: Record<string, string> = {
  waiting_approval: "waits for approval",
  approved: "waits for an agent",
  sent: "given to an agent",
  timed_out: "took too long",
};
export const runText = (run: Pick<Remediation, "status" | "kind">): string =>
  run.status === "approved" && run.kind === "webhook" ? "waits to be sent" : (RUN_WORDS[run.status] ?? run.status);
export const isOver = (run: Pick<Remediation, "status">): boolean => ["succeeded", "failed", "timed_out", "refused"].includes(run.status);

/** Runs of a step, the newest first, as the API lists them. */
export const runsOf = (runs: readonly Remediation[], runbook: string, step: number): Remediation[] =>
  runs.filter((run) => run.runbook === runbook && run.step === step);

/** How many of its steps are done. */
export const doneOf = (steps: readonly { doneAt: string | null }[]): number => steps.filter((step) => step.doneAt !== null).length;
