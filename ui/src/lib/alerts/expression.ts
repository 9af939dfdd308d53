/** What a condition asks, for its picture. The server makes the same of it when the rule is evaluated. */
import type { Condition, RuleType, Severity } from "../api/alerts";
import { formatDuration, parseDuration } from "../time/duration";
import { shapeOf } from "./rule";

/** A line that the figure must not cross. */
export interface Limit {
  value: number;
  /** The rule's own, without. */
  severity: Severity | null;
  /** True where it is what ends an alert. */
  recover?: boolean;
}

/** A question of a condition, and what its answers are compared with. */
export interface Question {
  language: "promql" | "search" | "sql";
  text: string;
  /** What it is, where a rule asks several. */
  title: string;
  operator: string;
  limits: Limit[];
  /** Of a search. */
  signal: string;
  counts: boolean;
  groupBy: readonly string[];
  /** Milliseconds that a search or a statement looks back. */
  windowMs: number;
}

type Span = string | number | null | undefined;

const WINDOW_MS = 300_000;

/** Milliseconds of a length of time: seconds, or a text such as `5m`. */
export function spanMs(span: Span, otherwise: number): number {
  if (typeof span === "number") return span * 1000;
  if (typeof span !== "string" || span.trim() === "") return otherwise;
  const text = span.trim();
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : (parseDuration(text) ?? otherwise);
}

const spanText = (span: Span, otherwise = WINDOW_MS): string => formatDuration(spanMs(span, otherwise));

const isClassic = (name: string) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
const names = (labels: readonly string[]) => labels.map((label) => (isClassic(label) ? label : JSON.stringify(label))).join(", ");

/** A selector of a metric's name with labels that must be equal; a selector stays as it is. */
export function selector(name: string, filter: Record<string, string> = {}): string {
  if (name.includes("{")) return name;
  const classic = /^[A-Za-z_:][A-Za-z0-9_:]*$/.test(name);
  const parts = [
    ...(classic ? [] : [JSON.stringify(name)]),
    ...Object.keys(filter).sort().map((label) => `${isClassic(label) ? label : JSON.stringify(label)}=${JSON.stringify(filter[label])}`),
  ];
  return parts.length === 0 ? name : `${classic ? name : ""}{${parts.join(",")}}`;
}

const OVER: Record<string, readonly [series: string, across: string]> = {
  avg: ["avg_over_time", "avg"],
  min: ["min_over_time", "min"],
  max: ["max_over_time", "max"],
  sum: ["sum_over_time", "sum"],
  count: ["count_over_time", "sum"],
  rate: ["rate", "sum"],
  increase: ["increase", "sum"],
};
const QUANTILES: Record<string, string> = { p50: "0.5", p90: "0.9", p95: "0.95", p99: "0.99" };

/** The figure of a window, for each series or for each group. */
export function figure(of: string, condition: Pick<Condition, "aggregate" | "window" | "groupBy">): string {
  const { groupBy = [] } = condition;
  const windowed = condition.window !== undefined && condition.window !== null && condition.window !== "";
  const aggregate = condition.aggregate ?? (windowed ? "avg" : "last");
  const range = `${of}[${spanText(condition.window)}]`;
  const quantile = QUANTILES[aggregate];
  const over = OVER[aggregate];
  const series = quantile ? `quantile_over_time(${quantile}, ${range})` : over ? `${over[0]}(${range})` : windowed ? `last_over_time(${range})` : of;
  return groupBy.length === 0 ? series : `${over?.[1] ?? "max"} by (${names(groupBy)}) (${series})`;
}

function compared(expression: string, compare: Condition["compare"]): string {
  if (!compare) return expression;
  const then = `last_over_time((${expression})[5m:1m] offset ${spanText(compare.offset)})`;
  if (compare.as === "difference") return `(${expression}) - ${then}`;
  return compare.as === "ratio" ? `(${expression}) / ${then}` : `100 * ((${expression}) - ${then}) / ${then}`;
}

/** Calls that a service answered, not those it made. */
const callsFilter = (condition: Condition): Record<string, string> => ({
  span_kind: "SPAN_KIND_SERVER",
  ...(condition.service && { service: condition.service }),
  ...(condition.operation && { span_name: condition.operation }),
});

function counters(condition: Condition): [errors: string, total: string] {
  if (condition.errors && condition.total) return [condition.errors, condition.total];
  const calls = "traces_spanmetrics_calls_total";
  const filter = callsFilter(condition);
  return [selector(calls, { ...filter, status_code: "STATUS_CODE_ERROR" }), selector(calls, filter)];
}

const groupsOfCalls = (condition: Condition): readonly string[] => {
  const { groupBy = [] } = condition;
  return groupBy.length === 0 && !condition.errors && !condition.total ? ["service"] : groupBy;
};

function ratio(condition: Condition, window: string): string {
  const [errors, total] = counters(condition);
  const groups = groupsOfCalls(condition);
  const by = groups.length === 0 ? "" : ` by (${names(groups)})`;
  return `(sum${by} (rate(${errors}[${window}])) or 0 * sum${by} (rate(${total}[${window}]))) / (sum${by} (rate(${total}[${window}])) > 0)`;
}

function performance(condition: Condition): string {
  const quantile = QUANTILES[condition.aggregate ?? "p95"] ?? "0.95";
  if (condition.metric && !condition.metric.split("{")[0]?.endsWith("_bucket")) {
    return figure(selector(condition.metric, condition.filter), { ...condition, aggregate: condition.aggregate ?? "p95" });
  }
  const buckets = condition.metric ? selector(condition.metric, condition.filter) : selector("traces_spanmetrics_latency_bucket", callsFilter(condition));
  const groups = condition.metric ? (condition.groupBy ?? []) : groupsOfCalls(condition);
  return `histogram_quantile(${quantile}, sum by (${names(["le", ...groups])}) (rate(${buckets}[${spanText(condition.window)}])))`;
}

/** The two fastest pairs of windows of an SLO, with the rate at which the longer one uses up its share. */
const BURNS: readonly [hours: number, share: number, severity: Severity][] = [
  [1, 0.02, "critical"],
  [6, 0.05, "critical"],
  [24, 0.1, "warning"],
];

function limitsOf({ threshold, thresholds = [], recover }: Condition): Limit[] {
  const limits: Limit[] = thresholds.length > 0 ? thresholds.map(({ severity, value }) => ({ severity, value })) : typeof threshold === "number" ? [{ severity: null, value: threshold }] : [];
  if (typeof recover === "number") limits.push({ severity: null, value: recover, recover: true });
  return limits.filter((limit) => Number.isFinite(limit.value));
}

/** Everything that a rule asks, at most `max` questions; what is not written yet asks nothing. */
export function questionsOf(type: RuleType, condition: Condition, max = 4): Question[] {
  return asked(type, condition, 0).slice(0, max);
}

function asked(type: RuleType, condition: Condition, depth: number): Question[] {
  const base: Question = {
    language: "promql",
    text: "",
    title: "",
    operator: condition.operator ?? ">",
    limits: limitsOf(condition),
    signal: condition.signal ?? "logs",
    counts: false,
    groupBy: condition.groupBy ?? [],
    windowMs: spanMs(condition.window, WINDOW_MS),
  };
  const promql = (text: string, more: Partial<Question> = {}): Question[] => (text === "" ? [] : [{ ...base, text, ...more }]);
  if (depth > 8) return [];
  const parts = condition.all ?? condition.any ?? (condition.not ? [condition.not] : null);
  if (parts && (type === "composite" || type === "custom")) return parts.flatMap((part) => asked("custom", part, depth + 1));
  const shape = type === "custom" || type === "composite" ? shapeOf(condition) : "ask";
  if (shape === "rule") {
    return condition.rule ? promql(`max without (alertname, alertstate, severity, rule) (ALERTS{alertname=${JSON.stringify(condition.rule)},alertstate="firing"})`, { title: `rule ${condition.rule}`, limits: [] }) : [];
  }
  if (type === "downtime" || shape === "check") {
    return promql(selector("probe_success", condition.check ? { check: condition.check } : {}), { operator: "==", limits: [{ severity: null, value: 0 }] });
  }
  if (type === "slo" || shape === "slo") {
    const objective = condition.objective ?? NaN;
    if (!(objective > 0 && objective < 1)) return [];
    const periodHours = spanMs(condition.period, 30 * 86_400_000) / 3_600_000;
    return BURNS.flatMap(([hours, share, severity]) =>
      promql(`(${ratio(condition, `${hours}h`)}) / (1 - ${objective})`, {
        title: `burn rate over ${hours === 24 ? "1d" : `${hours}h`}`,
        operator: ">",
        limits: [{ severity, value: (share * periodHours) / hours }],
      }),
    );
  }
  if (type === "error_rate") return promql(`100 * (${ratio(condition, spanText(condition.window))})`);
  if (type === "performance") return promql(compared(performance(condition), condition.compare));
  const query = condition.query ?? "";
  const language = condition.query === undefined || condition.query === null ? "metric" : (condition.language ?? "promql");
  if (language === "search" || language === "sql") {
    if (language === "sql" && query.trim() === "") return [];
    const counts = (condition.aggregate ?? "count") === "count";
    return [{ ...base, language, text: query, counts, ...(type === "absence" && { operator: "<=", limits: [{ severity: null, value: 0 }] }) }];
  }
  const metric = condition.metric?.trim() ?? "";
  if (language === "metric" && metric === "") return [];
  if (type === "absence" && language === "metric") return promql(`count_over_time(${selector(metric, condition.filter)}[${spanText(condition.window)}])`, { title: "samples seen", limits: [] });
  const expression = language === "metric" ? figure(selector(metric, condition.filter), condition) : query.trim();
  return promql(expression === "" ? "" : compared(expression, condition.compare));
}

/** The first question that Explore can show; empty without one. */
export const exploreQuery = (type: RuleType, condition: Condition): string =>
  questionsOf(type, condition).find((question) => question.language === "promql")?.text ?? "";

/** Whether a value is beyond a limit. */
export function beyond(value: number, operator: string, limit: number): boolean {
  switch (operator) {
    case ">":
      return value > limit;
    case ">=":
      return value >= limit;
    case "<":
      return value < limit;
    case "<=":
      return value <= limit;
    case "==":
      return value === limit;
    case "!=":
      return value !== limit;
    default:
      return false;
  }
}
