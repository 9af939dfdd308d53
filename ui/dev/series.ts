/** Made-up but plausible series for developing the pages without a server. Every value is a function of time. */

export type Labels = Record<string, string>;

export interface FakeSeries {
  labels: Labels;
  /** Value at `t` seconds. */
  at: (t: number) => number;
}

export interface FakeMetric {
  type: string;
  help: string;
  unit: string;
}

export const METADATA: Record<string, FakeMetric> = {};
export const SERIES: FakeSeries[] = [];

const HOST: Labels = { job: "node", instance: "harbour" };
const BOOT = Math.floor(Date.now() / 1000) - 11 * 86_400 - 5 * 3600;

function hash(text: string): number {
  let h = 2166136261;
  for (const char of text) h = Math.imul(h ^ char.charCodeAt(0), 16777619);
  h = Math.imul(h ^ (h >>> 16), 2246822507);
  h = Math.imul(h ^ (h >>> 13), 3266489909);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** Smooth value noise in -1 … 1 with a given period. */
function noise(seed: number, t: number, period: number): number {
  const x = t / period;
  const i = Math.floor(x);
  const f = x - i;
  const point = (n: number) => hash(`${seed} ${n}`) * 2 - 1;
  const s = f * f * (3 - 2 * f);
  return point(i) * (1 - s) + point(i + 1) * s;
}

const wobble = (seed: number, t: number) =>
  0.5 * noise(seed, t, 900) + 0.3 * noise(seed + 1, t, 120) + 0.2 * noise(seed + 2, t, 20);

/** A gauge around `middle`, swinging by `swing`. */
function gauge(name: string, labels: Labels, middle: number, swing: number): void {
  const seed = Math.floor(hash(name + JSON.stringify(labels)) * 1e6);
  SERIES.push({ labels: { __name__: name, ...HOST, ...labels }, at: (t) => middle + swing * wobble(seed, t) });
}

/** A counter that grows by `rate` per second, give or take; its integral is summed in closed steps of ten seconds. */
function counter(name: string, labels: Labels, rate: number, swing = 0.7, job: Labels = HOST): void {
  const seed = Math.floor(hash(name + JSON.stringify(labels)) * 1e6);
  const sums = new Map<number, number>();
  const epoch = Math.floor(Date.now() / 10_000) * 10 - 2 * 86_400;
  const speed = (t: number) => Math.max(0, rate * (1 + swing * 1.4 * wobble(seed, t)));
  const sumTo = (tick: number): number => {
    let from = tick;
    while (from > epoch && !sums.has(from)) from -= 10;
    let sum = sums.get(from) ?? 0;
    for (let at = from; at < tick; at += 10) sums.set(at + 10, (sum += speed(at) * 10));
    return sum;
  };
  SERIES.push({
    labels: { __name__: name, ...job, ...labels },
    at: (t) => {
      const tick = Math.floor(t / 10) * 10;
      return rate * 86_400 + sumTo(tick) + speed(tick) * (t - tick);
    },
  });
}

function describe(name: string, type: string, help: string, unit = ""): void {
  METADATA[name] = { type, help, unit };
}

const GiB = 2 ** 30;
describe("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.", "seconds");
const MODES: [string, number][] = [["user", 0.21], ["system", 0.08], ["iowait", 0.025], ["softirq", 0.006], ["irq", 0], ["steal", 0], ["nice", 0.002], ["idle", 0.66]];
for (let cpu = 0; cpu < 8; cpu += 1) for (const [mode, rate] of MODES) counter("node_cpu_seconds_total", { cpu: String(cpu), mode }, rate, mode === "idle" ? 0.1 : 0.7);
for (const [minutes, swing] of [["1", 1.6], ["5", 0.9], ["15", 0.4]] as const) {
  describe(`node_load${minutes}`, "gauge", `${minutes}m load average.`);
  gauge(`node_load${minutes}`, {}, 2.4, swing);
}
describe("node_memory_MemTotal_bytes", "gauge", "Memory information field MemTotal_bytes.", "bytes");
gauge("node_memory_MemTotal_bytes", {}, 31.3 * GiB, 0);
gauge("node_memory_MemFree_bytes", {}, 4.1 * GiB, 1.2 * GiB);
gauge("node_memory_MemAvailable_bytes", {}, 17.2 * GiB, 1.1 * GiB);
gauge("node_memory_Buffers_bytes", {}, 0.6 * GiB, 0.02 * GiB);
gauge("node_memory_Cached_bytes", {}, 12.4 * GiB, 0.5 * GiB);
gauge("node_memory_SReclaimable_bytes", {}, 1.2 * GiB, 0.05 * GiB);
gauge("node_memory_SwapTotal_bytes", {}, 8 * GiB, 0);
gauge("node_memory_SwapFree_bytes", {}, 7.6 * GiB, 0);
for (const device of ["lo", "eth0", "wg0"]) {
  counter("node_network_receive_bytes_total", { device }, device === "eth0" ? 3.1e6 : 2.4e5);
  counter("node_network_transmit_bytes_total", { device }, device === "eth0" ? 1.2e6 : 1.9e5);
}
for (const device of ["nvme0n1", "sda"]) {
  counter("node_disk_read_bytes_total", { device }, device === "sda" ? 4e5 : 2.2e6, 0.9);
  counter("node_disk_written_bytes_total", { device }, device === "sda" ? 2.6e6 : 5.1e6, 0.9);
  counter("node_disk_io_time_seconds_total", { device }, device === "sda" ? 0.21 : 0.06, 0.9);
}
for (const [device, mountpoint, fstype, size, free] of [
  ["/dev/nvme0n1p2", "/", "ext4", 468, 121],
  ["/dev/sda1", "/var/lib/backups", "xfs", 1862, 207],
  ["/dev/nvme0n1p1", "/boot/efi", "vfat", 0.5, 0.49],
  ["tmpfs", "/run", "tmpfs", 3.1, 3.1],
] as const) {
  gauge("node_filesystem_size_bytes", { device, mountpoint, fstype }, size * GiB, 0);
  gauge("node_filesystem_avail_bytes", { device, mountpoint, fstype }, free * GiB, free * GiB * 0.01);
}
for (const [resource, rate] of [["cpu", 0.06], ["memory", 0.004], ["io", 0.03]] as const) {
  counter(`node_pressure_${resource}_waiting_seconds_total`, {}, rate, 0.9);
}
gauge("node_boot_time_seconds", {}, BOOT, 0);
SERIES.push({ labels: { __name__: "node_procs_running", ...HOST }, at: (t) => 2 + Math.round(2 * Math.abs(noise(7, t, 30))) });
gauge("node_uname_info", { sysname: "Linux", release: "6.12.9-amd64", machine: "x86_64", nodename: "harbour" }, 1, 0);
for (const [comm, cpu, memory, count] of [
  ["postgres", 0.62, 2.1, 14], ["bellwether", 0.043, 0.082, 1], ["chromium", 0.31, 1.7, 22], ["rustc", 1.42, 1.2, 2], ["dockerd", 0.05, 0.11, 1],
  ["nginx", 0.08, 0.06, 9], ["systemd", 0.01, 0.02, 4], ["sshd", 0.002, 0.01, 3], ["node", 0.22, 0.41, 3], ["redis-server", 0.03, 0.19, 1],
] as const) {
  counter("host_process_cpu_seconds_total", { comm }, cpu);
  gauge("host_process_resident_memory_bytes", { comm }, memory * GiB, memory * GiB * 0.03);
  gauge("host_process_count", { comm }, count, 0);
}
describe("http_server_request_duration_seconds", "histogram", "Duration of HTTP server requests.", "seconds");
const APP: Labels = { job: "shop/checkout", instance: "checkout-7c9d-1" };
for (const route of ["/cart", "/checkout", "/orders/{id}", "/search"]) {
  for (const status of ["200", "404", "500"]) {
    const share = status === "200" ? 40 : status === "404" ? 1.4 : 0.3;
    counter("http_server_request_duration_seconds_count", { http_route: route, http_response_status_code: status }, share * (0.4 + hash(route)), 0.5, APP);
    for (const [le, part] of [["0.01", 0.2], ["0.05", 0.6], ["0.1", 0.8], ["0.5", 0.97], ["+Inf", 1]] as const) {
      counter("http_server_request_duration_seconds_bucket", { http_route: route, http_response_status_code: status, le }, share * part, 0.5, APP);
    }
  }
}
describe("bellwether_ingest_items_total", "counter", "Items received, by signal and outcome.");
for (const signal of ["metrics", "logs", "traces"]) for (const outcome of ["accepted", "refused", "dropped"]) {
  counter("bellwether_ingest_items_total", { signal, outcome }, outcome === "accepted" ? 4200 : 3, 0.6, { job: "bellwether", instance: "harbour" });
}
describe("bellwether_memory_budget_used_bytes", "gauge", "Bytes reserved from the process's memory budget.", "bytes");
gauge("bellwether_memory_budget_used_bytes", { pool: "heads" }, 38e6, 6e6);
describe("up", "gauge", "1 when the last scrape of the target succeeded.");
gauge("up", {}, 1, 0);
for (const { labels } of SERIES) {
  const name = labels.__name__ ?? "";
  METADATA[name] ??= { type: name.endsWith("_total") ? "counter" : "gauge", help: `Help of ${name.replaceAll("_", " ")}.`, unit: "" };
}
