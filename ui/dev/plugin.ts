/** A stand-in for the server while developing the pages: `npm run mock`. Never part of a build. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { PluginOption, PreviewServer, ViteDevServer } from "vite";
import type { Schemas } from "../src/lib/api/types.ts";
import { alertRoutes } from "./alerts.ts";
import { none, NOT_FOUND, ok, refuse, type Answer } from "./answer.ts";
import { ownRoutes, permissionsOf, publicRoutes, who } from "./auth.ts";
import { tenantRoutes } from "./control.ts";
import { FakeChecks } from "./checks.ts";
import { BadQuery, compile, type Item } from "./evaluate.ts";
import { BadSearch, logsAnswer, sqlAnswer } from "./logs.ts";
import { METADATA, SERIES, type Labels } from "./series.ts";
import { serveSocket } from "./socket.ts";
import { HOSTS, SERVICES, TARGETS } from "./tables.ts";
import { traceRoutes } from "./traces.ts";
import { auditRoutes, record } from "./trail.ts";

const CHECKS = "/api/v1/monitoring/health-checks";
let checks: FakeChecks | null = null;

/** What the real server sends with every page, so that a violation shows here first. */
const CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

function savedObject(name: string, spec: Schemas["Object"]["spec"], before?: Schemas["Object"], file: string | null = null): Schemas["Object"] {
  const now = new Date().toISOString();
  return { name, spec, version: (before?.version ?? 0) + 1, created_at: before?.created_at ?? now, updated_at: now, file };
}

const OWNED = savedObject("error rate", { queries: ['sum(rate(http_requests_total{code=~"5.."}[5m]))'] }, undefined, "queries.yaml");
const saved = new Map([[OWNED.name, OWNED]]);

const data = (value: unknown): Answer => ok({ status: "success", data: value });

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

const textOf = (value: number) => (Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "NaN" : "+Inf");
const listOf = (result: Item[] | number): Item[] => (typeof result === "number" ? [{ labels: {}, value: result }] : result);

function instant(form: URLSearchParams): Answer {
  const t = Number(form.get("time") ?? Date.now() / 1000);
  const raw = /^\s*({[^}]*})\[(\d+)s\]\s*$/.exec(form.get("query") ?? "");
  if (raw) {
    // A bare range selector answers raw samples; ours fall on every tenth second.
    const last = Math.floor(t / 10) * 10;
    const times = Array.from({ length: Math.floor(Number(raw[2]) / 10) }, (_, i) => last - i * 10).reverse();
    const result = select(raw[1] ?? "").map((s) => ({ metric: s.labels, values: times.map((at) => [at, textOf(s.at(at))]) }));
    return data({ resultType: "matrix", result });
  }
  const items = listOf(compile(form.get("query") ?? "")(t));
  return data({ resultType: "vector", result: items.map((i) => ({ metric: i.labels, value: [t, textOf(i.value)] })) });
}

function range(form: URLSearchParams): Answer {
  const evaluate = compile(form.get("query") ?? "");
  const [start, end, step] = ["start", "end", "step"].map((key) => Number(form.get(key))) as [number, number, number];
  const series = new Map<string, { metric: Labels; values: [number, string][] }>();
  let samples = 0;
  for (let t = start; t <= end + 1e-6; t += step) {
    for (const item of listOf(evaluate(t))) {
      const key = JSON.stringify(item.labels);
      const entry = series.get(key) ?? { metric: item.labels, values: [] };
      entry.values.push([t, textOf(item.value)]);
      samples += 1;
      series.set(key, entry);
    }
  }
  const stats = { samples: { totalQueryableSamples: samples, peakSamples: samples } };
  const rated = /_total/.test(form.get("query") ?? "") && !/rate|increase/.test(form.get("query") ?? "");
  const infos = rated ? ["PromQL info: metric is a counter; rate() or increase() may be what is wanted"] : [];
  return { status: 200, body: { status: "success", data: { resultType: "matrix", result: [...series.values()], stats }, infos } };
}

/** Series of a selector. */
function select(selector: string): typeof SERIES {
  const found = compile(selector)(0);
  const keys = new Set((typeof found === "number" ? [] : found).map((item) => item.labels));
  return SERIES.filter((series) => keys.has(series.labels));
}

function matched(params: URLSearchParams): Labels[] {
  const match = params.get("match[]");
  if (!match) return SERIES.map((s) => s.labels);
  const found = compile(match)(Date.now() / 1000);
  return typeof found === "number" ? [] : found.map((item) => item.labels);
}

function metrics(path: string, params: URLSearchParams): Answer | null {
  const unique = (values: string[]) => data([...new Set(values)].sort());
  const values = /^\/api\/v1\/label\/([^/]+)\/values$/.exec(path)?.[1];
  if (values) return unique(matched(params).flatMap((labels) => labels[decodeURIComponent(values)] ?? []));
  switch (path) {
    case "/api/v1/query":
      return instant(params);
    case "/api/v1/query_range":
      return range(params);
    case "/api/v1/labels":
      return unique(matched(params).flatMap((labels) => Object.keys(labels)));
    case "/api/v1/series":
      return data(matched(params));
    case "/api/v1/metadata":
      return data(Object.fromEntries(Object.entries(METADATA).map(([name, meta]) => [name, [meta]])));
    case "/api/v1/query_exemplars": {
      const t = Number(params.get("end"));
      const exemplars = [900, 400].map((ago) => ({ labels: { trace_id: "4bf92f3577b34da6a3ce929d0e0e4736" }, value: "0.4", timestamp: t - ago }));
      return data(/_bucket/.test(params.get("query") ?? "") ? [{ seriesLabels: {}, exemplars }] : []);
    }
    default:
      return null;
  }
}

async function answer(request: IncomingMessage, path: string, params: URLSearchParams): Promise<Answer> {
  const body = await bodyOf(request);
  const method = request.method ?? "GET";
  const agent = request.headers["user-agent"] ?? "";
  const auth = path.startsWith("/api/v1/auth") ? path.slice("/api/v1/auth".length) : null;
  const open = auth === null ? null : publicRoutes(method, auth, params, body, agent);
  if (open) return open;
  const me = who(request.headers.cookie);
  if (!me) return refuse(401, "UNAUTHORIZED", "sign in first");
  if (method !== "GET" && request.headers["x-csrf-token"] !== "mock") return refuse(403, "CSRF", "CSRF token missing");
  if (auth !== null) return ownRoutes(method, auth, body, me) ?? refuse(404, "NOT_FOUND", `no route ${path}`);
  if (path.startsWith("/api/v1/tenants")) {
    const result = tenantRoutes(method, path.slice("/api/v1/tenants".length), params, body, me, `http://${request.headers.host ?? ""}`);
    if (method !== "GET") record({ kind: "user", id: me.member.id, name: me.member.name }, method, path, result.status);
    return result;
  }
  if (path.startsWith("/api/v1/monitoring/audit")) {
    if (!permissionsOf(me).includes("audit:read")) return refuse(403, "FORBIDDEN", "this needs the permission audit:read");
    const found = auditRoutes(path.slice("/api/v1/monitoring/audit".length), params);
    if (found?.json) return ok(found.json);
    if (found?.text !== undefined) return { status: 200, body: found.text, headers: { "Content-Type": found.type ?? "", "Content-Disposition": "attachment; filename=audit" } };
  }
  if (path === "/api/v1/targets") return data(TARGETS());
  if (path === "/api/v1/monitoring/hosts") return ok({ hosts: HOSTS() } satisfies Schemas["Hosts"]);
  if (path === "/api/v1/services") return ok({ services: SERVICES } satisfies Schemas["Services"]);
  const named = /^\/api\/v1\/monitoring\/objects\/saved_query(?:\/(.+))?$/.exec(path);
  if (named) {
    const name = decodeURIComponent(named[1] ?? "");
    if (method === "GET" && name === "") return ok({ items: [...saved.values()], next: null } satisfies Schemas["Objects"]);
    const before = saved.get(name);
    if (method !== "GET" && before?.file) return refuse(409, "CONFLICT", `saved_query/${name} belongs to the file ${before.file}: change it there`);
    if (method === "PUT") saved.set(name, savedObject(name, JSON.parse(body), before));
    if (method === "DELETE") return saved.delete(name) ? none : NOT_FOUND;
    const object = saved.get(name);
    return object ? ok(object) : NOT_FOUND;
  }
  const alerting = path.startsWith("/api/v1/monitoring/") ? alertRoutes(method, path.slice("/api/v1/monitoring".length), params, body, me.member.name) : null;
  if (alerting) return alerting;
  if (path.startsWith(CHECKS)) return (checks ??= new FakeChecks()).answer(method, path.slice(CHECKS.length), params, body);
  const traces = path.startsWith("/api/v1/monitoring/") ? traceRoutes(path.slice("/api/v1/monitoring".length), params) : null;
  if (traces) return traces;
  if (path === "/api/v1/sql") return ok(sqlAnswer(body));
  const logs = path.startsWith("/api/v1/monitoring/logs") ? logsAnswer(path.slice(23), params) : undefined;
  if (logs !== undefined) return ok(logs);
  for (const [key, value] of new URLSearchParams(request.method === "POST" ? body : "")) params.append(key, value);
  return metrics(path, params) ?? { status: 404, body: { error: `no route ${path}` } };
}

async function handle(request: IncomingMessage, response: ServerResponse, next: () => void): Promise<void> {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (!url.pathname.startsWith("/api/")) return next();
  let result: Answer;
  try {
    result = await answer(request, url.pathname, url.searchParams);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    result = { status: error instanceof BadQuery || error instanceof BadSearch ? 400 : 500, body: { status: "error", errorType: "bad_data", error: message } };
    if (error instanceof BadSearch) result.body = { error: { type: "MonitoringError", code: "INVALID", message: `invalid parameter "query": ${message}`, field: "query" } };
  }
  response.writeHead(result.status, { "Content-Type": "application/json", ...result.headers });
  response.end(typeof result.body === "string" ? result.body : JSON.stringify(result.body));
}

function attach(server: ViteDevServer | PreviewServer, strict: boolean): void {
  server.middlewares.use((request, response, next) => {
    if (strict) response.setHeader("Content-Security-Policy", CSP);
    void handle(request, response, next);
  });
  server.httpServer?.on("upgrade", (request, socket) => {
    if (request.url === "/api/v1/ws") serveSocket(request, socket as import("node:net").Socket);
  });
}

export function mockServer(): PluginOption {
  return {
    name: "bellwether-mock",
    configureServer: (server) => attach(server, false),
    configurePreviewServer: (server) => attach(server, true),
  };
}
