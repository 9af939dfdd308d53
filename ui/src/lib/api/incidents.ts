/** Incidents with what is done about them: people, runbooks and their runs, post-mortems. Moments are RFC 3339. */
import type { AlertEvent, Severity } from "./alerts";
import { request, requestAll, type Page } from "./client";
import type { Schemas } from "./types";

export type Incident = Schemas["Incident"];
export type IncidentDetail = Schemas["IncidentDetail"];
export type IncidentEntry = Schemas["IncidentEntry"];
export type IncidentStatus = Incident["status"];
export type NewIncident = Schemas["NewIncident"];
export type IncidentChange = Schemas["IncidentChange"];
export type RunbookProgress = Incident["runbooks"][number];
export type Postmortem = Schemas["Postmortem"];
export type Remediation = Schemas["Remediation"];
export type RemediationDetail = Schemas["RemediationDetail"];
export type { Severity };

const BASE = "/api/v1/monitoring";
const quietly = (signal?: AbortSignal) => (signal ? { signal } : {});
const incident = (id: string, rest = "") => `${BASE}/incidents/${encodeURIComponent(id)}${rest}`;
const enc = encodeURIComponent;

export interface IncidentQuery {
  /** Statuses and severities with commas between; all without. */
  status?: string;
  severity?: string;
  /** Only those that this alert belongs to. */
  event?: string;
  after?: string;
  limit?: number;
}

export function fetchIncidents(asked: IncidentQuery, signal?: AbortSignal): Promise<Page<Incident>> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(asked)) if (value !== undefined && value !== "") query.set(key, String(value));
  return request(`${BASE}/incidents?${query}`, quietly(signal));
}

export const fetchIncident = (id: string, signal?: AbortSignal) => request<IncidentDetail>(incident(id), quietly(signal));
export const createIncident = (json: NewIncident) => request<Incident>(`${BASE}/incidents`, { json });
export const patchIncident = (id: string, json: IncidentChange) => request<Incident>(incident(id), { method: "PATCH", json });

export type IncidentStep = "acknowledge" | "resolve" | "reopen";

export const stepIncident = (id: string, step: IncidentStep, note = "") =>
  request<Incident>(incident(id, `/${step}`), { method: "POST", ...(note.trim() !== "" && { json: { note: note.trim() } }) });
export const noteIncident = (id: string, text: string) => request<Incident>(incident(id, "/notes"), { json: { text } });
/** Nobody without a person; the incident itself without a role. */
export const assignIncident = (id: string, person: string | null, role: string | null = null) =>
  request<Incident>(incident(id, "/assign"), { json: { person, role } });
export const linkRunbook = (id: string, name: string) => request<Incident>(incident(id, "/runbooks"), { json: { name } });
export const tickStep = (id: string, runbook: string, step: number, done: boolean) =>
  request<Incident>(incident(id, `/runbooks/${enc(runbook)}/steps/${step}`), { method: "PUT", json: { done } });
export const fetchIncidentEvents = (id: string, signal?: AbortSignal) =>
  request<Page<AlertEvent>>(incident(id, "/events?limit=1000"), quietly(signal));

export const fetchPostmortem = (id: string, signal?: AbortSignal) => request<Postmortem>(incident(id, "/postmortem"), quietly(signal));
/** `version` is the one that was read; another one on record is a conflict. */
export const putPostmortem = (id: string, version: number, text: string) =>
  request<Postmortem>(incident(id, "/postmortem"), { method: "PUT", json: { version, text } });

export const runStep = (runbook: string, step: number, of: string | null) =>
  request<Remediation>(`${BASE}/runbooks/${enc(runbook)}/runs`, { json: { step, incident: of } });
export async function fetchRuns(of: string, signal?: AbortSignal): Promise<Remediation[]> {
  const query = new URLSearchParams({ incident: of, limit: "200" });
  return (await request<Page<Remediation>>(`${BASE}/remediations?${query}`, quietly(signal))).items;
}
export const fetchRun = (id: string, signal?: AbortSignal) => request<RemediationDetail>(`${BASE}/remediations/${enc(id)}`, quietly(signal));
export const decideRun = (id: string, yes: boolean) =>
  request<Remediation>(`${BASE}/remediations/${enc(id)}/${yes ? "approve" : "refuse"}`, { method: "POST" });

/** Kinds of saved objects that incidents are worked on with. */
export type ResponseKind = "schedule" | "escalation" | "runbook" | "status_page";
export type SavedObject = Schemas["Object"];

const object = (kind: ResponseKind, name = "") => `${BASE}/objects/${kind}${name === "" ? "" : `/${enc(name)}`}`;
export const fetchObjects = (kind: ResponseKind, signal?: AbortSignal) => requestAll<SavedObject>(object(kind), signal);
export const fetchObject = (kind: ResponseKind, name: string, signal?: AbortSignal) => request<SavedObject>(object(kind, name), quietly(signal));
/** With a version only where that is the one on record. */
export const putObject = (kind: ResponseKind, name: string, json: object, version?: number) =>
  request<SavedObject>(object(kind, name), { method: "PUT", json, ...(version !== undefined && { ifMatch: version }) });
export const deleteObject = (kind: ResponseKind, name: string) => request<void>(object(kind, name), { method: "DELETE" });
