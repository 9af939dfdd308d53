import { describe, expect, test } from "vitest";
import type { AlertRule, Condition, NewRule, RuleType } from "../lib/api/alerts";
import { beyond, figure, questionsOf, selector, spanMs } from "../lib/alerts/expression";
import { backtestText, bandsOf, isBreach, lastText, mergedBands, rulesOf } from "../lib/alerts/preview";
import { backtestBody, backtestKey, conditionFor, conditionText, emptyRule, readRuleJson, ruleBody, ruleQuery, shapeOf, sourceOf, specOf, takes, TYPES, withShape, withSource, withSteps } from "../lib/alerts/rule";
import { rulesShown, stateOf, type RuleFilter } from "../lib/alerts/rules";

const rule = (type: RuleType, condition: Condition, more: Partial<NewRule> = {}): NewRule => ({ name: "r", type, condition, isActive: true, ...more });

describe("bodies", () => {
  test.each<[string, NewRule, object]>([
    ["nothing empty", rule("threshold", { metric: "cpu", threshold: 80, groupBy: [], filter: {}, window: "" }, { labels: {}, runbook: " ", for: "" }), { metric: "cpu", threshold: 80 }],
    ["no number that is none", rule("threshold", { metric: "cpu", thresholds: [{ severity: "warning", value: NaN }], threshold: 1 }), { metric: "cpu", threshold: 1, thresholds: [{ severity: "warning" }] }],
    ["nothing that its type does not take", rule("downtime", { check: "web", metric: "cpu", threshold: 1 }), { check: "web" }],
    ["an empty search, which finds everything", rule("threshold", { query: "", language: "search", threshold: 1 }), { query: "", language: "search", threshold: 1 }],
    ["no empty query of another language", rule("threshold", { query: " ", language: "sql", threshold: 1 }), { language: "sql", threshold: 1 }],
    ["no operator without a threshold", rule("threshold", { query: "up == 0", language: "promql", operator: ">", recover: 1 }), { query: "up == 0", language: "promql" }],
    ["parts of parts", rule("composite", { all: [{ metric: "a", threshold: 1, window: "" }, { any: [{ rule: "x" }, {}] }] }), { all: [{ metric: "a", threshold: 1 }, { any: [{ rule: "x" }] }] }],
  ])("hold %s", (_, draft, condition) => {
    const body = ruleBody(draft);
    expect(body.condition).toEqual(condition);
    expect(Object.keys(body).sort()).toEqual(["condition", "isActive", "name", "type"]);
  });

  test("a backtest takes the rule without its name", () => {
    expect(backtestBody(rule("downtime", {}))).toEqual({ type: "downtime", condition: {}, isActive: true });
  });

  test("the explorer's variables are none of a rule's", () => {
    expect(ruleQuery("rate(a[$__rate_interval]) + max_over_time(b[$__range:$__interval])")).toBe("rate(a[5m]) + max_over_time(b[1h:1m])");
  });

  test("what is said and to whom changes nothing of a backtest; when it fires does", () => {
    const one = rule("threshold", { metric: "cpu", threshold: 1 });
    expect(backtestKey({ ...one, annotations: { summary: "x" }, channels: ["ops"], isActive: false, runbook: "r" })).toBe(backtestKey(one));
    expect(backtestKey({ ...one, for: "2m" })).not.toBe(backtestKey(one));
  });

  test("what the server adds is taken off again", () => {
    const view = { ...rule("threshold", { metric: "a", threshold: 1 }), severity: "error", id: "alr_1", state: "ok", firing: 0, warnings: [], version: 3, file: null, error: null, lastTriggered: null, evaluatedAt: null, createdAt: "", updatedAt: "" } as AlertRule;
    expect(ruleBody(specOf(view))).toEqual({ ...rule("threshold", { metric: "a", threshold: 1 }), severity: "error" });
  });

  test("every type begins with a condition that it takes", () => {
    for (const { id } of TYPES) {
      const { condition } = emptyRule(id);
      for (const name of Object.keys(condition)) expect(takes(id, name as never), `${id} ${name}`).toBe(true);
    }
    expect(conditionFor("error_rate", { metric: "cpu", threshold: 3, window: "1m" })).toEqual({ operator: ">", threshold: 3, window: "1m" });
  });

  test.each([
    ["{", "problem"],
    ["[]", "problem"],
    ['{"type": "vibes", "condition": {}}', "problem"],
    ['{"type": "slo", "condition": []}', "problem"],
    ['{"name": "a", "type": "slo", "condition": {"objective": 0.9}, "extra": 1}', "rule"],
  ])("%s is read as JSON: %s", (text, key) => expect(Object.keys(readRuleJson(text))).toEqual([key]));
});

describe("shapes", () => {
  test("going to another source drops what means nothing there", () => {
    const metric: Condition = { metric: "cpu", filter: { host: "a" }, aggregate: "avg", window: "5m", groupBy: ["host"], threshold: 1 };
    expect(withSource(metric, "promql", "avg(cpu)")).toEqual({ query: "avg(cpu)", language: "promql", threshold: 1 });
    expect(withSource(metric, "search")).toEqual({ query: "", language: "search", aggregate: "avg", window: "5m", groupBy: ["host"], threshold: 1 });
    expect(sourceOf(withSource({ query: "x", language: "sql" }, "metric"))).toBe("metric");
    expect([sourceOf({}), sourceOf({ query: "up" }), sourceOf({ query: "", language: "search" })]).toEqual(["metric", "promql", "search"]);
  });

  test("parts go over from one group to another", () => {
    const all: Condition = { all: [{ metric: "a" }, { rule: "b" }] };
    expect(withShape(all, "any")).toEqual({ any: [{ metric: "a" }, { rule: "b" }] });
    expect(withShape(all, "not")).toEqual({ not: { metric: "a" } });
    expect(withShape({ metric: "a", threshold: 1 }, "all").all?.[0]).toEqual({ metric: "a", threshold: 1 });
    for (const shape of ["all", "any", "not", "rule", "check", "slo", "ask"] as const) expect(shapeOf(withShape({ metric: "a" }, shape))).toBe(shape);
  });

  test("one threshold becomes steps and back", () => {
    const steps = withSteps({ metric: "a", threshold: 80 }, true, "error");
    expect(steps).toEqual({ metric: "a", thresholds: [{ severity: "error", value: 80 }] });
    expect(withSteps(steps, false, "error")).toEqual({ metric: "a", threshold: 80 });
    expect(withSteps({ metric: "a" }, false, "error")).toEqual({ metric: "a" });
  });
});

describe("questions", () => {
  test.each<[Condition, string]>([
    [{}, "cpu"],
    [{ window: "1m" }, "avg_over_time(cpu[1m])"],
    [{ aggregate: "last", groupBy: ["service"] }, "max by (service) (cpu)"],
    [{ aggregate: "rate", window: 60, groupBy: ["service"] }, "sum by (service) (rate(cpu[1m]))"],
    [{ aggregate: "p95" }, "quantile_over_time(0.95, cpu[5m])"],
    [{ aggregate: "max", window: "1m", groupBy: ["service", "host.name"] }, 'max by (service, "host.name") (max_over_time(cpu[1m]))'],
  ])("a figure of %j", (condition, text) => expect(figure("cpu", condition)).toBe(text));

  test.each([
    ["cpu", {}, "cpu"],
    ["cpu.usage", {}, '{"cpu.usage"}'],
    ["cpu", { host: 'a"b' }, 'cpu{host="a\\"b"}'],
    ["cpu.usage", { "host.name": "a" }, '{"cpu.usage","host.name"="a"}'],
    ['up{job="a"}', { b: "c" }, 'up{job="a"}'],
  ])("a selector of %s with %j", (name, filter, text) => expect(selector(name, filter)).toBe(text));

  test.each<[RuleType, Condition, string[]]>([
    ["threshold", { metric: "cpu", threshold: 1 }, ["cpu"]],
    ["threshold", { metric: " " }, []],
    ["threshold", { query: "sum(x)", compare: { offset: "1d" } }, ["100 * ((sum(x)) - last_over_time((sum(x))[5m:1m] offset 1d)) / last_over_time((sum(x))[5m:1m] offset 1d)"]],
    ["threshold", { query: "level:error", language: "search" }, ["level:error"]],
    ["threshold", { query: "", language: "search" }, [""]],
    ["threshold", { query: "", language: "sql" }, []],
    ["downtime", {}, ["probe_success"]],
    ["downtime", { check: "web" }, ['probe_success{check="web"}']],
    ["absence", { metric: "up" }, ["count_over_time(up[5m])"]],
    ["error_rate", { errors: "bad", total: "all" }, ["100 * ((sum (rate(bad[5m])) or 0 * sum (rate(all[5m]))) / (sum (rate(all[5m])) > 0))"]],
    ["performance", { service: "api" }, ['histogram_quantile(0.95, sum by (le, service) (rate(traces_spanmetrics_latency_bucket{service="api",span_kind="SPAN_KIND_SERVER"}[5m])))']],
    ["performance", { metric: "took_bucket", aggregate: "p50", groupBy: ["a"] }, ["histogram_quantile(0.5, sum by (le, a) (rate(took_bucket[5m])))"]],
    ["composite", { all: [{ metric: "a" }, { not: { rule: "x" } }] }, ["a", 'max without (alertname, alertstate, severity, rule) (ALERTS{alertname="x",alertstate="firing"})']],
    ["slo", { objective: 2 }, []],
  ])("%s %j asks %j", (type, condition, texts) => expect(questionsOf(type, condition).map((one) => one.text)).toEqual(texts));

  test("an SLO is held against the burn rates of the workbook", () => {
    const limits = questionsOf("slo", { objective: 0.999 }).map((one) => Math.round((one.limits[0]?.value ?? 0) * 10) / 10);
    expect(limits).toEqual([14.4, 6, 3]);
  });

  test("limits have the colours of their severities", () => {
    const [question] = questionsOf("threshold", { metric: "a", thresholds: [{ severity: "warning", value: 70 }, { severity: "critical", value: 95 }], recover: 60 });
    expect(question && rulesOf(question, "info").map((one) => [one.label, one.color])).toEqual([["warning > 70", "--warn"], ["critical > 95", "--bad"], ["ends at 60", "--ok"]]);
    expect(question && [isBreach(65, question), isBreach(71, question), isBreach(null, question)]).toEqual([false, true, false]);
    expect(["<", "<=", "==", "!=", ">", ">=", "~"].map((operator) => beyond(1, operator, 1))).toEqual([false, true, true, false, false, true, false]);
  });

  test.each([[300, 300_000], ["90s", 90_000], ["90", 90_000], ["1h30m", 5_400_000], ["soon", 7], [null, 7], ["", 7]] as const)("the length %j has %d ms", (span, ms) => expect(spanMs(span, 7)).toBe(ms));
});

describe("backtests", () => {
  test.each([
    [0, 24, "would not have fired over the last day"],
    [1, 1, "would have fired once over the last hour"],
    [2, 6, "would have fired twice over the last 6 hours"],
    [3, 24, "would have fired 3 times over the last day"],
    [1200, 168, "would have fired 1,200 times over the last 7 days"],
  ])("%d in %d hours: it %s", (total, hours, text) => expect(backtestText({ total }, hours)).toBe(text));

  test("a month is its days", () => expect(lastText(720)).toBe("the last 30 days"));

  test("stretches that overlap shade once; what still fires lasts to the end", () => {
    const firing = (from: number, to: number | null) => ({ labels: {}, severity: "critical" as const, value: 1, firedAt: new Date(from).toISOString(), resolvedAt: to === null ? null : new Date(to).toISOString() });
    const outcome = { start: new Date(0).toISOString(), end: new Date(1000).toISOString(), stepSeconds: 30, total: 3, firings: [firing(0, 100), firing(50, 200), firing(500, null)] };
    expect(mergedBands(bandsOf(outcome)).map(({ from, to }) => [from, to])).toEqual([[0, 200], [500, 1000]]);
    expect(bandsOf(null)).toEqual([]);
  });
});

describe("the list", () => {
  const listed = (name: string, state: string, more: Partial<AlertRule> = {}) => ({ name, type: "threshold" as const, severity: "warning" as const, state, error: null, condition: { metric: "cpu", threshold: 80 }, lastTriggered: null, owner: null, ...more });
  const all = [listed("b", "ok"), listed("a", "inactive"), listed("c", "firing", { lastTriggered: "2026-01-02" }), listed("d", "ok", { error: "no answer" }), listed("e", "ok", { severity: "critical", lastTriggered: "2026-01-03" })];
  const filter = (more: Partial<RuleFilter> = {}): RuleFilter => ({ text: "", state: "", type: "", severity: "", ...more });

  test("what cannot be asked comes first, then what fires, then the worst", () => {
    expect(rulesShown(all, filter(), "state").map((one) => one.name).join("")).toBe("dceba");
    expect(rulesShown(all, filter(), "name").map((one) => one.name).join("")).toBe("abcde");
    expect(rulesShown(all, filter(), "fired").map((one) => one.name).join("")).toBe("ecabd");
    expect(all.map(stateOf)).toEqual(["ok", "inactive", "firing", "error", "ok"]);
  });

  test("filters narrow together", () => {
    expect(rulesShown(all, filter({ state: "ok", severity: "critical" }), "name").map((one) => one.name)).toEqual(["e"]);
    expect(rulesShown(all, filter({ text: "cpu 80" }), "name")).toHaveLength(5);
    expect(rulesShown(all, filter({ text: "memory" }), "name")).toEqual([]);
  });

  test.each<[RuleType, Condition, string]>([
    ["threshold", { metric: "cpu", threshold: 80 }, "cpu > 80"],
    ["threshold", { metric: "cpu", operator: "<", thresholds: [{ severity: "error", value: 5 }] }, "cpu < 5 (error)"],
    ["error_rate", { service: "api", threshold: 5 }, "errors of api > 5 %"],
    ["performance", { threshold: 1 }, "p95 of any service > 1 s"],
    ["composite", { all: [{ metric: "a", threshold: 1 }, { not: { rule: "x" } }] }, "a > 1 and not rule x fires"],
    ["downtime", {}, "any check fails"],
    ["slo", { objective: 0.999, service: "api" }, "99.9 % of api"],
  ])("%s %j in a row: %s", (type, condition, text) => expect(conditionText(condition, type)).toBe(text));
});
