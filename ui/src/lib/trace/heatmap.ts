/** A latency heatmap: time across, duration upwards on a logarithmic scale. */
import type { Heatmap } from "../api/traces";
import { msOf } from "./instant";

export interface Cells {
  columns: number;
  rows: number;
  startMs: number;
  stepMs: number;
  /** Bounds of the rows in nanoseconds, one more than rows, rising. */
  edges: number[];
  /** Spans by cell, column after column, the shortest durations first. */
  counts: Float64Array;
  errors: Float64Array;
  most: number;
  total: number;
}

/** Reads the server's answer, whose outer lists are columns. */
export function cellsOf(answer: Omit<Heatmap, "cost">): Cells {
  const rows = Math.max(0, answer.edges_ns.length - 1);
  const columns = answer.buckets;
  const counts = new Float64Array(columns * rows);
  const errors = new Float64Array(columns * rows);
  let [most, total] = [0, 0];
  for (let x = 0; x < columns; x += 1) {
    for (let y = 0; y < rows; y += 1) {
      const count = answer.counts[x]?.[y] ?? 0;
      counts[x * rows + y] = count;
      errors[x * rows + y] = answer.errors[x]?.[y] ?? 0;
      most = Math.max(most, count);
      total += count;
    }
  }
  return { columns, rows, startMs: msOf(answer.start), stepMs: answer.step_ms, edges: answer.edges_ns, counts, errors, most, total };
}

/** How dark a cell is, 0 to 1: one span must be seen beside ten thousand. */
export const shade = (count: number, most: number): number => (count <= 0 ? 0 : 0.18 + 0.82 * (Math.log1p(count) / Math.log1p(Math.max(most, 1))));

export interface Box {
  from: number;
  to: number;
  /** Nanoseconds; null where the box reaches the end of the scale. */
  min: number | null;
  max: number | null;
}

/**
 * What a rectangle selects, given by fractions of the picture (0, 0 is bottom left). It grows to whole cells; null when
 * it is too small to be meant.
 */
export function boxOf(cells: Cells, x0: number, y0: number, x1: number, y1: number): Box | null {
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
  const [low, high] = [Math.min(y0, y1), Math.max(y0, y1)];
  if (right - left < 0.004 && high - low < 0.02) return null;
  const clamp = (value: number, most: number) => Math.min(Math.max(value, 0), most);
  const firstColumn = clamp(Math.floor(left * cells.columns), cells.columns - 1);
  const lastColumn = clamp(Math.ceil(right * cells.columns), cells.columns);
  const firstRow = clamp(Math.floor(low * cells.rows), cells.rows - 1);
  const lastRow = clamp(Math.ceil(high * cells.rows), cells.rows);
  return {
    from: cells.startMs + firstColumn * cells.stepMs,
    to: cells.startMs + Math.max(lastColumn, firstColumn + 1) * cells.stepMs,
    min: firstRow === 0 ? null : (cells.edges[firstRow] ?? null),
    max: lastRow >= cells.rows ? null : (cells.edges[Math.max(lastRow, firstRow + 1)] ?? null),
  };
}

/** Places of round durations on the scale: 1 ms, 10 ms, 100 ms, as fractions from the bottom. */
export function decades(edges: readonly number[]): { ns: number; at: number }[] {
  const marks: { ns: number; at: number }[] = [];
  const last = edges.length - 1;
  for (let ns = 1e3; ns <= 1e13; ns *= 10) {
    const row = edges.findIndex((edge) => edge >= ns * 0.999999);
    if (row < 0 || ns < (edges[0] ?? 0) * 0.999999) continue;
    const [below, above] = [edges[row - 1], edges[row] ?? ns];
    const part = below === undefined || below <= 0 || above <= below ? 0 : (Math.log(ns) - Math.log(below)) / (Math.log(above) - Math.log(below)) - 1;
    marks.push({ ns, at: (row + part) / last });
  }
  return marks;
}
