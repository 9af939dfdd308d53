/** Rules as they are written: which fields a type takes, and the body that the API takes. */
import type { AlertRule, Condition, NewRule, RuleSpec, RuleType, Severity } from "../api/alerts";
import { expandVariables } from "../promql/variables";

export interface TypeInfo {
  id: RuleType;
  label: string;
  about: string;
}

export const TYPES: readonly TypeInfo[] = [
  { id: "threshold", label: "Threshold", about: "A metric or a query against one or several thresholds." },
  { id: "error_rate", label: "Error rate", about: "The share of failed calls of services, in percent." },
  { id: "performance", label: "Performance", about: "A percentile of durations of calls, in seconds." },
  { id: "downtime", label: "Downtime", about: "A health check that is not well." },
  { id: "absence", label: "Absence", about: "Nothing where something should be." },
  { id: "anomaly", label: "Anomaly", about: "What is far from usual." },
  { id: "slo", label: "SLO", about: "An error budget that burns too fast, over several windows." },
  { id: "composite", label: "Composite", about: "Several conditions together: all of them, any of them, or not one." },
  { id: "custom", label: "Custom", about: "Anything that the others can ask, also mixed." },
];

export const typeLabel = (type: RuleType): string => TYPES.find((one) => one.id === type)?.label ?? type;

export type Field = Exclude<keyof Condition, "for">;

const ASKED: readonly Field[] = ["metric", "filter", "query", "language", "signal", "aggregate", "field", "window", "groupBy"];
const COMPARED: readonly Field[] = ["operator", "threshold", "thresholds", "recover"];
const GROUPS: readonly Field[] = ["all", "any", "not"];

const TAKEN: Record<RuleType, readonly Field[] | null> = {
  threshold: [...ASKED, ...COMPARED, "compare"],
  anomaly: [...ASKED, "sensitivity", "baseline", "season", "direction"],
  error_rate: [...COMPARED, "service", "operation", "window", "groupBy", "errors", "total"],
  performance: [...COMPARED, "service", "operation", "window", "groupBy", "metric", "filter", "aggregate", "compare"],
  downtime: ["check"],
  absence: ASKED,
  slo: ["service", "operation", "objective", "errors", "total", "period", "groupBy"],
  composite: GROUPS,
  custom: null,
};

/** Whether a type of rule takes a field of its condition; `custom` takes all. */
export const takes = (type: RuleType, field: Field): boolean => TAKEN[type]?.includes(field) ?? true;

/** What a condition looks at. */
export type Source = "metric" | "promql" | "search" | "sql";

export const SOURCES: readonly [Source, string][] = [
  ["metric", "Metric"],
  ["promql", "PromQL"],
  ["search", "Search"],
  ["sql", "SQL"],
];

export function sourceOf(condition: Condition): Source {
  if (condition.query === undefined || condition.query === null) return "metric";
  return condition.language ?? "promql";
}

/** Fields that mean nothing beside a source. */
const FOREIGN: Record<Source, readonly Field[]> = {
  metric: ["query", "language", "signal", "field"],
  promql: ["metric", "filter", "aggregate", "groupBy", "signal", "field", "window"],
  search: ["metric", "filter", "compare"],
  sql: ["metric", "filter", "aggregate", "groupBy", "signal", "field", "compare"],
};

export const beside = (source: Source, field: Field): boolean => !FOREIGN[source].includes(field);

/** The condition looking at something else; what is written of a query is kept where its language stays. */
export function withSource(condition: Condition, source: Source, query = ""): Condition {
  const next: Condition = { ...condition };
  for (const field of FOREIGN[source]) delete next[field];
  if (source === "metric") return { ...next, metric: condition.metric ?? "" };
  return { ...next, query: query || (condition.query ?? ""), language: source };
}

/** What a condition is made of: parts, something else that is looked up, or a question of its own. */
export type Shape = "ask" | "all" | "any" | "not" | "rule" | "check" | "slo";

export function shapeOf(condition: Condition): Shape {
  if (condition.all) return "all";
  if (condition.any) return "any";
  if (condition.not) return "not";
  if (condition.rule !== undefined && condition.rule !== null) return "rule";
  if (condition.check !== undefined && condition.check !== null) return "check";
  return condition.objective !== undefined && condition.objective !== null ? "slo" : "ask";
}

export const SHAPES: readonly [Shape, string][] = [
  ["ask", "A figure"],
  ["all", "All of"],
  ["any", "Any of"],
  ["not", "Not"],
  ["rule", "Another rule fires"],
  ["check", "A check fails"],
  ["slo", "A budget burns"],
];

/** The condition in another shape; parts go over from one group to another. */
export function withShape(condition: Condition, shape: Shape): Condition {
  const parts = condition.all ?? condition.any ?? (condition.not ? [condition.not] : []);
  const leaf: Condition = { metric: "", operator: ">" };
  switch (shape) {
    case "all":
      return { all: parts.length > 0 ? parts : [shapeOf(condition) === "ask" ? condition : leaf, leaf] };
    case "any":
      return { any: parts.length > 0 ? parts : [shapeOf(condition) === "ask" ? condition : leaf, leaf] };
    case "not":
      return { not: parts[0] ?? (shapeOf(condition) === "ask" ? condition : leaf) };
    case "rule":
      return { rule: "" };
    case "check":
      return { check: "" };
    case "slo":
      return { objective: 0.999 };
    default:
      return parts.find((part) => shapeOf(part) === "ask") ?? leaf;
  }
}

/** What a new rule of a type begins with. */
export function conditionFor(type: RuleType, before: Condition = {}): Condition {
  const kept: Condition = Object.fromEntries(
    Object.entries(before).filter(([name]) => name === "for" || takes(type, name as Field)),
  );
  switch (type) {
    case "threshold":
    case "anomaly":
    case "absence":
    case "custom":
      return Object.keys(kept).length > 0 ? kept : { metric: "", ...(type !== "anomaly" && type !== "absence" && { operator: ">" }) };
    case "error_rate":
      return { operator: ">", threshold: 5, window: "5m", ...kept };
    case "performance":
      return { operator: ">", threshold: 1, window: "5m", ...kept };
    case "slo":
      return { objective: 0.999, ...kept };
    case "composite":
      return kept.all || kept.any || kept.not ? kept : { all: [{ metric: "", operator: ">" }, { metric: "", operator: ">" }] };
    default:
      return kept;
  }
}

/** A query of the explorer as a rule asks it: the explorer's variables follow its range, a rule has none. */
export const ruleQuery = (expr: string): string => expandVariables(expr, 60_000, 3_600_000, 75_000).text;

export const emptyRule = (type: RuleType = "threshold"): NewRule => ({
  name: "",
  type,
  severity: "warning",
  condition: conditionFor(type),
  isActive: true,
});

/** What the server adds to a rule. */
const KNOWN_BY_SERVER = ["id", "createdAt", "updatedAt", "version", "file", "state", "firing", "evaluatedAt", "error", "warnings", "lastTriggered"] as const;

/** A rule as people write it. */
export function specOf(rule: AlertRule): NewRule {
  const spec: Partial<AlertRule> = { ...rule };
  for (const name of KNOWN_BY_SERVER) delete spec[name];
  return spec as NewRule;
}

type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json };

const isNothing = (value: Json): boolean =>
  value === undefined ||
  value === null ||
  (typeof value === "number" && !Number.isFinite(value)) ||
  (typeof value === "string" && value.trim() === "") ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0);

/** Without what was left empty; a search may be empty, it then finds everything. */
function pruned(value: Json, path = ""): Json {
  if (Array.isArray(value)) return value.map((one) => pruned(one, path)).filter((one) => !isNothing(one));
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, one]): [string, Json] => [key, pruned(one, key)]);
  const search = value.language === "search";
  const kept = entries.filter(([key, one]) => !isNothing(one) || (search && key === "query" && typeof one === "string"));
  // An operator without anything to compare with means nothing: a query of PromQL may hold its own comparison.
  const compares = kept.some(([key]) => key === "threshold" || key === "thresholds");
  return Object.fromEntries(kept.filter(([key]) => compares || (key !== "operator" && key !== "recover")));
}

/** The body of a rule: nothing empty, nothing that its type does not take. */
export function ruleBody(draft: NewRule): NewRule {
  const condition: Condition = Object.fromEntries(
    Object.entries(draft.condition).filter(([name]) => name === "for" || takes(draft.type, name as Field)),
  );
  const body = pruned({ ...draft, condition } as unknown as Json) as unknown as NewRule;
  return { ...body, name: draft.name.trim(), condition: body.condition ?? {} };
}

/** The body without its name, as a backtest takes it. */
export function backtestBody(draft: NewRule): RuleSpec {
  const { name: _name, ...spec } = ruleBody(draft);
  return spec;
}

/** What a backtest's answer depends on; texts and channels change nothing of it. */
export function backtestKey(draft: NewRule): string {
  const { annotations: _a, labels: _l, channels: _c, description: _d, runbook: _r, owner: _o, priority: _p, isActive: _i, ...rest } = backtestBody(draft);
  return JSON.stringify(rest);
}

/** Reads what was written as JSON: a rule, or what is wrong with it. */
export function readRuleJson(text: string): { rule: NewRule } | { problem: string } {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
  if (read === null || typeof read !== "object" || Array.isArray(read)) return { problem: "a rule is an object: {\"name\": …, \"type\": …, \"condition\": {…}}" };
  const rule = read as Partial<NewRule>;
  if (!TYPES.some((type) => type.id === rule.type)) return { problem: `type: write one of ${TYPES.map((type) => type.id).join(", ")}` };
  if (rule.condition === null || typeof rule.condition !== "object" || Array.isArray(rule.condition)) return { problem: "condition: is an object" };
  return { rule: { ...rule, name: typeof rule.name === "string" ? rule.name : "" } as NewRule };
}

/** Severities of thresholds, from least to worst, as steps are written. */
export const STEP_ORDER: readonly Severity[] = ["info", "warning", "error", "critical"];

/** One threshold as steps, and steps as one threshold. */
export function withSteps(condition: Condition, stepped: boolean, severity: Severity): Condition {
  const { threshold, thresholds, ...rest } = condition;
  if (stepped) return { ...rest, thresholds: thresholds && thresholds.length > 0 ? thresholds : [{ severity, value: threshold ?? NaN }] };
  const first = thresholds?.[0]?.value;
  const value = threshold ?? first;
  return value === undefined || value === null || Number.isNaN(value) ? rest : { ...rest, threshold: value };
}

/** What a rule waits for in words, for its row: `cpu > 80 for 2m`. */
export function conditionText(condition: Condition, type: RuleType): string {
  const { operator = ">", threshold, thresholds = [] } = condition;
  const steps = thresholds.map((step) => `${step.value} (${step.severity})`).join(", ");
  const limit = threshold !== undefined && threshold !== null ? `${operator ?? ">"} ${threshold}` : steps === "" ? "" : `${operator ?? ">"} ${steps}`;
  const of = [condition.service, condition.operation].filter((one) => one).join(" ");
  const figure = condition.metric ?? condition.query ?? "";
  const parts = (list: readonly Condition[], word: string) => list.map((part) => conditionText(part, "custom")).join(` ${word} `);
  if (condition.all?.length) return parts(condition.all, "and");
  if (condition.any?.length) return parts(condition.any, "or");
  if (condition.not) return `not ${conditionText(condition.not, "custom")}`;
  if (condition.rule) return `rule ${condition.rule} fires`;
  if (condition.check || type === "downtime") return condition.check ? `check ${condition.check} fails` : "any check fails";
  switch (type) {
    case "error_rate":
      return `errors of ${of || condition.errors || "any service"} ${limit} %`;
    case "performance":
      return `${condition.aggregate ?? "p95"} of ${figure || of || "any service"} ${limit} s`;
    case "slo":
      return `${(condition.objective ?? 0) * 100} % of ${of || condition.total || "any service"}`;
    case "absence":
      return `no ${figure}`;
    case "anomaly":
      return `${figure} unusual`;
    default:
      if (condition.objective) return `budget of ${condition.objective}`;
      return `${condition.aggregate ? `${condition.aggregate} of ` : ""}${figure} ${limit}`.trim();
  }
}
