/** Fewer points, same picture: what lies between two pixels cannot be seen, its extremes can. */
import type { Value } from "./frame";

/**
 * Indices worth drawing when `length` points share `buckets` pixels: of every bucket the first and the last point
 * and, for each series, its smallest and largest one. A gap keeps one null, so it stays a gap.
 * Returns null when there is nothing to gain.
 */
export function decimate(columns: readonly (readonly Value[])[], length: number, buckets: number): number[] | null {
  if (buckets <= 0 || length <= buckets * 4) return null;
  const kept: number[] = [];
  const size = length / buckets;
  const picks = new Set<number>();
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const start = Math.floor(bucket * size);
    const end = Math.min(Math.floor((bucket + 1) * size), length);
    if (start >= end) continue;
    picks.clear();
    picks.add(start);
    picks.add(end - 1);
    for (const column of columns) pickExtremes(column, start, end, picks);
    kept.push(...[...picks].sort((a, b) => a - b));
  }
  return kept.length < length ? kept : null;
}

function pickExtremes(column: readonly Value[], start: number, end: number, picks: Set<number>): void {
  let [lowest, highest, gap] = [-1, -1, -1];
  let [low, high] = [Infinity, -Infinity];
  for (let i = start; i < end; i += 1) {
    const value = column[i];
    if (value === null || value === undefined) {
      if (gap < 0) gap = i;
      continue;
    }
    if (value < low) {
      low = value;
      lowest = i;
    }
    if (value > high) {
      high = value;
      highest = i;
    }
  }
  if (lowest >= 0) picks.add(lowest);
  if (highest >= 0) picks.add(highest);
  if (gap >= 0) picks.add(gap);
}
