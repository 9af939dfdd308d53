/** Targets and services of the stand-in server. */

const target = (pool: string, address: string, health: string, error: string, labels: Record<string, string>, took: number) => ({
  labels: { job: pool, instance: address, ...labels },
  discoveredLabels: { __address__: address },
  scrapePool: pool,
  scrapeUrl: `http://${address}/metrics`,
  health,
  lastError: error,
  lastScrape: new Date(Date.now() - 1000 - 7000 * Math.random()).toISOString(),
  lastScrapeDuration: took,
});

export const TARGETS = () => ({
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

const service = (name: string, status: string, depends_on: string[], message: string, operations: object) => ({
  name,
  status,
  message,
  depends_on,
  restarts: status === "degraded" ? 2 : 0,
  uptime_seconds: 93_000,
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
  service("compactor", "starting", ["store"], "waiting for the first segment", {}),
];
