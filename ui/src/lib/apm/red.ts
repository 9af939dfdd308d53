/** Rate, errors and durations of a service as chart data. */
import type { ServiceDetail } from "../api/traces";
import type { Frame, Series, Value } from "../chart/frame";
import { msOf } from "../trace/instant";

export interface RedFrames {
  /** Calls and failed calls a second. */
  rate: Frame;
  /** Part of the calls that failed, 0 to 1. */
  errors: Frame;
  /** Seconds. */
  latency: Frame;
}

const series = (name: string, values: Value[]): Series => ({ key: name, name, labels: {}, values });

/** Points stand in the middle of the step they count. Steps without calls have no latency and no error ratio. */
export function redFrames(red: ServiceDetail["red"]): RedFrames {
  const start = msOf(red.start);
  const times = red.calls.map((_, i) => start + (i + 0.5) * red.step_ms);
  const perSecond = (values: readonly Value[]): Value[] => values.map((value) => (value === null ? null : value / (red.step_ms / 1000)));
  const seconds = (values: readonly Value[]): Value[] => times.map((_, i) => (values[i] == null ? null : values[i] / 1000));
  const ratio = red.calls.map((calls, i): Value => (calls ? (red.errors[i] ?? 0) / calls : null));
  return {
    rate: { times, series: [series("calls", perSecond(red.calls)), series("errors", perSecond(red.errors))] },
    errors: { times, series: [series("errors", ratio)] },
    latency: { times, series: [series("p50", seconds(red.p50_ms)), series("p95", seconds(red.p95_ms)), series("p99", seconds(red.p99_ms))] },
  };
}

/** Figures of the whole range. */
export function redTotals(red: ServiceDetail["red"]): { calls: number; errors: number; perSecond: number } {
  const sum = (values: readonly Value[]) => values.reduce<number>((all, one) => all + (one ?? 0), 0);
  const [calls, errors] = [sum(red.calls), sum(red.errors)];
  const seconds = (red.calls.length * red.step_ms) / 1000;
  return { calls, errors, perSecond: seconds > 0 ? calls / seconds : 0 };
}
