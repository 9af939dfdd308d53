/** What is kept of a view by name, and the address that shows it again. All pages share one list of names. */
import type { SavedObject } from "../api/bellwether";
import { parseTime, type RangeText } from "../time/range";
import { DEFAULT_COLUMNS, type LogsState } from "./logs";

/** Queries of the metrics explorer; the form that has no `page` because it was there first. */
export interface MetricsSpec {
  queries: string[];
}

export interface LogsSpec {
  page: "logs";
  query: string;
  /** Columns beside time, level and message, when they are not the usual ones. */
  columns?: string[];
  /** A range that moves with the clock; without one the reader's own stays. */
  from?: string;
  to?: string;
}

export type SavedSpec = MetricsSpec | LogsSpec;

export interface SavedQuery<T extends SavedSpec = SavedSpec> {
  name: string;
  spec: T;
  /** The file that owns it; people do not change it here. */
  file?: string;
}

export type SavedPage = "explore" | "logs";

export const pageOf = (spec: SavedSpec): SavedPage => ("page" in spec ? spec.page : "explore");

const texts = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === "string");

/** What the pages read of an object. */
type Kept = Pick<SavedObject, "name" | "spec" | "file">;

/** Null for what no page of ours can show. */
export function readSaved({ name, spec, file }: Kept): SavedQuery | null {
  const owner = file ? { file } : {};
  if (spec.page === undefined) return texts(spec.queries) ? { name, spec: { queries: spec.queries }, ...owner } : null;
  if (spec.page !== "logs" || typeof spec.query !== "string") return null;
  const read: LogsSpec = { page: "logs", query: spec.query };
  if (texts(spec.columns)) read.columns = spec.columns;
  if (typeof spec.from === "string" && typeof spec.to === "string") Object.assign(read, { from: spec.from, to: spec.to });
  return { name, spec: read, ...owner };
}

const isRelative = (text: string) => /^\s*now/.test(text) && parseTime(text, 0) !== null;

/** A search to keep; of the range only what moves with the clock, as another day's records are no answer to a habit. */
export function logsSpec({ query, columns }: Pick<LogsState, "query" | "columns">, range: RangeText): LogsSpec {
  const spec: LogsSpec = { page: "logs", query: query.trim() };
  if (JSON.stringify(columns) !== JSON.stringify(DEFAULT_COLUMNS)) spec.columns = [...columns];
  if (isRelative(range.from) && isRelative(range.to)) Object.assign(spec, range);
  return spec;
}

/** One line that tells what is asked. */
export function summaryOf(spec: SavedSpec): string {
  if (!("page" in spec)) return spec.queries.join("  ·  ");
  return [spec.query || "all records", spec.from ? `${spec.from} … ${spec.to}` : ""].filter((part) => part !== "").join("  ·  ");
}

/** Path and parameters of the view. */
export function placeOf(spec: SavedSpec): { path: string; params: Record<string, string | string[]> } {
  if (!("page" in spec)) return { path: "/explore", params: { q: spec.queries } };
  const { query, columns, from, to } = spec;
  return {
    path: "/logs",
    params: {
      ...(query === "" ? {} : { q: query }),
      ...(columns ? { col: columns.length === 0 ? [""] : columns } : {}),
      ...(from !== undefined && to !== undefined ? { from, to } : {}),
    },
  };
}

/** Why `name` cannot be given to a view of this page: it is another's. Empty when it can. */
export function nameTaken(objects: readonly Kept[], name: string, spec: SavedSpec): string {
  const known = objects.find((object) => object.name === name);
  if (!known) return "";
  if (known.file) return `“${name}” belongs to the file ${known.file}; choose another name`;
  const read = readSaved(known);
  if (read && pageOf(read.spec) === pageOf(spec)) return "";
  const whose = read ? { explore: "a metrics query", logs: "a log search" }[pageOf(read.spec)] : "something else";
  return `“${name}” is the name of ${whose}; choose another`;
}
