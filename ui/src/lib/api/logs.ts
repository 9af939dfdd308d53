/** The API of logs. Times are epoch milliseconds on this side, RFC 3339 with nanoseconds in rows. */
import { request } from "./client";
import type { Schemas } from "./types";

export type Level = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

export type LogRow = Schemas["LogRow"];

/** What answering took: rows and bytes looked at. */
export type Cost = Schemas["QueryCost"];

export interface Between {
  from: number;
  to: number;
}

export type LogPage = Schemas["LogRows"];

export type HistogramAnswer = Schemas["RowHistogram"];
export type FieldInfo = Schemas["RowField"];
export type ValueCount = Schemas["RowValueCount"];
export type Facet = Schemas["RowFacet"];
export type Pattern = Schemas["LogPattern"];

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
  return (await ask<Schemas["RowFields"]>("/fields", bounds(range), signal)).fields;
}

export function fetchFacets(query: string, range: Between, fields: readonly string[], limit: number, signal?: AbortSignal) {
  return ask<Schemas["RowFacets"]>("/facets", { query, ...bounds(range), fields: fields.join(","), limit }, signal);
}

export function fetchPatterns(query: string, range: Between, limit: number, signal?: AbortSignal) {
  return ask<Schemas["LogPatterns"]>("/patterns", { query, ...bounds(range), limit }, signal);
}

export function fetchContext(id: string, around: number, signal?: AbortSignal) {
  return ask<Schemas["LogRowContext"]>("/context", { id, before: around, after: around }, signal);
}

export async function fetchValues(field: string, prefix: string, range: Between, signal?: AbortSignal): Promise<ValueCount[]> {
  return (await ask<Schemas["RowValues"]>("/values", { field, prefix, ...bounds(range), limit: 50 }, signal)).values;
}
