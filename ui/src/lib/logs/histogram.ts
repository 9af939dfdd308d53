/** Counts over time as stacked bars. */
import type { HistogramAnswer } from "../api/logs";

export const LEVEL_ORDER = ["none", "trace", "debug", "info", "warn", "error", "fatal"];

/** Custom property with the colour of a level; the same on every page. */
export const LEVEL_COLOR: Record<string, string> = {
  none: "--s-rest",
  trace: "--s-rest",
  debug: "--s-rest",
  info: "--s11",
  warn: "--warn",
  error: "--bad",
  fatal: "--s4",
};

export interface Bar {
  /** Epoch milliseconds. */
  from: number;
  to: number;
  total: number;
  /** Bottom to top; empty ones left out. */
  parts: { series: number; from: number; to: number; count: number }[];
}

export interface Bars {
  names: string[];
  totals: number[];
  bars: Bar[];
  /** Largest sum of a bar, at least 1. */
  max: number;
}

/** Series in a fixed order: levels by severity, others by size. */
export function barsOf(answer: Omit<HistogramAnswer, "cost">, byLevel: boolean): Bars {
  const start = typeof answer.start === "number" ? answer.start : Date.parse(answer.start);
  const sum = (counts: number[]) => counts.reduce((a, b) => a + b, 0);
  const series = answer.series.map((one) => ({ ...one, name: one.name === "" ? "none" : one.name, total: sum(one.counts) }));
  if (byLevel) series.sort((a, b) => LEVEL_ORDER.indexOf(a.name) - LEVEL_ORDER.indexOf(b.name));
  else series.sort((a, b) => b.total - a.total);
  let max = 1;
  const bars = Array.from({ length: answer.buckets }, (_, i): Bar => {
    let total = 0;
    const parts: Bar["parts"] = [];
    series.forEach((one, s) => {
      const count = one.counts[i] ?? 0;
      if (count === 0) return;
      parts.push({ series: s, from: total, to: total + count, count });
      total += count;
    });
    max = Math.max(max, total);
    return { from: start + i * answer.step_ms, to: start + (i + 1) * answer.step_ms, total, parts };
  });
  return { names: series.map((one) => one.name), totals: series.map((one) => one.total), bars, max };
}

/** A round number at or above `max`, for the top of the axis. */
export function niceTop(max: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(max, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= max) ?? max;
}

/** The stretch between two bars, in either order, cut to the range. */
export function stretch(bars: readonly Bar[], a: number, b: number, range: { from: number; to: number }) {
  const [first, last] = [bars[Math.min(a, b)], bars[Math.max(a, b)]];
  if (!first || !last) return null;
  return { from: Math.max(first.from, range.from), to: Math.min(last.to, range.to) };
}
