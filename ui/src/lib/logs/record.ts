/** Reading log records: values of fields, times, what belongs beside them. */
import type { LogRow } from "../api/logs";
import type { FilterValue } from "../search/edit";

const two = (n: number) => String(n).padStart(2, "0");

/** Epoch milliseconds of an RFC 3339 time; digits below are in the text only. */
export const msOf = (timestamp: string): number => Date.parse(timestamp.replace(/(\.\d{3})\d+/, "$1"));

/** `10-31 17:04:05.123` in the reader's zone. */
export function rowTime(timestamp: string): string {
  const ms = msOf(timestamp);
  const d = new Date(ms);
  if (Number.isNaN(ms)) return timestamp;
  const clock = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
  return `${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock}`;
}

/** A field's value as search and SQL would give it; undefined when the record has none. */
export function valueOf(row: LogRow, name: string): unknown {
  switch (name) {
    case "service":
      return row.service ?? row.attributes["service.name"] ?? row.resource["service.name"];
    case "level":
    case "severity":
      return row.level ?? undefined;
    case "body":
    case "message":
    case "msg":
      return row.body ?? undefined;
    case "trace":
      return row.trace_id ?? undefined;
    case "span":
      return row.span_id ?? undefined;
    case "id":
    case "timestamp":
    case "observed_timestamp":
    case "severity_number":
    case "severity_text":
    case "trace_id":
    case "span_id":
      return row[name] ?? undefined;
    default:
      if (name.startsWith("resource.")) return row.resource[name.slice(9)];
      if (name.startsWith("attributes.")) return row.attributes[name.slice(11)];
      return row.attributes[name] ?? row.resource[name];
  }
}

/** Names that a search of logs takes for columns and levels, whatever attributes there are. */
const RESERVED = new Set(
  "level severity service body message msg trace span time timestamp observed_timestamp severity_number severity_text trace_id span_id".split(" "),
);

/** What a search calls an attribute; one that is named like a column says where it belongs. */
export function searchName(key: string, scope: "attribute" | "resource", shadowed = false): string {
  const needs = RESERVED.has(key) || shadowed || /^(?:attributes|attr|resource)\./.test(key);
  return needs ? `${scope === "resource" ? "resource" : "attributes"}.${key}` : key;
}

/** A value as one line of text. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What a filter can ask for: lists and objects only by their JSON text. */
export function filterable(value: unknown): FilterValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : textOf(value);
}

/** A message laid out for reading: JSON indented, all else as it is. */
export function prettyBody(body: string): string {
  if (!/^\s*[[{]/.test(body)) return body;
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

const LEVELS = new Set(["trace", "debug", "info", "warn", "error", "fatal"]);

/** One of the six levels, or `none` where the sender gave none. */
export function levelOf(level: string | null | undefined): string {
  const low = (level ?? "").toLowerCase();
  return LEVELS.has(low) ? low : "none";
}

/** A cell of a CSV file: quoted where it must be. */
export function csvCell(value: unknown): string {
  const text = textOf(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvLine = (cells: readonly unknown[]): string => `${cells.map(csvCell).join(",")}\r\n`;
