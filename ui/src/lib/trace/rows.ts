/** Which rows of a trace are seen: collapsing, the window of a scrolled list, moving by keyboard, finding. */
import { formatNs } from "./instant";
import type { TraceModel } from "./model";

/** Rows that are seen, in order: none below a collapsed one. */
export function visibleRows(model: TraceModel, collapsed: ReadonlySet<number>): Int32Array {
  const seen = new Int32Array(model.rows);
  let count = 0;
  for (let row = 0; row < model.rows; ) {
    seen[count] = row;
    count += 1;
    row = collapsed.has(row) ? (model.end[row] as number) : row + 1;
  }
  return seen.subarray(0, count);
}

/** Place of `row` among the seen rows, or of the nearest seen one above it; -1 in an empty list. */
export function placeOf(seen: Int32Array, row: number): number {
  let [low, high] = [0, seen.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((seen[middle] as number) <= row) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** First and one past the last entry of a list to draw, some more than are seen on either side. */
export function windowOf(scrollTop: number, height: number, rowHeight: number, count: number, spare = 6): [number, number] {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - spare);
  return [Math.min(first, count), Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + spare)];
}

/**
 * The entries from `first` to `last` dealt to slots, each always to the same one, so that what is drawn for an entry
 * stays where it is while the list is scrolled. Slots without an entry hold -1.
 */
export function slotsOf(first: number, last: number, slots: number): number[] {
  const dealt = new Array<number>(slots).fill(-1);
  for (let entry = first; entry < last; entry += 1) dealt[entry % slots] = entry;
  return dealt;
}

/** Rows at or below `depth` that have children: what to collapse so that only so many levels are open. */
export function atDepth(model: TraceModel, depth: number): Set<number> {
  const rows = new Set<number>();
  for (let row = 0; row < model.rows; row += 1) {
    if ((model.children[row] as number) > 0 && (model.depth[row] as number) >= depth) rows.add(row);
  }
  return rows;
}

/** `collapsed` without the ancestors of `row`; the same set when none was collapsed. */
export function revealed(model: TraceModel, collapsed: ReadonlySet<number>, row: number): ReadonlySet<number> {
  let next: Set<number> | null = null;
  for (let at = model.parent[row] ?? -1; at >= 0; at = model.parent[at] as number) {
    if (!collapsed.has(at)) continue;
    next ??= new Set(collapsed);
    next.delete(at);
  }
  return next ?? collapsed;
}

/** Rows from a root to `row`. */
export function pathTo(model: TraceModel, row: number): number[] {
  const path: number[] = [];
  for (let at = row; at >= 0; at = model.parent[at] as number) path.unshift(at);
  return path;
}

/** What a search looks through, in lower case. */
export function haystacks(model: TraceModel): string[] {
  return model.spans.map((span, row) => {
    if (!span) return `missing ${model.ids[row]}`;
    const attributes = Object.entries(span.attributes ?? {}).map(([key, value]) => `${key}=${String(value)}`);
    return [span.name, span.service, span.span_id, span.status_message ?? "", span.kind ?? "", ...attributes].join("\n").toLowerCase();
  });
}

/** Rows that hold every word of `typed`; `error` and `critical` also name the marked rows. */
export function find(model: TraceModel, hay: readonly string[], typed: string): Int32Array {
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return new Int32Array(0);
  const found: number[] = [];
  for (let row = 0; row < model.rows; row += 1) {
    const text = hay[row] ?? "";
    const marked = (word: string) =>
      (word === "error" && model.error[row] === 1) || (word === "critical" && (model.critical[row] as number) > 0);
    if (words.every((word) => text.includes(word) || marked(word))) found.push(row);
  }
  return Int32Array.from(found);
}

/** The next entry of `rows` after `from` (before it with `step` -1), around the end; -1 when there is none. */
export function nextOf(rows: Int32Array, from: number, step: 1 | -1): number {
  if (rows.length === 0) return -1;
  const at = placeOf(rows, step === 1 ? from : from - 1);
  const next = step === 1 ? at + 1 : at;
  return rows[(next + rows.length) % rows.length] as number;
}

/** A row as a screen reader says it. */
export function spoken(model: TraceModel, row: number, logs: number): string {
  const span = model.spans[row];
  if (!span) return `Parent span ${model.ids[row]} was not received`;
  return [
    `${span.service} ${span.name}`,
    model.error[row] === 1 ? "error" : "",
    formatNs(model.duration[row] as number),
    (model.critical[row] as number) > 0 ? "on the critical path" : "",
    logs > 0 ? `${logs} ${logs === 1 ? "log" : "logs"}` : "",
  ].filter((part) => part !== "").join(", ");
}

export interface OperationStats {
  service: string;
  name: string;
  count: number;
  errors: number;
  selfNs: number;
  totalNs: number;
  maxNs: number;
  criticalNs: number;
  /** Row of the slowest. */
  row: number;
}

/** Sums by service and operation (or by service alone), the most self time first. */
export function operations(model: TraceModel, byService = false): OperationStats[] {
  const sums = new Map<string, OperationStats>();
  for (let row = 0; row < model.rows; row += 1) {
    const span = model.spans[row];
    if (!span) continue;
    const key = byService ? span.service : `${span.service}\n${span.name}`;
    let sum = sums.get(key);
    if (!sum) {
      sum = { service: span.service, name: byService ? "" : span.name, count: 0, errors: 0, selfNs: 0, totalNs: 0, maxNs: -1, criticalNs: 0, row };
      sums.set(key, sum);
    }
    const duration = model.duration[row] as number;
    sum.count += 1;
    sum.errors += model.error[row] as number;
    sum.selfNs += model.self[row] as number;
    sum.criticalNs += model.critical[row] as number;
    sum.totalNs += duration;
    if (duration > sum.maxNs) [sum.maxNs, sum.row] = [duration, row];
  }
  return [...sums.values()].sort((a, b) => b.selfNs - a.selfNs || b.totalNs - a.totalNs);
}
