/** The API of logs. Times are epoch milliseconds on this side, RFC 3339 with nanoseconds in rows. */
import { request } from "./client";

export type Level = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

export interface LogRow {
  id: string;
  timestamp: string;
  observed_timestamp?: string | null;
  severity_number?: number | null;
  severity_text?: string | null;
  level?: string | null;
  service?: string | null;
  body: string | null;
  trace_id?: string | null;
  span_id?: string | null;
  attributes: Record<string, unknown>;
  resource: Record<string, unknown>;
}

/** What answering took: rows and bytes looked at. */
export interface Cost {
  rows: number;
  bytes: number;
  slices: number;
  ms: number;
}

export interface Between {
  from: number;
  to: number;
}

export interface LogPage {
  rows: LogRow[];
  next: string | null;
  cost?: Cost;
}

export interface HistogramAnswer {
  start: string | number;
  step_ms: number;
  buckets: number;
  series: { name: string; counts: number[] }[];
  total: number;
}

export interface FieldInfo {
  name: string;
  scope: "fixed" | "attribute" | "resource";
  type: string;
  /** Rows that have it; unknown of fixed columns. */
  count: number | null;
}

export interface ValueCount {
  /** As text, whatever the field holds. */
  value: string | number | boolean;
  count: number;
}

export interface Facet {
  name: string;
  distinct: number;
  missing: number;
  values: ValueCount[];
}

export interface Pattern {
  template: string;
  count: number;
  share: number;
  level?: string | null;
  examples: string[];
  first: string;
  last: string;
  counts: number[];
}

const BASE = "/api/v1/monitoring/logs";

function ask<T>(path: string, params: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== undefined && value !== "") query.set(key, String(value));
  return request<T>(`${BASE}${path}?${query}`, signal ? { signal } : {});
}

const bounds = (range: Between) => ({ start: Math.round(range.from), end: Math.round(range.to) });

export interface PageQuery {
  query: string;
  range: Between;
  limit: number;
  order: "asc" | "desc";
  cursor?: string;
}

export function fetchLogs(page: PageQuery, signal?: AbortSignal): Promise<LogPage> {
  const { query, range, limit, order, cursor } = page;
  return ask("", { query, ...bounds(range), limit, order: order === "asc" ? order : undefined, cursor }, signal);
}

export function fetchHistogram(query: string, range: Between, buckets: number, by: string, signal?: AbortSignal) {
  return ask<HistogramAnswer>("/histogram", { query, ...bounds(range), buckets, by }, signal);
}

export async function fetchFields(range: Between, signal?: AbortSignal): Promise<FieldInfo[]> {
  return (await ask<{ fields: FieldInfo[] }>("/fields", bounds(range), signal)).fields;
}

export function fetchFacets(query: string, range: Between, fields: readonly string[], limit: number, signal?: AbortSignal) {
  return ask<{ facets: Facet[]; total: number }>("/facets", { query, ...bounds(range), fields: fields.join(","), limit }, signal);
}

export function fetchPatterns(query: string, range: Between, limit: number, signal?: AbortSignal) {
  return ask<{ patterns: Pattern[]; total: number; sampled: boolean }>("/patterns", { query, ...bounds(range), limit }, signal);
}

export function fetchContext(id: string, around: number, signal?: AbortSignal) {
  return ask<{ before: LogRow[]; record: LogRow; after: LogRow[] }>("/context", { id, before: around, after: around }, signal);
}

export async function fetchValues(field: string, prefix: string, range: Between, signal?: AbortSignal): Promise<ValueCount[]> {
  return (await ask<{ values: ValueCount[] }>("/values", { field, prefix, ...bounds(range), limit: 50 }, signal)).values;
}
