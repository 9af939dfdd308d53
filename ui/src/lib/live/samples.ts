/** The latest raw samples of live series, and rates of counters between two consecutive ones. */
import { seriesName, type Labels } from "../api/prometheus";

/** One raw series as last seen. `rate` is per second, null until two samples are known. */
export interface LiveSeries {
  name: string;
  labels: Labels;
  t: number;
  value: number;
  rate: number | null;
}

/**
 * Per-second rate between two samples of a counter. After a reset the counter counts from zero, so the new value
 * is the increase. Null when time did not pass.
 */
export function counterRate(before: { t: number; value: number }, after: { t: number; value: number }): number | null {
  const seconds = (after.t - before.t) / 1000;
  if (seconds <= 0 || !Number.isFinite(after.value) || !Number.isFinite(before.value)) return null;
  const increase = after.value >= before.value ? after.value - before.value : after.value;
  return increase / seconds;
}

/**
 * The usual time between the samples of a series: the median distance of `times`, in milliseconds; `fallback` for fewer
 * than two.
 */
export function spacing(times: readonly number[], fallback: number): number {
  const distances = times.slice(1).map((t, i) => t - (times[i] ?? t)).filter((d) => d > 0).sort((a, b) => a - b);
  return distances[distances.length >> 1] ?? fallback;
}

/** Holds what the live page computes from. Bounded by `limit` series; beyond it new ones are ignored. */
export class LiveSamples {
  private readonly series = new Map<string, LiveSeries>();
  private newest = 0;
  /** Series not heard of for this long are gone: a process that ended, a disk that was removed. */
  staleMs = 35_000;

  constructor(private readonly limit = 20_000) {}

  /** Takes one sample. Samples that are not newer than the last are ignored, so replays are harmless. */
  observe(labels: Labels, t: number, value: number): void {
    const key = seriesName(labels);
    const known = this.series.get(key);
    if (!known) {
      if (this.series.size >= this.limit) return;
      this.series.set(key, { name: labels.__name__ ?? "", labels, t, value, rate: null });
    } else if (t > known.t) {
      known.rate = counterRate(known, { t, value });
      known.t = t;
      known.value = value;
    }
    if (t > this.newest) this.newest = t;
  }

  /** Time of the newest sample, 0 when there is none. */
  get time(): number {
    return this.newest;
  }

  /** Current series of a metric; stale ones are left out. */
  of(name: string): LiveSeries[] {
    const out: LiveSeries[] = [];
    for (const series of this.series.values()) {
      if (series.name === name && this.newest - series.t <= this.staleMs) out.push(series);
    }
    return out;
  }

  /** The sum of the current values of a metric, null when it has none. */
  sum(name: string): number | null {
    const all = this.of(name);
    return all.length === 0 ? null : all.reduce((total, s) => total + s.value, 0);
  }

  /** Sums of rates (or values) grouped by a label; groups without a known rate are left out. */
  sumBy(name: string, label: string, pick: "rate" | "value" = "rate"): Map<string, number> {
    const groups = new Map<string, number>();
    for (const series of this.of(name)) {
      const amount = series[pick];
      if (amount === null) continue;
      const group = series.labels[label] ?? "";
      groups.set(group, (groups.get(group) ?? 0) + amount);
    }
    return groups;
  }

  clear(): void {
    this.series.clear();
    this.newest = 0;
  }
}
