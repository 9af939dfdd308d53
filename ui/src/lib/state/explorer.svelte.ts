/** The explorer's data: what the address asks for, fetched; drafts that were not run yet. */
import { ApiError, isAbort, messageOf } from "../api/client";
import { exemplars, queryInstant, queryRange, seriesName, type QueryData, type QueryStats } from "../api/prometheus";
import { frameOf, type Frame } from "../chart/frame";
import type { Dot } from "../chart/options";
import { numberOf } from "../api/prometheus";
import { readFault, type QueryFault } from "../promql/errors";
import { expandVariables } from "../promql/variables";
import { niceStep, parseDuration } from "../time/duration";
import type { RangeMs } from "../time/range";
import { letter } from "./explore";

/** The answer to one query. Only one of `frame` and `instant` is set, by the tab that asked. */
export interface QueryResult {
  frame: Frame | null;
  instant: QueryData | null;
  warnings: string[];
  infos: string[];
  elapsedMs: number;
  stats: QueryStats | null;
  fault: QueryFault | null;
  dots: Dot[];
}

/** Points across the picture when the step is automatic. */
const AUTO_POINTS = 600;
/** Prometheus refuses more than 11,000 points per series; a wished step finer than that is widened. */
const POINTS_MAX = 11_000;

/** The step for a range: the wished one where it is possible, else a round one. */
export function stepFor(range: RangeMs, wished: string): number {
  const length = range.to - range.from;
  const asked = parseDuration(wished);
  if (asked === null || asked <= 0) return niceStep(length, AUTO_POINTS);
  return length / asked <= POINTS_MAX ? asked : niceStep(length, POINTS_MAX);
}

const blank = (): QueryResult => ({
  frame: null,
  instant: null,
  warnings: [],
  infos: [],
  elapsedMs: 0,
  stats: null,
  fault: null,
  dots: [],
});

export interface Wish {
  queries: readonly { expr: string; enabled: boolean }[];
  tab: "graph" | "table";
  step: string;
}

export class Explorer {
  /** By position of the query; undefined where nothing was asked. */
  results = $state.raw<(QueryResult | undefined)[]>([]);
  range = $state.raw<RangeMs>({ from: 0, to: 0 });
  stepMs = $state(1000);
  loading = $state(false);
  private abort: AbortController | null = null;

  /** Fetches all enabled queries; an earlier fetch still running is dropped. */
  async run(wish: Wish, wanted: RangeMs): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.loading = true;
    const stepMs = stepFor(wanted, wish.step);
    // Ends on multiples of the step, so that a refresh moves the points and does not wobble them.
    const range = {
      from: Math.floor(wanted.from / stepMs) * stepMs,
      to: wish.tab === "graph" ? Math.floor(wanted.to / stepMs) * stepMs : wanted.to,
    };
    const results = await Promise.all(
      wish.queries.map(async (query, i) => {
        if (!query.enabled || query.expr.trim() === "") return undefined;
        return this.ask(query.expr, letter(i), wish.tab, { ...range, stepMs }, abort.signal);
      }),
    );
    if (abort.signal.aborted) return;
    this.results = results;
    this.range = wanted;
    this.stepMs = stepMs;
    this.loading = false;
  }

  private async ask(
    source: string,
    name: string,
    tab: Wish["tab"],
    range: RangeMs & { stepMs: number },
    signal: AbortSignal,
  ): Promise<QueryResult> {
    const sent = expandVariables(source, range.stepMs, range.to - range.from);
    const result = blank();
    try {
      const answer =
        tab === "graph" ? await queryRange(sent.text, range, signal) : await queryInstant(sent.text, range.to, signal);
      result.warnings = answer.warnings;
      result.infos = answer.infos;
      result.elapsedMs = answer.elapsedMs;
      result.stats = answer.data.stats ?? null;
      if (answer.data.resultType === "matrix" && tab === "graph") {
        const frame = frameOf(answer.data.result, range, seriesName, `${name} `);
        for (const series of frame.series) series.query = name;
        result.frame = frame;
        result.dots = await dotsOf(sent.text, range, signal);
      } else {
        result.instant = answer.data;
      }
    } catch (error) {
      if (isAbort(error)) return result;
      const text = messageOf(error);
      const bad = error instanceof ApiError && error.kind === "bad_data";
      result.fault = bad
        ? readFault(text, sent.text, source, sent.toSource)
        : { message: text, line: 0, column: 0, start: -1, end: -1 };
    }
    return result;
  }
}

/** Exemplars of a query as dots; servers without them answer an error, which means none. */
async function dotsOf(query: string, range: RangeMs, signal: AbortSignal): Promise<Dot[]> {
  if (!/_bucket|histogram_quantile|_total/.test(query)) return [];
  try {
    const series = await exemplars(query, range, signal);
    return series
      .flatMap((one) => one.exemplars)
      .map((e) => ({
        t: e.timestamp * 1000,
        value: numberOf(e.value),
        label: Object.entries(e.labels).map(([key, value]) => `${key}=${value}`).join(" "),
        traceId: /^[0-9a-f]{16,32}$/i.test(e.labels.trace_id ?? e.labels.traceID ?? "") ? (e.labels.trace_id ?? e.labels.traceID ?? "") : "",
      }))
      .filter((dot) => Number.isFinite(dot.value))
      .slice(0, 1000);
  } catch {
    return [];
  }
}
