/** Hosts, targets and services of the stand-in server. */
import type { Schemas } from "../src/lib/api/types.ts";

const target = (pool: string, address: string, health: string, error: string, labels: Record<string, string>, took: number): Schemas["PrometheusActiveTarget"] => ({
  labels: { job: pool, instance: address, ...labels },
  discoveredLabels: { __address__: address },
  scrapePool: pool,
  scrapeUrl: `http://${address}/metrics`,
  globalUrl: `http://${address}/metrics`,
  scrapeInterval: "15s",
  scrapeTimeout: "10s",
  health,
  lastError: error,
  lastScrape: new Date(Date.now() - 1000 - 7000 * Math.random()).toISOString(),
  lastScrapeDuration: took,
});

export const TARGETS = (): Schemas["PrometheusTargets"]["data"] => ({
  activeTargets: [
    target("node", "10.0.4.11:9100", "up", "", { rack: "a1", env: "prod" }, 0.0213),
    target("node", "10.0.4.12:9100", "up", "", { rack: "a1", env: "prod" }, 0.0187),
    target("node", "10.0.4.13:9100", "down", 'Get "http://10.0.4.13:9100/metrics": connection refused', { rack: "a2", env: "prod" }, 0.0008),
    target("postgres", "db-1.internal:9187", "up", "", { env: "prod", role: "primary" }, 0.1342),
    target("postgres", "db-2.internal:9187", "unknown", "", { env: "prod", role: "replica" }, 0),
  ],
  droppedTargets: [{ discoveredLabels: { __address__: "10.0.4.99:9100" }, scrapePool: "node" }],
  unsupportedJobs: [{ job: "kubernetes-pods", reason: "kubernetes_sd_configs is not supported; use static_configs or file_sd_configs" }],
});

const service = (
  name: string,
  state: Schemas["ServiceStatus"] | "degraded",
  depends_on: string[],
  message: string,
  operations: Schemas["Service"]["operations"],
): Schemas["Service"] => ({
  name,
  description: "",
  // What runs but is not well is ready, and says so as its health.
  status: state === "degraded" ? "ready" : state,
  health: state === "degraded" ? "degraded" : state === "ready" ? "healthy" : "unknown",
  message: message || null,
  depends_on,
  restarts: state === "degraded" ? 2 : 0,
  registered_at: new Date(Date.now() - 93_000_000).toISOString(),
  last_health_check: new Date(Date.now() - 4000).toISOString(),
  response_time_ms: 0.2,
  uptime_seconds: 93_000,
  gauges: {},
  operations,
});

export const SERVICES = [
  service("store", "ready", [], "", {
    append: { count: 184_220, errors: 0, avg_ms: 1.21 },
    snapshot: { count: 5210, errors: 0, avg_ms: 0.04 },
  }),
  service("control", "ready", [], "", { authenticate: { count: 9120, errors: 14, avg_ms: 0.31 } }),
  service("host-collector", "ready", ["store"], "", { collect: { count: 9300, errors: 0, avg_ms: 14.2 } }),
  service("scraper", "degraded", ["store"], "1 of 5 targets does not answer", { scrape: { count: 41_200, errors: 310, avg_ms: 38.5 } }),
  service("query", "ready", ["store"], "", { query_range: { count: 2104, errors: 3, avg_ms: 9.4 }, query: { count: 812, errors: 0, avg_ms: 3.1 } }),
  service("compactor", "initializing", ["store"], "waiting for the first segment", {}),
];

const FLEET = 2000;
const KERNELS = ["6.12.9-amd64", "6.1.0-28-amd64", "5.10.0-33-arm64"];

/** One real host with series, and a fleet of others; every fortieth fell silent a while ago. */
export const HOSTS = () => {
  const host = (name: string, agoMs: number, release: string, job: string): Schemas["Host"] => ({
    name,
    last_seen: new Date(Date.now() - agoMs).toISOString(),
    state: agoMs > 60_000 ? "gone" : "up",
    system: "Linux",
    release,
    machine: release.endsWith("arm64") ? "aarch64" : "x86_64",
    job,
  });
  const fleet = Array.from({ length: FLEET - 1 }, (_, i) => {
    const agoMs = i % 40 === 7 ? (6 + (i % 9_000)) * 60_000 : (i % 10) * 1000;
    return host(`node-${String(i + 1).padStart(4, "0")}`, agoMs, KERNELS[i % 3] ?? "", i % 5 === 0 ? "node-exporter" : "node");
  });
  return [host("harbour", 2000, "6.12.9-amd64", "node"), ...fleet];
};
