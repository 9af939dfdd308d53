/** Made-up traces, service map and service pages of the stand-in server. The same trace id always makes the same trace. */

import type { Schemas } from "../src/lib/api/types.ts";

type Json = Record<string, unknown>;
const cost = (rows: number): Schemas["QueryCost"] => ({ rows, bytes: rows * 75, slices: 4, ms: 9 });

interface Call {
  service: string;
  name: string;
  kind: MockSpan["kind"];
  /** Milliseconds of its own work. */
  own: number;
  calls?: readonly string[];
  /** Calls that run beside each other. */
  parallel?: boolean;
  fails?: number;
  attributes?: Json;
}

const CALLS: Record<string, Call> = {
  checkout: { service: "gateway", name: "POST /checkout", kind: "server", own: 3, calls: ["auth", "cart", "order"], attributes: { "http.request.method": "POST", "http.route": "/checkout" } },
  browse: { service: "gateway", name: "GET /catalog/{id}", kind: "server", own: 1, calls: ["auth", "catalog"], attributes: { "http.request.method": "GET", "http.route": "/catalog/{id}" } },
  query: { service: "gateway", name: "GET /search", kind: "server", own: 1, calls: ["search"], attributes: { "http.request.method": "GET", "http.route": "/search" } },
  auth: { service: "auth", name: "Auth/Verify", kind: "server", own: 2, calls: ["session"], attributes: { "rpc.system": "grpc", "rpc.method": "Verify" } },
  session: { service: "redis", name: "GET session", kind: "client", own: 0.4, attributes: { "db.system": "redis", "db.query.text": "GET session:{id}" } },
  cart: { service: "cart", name: "Cart/Read", kind: "server", own: 4, calls: ["cartdb", "price"], parallel: true },
  cartdb: { service: "cart", name: "SELECT carts", kind: "client", own: 6, fails: 0.01, attributes: { "db.system": "postgresql", "db.query.text": "SELECT * FROM carts WHERE customer_id = $1" } },
  price: { service: "pricing", name: "Pricing/Quote", kind: "server", own: 9, calls: ["session"] },
  order: { service: "orders", name: "Orders/Create", kind: "server", own: 7, calls: ["orderdb", "pay", "ship"], attributes: { "rpc.system": "grpc", "rpc.method": "Create" } },
  orderdb: { service: "orders", name: "INSERT orders", kind: "client", own: 11, attributes: { "db.system": "postgresql", "db.query.text": "INSERT INTO orders (id, customer_id, total) VALUES ($1, $2, $3)" } },
  pay: { service: "payments", name: "Payments/Charge", kind: "server", own: 40, calls: ["bank", "fraud"], parallel: true, fails: 0.04 },
  bank: { service: "payments", name: "POST api.bank.example", kind: "client", own: 120, fails: 0.05, attributes: { "http.request.method": "POST", "server.address": "api.bank.example" } },
  fraud: { service: "fraud", name: "Fraud/Score", kind: "server", own: 35 },
  ship: { service: "orders", name: "send shipments", kind: "producer", own: 1, calls: ["deliver"] },
  deliver: { service: "shipping", name: "process shipments", kind: "consumer", own: 18 },
  catalog: { service: "catalog", name: "Catalog/Item", kind: "server", own: 3, calls: ["item", "stock"], parallel: true },
  item: { service: "catalog", name: "SELECT items", kind: "client", own: 5, attributes: { "db.system": "postgresql" } },
  stock: { service: "inventory", name: "Inventory/Level", kind: "server", own: 4, fails: 0.01 },
  search: { service: "search", name: "Search/Query", kind: "server", own: 12, calls: ["index", "rank"] },
  index: { service: "search", name: "read index", kind: "internal", own: 22 },
  rank: { service: "ranking", name: "Ranking/Order", kind: "server", own: 15 },
};
const ENTRIES = ["checkout", "browse", "browse", "browse", "query"];

function randomOf(seed: number): () => number {
  let state = (seed * 2654435761) % 2147483647 || 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

/** With where it begins, nanoseconds after its trace. */
type MockSpan = Schemas["TraceSpan"] & { at: number };

const iso = (ms: number, ns: number) => {
  const whole = Math.floor(ns / 1e6);
  return new Date(ms + whole).toISOString().replace("Z", `${String(Math.floor(ns - whole * 1e6)).padStart(6, "0")}Z`);
};

/** Spans of one trace, parents before children. `least` repeats the entry's calls until there are so many. */
function makeTrace(id: string, startMs: number, entry: string, random: () => number, least = 1): MockSpan[] {
  const spans: MockSpan[] = [];
  const run = (name: string, parent: string | null, at: number, slow: number): number => {
    const call = CALLS[name] as Call;
    const own = call.own * 1e6 * (0.5 + random() ** 3 * 4) * slow;
    const spanId = `f00d${(spans.length + 1).toString(16).padStart(12, "0")}`;
    const failed = random() < (call.fails ?? 0.004);
    const span: MockSpan = {
      id: spanId,
      trace_id: id,
      span_id: spanId,
      parent_span_id: parent,
      name: call.name,
      service: call.service,
      kind: call.kind,
      status_code: failed ? "error" : "unset",
      status_message: failed ? "deadline exceeded while waiting for the peer" : null,
      start: iso(startMs, at),
      duration_ns: 0,
      self_ns: 0,
      critical_ns: 0,
      depth: 0,
      children: call.calls?.length ?? 0,
      at,
      attributes: { ...call.attributes, "customer.id": `c-${Math.floor(random() * 900)}`, ...(failed ? { "error.type": "timeout" } : {}) },
      resource: { "service.name": call.service, "service.version": "2.14.1", "host.name": `node-${1 + (call.service.length % 4)}`, "deployment.environment": "prod" },
      events: failed
        ? [{ name: "exception", timestamp: iso(startMs, at + own / 2), attributes: { "exception.type": "TimeoutError", "exception.message": "the peer did not answer within 250 ms", "exception.stacktrace": "at charge (payments/charge.ts:81)\nat handle (payments/server.ts:24)" } }]
        : [],
      links: call.kind === "consumer" ? [{ trace_id: "000000000000000000000000000c3500", span_id: "f00d000000000001", attributes: { "messaging.batch": 4 } }] : [],
    };
    spans.push(span);
    let now = at + own * 0.4;
    let last = now;
    const each = (call.calls ?? []).flatMap((inner) => (parent === null && least > 1 ? Array<string>(3).fill(inner) : [inner]));
    const rounds = parent === null ? Infinity : 1;
    for (let round = 0; round < rounds && (round === 0 || spans.length < least); round += 1) {
      for (const inner of each) {
        const end = run(inner, spanId, now + random() * 2e5, slow);
        last = Math.max(last, end);
        if (!call.parallel && !(least > 1 && parent === null && random() < 0.97)) now = end;
      }
    }
    span.duration_ns = Math.round(last + own * 0.6 - at);
    span.self_ns = Math.round(own);
    return at + span.duration_ns;
  };
  run(entry, null, 0, random() < 0.06 ? 6 : 1);
  return spans;
}

interface MockTrace {
  id: string;
  startMs: number;
  spans: MockSpan[];
  missing: boolean;
}

const BIG = "000000000000000000000000000c3500";
const SPACING_MS = 7000;

/** A trace starts every seven seconds; its number is its id. */
function traceOf(number: number): MockTrace {
  const random = randomOf(number % 1_000_003);
  const startMs = number * SPACING_MS + Math.floor(random() * 5000);
  const id = `5eed${number.toString(16).padStart(28, "0")}`;
  const entry = ENTRIES[Math.floor(random() * ENTRIES.length)] ?? "browse";
  const spans = makeTrace(id, startMs, entry, random);
  const missing = number % 9 === 4 && spans.length > 3;
  return { id, startMs, spans: missing ? spans.filter((_, i) => i !== 1) : spans, missing };
}

let big: MockTrace | null = null;
function bigTrace(): MockTrace {
  if (!big) {
    const startMs = Date.now() - 600_000;
    big = { id: BIG, startMs, spans: makeTrace(BIG, startMs, "checkout", randomOf(11), 50_000).slice(0, 50_000), missing: false };
  }
  return big;
}

function* tracesIn(from: number, to: number): Generator<MockTrace> {
  const most = 1500;
  const stride = Math.max(1, Math.ceil((to - from) / SPACING_MS / most));
  for (let n = Math.floor(to / SPACING_MS / stride) * stride; n * SPACING_MS >= from; n -= stride) yield traceOf(n);
}

/** A small part of the search syntax: `field:value`, `-field:value`, `duration:>=1ms`, bare words in the name. */
function matcherOf(query: string): (span: MockSpan) => boolean {
  if (query.trim().startsWith("{")) {
    if (!query.includes("}")) throw new Error(`1:${query.length}: expected "}"`);
    return (span) => !/status\s*=\s*error/.test(query) || span.status_code === "error";
  }
  const tests = [...query.matchAll(/(-?)(?:([\w.]+):)?(>=|<|>)?("(?:\\.|[^"\\])*"|\S+)/g)].map(([, not, field, op, raw = ""]) => {
    const value = raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, "$1") : raw;
    const of = (span: MockSpan): unknown => (field === "status" ? span.status_code : field === "name" || field === "operation" ? span.name : field === "duration" ? span.duration_ns : ((span as Json)[field ?? ""] ?? span.attributes[field ?? ""] ?? span.resource[field ?? ""]));
    const test = (span: MockSpan): boolean => {
      if (value === "*" && !field) return true;
      if (!field) return span.name.toLowerCase().includes(value.toLowerCase());
      if (!op) return String(of(span)) === value;
      const [, number = "0", unit = ""] = /^([\d.]+)(\w*)$/.exec(value) ?? [];
      const want = Number(number) * ({ ns: 1, us: 1e3, ms: 1e6, s: 1e9 }[unit] ?? 1);
      return op === "<" ? Number(of(span)) < want : op === ">" ? Number(of(span)) > want : Number(of(span)) >= want;
    };
    return not ? (span: MockSpan) => !test(span) : test;
  });
  return (span) => tests.every((test) => test(span));
}

const bare = ({ at: _at, ...span }: MockSpan): Schemas["TraceSpan"] => span;
const rowOf = ({ at: _at, self_ns: _self, critical_ns: _critical, depth: _depth, children: _children, ...span }: MockSpan): Schemas["SpanRow"] => span;

function summaryOf(trace: MockTrace): Schemas["TraceSummary"] {
  const root = trace.spans.find((span) => span.parent_span_id === null);
  const services = new Map<string, { name: string; spans: number; errors: number }>();
  for (const span of trace.spans) {
    const entry = services.get(span.service) ?? { name: span.service, spans: 0, errors: 0 };
    entry.spans += 1;
    if (span.status_code === "error") entry.errors += 1;
    services.set(span.service, entry);
  }
  const list = [...services.values()];
  return {
    trace_id: trace.id,
    root_service: root?.service ?? "",
    root_name: root?.name ?? "",
    start: trace.spans[0]?.start ?? "",
    duration_ns: Math.max(...trace.spans.slice(0, 2000).map((span) => span.at + span.duration_ns)),
    spans: trace.spans.length,
    errors: list.reduce((sum, one) => sum + one.errors, 0),
    services: list,
    complete: !trace.missing,
  };
}

function traceAnswer(id: string): Schemas["Trace"] | null {
  const number = /^5eed([0-9a-f]{28})$/.exec(id)?.[1];
  const trace = id === BIG ? bigTrace() : number ? traceOf(parseInt(number, 16)) : null;
  if (!trace) return null;
  const ids = new Set(trace.spans.map((span) => span.span_id));
  const missing = [...new Set(trace.spans.map((span) => span.parent_span_id).filter((p): p is string => p !== null && !ids.has(p)))];
  const { start, duration_ns, complete, services } = summaryOf(trace);
  const spans = trace.spans.map(bare);
  const self = (service: string) => spans.reduce((sum, span) => sum + (span.service === service ? span.self_ns : 0), 0);
  return {
    trace_id: trace.id, start, duration_ns, complete, missing_parents: missing, spans, spans_left_out: 0, critical_path: [], operations: [],
    services: services.map((one) => ({ ...one, self_ns: self(one.name) })), logs: 3, cost: cost(spans.length),
  };
}

function logsOf(traceId: string): Schemas["LogRow"][] {
  const answer = traceAnswer(traceId);
  return (answer?.spans ?? []).slice(0, 200).flatMap((span, i) =>
    i % 3 === 0 || span.status_code === "error"
      ? [{ id: `l${i}`, timestamp: span.start, level: span.status_code === "error" ? "error" : "info", service: span.service, body: span.status_code === "error" ? `${span.name}: ${String(span.status_message)}` : `${span.name} handled`, trace_id: traceId, span_id: span.span_id, attributes: {}, resource: {}, observed_timestamp: null, severity_number: null, severity_text: null }]
      : [],
  );
}

const quantile = (sorted: number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

interface Sum {
  durations: number[];
  errors: number;
}

function sumsBy(from: number, to: number, key: (span: MockSpan, byId: Map<string, MockSpan>) => string | null): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  for (const trace of tracesIn(from, to)) {
    const byId = new Map(trace.spans.map((span) => [span.span_id, span]));
    for (const span of trace.spans) {
      const name = key(span, byId);
      if (name === null) continue;
      const sum = sums.get(name) ?? { durations: [], errors: 0 };
      sum.durations.push(span.duration_ns / 1e6);
      if (span.status_code === "error") sum.errors += 1;
      sums.set(name, sum);
    }
  }
  for (const sum of sums.values()) sum.durations.sort((a, b) => a - b);
  return sums;
}

function stats(sum: Sum, seconds: number): { rate: number; error_rate: number; p50_ms: number; p95_ms: number; p99_ms: number; count: number } {
  const count = sum.durations.length;
  return { rate: (count / seconds) * 40, error_rate: sum.errors / count, p50_ms: quantile(sum.durations, 0.5), p95_ms: quantile(sum.durations, 0.95), p99_ms: quantile(sum.durations, 0.99), count };
}

const edgeOf = (span: MockSpan, byId: Map<string, MockSpan>): string | null => {
  const parent = span.parent_span_id === null ? undefined : byId.get(span.parent_span_id);
  return parent && parent.service !== span.service ? `${parent.service}\n${span.service}` : null;
};

const healthOf = (errorRate: number): Schemas["ServiceNode"]["health"] => (errorRate >= 0.05 ? "error" : errorRate >= 0.01 ? "warn" : "ok");
const edgeKind = (target: string): Schemas["ServiceEdge"]["kind"] => (target === "redis" ? "database" : target === "shipping" ? "messaging" : "call");

/** 200 services in rows that call some of the next, when the stand-in is started as `BELLWETHER_MOCK=wide`. */
function wideTopology(): Schemas["ServiceMap"] {
  const random = randomOf(5);
  const name = (i: number) => `team-${1 + (i % 12)}-service-${i}`;
  const nodes = Array.from({ length: 200 }, (_, i) => ({ name: name(i), rate: 1 + random() * 300, error_rate: random() < 0.1 ? random() * 0.2 : 0, p50_ms: 4, p95_ms: 5 + random() * 300, p99_ms: 400 })).map((node) => ({ ...node, health: healthOf(node.error_rate) }));
  const edges = nodes.flatMap((_, i) =>
    Array.from({ length: i > 150 ? 0 : 1 + Math.floor(random() * 2.4) }, () => ({ from: name(i), to: name(Math.min(199, i + 1 + Math.floor(random() * 48))), rate: random() * 90, error_rate: random() < 0.1 ? 0.06 : 0, p50_ms: 3, p95_ms: random() * 200, kind: "call" as const })),
  );
  return { nodes, edges: [...new Map(edges.map((edge) => [`${edge.from} ${edge.to}`, edge])).values()], cost: cost(nodes.length) };
}

function topology(from: number, to: number): Schemas["ServiceMap"] {
  if (process.env.BELLWETHER_MOCK === "wide") return wideTopology();
  const seconds = (to - from) / 1000;
  const nodes = [...sumsBy(from, to, (span) => span.service)].map(([name, sum]) => {
    const figures = stats(sum, seconds);
    return { name, ...figures, health: healthOf(figures.error_rate) } as const;
  });
  const edges = [...sumsBy(from, to, edgeOf)].map(([key, sum]) => {
    const [source = "", target = ""] = key.split("\n");
    return { from: source, to: target, ...stats(sum, seconds), kind: edgeKind(target) } as const;
  });
  return { nodes, edges, cost: cost(nodes.length) };
}

function services(from: number, to: number): Schemas["TracedServices"] {
  const seconds = (to - from) / 1000;
  const operations = new Map<string, Set<string>>();
  const sums = sumsBy(from, to, (span) => {
    const names = operations.get(span.service) ?? new Set();
    operations.set(span.service, names.add(span.name));
    return span.service;
  });
  return { services: [...sums].map(([name, sum]) => ({ name, ...stats(sum, seconds), operations: operations.get(name)?.size ?? 0, last_seen: new Date(to - 3000).toISOString() })), cost: cost(sums.size) };
}

function service(name: string, from: number, to: number): Schemas["TracedServiceDetail"] | null {
  const seconds = (to - from) / 1000;
  const buckets = 60;
  const step_ms = Math.ceil((to - from) / buckets);
  const slots = Array.from({ length: buckets }, (): Sum => ({ durations: [], errors: 0 }));
  const kinds = new Map<string, MockSpan["kind"]>();
  const sums = sumsBy(from, to, (span) => {
    if (span.service !== name) return null;
    kinds.set(span.name, span.kind);
    const slot = slots[Math.floor((Date.parse(span.start) - from) / step_ms)];
    slot?.durations.push(span.duration_ns / 1e6);
    if (slot && span.status_code === "error") slot.errors += 1;
    return span.name;
  });
  if (sums.size === 0) return null;
  for (const slot of slots) slot.durations.sort((a, b) => a - b);
  const edges = [...sumsBy(from, to, edgeOf)].map(([key, sum]) => {
    const [source = "", target = ""] = key.split("\n");
    return { source, target, figures: { ...stats(sum, seconds), kind: edgeKind(target) } as const };
  });
  const p = (q: number) => slots.map((slot) => (slot.durations.length === 0 ? null : quantile(slot.durations, q)));
  return {
    name,
    red: { start: new Date(from).toISOString(), step_ms, calls: slots.map((s) => s.durations.length * 40), errors: slots.map((s) => s.errors * 40), p50_ms: p(0.5), p95_ms: p(0.95), p99_ms: p(0.99) },
    operations: [...sums].map(([operation, sum]) => ({ name: operation, kind: kinds.get(operation) ?? "internal", ...stats(sum, seconds) })),
    upstream: edges.filter(({ target }) => target === name).map(({ source, figures }) => ({ name: source, ...figures })),
    downstream: edges.filter(({ source }) => source === name).map(({ target, figures }) => ({ name: target, ...figures })),
    cost: cost(sums.size),
  };
}

function spansIn(from: number, to: number, query: string): MockSpan[] {
  const match = matcherOf(query);
  return [...tracesIn(from, to)].flatMap((trace) => trace.spans.filter(match));
}

function heatmap(from: number, to: number, params: URLSearchParams): Schemas["SpanHeatmap"] {
  const buckets = Number(params.get("buckets") ?? 60);
  const rows = Number(params.get("rows") ?? 30);
  const edges = Array.from({ length: rows + 1 }, (_, i) => Math.round(1e5 * 10 ** ((i / rows) * 5)));
  const blank = () => Array.from({ length: buckets }, () => new Array<number>(rows).fill(0));
  const [counts, errors] = [blank(), blank()];
  const step_ms = Math.ceil((to - from) / buckets);
  for (const span of spansIn(from, to, params.get("query") ?? "")) {
    const x = Math.floor((Date.parse(span.start) - from) / step_ms);
    const y = Math.min(rows - 1, Math.max(0, Math.floor((Math.log10(span.duration_ns / 1e5) / 5) * rows)));
    const [column, bad] = [counts[x], errors[x]];
    if (!column || !bad) continue;
    column[y] = (column[y] ?? 0) + 1;
    if (span.status_code === "error") bad[y] = (bad[y] ?? 0) + 1;
  }
  return { start: new Date(from).toISOString(), step_ms, buckets, edges_ns: edges, counts, errors, cost: cost(counts.length) };
}

function facets(from: number, to: number, params: URLSearchParams): Schemas["RowFacets"] {
  const spans = spansIn(from, to, params.get("query") ?? "");
  const of = (span: MockSpan, field: string) => (field === "status" ? span.status_code : ((span as Json)[field] ?? span.attributes[field] ?? span.resource[field]));
  const list = (params.get("fields") ?? "").split(",").map((name) => {
    const tally = new Map<string, number>();
    for (const span of spans) {
      const value = of(span, name);
      if (value !== undefined) tally.set(String(value), (tally.get(String(value)) ?? 0) + 1);
    }
    const counts = [...tally].map(([value, count]) => ({ value, count }));
    counts.sort((a, b) => b.count - a.count);
    const values = counts.slice(0, Number(params.get("limit") ?? 10));
    const sum = (list: typeof counts) => list.reduce((all, one) => all + one.count, 0);
    return { name, distinct: counts.length, missing: spans.length - sum(counts), other: sum(counts) - sum(values), values };
  });
  return { facets: list, total: spans.length, cost: cost(spans.length) };
}

/** The answer to a path below `/api/v1/monitoring`, null where it is not one of these; 404 is an answer too. */
export function traceRoutes(path: string, params: URLSearchParams): { status: number; body: unknown } | null {
  const to = Date.parse(params.get("end") ?? "") || Date.now();
  const from = Date.parse(params.get("start") ?? "") || to - 3_600_000;
  const ok = (body: unknown) => ({ status: 200, body });
  const query = params.get("query") ?? "";
  const limit = Number(params.get("limit") ?? 50);
  const one = /^\/(traces|services)\/(.+)$/.exec(path);
  if (one) {
    const name = decodeURIComponent(one[2] ?? "");
    const body = one[1] === "traces" ? traceAnswer(name) : service(name, from, to);
    return body ? ok(body) : { status: 404, body: { error: `there is no ${one[1] === "traces" ? "trace" : "service"} ${name}` } };
  }
  switch (path) {
    case "/traces": {
      const match = matcherOf(query);
      const found = [...tracesIn(from, to)].filter((trace) => trace.spans.some(match)).map(summaryOf);
      if (query === "" && to > Date.now() - 600_000) found.unshift(summaryOf(bigTrace()));
      if (params.get("order") === "slowest") found.sort((a, b) => b.duration_ns - a.duration_ns);
      return ok({ traces: found.slice(0, limit), cost: cost(found.length * 12) } satisfies Schemas["TraceList"]);
    }
    case "/spans": {
      const [all, at] = [spansIn(from, to, query), Number(params.get("cursor") ?? 0)];
      return ok({ rows: all.slice(at, at + limit).map(rowOf), next: all.length > at + limit ? String(at + limit) : null, cost: cost(all.length) } satisfies Schemas["SpanRows"]);
    }
    case "/spans/heatmap":
      return ok(heatmap(from, to, params));
    case "/spans/fields": {
      const field = (name: string, scope: "attribute" | "resource", count: number) => ({ name, scope, type: "text" as const, count });
      const keys = ["http.route", "http.request.method", "db.system", "customer.id", "error.type"];
      const own = ["host.name", "service.version"].map((name) => field(name, "resource", 4000));
      return ok({ fields: [...keys.map((name) => field(name, "attribute", 900)), ...own] } satisfies Schemas["RowFields"]);
    }
    case "/spans/values": {
      const one = facets(from, to, new URLSearchParams({ fields: params.get("field") ?? "", limit: "1000" })).facets[0];
      return ok({ values: one?.values.filter(({ value }) => value.startsWith(params.get("prefix") ?? "")).slice(0, limit) ?? [] } satisfies Schemas["RowValues"]);
    }
    case "/spans/facets":
      return ok(facets(from, to, params));
    case "/topology":
      return ok(topology(from, to));
    case "/services":
      return ok(services(from, to));
    case "/logs":
      return params.has("trace_id") ? ok({ rows: logsOf(params.get("trace_id") ?? "").slice(0, limit), next: null, cost: cost(limit) } satisfies Schemas["LogRows"]) : null;
    default:
      return null;
  }
}
