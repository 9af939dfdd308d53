/** What the host page shows: its panels as PromQL for the past, and the same arithmetic on live samples. */
import type { Labels } from "../api/prometheus";
import type { Unit } from "../format";
import type { LiveSamples } from "./samples";

/** One query of a panel; the series of its answer are named by `name`. */
interface PanelQuery {
  expr: string;
  name: (labels: Labels) => string;
}

export interface HostPanel {
  id: string;
  title: string;
  unit: Unit;
  stacked?: boolean;
  /** Left out on hosts that do not report it. */
  optional?: boolean;
  /** Upper end of the y-axis, where there is a natural one. */
  max?: number;
  /** `$instance` and `$window` are filled in by `panelQueries`. */
  queries: PanelQuery[];
  /** Values at the newest sample, by series name; empty until they can be computed. */
  live: (samples: LiveSamples) => Map<string, number>;
}

const NETWORK = 'device!~"lo|veth.*|br-.*|docker.*"';
const isNetwork = (device: string) => !/^(?:lo|veth.*|br-.*|docker.*)$/.test(device);
const DISK = 'device!~"loop.*|ram.*|dm-.*|zram.*"';
const isDisk = (device: string) => !/^(?:loop.*|ram.*|dm-.*|zram.*)$/.test(device);

const fixed = (name: string) => () => name;

function perDevice(samples: LiveSamples, metric: string, word: string, keep: (device: string) => boolean) {
  const rates = samples.sumBy(metric, "device");
  return [...rates].filter(([device]) => keep(device)).map(([device, rate]): [string, number] => [`${device} ${word}`, rate]);
}

function cpuShares(samples: LiveSamples): Map<string, number> {
  const cpus = new Set(samples.of("node_cpu_seconds_total").map((s) => s.labels.cpu)).size;
  const rates = samples.sumBy("node_cpu_seconds_total", "mode");
  rates.delete("idle");
  for (const [mode, rate] of rates) rates.set(mode, rate / Math.max(cpus, 1));
  return rates;
}

/** Memory as three parts that add up to the total; null while a part is unknown. */
export function memoryParts(samples: LiveSamples): { used: number; cached: number; free: number; total: number } | null {
  const total = samples.sum("node_memory_MemTotal_bytes");
  const free = samples.sum("node_memory_MemFree_bytes");
  if (total === null || free === null) return null;
  const part = (name: string) => samples.sum(`node_memory_${name}_bytes`) ?? 0;
  const cached = part("Buffers") + part("Cached") + part("SReclaimable");
  return { used: Math.max(0, total - free - cached), cached, free, total };
}

const MEMORY_CACHED =
  '(node_memory_Buffers_bytes{$instance} + node_memory_Cached_bytes{$instance} + (node_memory_SReclaimable_bytes{$instance} or node_memory_Cached_bytes{$instance} * 0))';

/** What the kernel calls pressure stall information: by resource, the counter of seconds some task waited for it. */
const PRESSURES = ["cpu", "memory", "io"].map(
  (resource): [string, string] => [resource, `node_pressure_${resource}_waiting_seconds_total`],
);

export const HOST_PANELS: readonly HostPanel[] = [
  {
    id: "cpu",
    title: "CPU by mode",
    unit: "ratio",
    stacked: true,
    max: 1,
    queries: [
      {
        expr: 'sum by (mode) (rate(node_cpu_seconds_total{$instance,mode!="idle"}[$window])) / scalar(count(node_cpu_seconds_total{$instance,mode="idle"}))',
        name: (labels) => labels.mode ?? "",
      },
    ],
    live: cpuShares,
  },
  {
    id: "load",
    title: "Load average",
    unit: "short",
    queries: [
      { expr: "node_load1{$instance}", name: fixed("1 min") },
      { expr: "node_load5{$instance}", name: fixed("5 min") },
      { expr: "node_load15{$instance}", name: fixed("15 min") },
    ],
    live: (samples) => {
      const out = new Map<string, number>();
      for (const minutes of ["1", "5", "15"]) {
        const value = samples.sum(`node_load${minutes}`);
        if (value !== null) out.set(`${minutes} min`, value);
      }
      return out;
    },
  },
  {
    id: "memory",
    title: "Memory",
    unit: "bytes",
    stacked: true,
    queries: [
      {
        expr: `node_memory_MemTotal_bytes{$instance} - node_memory_MemFree_bytes{$instance} - ${MEMORY_CACHED}`,
        name: fixed("used"),
      },
      { expr: MEMORY_CACHED, name: fixed("cached") },
      { expr: "node_memory_MemFree_bytes{$instance}", name: fixed("free") },
    ],
    live: (samples) => {
      const parts = memoryParts(samples);
      return new Map(parts ? [["used", parts.used], ["cached", parts.cached], ["free", parts.free]] : []);
    },
  },
  {
    id: "network",
    title: "Network",
    unit: "bytes/s",
    queries: [
      {
        expr: `sum by (device) (rate(node_network_receive_bytes_total{$instance,${NETWORK}}[$window]))`,
        name: (labels) => `${labels.device} in`,
      },
      {
        expr: `sum by (device) (rate(node_network_transmit_bytes_total{$instance,${NETWORK}}[$window]))`,
        name: (labels) => `${labels.device} out`,
      },
    ],
    live: (samples) =>
      new Map([
        ...perDevice(samples, "node_network_receive_bytes_total", "in", isNetwork),
        ...perDevice(samples, "node_network_transmit_bytes_total", "out", isNetwork),
      ]),
  },
  {
    id: "disk-io",
    title: "Disk throughput",
    unit: "bytes/s",
    queries: [
      {
        expr: `sum by (device) (rate(node_disk_read_bytes_total{$instance,${DISK}}[$window]))`,
        name: (labels) => `${labels.device} read`,
      },
      {
        expr: `sum by (device) (rate(node_disk_written_bytes_total{$instance,${DISK}}[$window]))`,
        name: (labels) => `${labels.device} write`,
      },
    ],
    live: (samples) =>
      new Map([
        ...perDevice(samples, "node_disk_read_bytes_total", "read", isDisk),
        ...perDevice(samples, "node_disk_written_bytes_total", "write", isDisk),
      ]),
  },
  {
    id: "disk-busy",
    title: "Disk busy",
    unit: "ratio",
    queries: [
      {
        expr: `sum by (device) (rate(node_disk_io_time_seconds_total{$instance,${DISK}}[$window]))`,
        name: (labels) => labels.device ?? "",
      },
    ],
    live: (samples) =>
      new Map([...samples.sumBy("node_disk_io_time_seconds_total", "device")].filter(([device]) => isDisk(device))),
  },
  {
    id: "pressure",
    title: "Pressure, share of time tasks waited",
    unit: "ratio",
    optional: true,
    queries: PRESSURES.map(([name, metric]) => ({ expr: `rate(${metric}{$instance}[$window])`, name: fixed(name) })),
    live: (samples) => {
      const out = new Map<string, number>();
      for (const [name, metric] of PRESSURES) {
        const rate = samples.of(metric)[0]?.rate ?? null;
        if (rate !== null) out.set(name, rate);
      }
      return out;
    },
  },
];

/** Every raw metric the page reads, for the subscription and the first values. */
export const HOST_METRICS: readonly string[] = [
  "node_cpu_seconds_total",
  "node_load1",
  "node_load5",
  "node_load15",
  "node_memory_MemTotal_bytes",
  "node_memory_MemFree_bytes",
  "node_memory_MemAvailable_bytes",
  "node_memory_Buffers_bytes",
  "node_memory_Cached_bytes",
  "node_memory_SReclaimable_bytes",
  "node_memory_SwapTotal_bytes",
  "node_memory_SwapFree_bytes",
  "node_network_receive_bytes_total",
  "node_network_transmit_bytes_total",
  "node_disk_read_bytes_total",
  "node_disk_written_bytes_total",
  "node_disk_io_time_seconds_total",
  "node_filesystem_size_bytes",
  "node_filesystem_avail_bytes",
  "node_boot_time_seconds",
  "node_uname_info",
  "node_procs_running",
  ...PRESSURES.map(([, metric]) => metric),
  "host_process_cpu_seconds_total",
  "host_process_resident_memory_bytes",
  "host_process_count",
];

/** An expression for one host. The window covers four samples, or a step where that is longer. */
export function fillQuery(expr: string, instance: string, window: string): string {
  return expr.replaceAll("$instance", `instance=${JSON.stringify(instance)}`).replaceAll("$window", window);
}

/** One row of the process table. */
export interface ProcessRow {
  name: string;
  cpu: number | null;
  memory: number | null;
  count: number | null;
}

/** Processes by command name, busiest first, larger memory first among the idle. */
export function processRows(samples: LiveSamples): ProcessRow[] {
  const cpu = samples.sumBy("host_process_cpu_seconds_total", "comm");
  const memory = samples.sumBy("host_process_resident_memory_bytes", "comm", "value");
  const count = samples.sumBy("host_process_count", "comm", "value");
  const names = new Set([...cpu.keys(), ...memory.keys(), ...count.keys()]);
  const rows = [...names].map((name): ProcessRow => ({
    name,
    cpu: cpu.get(name) ?? null,
    memory: memory.get(name) ?? null,
    count: count.get(name) ?? null,
  }));
  return rows.sort((a, b) => (b.cpu ?? 0) - (a.cpu ?? 0) || (b.memory ?? 0) - (a.memory ?? 0));
}

/** One mounted filesystem. */
export interface FilesystemRow {
  mount: string;
  device: string;
  type: string;
  size: number;
  available: number;
}

const PSEUDO = /^(?:tmpfs|devtmpfs|overlay|squashfs|ramfs|proc|sysfs|cgroup2?|efivarfs|autofs|nsfs|fuse\.lxcfs)$/;

/** Real filesystems, fullest first; in-memory ones only when there is nothing else. A device counts once. */
export function filesystemRows(samples: LiveSamples): FilesystemRow[] {
  const available = new Map(
    samples.of("node_filesystem_avail_bytes").map((s) => [`${s.labels.device} ${s.labels.mountpoint}`, s.value]),
  );
  const rows = samples
    .of("node_filesystem_size_bytes")
    .filter((s) => s.value > 0)
    .map((s): FilesystemRow => ({
      mount: s.labels.mountpoint ?? "",
      device: s.labels.device ?? "",
      type: s.labels.fstype ?? "",
      size: s.value,
      available: available.get(`${s.labels.device} ${s.labels.mountpoint}`) ?? 0,
    }));
  const real = rows.filter((row) => !PSEUDO.test(row.type));
  const shown = real.length > 0 ? real : rows;
  const byDevice = new Map<string, FilesystemRow>();
  for (const row of shown) {
    const known = byDevice.get(row.device);
    // Bind mounts repeat a device; the shortest path is the one people know.
    if (!known || row.mount.length < known.mount.length) byDevice.set(row.device, row);
  }
  const used = (row: FilesystemRow) => 1 - row.available / row.size;
  return [...byDevice.values()].sort((a, b) => used(b) - used(a));
}
