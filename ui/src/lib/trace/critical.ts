/**
 * The critical path: what the trace waited for, instant by instant. From the end backwards, the time belongs to the
 * child that ended last, and to the span itself where no child was running.
 */
import type { TraceModel } from "./model";

/** Stretches of the path: `row[i]` is waited for from `from[i]` to `to[i]`, nanoseconds after the start. */
export interface CriticalPath {
  row: number[];
  from: number[];
  to: number[];
}

/** Rows below a row; above all roots stands row -1. A parent that is missing is no step: what it called is below. */
function childrenOf(model: TraceModel, row: number): number[] {
  const children: number[] = [];
  const [first, last] = row < 0 ? [0, model.rows] : [row + 1, model.end[row] as number];
  for (let child = first; child < last; child = model.spans[child] ? (model.end[child] as number) : child + 1) {
    if (model.spans[child]) children.push(child);
  }
  return children;
}

interface Part {
  row: number;
  from: number;
  to: number;
}

/** The parts of a row's children that lie between two times, the one that ended last first. */
function inside(model: TraceModel, row: number, from: number, to: number): Part[] {
  const parts: Part[] = [];
  for (const child of childrenOf(model, row)) {
    const start = model.start[child] as number;
    const part = { row: child, from: Math.max(start, from), to: Math.min(start + (model.duration[child] as number), to) };
    if (part.from < part.to) parts.push(part);
  }
  return parts.sort((a, b) => b.to - a.to || b.from - a.from);
}

/** Finds the path and writes each row's share into `model.critical`. The server counts its `critical_ns` the same way. */
export function criticalPath(model: TraceModel): CriticalPath {
  const path: CriticalPath = { row: [], from: [], to: [] };
  const add = (row: number, from: number, to: number) => {
    if (to <= from || row < 0) return;
    path.row.push(row);
    path.from.push(from);
    path.to.push(to);
    model.critical[row] = (model.critical[row] as number) + (to - from);
  };
  model.critical.fill(0);
  const waiting: Part[] = [{ row: -1, from: 0, to: model.durationNs }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    let cursor = next.to;
    for (const part of inside(model, next.row, next.from, next.to)) {
      // What ended after the cursor ran beside the one taken before, and cost nothing.
      if (part.to > cursor) continue;
      add(next.row, part.to, cursor);
      waiting.push(part);
      cursor = part.from;
    }
    add(next.row, next.from, cursor);
  }
  return path;
}

/** Stretches of each row, by time. */
export function stretchesOf(path: CriticalPath): Map<number, [number, number][]> {
  const byRow = new Map<number, [number, number][]>();
  path.row.forEach((row, i) => {
    const list = byRow.get(row) ?? [];
    list.push([path.from[i] as number, path.to[i] as number]);
    byRow.set(row, list);
  });
  for (const list of byRow.values()) list.sort((a, b) => a[0] - b[0]);
  return byRow;
}

/** What of the stretches is seen between two times, those joined that are less than `least` apart. */
export function joined(stretches: readonly [number, number][], from: number, to: number, least: number): [number, number][] {
  const seen: [number, number][] = [];
  for (const [start, end] of stretches) {
    if (end < from) continue;
    if (start > to) break;
    const last = seen.at(-1);
    if (last && start - last[1] < least) last[1] = Math.max(last[1], end);
    else seen.push([start, end]);
  }
  return seen;
}
