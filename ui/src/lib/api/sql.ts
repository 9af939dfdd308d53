/** SQL over logs, spans, events and metrics. */
import { request } from "./client";
import type { Between, Cost } from "./logs";

export type Cell = string | number | boolean | null | object;

export interface SqlAnswer {
  columns: string[];
  types: string[];
  rows: Cell[][];
  truncated?: boolean;
  cost?: Partial<Cost>;
}

export function runSql(query: string, range: Between, signal?: AbortSignal): Promise<SqlAnswer> {
  const json = { query, start: Math.round(range.from), end: Math.round(range.to) };
  return request<SqlAnswer>("/api/v1/sql", signal ? { json, signal } : { json });
}
