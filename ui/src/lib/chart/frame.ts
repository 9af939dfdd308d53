/** Series on one time axis: what a chart draws. Times are epoch milliseconds; null is a gap. */
import { numberOf, seriesName, type Labels, type MatrixItem } from "../api/prometheus";

export type Value = number | null;

export interface Series {
  /** Unique in its frame. */
  key: string;
  /** What the legend reads. */
  name: string;
  labels: Labels;
  values: Value[];
  /** Letter of the query it came from, in views with several. */
  query?: string;
}

export interface Frame {
  times: number[];
  series: Series[];
}

export const EMPTY_FRAME: Frame = { times: [], series: [] };

/** The evaluation times of a range query: `from`, `from + step`, … up to `to`. */
export function grid(from: number, to: number, stepMs: number): number[] {
  const times: number[] = [];
  for (let t = from; t <= to; t += stepMs) times.push(t);
  return times;
}

/**
 * Puts a range answer on its grid. Prometheus leaves absent points out; here they are null, so that a gap is
 * drawn as one. `nameOf` labels a series; native histograms count as their mean.
 */
export function frameOf(
  items: readonly MatrixItem[],
  range: { from: number; to: number; stepMs: number },
  nameOf: (labels: Labels) => string = seriesName,
  keyPrefix = "",
): Frame {
  const times = grid(range.from, range.to, range.stepMs);
  const series = items.map((item): Series => {
    const values: Value[] = new Array<Value>(times.length).fill(null);
    const place = (seconds: number, value: number) => {
      const index = Math.round((seconds * 1000 - range.from) / range.stepMs);
      // NaN cannot be drawn; it is a gap to the eye and stays NaN in the table.
      if (index >= 0 && index < values.length && Number.isFinite(value)) values[index] = value;
    };
    for (const [seconds, text] of item.values ?? []) place(seconds, numberOf(text));
    for (const [seconds, h] of item.histograms ?? []) place(seconds, numberOf(h.sum) / numberOf(h.count));
    return { key: keyPrefix + seriesName(item.metric), name: nameOf(item.metric), labels: item.metric, values };
  });
  return { times, series };
}

/** Several frames on the union of their times. */
export function mergeFrames(frames: readonly Frame[]): Frame {
  const filled = frames.filter((frame) => frame.series.length > 0);
  if (filled.length <= 1) return filled[0] ?? EMPTY_FRAME;
  const first = filled[0]?.times ?? [];
  const same = filled.every((f) => f.times.length === first.length && f.times[0] === first[0] && f.times.at(-1) === first.at(-1));
  if (same) return { times: first, series: filled.flatMap((frame) => frame.series) };
  const times = [...new Set(filled.flatMap((frame) => frame.times))].sort((a, b) => a - b);
  const index = new Map(times.map((t, i) => [t, i]));
  const series = filled.flatMap((frame) =>
    frame.series.map((s): Series => {
      const values: Value[] = new Array<Value>(times.length).fill(null);
      frame.times.forEach((t, i) => (values[index.get(t) ?? 0] = s.values[i] ?? null));
      return { ...s, values };
    }),
  );
  return { times, series };
}

/**
 * A new frame with one live point at `t`. Series are matched by name; a new name starts a series. A silence of more
 * than `gapMs` becomes a gap, a repeated time replaces the point, and points before `keepFrom` go.
 */
export function appendPoint(
  frame: Frame,
  t: number,
  values: ReadonlyMap<string, number>,
  gapMs: number,
  keepFrom: number,
): Frame {
  const lastTime = frame.times.at(-1);
  if (lastTime !== undefined && t < lastTime) return frame;
  const replaces = lastTime === t;
  const times = replaces ? frame.times.slice(0, -1) : frame.times.slice();
  const gap = !replaces && lastTime !== undefined && t - lastTime > gapMs;
  if (gap) times.push(lastTime + 1);
  times.push(t);
  let drop = 0;
  // One point left of the edge stays, so that the line enters the picture from outside.
  while (drop + 1 < times.length && (times[drop + 1] ?? 0) < keepFrom) drop += 1;
  const extend = (before: readonly Value[], value: Value): Value[] => {
    const out = replaces ? before.slice(0, -1) : before.slice();
    if (gap) out.push(null);
    out.push(value);
    return out.slice(drop);
  };
  const names = new Set(frame.series.map((s) => s.name));
  const series = frame.series.map((s): Series => ({ ...s, values: extend(s.values, values.get(s.name) ?? null) }));
  for (const [name, value] of values) {
    if (names.has(name)) continue;
    const blank = new Array<Value>(frame.times.length).fill(null);
    series.push({ key: name, name, labels: {}, values: extend(blank, value) });
  }
  return { times: times.slice(drop), series };
}

/** The last value that is there. */
export function lastValue(values: readonly Value[]): Value {
  for (let i = values.length - 1; i >= 0; i -= 1) {
    const value = values[i];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Smallest, largest and mean of the values that are there. */
export function summary(values: readonly Value[]): { min: Value; max: Value; mean: Value } {
  let [min, max, sum, count] = [Infinity, -Infinity, 0, 0];
  for (const value of values) {
    if (value === null) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    count += 1;
  }
  return count === 0 ? { min: null, max: null, mean: null } : { min, max, mean: sum / count };
}
