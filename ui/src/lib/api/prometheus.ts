/** The Prometheus HTTP API, as far as the pages use it. Times are epoch milliseconds on this side. */
import { request } from "./client";
import type { Schemas } from "./types";

export type Labels = Record<string, string>;

/** Prometheus writes a sample as `[seconds, "value"]`. */
export type WireSample = NonNullable<VectorItem["value"]>;
export type VectorItem = Schemas["PrometheusVectorSample"];
export type MatrixItem = Schemas["PrometheusMatrixSeries"];
export type QueryData = Schemas["PrometheusQueryResult"]["data"];
export type QueryStats = Schemas["PrometheusQueryStats"];

/** An answer with what the server remarked on it, and how long it took as seen from here. */
export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  elapsedMs: number;
}

interface Envelope<T> {
  data: T;
  warnings?: string[];
  infos?: string[];
}

export type MetricMetadata = Schemas["PrometheusMetadataEntry"];
export type ExemplarSeries = Schemas["PrometheusSeriesExemplars"];

const secondsOf = (ms: number) => (ms / 1000).toFixed(3);

async function ask<T>(path: string, form: URLSearchParams, signal?: AbortSignal): Promise<Answer<T>> {
  const started = performance.now();
  const answer = await request<Envelope<T>>(path, signal ? { form, signal } : { form });
  return {
    data: answer.data,
    warnings: answer.warnings ?? [],
    infos: answer.infos ?? [],
    elapsedMs: performance.now() - started,
  };
}

/** Values over time, one every `stepMs`. */
export function queryRange(
  query: string,
  range: { from: number; to: number; stepMs: number },
  signal?: AbortSignal,
): Promise<Answer<QueryData>> {
  const form = new URLSearchParams({
    query,
    start: secondsOf(range.from),
    end: secondsOf(range.to),
    step: String(range.stepMs / 1000),
    stats: "all",
  });
  return ask("/api/v1/query_range", form, signal);
}

/** Values at one instant. */
export function queryInstant(query: string, timeMs: number, signal?: AbortSignal): Promise<Answer<QueryData>> {
  return ask("/api/v1/query", new URLSearchParams({ query, time: secondsOf(timeMs), stats: "all" }), signal);
}

function get<T>(path: string, params: [string, string][], signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams(params).toString();
  const address = query ? `${path}?${query}` : path;
  return request<Envelope<T>>(address, signal ? { signal } : {}).then((answer) => answer.data);
}

const matching = (match: string | null): [string, string][] => (match === null ? [] : [["match[]", match]]);

export function labelNames(match: string | null, signal?: AbortSignal): Promise<string[]> {
  return get("/api/v1/labels", matching(match), signal);
}

export function labelValues(name: string, match: string | null, signal?: AbortSignal): Promise<string[]> {
  return get(`/api/v1/label/${encodeURIComponent(name)}/values`, matching(match), signal);
}

export function seriesOf(match: string, limit: number, signal?: AbortSignal): Promise<Labels[]> {
  return get("/api/v1/series", [["match[]", match], ["limit", String(limit)]], signal);
}

export function metadata(signal?: AbortSignal): Promise<Record<string, MetricMetadata[]>> {
  return get("/api/v1/metadata", [], signal);
}

export function exemplars(
  query: string,
  range: { from: number; to: number },
  signal?: AbortSignal,
): Promise<ExemplarSeries[]> {
  const params: [string, string][] = [
    ["query", query],
    ["start", secondsOf(range.from)],
    ["end", secondsOf(range.to)],
  ];
  return get("/api/v1/query_exemplars", params, signal);
}

/** `name{a="b"}` with labels in order; what identifies a series everywhere in these pages. */
export function seriesName(labels: Labels): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.keys(rest).sort().map((key) => `${key}=${JSON.stringify(rest[key])}`);
  return pairs.length > 0 ? `${name}{${pairs.join(", ")}}` : name || "{}";
}

/** Prometheus's spelling of a value, `+Inf` and `NaN` included. */
export function numberOf(text: string): number {
  if (text === "+Inf" || text === "Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}
