/** Spans, traces, the service map and service pages of the server's own API. Ranges are epoch milliseconds here. */
import type { RangeMs } from "../time/range";
import { request } from "./client";
import type { Schemas } from "./types";

const BASE = "/api/v1/monitoring";

export type Attributes = Schemas["TraceSpan"]["attributes"];
export type Span = Schemas["SpanRow"];
/** A span of an assembled trace, in tree order. */
export type TraceSpan = Schemas["TraceSpan"];
export type TraceAnswer = Schemas["Trace"];
export type TraceSummary = Schemas["TraceSummary"];
export type Cost = Schemas["QueryCost"];
export type Heatmap = Schemas["SpanHeatmap"];
export type Facet = Schemas["RowFacet"];
export type LogRow = Schemas["LogRow"];
export type MapNode = Schemas["ServiceNode"];
export type MapEdge = Schemas["ServiceEdge"];
export type Health = MapNode["health"];
export type Topology = Schemas["ServiceMap"];
export type ServiceSummary = Schemas["TracedService"];
export type Neighbour = Schemas["ServiceNeighbour"];
export type ServiceDetail = Schemas["TracedServiceDetail"];

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
  get<Schemas["TraceList"]>("/traces", range, { ...search }, signal);

export const searchSpans = (range: RangeMs, params: { query: string; limit: number; cursor?: string }, signal?: AbortSignal) =>
  get<Schemas["SpanRows"]>("/spans", range, params, signal);

export const fetchHeatmap = (range: RangeMs, params: { query: string; buckets: number; rows: number }, signal?: AbortSignal) =>
  get<Heatmap>("/spans/heatmap", range, params, signal);

export const fetchFacets = (range: RangeMs, query: string, fields: string, limit: number, signal?: AbortSignal) =>
  get<Schemas["RowFacets"]>("/spans/facets", range, { query, fields, limit }, signal);

export const fetchTrace = (id: string, signal?: AbortSignal) =>
  get<TraceAnswer>(`/traces/${encodeURIComponent(id)}`, null, {}, signal);

/** Logs that name the trace, oldest first. */
export const fetchTraceLogs = (range: RangeMs, traceId: string, limit: number, signal?: AbortSignal) =>
  get<Schemas["LogRows"]>("/logs", range, { trace_id: traceId, limit, order: "asc" }, signal);

export const fetchTopology = (range: RangeMs, signal?: AbortSignal) => get<Topology>("/topology", range, {}, signal);

export const fetchServiceList = (range: RangeMs, signal?: AbortSignal) =>
  get<Schemas["TracedServices"]>("/services", range, {}, signal);

export const fetchServiceDetail = (name: string, range: RangeMs, signal?: AbortSignal) =>
  get<ServiceDetail>(`/services/${encodeURIComponent(name)}`, range, {}, signal);

export type SpanField = Schemas["RowField"];

export const fetchSpanFields = (range: RangeMs, signal?: AbortSignal) =>
  get<Schemas["RowFields"]>("/spans/fields", range, {}, signal);

export const fetchSpanValues = (range: RangeMs, field: string, prefix: string, signal?: AbortSignal) =>
  get<Schemas["RowValues"]>("/spans/values", range, { field, prefix, limit: 20 }, signal);
