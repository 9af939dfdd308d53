/** The alerting of the stand-in server: rules, what fires of them, silences, channels and routes, kept in memory. */
import type { AlertEvent, AlertEventDetail, AlertRule, NewRule, NewSilence, RoutePreview, Severity, Silence } from "../src/lib/api/alerts.ts";
import type { RouteSpec } from "../src/lib/alerts/routes.ts";
import { readMatcher, splitList } from "../src/lib/alerts/matchers.ts";
import type { Schemas } from "../src/lib/api/types.ts";
import { none, NOT_FOUND, ok, refuse, type Answer } from "./answer.ts";

const iso = (ms: number) => new Date(ms).toISOString();
const START = Date.now();
const MINUTE = 60_000;

const RULES: (NewRule & { firing: number })[] = [
  { name: "High CPU", type: "threshold", severity: "critical", cooldown: 300, condition: { metric: "node_load1", operator: ">", threshold: 2, groupBy: ["instance"] }, channels: ["ops"], isActive: true, runbook: "https://wiki.harbour.example/cpu", firing: 3 },
  { name: "Checkout burns its budget", type: "slo", severity: "error", condition: { objective: 0.999, service: "checkout" }, isActive: true, firing: 1 },
  { name: "Memory is filling", type: "threshold", condition: { metric: "node_memory_MemAvailable_bytes", operator: "<", thresholds: [{ severity: "warning", value: 4e9 }, { severity: "critical", value: 1e9 }] }, isActive: true, firing: 40 },
  { name: "Errors in the log", type: "threshold", severity: "info", condition: { query: "level:error", language: "search", window: "5m", threshold: 100 }, isActive: true, firing: 0 },
  { name: "No metrics from billing", type: "absence", severity: "error", condition: { metric: "billing_up" }, isActive: false, firing: 0 },
];

let made = 0;
const idOf = (prefix: string) => `${prefix}_${(made += 1).toString(36).padStart(6, "0")}`;

const rules = new Map<string, AlertRule>();
const events = new Map<string, AlertEvent>();
const silences = new Map<string, Silence>();
const objects: Record<string, Map<string, Schemas["Object"]>> = { channel: new Map(), route: new Map() };

function putObject(kind: string, name: string, spec: Record<string, unknown>): Schemas["Object"] {
  const before = objects[kind]?.get(name);
  const object = { name, spec, version: (before?.version ?? 0) + 1, created_at: before?.created_at ?? iso(Date.now()), updated_at: iso(Date.now()), file: null };
  objects[kind]?.set(name, object);
  return object;
}

function putRule(id: string, body: NewRule): AlertRule {
  const before = rules.get(id);
  const rule: AlertRule = {
    ...body, isActive: body.isActive ?? true, severity: body.severity ?? "warning", id, version: (before?.version ?? 0) + 1, createdAt: before?.createdAt ?? iso(Date.now()), updatedAt: iso(Date.now()), file: null,
    state: body.isActive === false ? "inactive" : (before?.firing ?? 0) > 0 ? "firing" : "ok", firing: before?.firing ?? 0, evaluatedAt: iso(Date.now()), error: null,
    lastTriggered: before?.lastTriggered ?? null, warnings: body.severity === "critical" && !body.runbook ? [{ field: "runbook", message: "is missing: whoever is woken by it should read what to do" }] : [],
  };
  rules.set(id, rule);
  return rule;
}

for (const { firing, ...body } of RULES) {
  const id = idOf("alr");
  const severity: Severity = body.severity ?? "warning";
  const rule = putRule(id, body);
  Object.assign(rule, { firing, state: body.isActive === false ? "inactive" : firing > 0 ? "firing" : "ok", lastTriggered: firing > 0 ? iso(START - 12 * MINUTE) : null });
  for (let n = 0; n < firing + 2; n += 1) {
    const over = n >= firing;
    const at = START - (over ? 300 : 12) * MINUTE - n * 37_000;
    const labels = { alertname: body.name, severity, host: `web-${n + 1}`, team: n % 2 ? "payments" : "platform" };
    const one: AlertEvent = {
      id: idOf("evt"), rule: `rule/${body.name}`, name: body.name, state: over ? "resolved" : n === 1 ? "acknowledged" : "firing", severity, priority: "normal", value: 90 + n, labels,
      annotations: { summary: `web-${n + 1} is at ${90 + n}` }, runbook: body.runbook ?? null, source: "rule", startsAt: iso(at), firedAt: iso(at), endsAt: over ? iso(at + 9 * MINUTE) : null,
      acknowledgedAt: n === 1 ? iso(at + MINUTE) : null, acknowledgedBy: n === 1 ? "Ada Admin" : null, resolvedBy: null, updatedAt: iso(at),
    };
    events.set(one.id, one);
  }
}
putObject("channel", "ops", { type: "webhook", config: { url: "https://hooks.harbour.example/ops", secret: "whsec_c2VjcmV0" } });
putObject("channel", "night", { type: "pagerduty", config: { routingKey: "0123456789" }, minSeverity: "error" });
putObject("route", "payments", { matchers: ['team="payments"'], channels: ["ops"], routes: [{ severity: { at_least: "critical" }, channels: ["night", "ops"] }, { matchers: ['region=~"eu-.*"'], group_by: ["alertname", "region"] }] });
putObject("route", "rest", { channels: ["ops"], group_wait: "30s" });

function detail(event: AlertEvent): AlertEventDetail {
  const log: AlertEventDetail["log"] = [{ at: event.firedAt, what: "fired", who: null, detail: `${event.severity} at ${event.value}` }];
  if (event.acknowledgedAt) log.push({ at: event.acknowledgedAt, what: "acknowledged", who: event.acknowledgedBy, detail: null });
  if (event.endsAt) log.push({ at: event.endsAt, what: "resolved", who: null, detail: null });
  const attempt = (n: number, delivered: boolean) => ({ attempt: n, channel: "ops", at: iso(Date.parse(event.firedAt) + n * 20_000), durationMs: 42, delivered, statusCode: delivered ? 200 : 503, error: delivered ? null : "answered 503 Service Unavailable" });
  const told = { id: `ntf_${event.id}`, channel: "ops", status: "sent", priority: event.priority, title: `[${event.severity}] ${event.name}`, attempts: 2, error: null, createdAt: event.firedAt, endedAt: event.firedAt, deliveries: [attempt(1, false), attempt(2, true)] };
  return { ...event, log, notifications: [told] };
}

function changed(event: AlertEvent, what: string, who: string): Answer {
  if (event.state === "resolved") return refuse(409, "CONFLICT", "it is over");
  const now = iso(Date.now());
  const change: Partial<AlertEvent> =
    what === "acknowledge" ? { state: "acknowledged", acknowledgedAt: now, acknowledgedBy: who } : what === "resolve" ? { state: "resolved", endsAt: now, resolvedBy: who } : { state: "firing", acknowledgedAt: null, acknowledgedBy: null };
  return ok(Object.assign(event, change, { updatedAt: now }));
}

function holds(text: string, labels: Record<string, string>): boolean {
  const matcher = readMatcher(text);
  if (!matcher) return false;
  const value = labels[matcher.label] ?? "";
  const same = matcher.operator.includes("~") ? new RegExp(`^(?:${matcher.value})$`).test(value) : value === matcher.value;
  return matcher.operator.startsWith("!") ? !same : same;
}

function preview(labels: Record<string, string>): RoutePreview {
  const visits: RoutePreview["routes"] = [{ name: null, depth: 0, matched: true, failed: null, takes: false }];
  const channels = new Set<string>();
  const order: Severity[] = ["info", "warning", "error", "critical"];
  const ask = (name: string | null, spec: RouteSpec, depth: number, above: readonly string[]): boolean => {
    const least = spec.severity && !Array.isArray(spec.severity) ? spec.severity.at_least : undefined;
    const bad = (spec.matchers ?? []).flatMap(splitList).find((text) => !holds(text, labels)) ?? (least && order.indexOf(labels.severity as Severity) < order.indexOf(least) ? `severity ${least} or worse` : undefined);
    const visit = { name, depth, matched: bad === undefined, failed: bad ?? null, takes: false };
    visits.push(visit);
    if (bad !== undefined) return false;
    const own = spec.channels ?? above;
    let taken = false;
    for (const below of spec.routes ?? []) {
      taken = ask(null, below, depth + 1, own) || taken;
      if (taken && !below.continue) break;
    }
    if (!taken) {
      visit.takes = true;
      for (const one of own) channels.add(one);
    }
    return true;
  };
  for (const { name, spec } of [...(objects.route?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))) if (ask(name, spec as RouteSpec, 1, []) && !(spec as RouteSpec).continue) break;
  return { channels: [...channels], suppressed: null, routes: visits };
}

function silence(id: string, asked: NewSilence, who: string): Silence {
  const now = Date.now();
  const startsAt = asked.startsAt ?? iso(now);
  const state = Date.parse(asked.endsAt) <= now ? "expired" : Date.parse(startsAt) > now ? "pending" : "active";
  const one: Silence = { id, matchers: asked.matchers, state, startsAt, endsAt: asked.endsAt, createdBy: who, comment: asked.comment, updatedAt: iso(now) };
  silences.set(id, one);
  return one;
}

const page = <T>(items: T[]) => ok({ items, next: null });
const words = (params: URLSearchParams, key: string) => (params.get(key) ?? "").split(",").filter((word) => word !== "");

/** Answers below `/api/v1/monitoring`; null for what is none of the alerting's. */
export function alertRoutes(method: string, path: string, params: URLSearchParams, body: string, who: string): Answer | null {
  const [, area = "", id = "", rest = "", last = ""] = path.split("/").map(decodeURIComponent);
  const read = <T>() => JSON.parse(body) as T;
  if (area === "alerts" && id === "events") {
    const event = events.get(rest);
    if (rest !== "") return !event ? NOT_FOUND : last === "" ? ok(detail(event)) : changed(event, last, who);
    const [states, severities, rule, since, until] = [words(params, "state"), words(params, "severity"), params.get("rule"), params.get("since"), params.get("until")];
    const found = [...events.values()].filter((one) => (states.length === 0 || states.includes(one.state)) && (severities.length === 0 || severities.includes(one.severity)) && (!rule || one.rule === rule) && (!since || one.firedAt >= since) && (!until || one.firedAt < until));
    return page(found.sort((a, b) => b.firedAt.localeCompare(a.firedAt)));
  }
  if (path === "/alerts/backtest") {
    const { hours = 24 } = read<Schemas["Backtest"]>();
    const span = (hours ?? 24) * 60 * MINUTE;
    const firings = [0.2, 0.5, 0.9].map((share) => ({ labels: { host: "web-1" }, severity: "critical" as const, value: 93, firedAt: iso(Date.now() - span * (1 - share)), resolvedAt: iso(Date.now() - span * (0.97 - share)) }));
    return ok({ start: iso(Date.now() - span), end: iso(Date.now()), stepSeconds: 30, total: 3, firings } satisfies Schemas["BacktestOutcome"]);
  }
  if (area === "alerts") {
    if (id === "" && method === "GET") return page([...rules.values()].filter((one) => one.name.toLowerCase().includes((params.get("search") ?? "").toLowerCase())).sort((a, b) => a.name.localeCompare(b.name)));
    if (id === "") return [...rules.values()].some((one) => one.name === read<NewRule>().name) ? refuse(409, "CONFLICT", "there is a rule of this name already") : ok(putRule(idOf("alr"), read<NewRule>()), 201);
    const rule = rules.get(id);
    if (!rule) return NOT_FOUND;
    if (method === "DELETE") return rules.delete(id) ? none : NOT_FOUND;
    return ok(method === "PUT" ? putRule(id, read<NewRule>()) : rule);
  }
  if (path === "/silences/preview") {
    const { matchers } = read<Schemas["SilenceMatchers"]>();
    const found = [...events.values()].filter((one) => one.state !== "resolved" && matchers.every((text) => holds(text, one.labels)));
    return ok({ total: found.length, alerts: found.slice(0, 100).map((one) => one.labels) });
  }
  if (area === "silences") {
    if (id === "" && method === "GET") return page([...silences.values()]);
    if (id === "") return ok(silence(idOf("sil"), read<NewSilence>(), who), 201);
    const one = silences.get(id);
    if (!one) return NOT_FOUND;
    if (method === "PUT") return ok(silence(id, read<NewSilence>(), who));
    silence(id, { ...one, endsAt: iso(Date.now()) }, who);
    return none;
  }
  if (path === "/channels/test") return ok({ delivered: true, statusCode: 200, error: null, durationMs: 73 } satisfies Schemas["ChannelTestOutcome"]);
  if (path === "/routes/preview") return ok(preview(read<Schemas["RoutePreviewRequest"]>().labels));
  const kept = area === "objects" ? objects[id] : undefined;
  if (!kept) return null;
  if (rest === "") return page([...kept.values()]);
  if (method === "PUT") return ok(putObject(id, rest, read()));
  if (method === "DELETE") return kept.delete(rest) ? none : NOT_FOUND;
  return kept.has(rest) ? ok(kept.get(rest)) : NOT_FOUND;
}
