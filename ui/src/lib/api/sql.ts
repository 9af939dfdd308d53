/** SQL over logs, spans, events and metrics. */
import { request } from "./client";
import type { Between } from "./logs";
import type { Schemas } from "./types";

export type Cell = string | number | boolean | null | object;

export type SqlAnswer = Omit<Schemas["SqlAnswer"], "rows"> & { rows: Cell[][] };

export function runSql(query: string, range: Between, signal?: AbortSignal): Promise<SqlAnswer> {
  const json: Schemas["SqlQuestion"] = { query, start: Math.round(range.from), end: Math.round(range.to) };
  return request<SqlAnswer>("/api/v1/sql", signal ? { json, signal } : { json });
}
