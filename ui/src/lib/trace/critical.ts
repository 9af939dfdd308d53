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

function childrenOf(model: TraceModel, row: number): number[] {
  const children: number[] = [];
  const [first, last] = row < 0 ? [0, model.rows] : [row + 1, model.end[row] as number];
  for (let child = first; child < last; child = model.end[child] as number) children.push(child);
  return children;
}

/** Finds the path and writes each row's share into `model.critical`. */
export function criticalPath(model: TraceModel): CriticalPath {
  const path: CriticalPath = { row: [], from: [], to: [] };
  const endOf = (row: number) => (model.start[row] as number) + (model.duration[row] as number);
  const add = (row: number, from: number, to: number) => {
    if (to <= from || row < 0 || !model.spans[row]) return;
    path.row.push(row);
    path.from.push(from);
    path.to.push(to);
    model.critical[row] = (model.critical[row] as number) + (to - from);
  };
  model.critical.fill(0);
  // Row -1 stands above all roots.
  const waiting: [row: number, until: number][] = [[-1, model.durationNs]];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [row, until] = next;
    const begin = row < 0 ? 0 : (model.start[row] as number);
    let cursor = until;
    const children = childrenOf(model, row).sort((a, b) => endOf(b) - endOf(a) || a - b);
    for (const child of children) {
      const start = model.start[child] as number;
      // What ends after the cursor ran beside the child taken before; only the span's own end cuts a child short.
      const late = endOf(child) > cursor;
      if (start >= cursor || (late && cursor < until)) continue;
      const end = Math.min(endOf(child), cursor);
      add(row, end, cursor);
      waiting.push([child, end]);
      cursor = Math.max(start, begin);
      if (cursor <= begin) break;
    }
    add(row, begin, cursor);
  }
  return path;
}
