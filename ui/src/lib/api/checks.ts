/** Health checks: lists by pages, one with its results, and running one that is not stored. */
import type { CheckOutcome, CheckPage, CheckSpec, CheckView, ResultPage, Uptime } from "../checks/types";
import { request } from "./client";

const BASE = "/api/v1/monitoring/health-checks";
const one = (id: string) => `${BASE}/${encodeURIComponent(id)}`;
const quietly = (signal?: AbortSignal) => (signal ? { signal } : {});

export interface CheckQuery {
  type?: string;
  status?: string;
  search?: string;
  isActive?: string;
  after?: string;
  limit?: number;
}

function queryOf(asked: object): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(asked)) if (value !== undefined && value !== "") query.set(key, String(value));
  return query.toString();
}

export const fetchChecks = (asked: CheckQuery, signal?: AbortSignal) => request<CheckPage>(`${BASE}?${queryOf(asked)}`, quietly(signal));
export const fetchCheck = (id: string, signal?: AbortSignal) => request<CheckView>(one(id), quietly(signal));
export const createCheck = (json: CheckSpec) => request<CheckView>(BASE, { json });
export const putCheck = (id: string, json: CheckSpec) => request<CheckView>(one(id), { method: "PUT", json });
export const deleteCheck = (id: string) => request<void>(one(id), { method: "DELETE" });

/** Runs what is written, once, without storing anything. */
export const tryCheck = (json: CheckSpec) => request<CheckOutcome>(`${BASE}/test`, { json });
/** Runs a stored check now; its result is kept as any other. */
export const runCheck = (id: string) => request<CheckOutcome>(`${one(id)}/run`, { method: "POST" });

export interface ResultQuery {
  /** Epoch milliseconds. */
  since?: number;
  until?: number;
  status?: string;
  limit?: number;
  after?: string;
}

export function fetchResults(id: string, asked: ResultQuery, signal?: AbortSignal): Promise<ResultPage> {
  const { since, until, ...rest } = asked;
  const times = { ...(since !== undefined && { since: new Date(since).toISOString() }), ...(until !== undefined && { until: new Date(until).toISOString() }) };
  return request(`${one(id)}/results?${queryOf({ ...rest, ...times })}`, quietly(signal));
}

export const fetchUptime = (id: string, signal?: AbortSignal) => request<Uptime>(`${one(id)}/uptime`, quietly(signal));
