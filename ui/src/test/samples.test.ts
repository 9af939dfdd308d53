import { describe, expect, it } from "vitest";
import { backoffMs } from "../lib/live/backoff";
import { filesystemRows, HOST_PANELS, memoryParts, processRows } from "../lib/live/host";
import { counterRate, LiveSamples, spacing } from "../lib/live/samples";

describe("the rate of a counter", () => {
  it.each([
    ["grows", { t: 0, value: 100 }, { t: 10_000, value: 150 }, 5],
    ["stands still", { t: 0, value: 100 }, { t: 10_000, value: 100 }, 0],
    ["counts from zero after a reset", { t: 0, value: 100 }, { t: 10_000, value: 20 }, 2],
    ["is unknown when no time passed", { t: 5, value: 1 }, { t: 5, value: 2 }, null],
    ["is unknown when time ran back", { t: 5, value: 1 }, { t: 1, value: 2 }, null],
    ["is unknown from NaN", { t: 0, value: NaN }, { t: 1000, value: 2 }, null],
  ])("%s", (_, before, after, want) => expect(counterRate(before, after)).toBe(want));
});

it.each([
  ["is the median distance", [0, 10, 20, 50, 60], 10],
  ["of one sample is the fallback", [5], 99],
  ["ignores repeated times", [0, 0, 15], 15],
])("spacing %s", (_, times, want) => expect(spacing(times, 99)).toBe(want));

describe("live samples", () => {
  it("rate from two consecutive samples", () => {
    const samples = new LiveSamples();
    samples.observe({ __name__: "c", cpu: "0" }, 0, 10);
    expect(samples.sumBy("c", "cpu").size).toBe(0);
    samples.observe({ __name__: "c", cpu: "0" }, 10_000, 30);
    expect(samples.sumBy("c", "cpu").get("0")).toBe(2);
  });
  it("ignore what is not newer", () => {
    const samples = new LiveSamples();
    samples.observe({ __name__: "c" }, 10_000, 5);
    samples.observe({ __name__: "c" }, 10_000, 99);
    samples.observe({ __name__: "c" }, 0, 99);
    expect(samples.sum("c")).toBe(5);
  });
  it("forget series that fell silent", () => {
    const samples = new LiveSamples();
    samples.observe({ __name__: "c", a: "1" }, 0, 1);
    samples.observe({ __name__: "c", a: "2" }, 60_000, 1);
    expect(samples.of("c").map((s) => s.labels.a)).toEqual(["2"]);
  });
  it("are bounded", () => {
    const samples = new LiveSamples(2);
    for (let i = 0; i < 5; i += 1) samples.observe({ __name__: "c", i: String(i) }, 1, 1);
    expect(samples.of("c")).toHaveLength(2);
  });
});

function host(): LiveSamples {
  const samples = new LiveSamples();
  for (const t of [0, 10_000]) {
    for (const cpu of ["0", "1"]) {
      samples.observe({ __name__: "node_cpu_seconds_total", cpu, mode: "user" }, t, t / 2000);
      samples.observe({ __name__: "node_cpu_seconds_total", cpu, mode: "idle" }, t, t / 2000);
    }
    samples.observe({ __name__: "node_memory_MemTotal_bytes" }, t, 100);
    samples.observe({ __name__: "node_memory_MemFree_bytes" }, t, 30);
    samples.observe({ __name__: "node_memory_Cached_bytes" }, t, 20);
    samples.observe({ __name__: "node_network_receive_bytes_total", device: "lo" }, t, t);
    samples.observe({ __name__: "node_network_receive_bytes_total", device: "eth0" }, t, t);
    samples.observe({ __name__: "host_process_cpu_seconds_total", comm: "idle" }, t, 0);
    samples.observe({ __name__: "host_process_cpu_seconds_total", comm: "busy" }, t, t / 1000);
  }
  return samples;
}

describe("the host page", () => {
  const panel = (id: string) => HOST_PANELS.find((p) => p.id === id)?.live(host());
  it("shares CPU time over the cores and leaves idle out", () => {
    expect(panel("cpu")).toEqual(new Map([["user", 0.5]]));
  });
  it("leaves the loopback device out", () => expect([...(panel("network") ?? [])]).toEqual([["eth0 in", 1000]]));
  it("splits memory into parts that add up", () => {
    expect(memoryParts(host())).toEqual({ used: 50, cached: 20, free: 30, total: 100 });
    expect(memoryParts(new LiveSamples())).toBeNull();
  });
  it("puts busy processes first", () => expect(processRows(host()).map((row) => row.name)).toEqual(["busy", "idle"]));
  it("counts a device mounted twice once, under its shortest path", () => {
    const samples = new LiveSamples();
    for (const mountpoint of ["/var/snap/x", "/"]) {
      samples.observe({ __name__: "node_filesystem_size_bytes", device: "/dev/a", mountpoint, fstype: "ext4" }, 1, 10);
      samples.observe({ __name__: "node_filesystem_avail_bytes", device: "/dev/a", mountpoint, fstype: "ext4" }, 1, 4);
    }
    samples.observe({ __name__: "node_filesystem_size_bytes", device: "tmpfs", mountpoint: "/run", fstype: "tmpfs" }, 1, 10);
    expect(filesystemRows(samples).map((row) => [row.mount, row.available])).toEqual([["/", 4]]);
  });
});

it.each([
  [0, 0, 500],
  [0, 1, 1000],
  [3, 0.5, 6000],
  [20, 1, 30_000],
])("attempt %s waits", (attempt, random, want) => expect(backoffMs(attempt, random)).toBe(want));
