/** Health checks of the stand-in server: ten thousand of them, whose states are functions of time. */
import type { CheckOutcome, CheckSpec, CheckStatus, CheckType, CheckView, ResultPage, Uptime } from "../src/lib/checks/types.ts";
import { none, NOT_FOUND, ok, refuse, type Answer } from "./answer.ts";
import { SERIES } from "./series.ts";

const COUNT = 10_000;
const DAY_MS = 86_400_000;
const TYPES: readonly CheckType[] = ["http", "tcp", "http", "tls", "dns", "http", "postgresql", "icmp", "heartbeat", "query"];
const TEAMS = ["checkout", "billing", "search", "stock", "mail", "ledger", "login", "media"];

interface Stored {
  id: string;
  spec: CheckSpec;
  created: number;
  version: number;
  /** Fails all the time, from some time on, now and then, or never. */
  manner: "down" | "sometimes" | "fine";
}

const TARGETS: Partial<Record<CheckType, (team: string, n: number) => string>> = {
  http: (team, n) => `https://${team}-${n}.harbour.example/health`,
  tcp: (team, n) => `${team}-${n}.harbour.example:5432`,
  tls: (team) => `${team}.harbour.example:443`,
  dns: (team) => `${team}.harbour.example`,
  icmp: (_, n) => `10.0.${n % 256}.7`,
  postgresql: (team, n) => `postgres://${team}-${n}.harbour.example/main`,
  query: () => "sum(rate(http_requests_total[5m]))",
};

function madeUp(n: number): Stored {
  const type = TYPES[n % TYPES.length] ?? "http";
  const team = TEAMS[n % TEAMS.length] ?? "";
  const spec: CheckSpec = {
    name: `${team}-${type}-${String(n).padStart(5, "0")}`,
    type,
    target: TARGETS[type]?.(team, n) ?? "",
    interval: 30,
    timeout: 10,
    retries: 2,
    isActive: n % 97 !== 5,
    critical: true,
    labels: { team },
    ...(type === "query" && { config: { operator: ">", threshold: 10 } }),
  };
  return { id: `chk_${String(n).padStart(6, "0")}`, spec, created: Date.now() - 60 * DAY_MS, version: 1, manner: n % 311 === 3 ? "down" : n % 83 === 11 ? "sometimes" : "fine" };
}

/** Checks by id; a test may begin with fewer. */
export class FakeChecks {
  private readonly all = new Map<string, Stored>();
  private made = 0;

  constructor(count = COUNT) {
    for (let n = 0; n < count; n += 1) {
      const one = madeUp(n);
      this.all.set(one.id, one);
    }
  }

  private names(): Stored[] {
    return [...this.all.values()].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  private statusAt(one: Stored, at: number): CheckStatus {
    if (one.manner === "fine") return "healthy";
    if (one.manner === "down") return at > Date.now() - 47 * 60_000 ? "unhealthy" : "healthy";
    return Math.floor(at / 600_000 + one.id.length) % 12 === 0 ? "unhealthy" : "healthy";
  }

  private latency(one: Stored, at: number): number {
    const seed = Number(one.id.replace(/\D/g, "")) % 50;
    return Math.round((20 + seed + 8 * Math.sin(at / 300_000 + seed) + (at % 7)) * 10) / 10;
  }

  private outcome(one: Stored, at: number): CheckOutcome {
    const status = this.statusAt(one, at);
    const total = this.latency(one, at);
    return {
      at: new Date(at).toISOString(),
      status,
      latencyMs: total,
      attempts: status === "unhealthy" ? Math.max(1, one.spec.retries) : 1,
      message: status === "unhealthy" ? "answered 503 Service Unavailable, expected 200-299" : null,
      place: "server",
      details: {
        address: "10.0.4.7:443",
        timings: { dns: total * 0.1, connect: total * 0.2, tls: total * 0.3, firstByte: total * 0.35, total },
        ...(one.spec.type === "http" && { httpStatus: status === "healthy" ? 200 : 503 }),
      },
    };
  }

  private view(one: Stored): CheckView {
    const now = Date.now();
    const at = now - (now % (one.spec.interval * 1000));
    const last = this.outcome(one, at);
    const bad = last.status === "unhealthy";
    return {
      description: "",
      labels: {},
      critical: true,
      dependsOn: [],
      locations: [],
      quorum: null,
      failureThreshold: 1,
      successThreshold: 1,
      runbook: null,
      ...one.spec,
      config: one.spec.config ?? null,
      file: null,
      pushUrl: null,
      warnings: [],
      id: one.id,
      createdAt: new Date(one.created).toISOString(),
      updatedAt: new Date(one.created).toISOString(),
      version: one.version,
      state: {
        status: one.spec.isActive ? last.status : "unknown",
        since: new Date(bad ? now - 47 * 60_000 : one.created).toISOString(),
        downSince: bad ? new Date(now - 47 * 60_000).toISOString() : null,
        flapping: one.manner === "sometimes" && one.id.endsWith("4"),
        lastAt: one.spec.isActive ? last.at : null,
        latencyMs: one.spec.isActive ? last.latencyMs : null,
        message: last.message,
      },
      ...(one.spec.type === "heartbeat" && { pushUrl: `http://localhost:4310/api/v1/monitoring/heartbeat/hb_${one.id}` }),
    };
  }

  private list(params: URLSearchParams): Answer {
    const limit = Math.min(1000, Number(params.get("limit") ?? 100));
    const [type, status, search, active, after] = ["type", "status", "search", "isActive", "after"].map((key) => params.get(key) ?? "");
    const views = this.names().map((one) => this.view(one));
    const count = (want: CheckStatus) => views.filter((one) => one.isActive && one.state.status === want).length;
    const summary = { healthy: count("healthy"), unhealthy: count("unhealthy"), unknown: count("unknown"), paused: views.filter((one) => !one.isActive).length };
    const fitting = views.filter(
      (one) =>
        (type === "" || one.type === type) &&
        (status === "" || one.state.status === status) &&
        (active === "" || String(one.isActive) === active) &&
        `${one.name} ${one.target}`.toLowerCase().includes((search ?? "").toLowerCase()) &&
        one.name > (after ?? ""),
    );
    const items = fitting.slice(0, limit);
    return ok({ items, next: fitting.length > limit ? (items.at(-1)?.name ?? null) : null, summary: { status: summary.unhealthy > 0 ? "unhealthy" : "healthy", ...summary } });
  }

  private read(body: string): CheckSpec | Answer {
    const spec = JSON.parse(body) as CheckSpec;
    if (!spec.name) return refuse(400, "INVALID", 'invalid parameter "name": is missing', { field: "name" });
    if (/^https?:\/\/169\.254/.test(spec.target)) return refuse(400, "INVALID", 'invalid parameter "target": is an address that checks may not reach', { field: "target" });
    return spec;
  }

  private uptime(one: Stored): Uptime {
    const now = Date.now();
    const days = Array.from({ length: 90 }, (_, i) => {
      const at = now - (89 - i) * DAY_MS;
      const bad = (i * 7 + one.id.length) % 23;
      return { day: new Date(at).toISOString().slice(0, 10), uptime: i < 12 ? null : bad === 0 ? 0.94 : bad === 1 ? 0.992 : 1 };
    });
    const windows = (["24h", "7d", "30d"] as const).map((window, i) => ({ window, uptime: [0.99931, 0.99987, 0.9995][i] ?? null, runs: [2880, 20_160, 86_400][i] ?? 0, meanLatencyMs: 41.2, p95LatencyMs: 73.9 }));
    const iso = (ms: number) => new Date(ms).toISOString();
    const outages = [
      ...(this.statusAt(one, now) === "unhealthy" ? [{ from: iso(now - 47 * 60_000), until: null, message: "answered 503 Service Unavailable, expected 200-299" }] : []),
      { from: iso(now - 3 * DAY_MS), until: iso(now - 3 * DAY_MS + 340_000), message: "no answer within 10 s" },
    ];
    return { windows, days, outages };
  }

  private results(one: Stored, params: URLSearchParams): ResultPage {
    const step = one.spec.interval * 1000;
    const limit = Number(params.get("limit") ?? 100);
    const want = params.get("status") ?? "";
    let at = Number(params.get("after")) || Date.now() - (Date.now() % step) + step;
    const results: CheckOutcome[] = [];
    for (let looked = 0; results.length < limit && looked < 5000; looked += 1) {
      at -= step;
      const outcome = this.outcome(one, at);
      if (want === "" || outcome.status === want) results.push(outcome);
    }
    return { items: results, next: String(at) };
  }

  /** Answers below `/api/v1/monitoring/health-checks`; `path` is what follows. */
  answer(method: string, path: string, params: URLSearchParams, body: string): Answer {
    const [, id = "", rest = ""] = path.split("/");
    if (path === "/test") {
      const spec = this.read(body);
      return "status" in spec ? spec : ok(this.outcome({ id: "chk_0", spec, created: 0, version: 0, manner: spec.target.includes("down") ? "down" : "fine" }, Date.now()));
    }
    if (id === "" && method === "GET") return this.list(params);
    if (id === "" && method === "POST") {
      const spec = this.read(body);
      if ("status" in spec) return spec;
      this.made += 1;
      const one: Stored = { id: `chk_new${this.made}`, spec, created: Date.now(), version: 1, manner: spec.target.includes("down") ? "down" : "fine" };
      this.all.set(one.id, one);
      observe(spec);
      return ok(this.view(one), 201);
    }
    const one = this.all.get(decodeURIComponent(id));
    if (!one) return NOT_FOUND;
    if (rest === "run") return ok(this.outcome(one, Date.now()));
    if (rest === "results") return ok(this.results(one, params));
    if (rest === "uptime") return ok(this.uptime(one));
    if (method === "DELETE") {
      this.all.delete(one.id);
      return none;
    }
    if (method === "PUT") {
      const spec = this.read(body);
      if ("status" in spec) return spec;
      one.spec = spec;
      one.version += 1;
    }
    return ok(this.view(one));
  }
}

/** Its latencies, for the chart. */
function observe(spec: CheckSpec): void {
  SERIES.push({ labels: { __name__: "probe_duration_seconds", check: spec.name, type: spec.type, place: "server" }, at: (t) => 0.04 + 0.01 * Math.sin(t / 300) + 0.004 * Math.sin(t / 37) });
}
for (let n = 0; n < 400; n += 1) observe(madeUp(n).spec);
