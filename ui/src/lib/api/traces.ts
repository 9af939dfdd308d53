/** Spans, traces, the service map and service pages of the server's own API. Ranges are epoch milliseconds here. */
import type { RangeMs } from "../time/range";
import { request } from "./client";

const BASE = "/api/v1/monitoring";

export type Attributes = Record<string, unknown>;

export interface SpanEvent {
  name: string;
  timestamp: string | number;
  attributes?: Attributes;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  attributes?: Attributes;
}

export interface Span {
  id?: string;
  /** RFC 3339 with nanoseconds. */
  start: string;
  duration_ns: number;
  trace_id: string;
  span_id: string;
  parent_span_id?: string | null;
  name: string;
  service: string;
  kind?: string | null;
  status_code?: string | null;
  status_message?: string | null;
  attributes?: Attributes;
  resource?: Attributes;
  events?: SpanEvent[];
  links?: SpanLink[];
}

/** A span of an assembled trace, in tree order. */
export interface TraceSpan extends Span {
  depth?: number;
  self_ns?: number;
  /** How much of the span's time is on the critical path. */
  critical_ns?: number;
  children?: number;
}

export interface TraceAnswer {
  trace_id: string;
  start: string;
  duration_ns: number;
  complete: boolean;
  missing_parents?: string[];
  spans: TraceSpan[];
  critical_path?: string[];
  services?: { name: string; spans: number; errors: number; self_ns: number }[];
  operations?: { service: string; name: string; count: number; self_ns: number; total_ns: number }[];
  logs?: number;
}

export interface TraceSummary {
  trace_id: string;
  root_service: string | null;
  root_name: string | null;
  start: string;
  duration_ns: number;
  spans: number;
  errors: number;
  services: { name: string; spans: number; errors: number }[];
  complete: boolean;
}

export interface Cost {
  rows?: number;
  bytes?: number;
  slices?: number;
  ms?: number;
}

export interface Heatmap {
  start: string | number;
  step_ms: number;
  buckets: number;
  /** Bounds of the rows: one more than there are rows. */
  edges_ns: number[];
  counts: number[][];
  errors: number[][];
}

export interface Facet {
  name: string;
  distinct: number;
  missing: number;
  values: { value: string | number | boolean | null; count: number }[];
}

export interface LogRow {
  id: string;
  timestamp: string;
  level: string;
  service: string;
  body: string;
  trace_id?: string | null;
  span_id?: string | null;
  attributes?: Attributes;
}

export type Health = "ok" | "warn" | "error";

export interface MapNode {
  name: string;
  rate: number;
  error_rate: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  health: Health;
}

export interface MapEdge {
  from: string;
  to: string;
  rate: number;
  error_rate: number;
  p50_ms: number | null;
  p95_ms: number | null;
  kind?: string;
}

export interface Topology {
  nodes: MapNode[];
  edges: MapEdge[];
}

export interface ServiceSummary {
  name: string;
  rate: number;
  error_rate: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  operations: number;
  last_seen: string;
}

export type Neighbour = string | { name: string; rate?: number; error_rate?: number; p95_ms?: number | null };

export interface ServiceDetail {
  name: string;
  red: {
    start: string | number;
    step_ms: number;
    calls: (number | null)[];
    errors: (number | null)[];
    p50_ms: (number | null)[];
    p95_ms: (number | null)[];
    p99_ms: (number | null)[];
  };
  operations: {
    name: string;
    kind: string;
    rate: number;
    error_rate: number;
    p50_ms: number | null;
    p95_ms: number | null;
    p99_ms: number | null;
    count: number;
  }[];
  upstream: Neighbour[];
  downstream: Neighbour[];
}

type Params = Record<string, string | number | undefined>;

function get<T>(path: string, range: RangeMs | null, params: Params, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") query.set(key, String(value));
  }
  if (range) {
    query.set("start", new Date(range.from).toISOString());
    query.set("end", new Date(range.to).toISOString());
  }
  const text = query.toString();
  return request<T>(text ? `${BASE}${path}?${text}` : BASE + path, signal ? { signal } : {});
}

export interface TraceSearch {
  query: string;
  order: "recent" | "slowest";
  limit: number;
}

export const searchTraces = (range: RangeMs, search: TraceSearch, signal?: AbortSignal) =>
  get<{ traces: TraceSummary[]; cost?: Cost }>("/traces", range, { ...search }, signal);

export const searchSpans = (range: RangeMs, params: { query: string; limit: number; cursor?: string }, signal?: AbortSignal) =>
  get<{ rows: Span[]; next: string | null; cost?: Cost }>("/spans", range, params, signal);

export const fetchHeatmap = (range: RangeMs, params: { query: string; buckets: number; rows: number }, signal?: AbortSignal) =>
  get<Heatmap>("/spans/heatmap", range, params, signal);

export const fetchFacets = (range: RangeMs, query: string, fields: string, limit: number, signal?: AbortSignal) =>
  get<{ facets: Facet[]; total: number }>("/spans/facets", range, { query, fields, limit }, signal);

export const fetchTrace = (id: string, signal?: AbortSignal) =>
  get<TraceAnswer>(`/traces/${encodeURIComponent(id)}`, null, {}, signal);

/** Logs that name the trace, oldest first. */
export const fetchTraceLogs = (range: RangeMs, traceId: string, limit: number, signal?: AbortSignal) =>
  get<{ rows: LogRow[]; next: string | null }>("/logs", range, { trace_id: traceId, limit, order: "asc" }, signal);

export const fetchTopology = (range: RangeMs, signal?: AbortSignal) => get<Topology>("/topology", range, {}, signal);

export const fetchServiceList = (range: RangeMs, signal?: AbortSignal) =>
  get<{ services: ServiceSummary[] }>("/services", range, {}, signal);

export const fetchServiceDetail = (name: string, range: RangeMs, signal?: AbortSignal) =>
  get<ServiceDetail>(`/services/${encodeURIComponent(name)}`, range, {}, signal);

export interface SpanField {
  name: string;
  scope: string;
  type: string;
  count?: number;
}

export const fetchSpanFields = (range: RangeMs, signal?: AbortSignal) =>
  get<{ fields: SpanField[] }>("/spans/fields", range, {}, signal);

export const fetchSpanValues = (range: RangeMs, field: string, prefix: string, signal?: AbortSignal) =>
  get<{ values: { value: string | number | boolean | null; count: number }[] }>("/spans/values", range, { field, prefix, limit: 20 }, signal);
