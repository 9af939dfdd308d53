/** The picture of what a rule asks: answers as lines, its limits across them. */
import { fetchHistogram } from "../api/logs";
import { queryRange } from "../api/prometheus";
import { request } from "../api/client";
import { runSql } from "../api/sql";
import type { BacktestOutcome, Severity } from "../api/alerts";
import { EMPTY_FRAME, frameOf, type Frame } from "../chart/frame";
import type { Band, Rule } from "../chart/marks";
import { formatValue, type Unit } from "../format";
import type { Schemas } from "../api/types";
import { niceStep } from "../time/duration";
import type { RangeMs } from "../time/range";
import { beyond, type Question } from "./expression";

/** Lines that are drawn; a rule with more is better grouped. */
export const DRAWN_MAX = 60;
const POINTS = 360;
const BUCKETS_MAX = 240;

export interface Picture {
  question: Question;
  frame: Frame;
  range: RangeMs;
  /** Lines that were left out. */
  left: number;
  /** Rows of a statement now, with their figures. */
  rows: { labels: string; value: number | null }[];
  /** Said where there is no picture. */
  note: string;
}

const LIMIT_COLORS: Record<Severity, string> = { critical: "--bad", error: "--bad", warning: "--warn", info: "--s11" };

export function rulesOf(question: Question, own: Severity, unit: Unit = "short"): Rule[] {
  return question.limits.map(({ value, severity, recover }) => ({
    value,
    color: recover ? "--ok" : LIMIT_COLORS[severity ?? own],
    label: recover ? `ends at ${formatValue(value, unit)}` : `${severity ?? own} ${question.operator} ${formatValue(value, unit)}`,
    ...(recover && { faint: true }),
  }));
}

/** Stretches in which the rule would have fired. */
export function bandsOf(outcome: BacktestOutcome | null): Band[] {
  return (outcome?.firings ?? []).map((firing) => ({
    from: Date.parse(firing.firedAt),
    to: firing.resolvedAt ? Date.parse(firing.resolvedAt) : Date.parse(outcome?.end ?? firing.firedAt),
    color: LIMIT_COLORS[firing.severity],
  }));
}

/** Stretches one after the other without overlap: many alerts at once shade no darker than one. */
export function mergedBands(bands: readonly Band[]): Band[] {
  const out: Band[] = [];
  for (const band of bands.toSorted((a, b) => a.from - b.from)) {
    const last = out.at(-1);
    if (last && last.color === band.color && band.from <= last.to) last.to = Math.max(last.to, band.to);
    else out.push({ ...band });
  }
  return out;
}

/** Asks what the question asks over a range. */
export async function draw(question: Question, range: RangeMs, signal: AbortSignal): Promise<Picture> {
  const base: Picture = { question, frame: EMPTY_FRAME, range, left: 0, rows: [], note: "" };
  if (question.language === "promql") {
    const stepMs = niceStep(range.to - range.from, POINTS);
    const aligned = { from: Math.floor(range.from / stepMs) * stepMs, to: Math.floor(range.to / stepMs) * stepMs, stepMs };
    const { data } = await queryRange(question.text, aligned, signal);
    if (data.resultType !== "matrix") return { ...base, note: "It answers no series." };
    const all = data.result;
    return { ...base, frame: frameOf(all.slice(0, DRAWN_MAX), aligned), left: Math.max(0, all.length - DRAWN_MAX) };
  }
  if (question.language === "sql") {
    const to = range.to;
    const answer = await runSql(question.text, { from: to - question.windowMs, to }, signal);
    const at = answer.columns.indexOf("value");
    if (at < 0) return { ...base, note: "It has no column “value”, which holds the figure." };
    const rows = answer.rows.slice(0, DRAWN_MAX).map((row) => {
      const labels = answer.columns.flatMap((name, i) => (i !== at && typeof row[i] === "string" ? [`${name}=${String(row[i])}`] : []));
      const cell = row[at];
      return { labels: labels.join(" "), value: typeof cell === "number" ? cell : null };
    });
    return { ...base, rows, left: Math.max(0, answer.rows.length - DRAWN_MAX) };
  }
  const paths: Record<string, string> = { traces: "spans", events: "events", logs: "logs" };
  const path = paths[question.signal];
  if (!question.counts || !path) return { ...base, note: "There is no picture of this; the backtest evaluates it." };
  return { ...base, ...(await counted(question, path, range, signal)) };
}

/** Counts of records for each window of a search. */
async function counted(question: Question, path: string, range: RangeMs, signal: AbortSignal): Promise<Pick<Picture, "frame">> {
  const buckets = Math.max(1, Math.min(BUCKETS_MAX, Math.round((range.to - range.from) / question.windowMs)));
  const by = question.groupBy[0] ?? "";
  const answer =
    path === "logs"
      ? await fetchHistogram(question.text, range, buckets, by, signal)
      : await request<Schemas["RowHistogram"]>(
          `/api/v1/monitoring/${path}/histogram?${new URLSearchParams({ query: question.text, start: String(Math.round(range.from)), end: String(Math.round(range.to)), buckets: String(buckets), ...(by && { by }) })}`,
          { signal },
        );
  const start = typeof answer.start === "number" ? answer.start : Date.parse(answer.start);
  const times = Array.from({ length: answer.buckets }, (_, i) => start + (i + 1) * answer.step_ms);
  // Counts of a bucket as counts of a window, where the range made buckets longer.
  const scale = question.windowMs / answer.step_ms;
  const series = answer.series.slice(0, DRAWN_MAX).map((one) => ({ key: one.name, name: one.name || "records", labels: {}, values: one.counts.map((count) => count * scale) }));
  const sum = times.map((_, i) => series.reduce((total, one) => total + (one.values[i] ?? 0), 0));
  return { frame: { times, series: by !== "" ? series : [{ key: "records", name: "records", labels: {}, values: sum }] } };
}

/** Whether a figure is beyond any of the limits. */
export const isBreach = (value: number | null, question: Question): boolean =>
  value !== null && question.limits.some((limit) => !limit.recover && beyond(value, question.operator, limit.value));

/** What a backtest found, in words: `would have fired 3 times over the last day`. */
export function backtestText(outcome: Pick<BacktestOutcome, "total">, hours: number): string {
  const times = outcome.total === 0 ? "would not have fired" : outcome.total === 1 ? "would have fired once" : outcome.total === 2 ? "would have fired twice" : `would have fired ${outcome.total.toLocaleString("en")} times`;
  return `${times} over ${lastText(hours)}`;
}

export function lastText(hours: number): string {
  if (hours === 1) return "the last hour";
  if (hours % 24 !== 0) return `the last ${hours} hours`;
  return hours === 24 ? "the last day" : `the last ${hours / 24} days`;
}
