import { describe, expect, it } from "vitest";
import { seriesName } from "../lib/api/prometheus";
import { ago, formatTick, formatValue } from "../lib/format";
import { inferUnit } from "../lib/units";

describe("a value", () => {
  it.each([
    [null, "short", "–"],
    [0, "short", "0"],
    [1234, "short", "1.23k"],
    [0.0321, "short", "0.032"],
    [1536, "bytes", "1.50 KiB"],
    [3.2e9, "bytes/s", "2.98 GiB/s"],
    [0.2515, "ratio", "25.1 %"],
    [0.0042, "seconds", "4.2 ms"],
    [7200, "seconds", "2 h"],
    [Infinity, "short", "+Inf"],
    [NaN, "short", "NaN"],
  ] as const)("%s as %s reads %s", (value, unit, want) => expect(formatValue(value, unit)).toBe(want));
});

it.each([
  [0.25, "ratio", 0.25, "25 %"],
  [2.5, "short", 0.5, "2.5"],
  [2 ** 30, "bytes", 2 ** 29, "1 GiB"],
  [100, "short", 50, "100"],
] as const)("tick %s (%s) reads well", (value, unit, step, want) => expect(formatTick(value, unit, step)).toBe(want));

describe("the unit", () => {
  it.each([
    ["node_memory_MemFree_bytes", "bytes"],
    ["rate(node_network_receive_bytes_total[5m])", "bytes/s"],
    ["rate(http_requests_total[5m])", "per-second"],
    ["rate(node_cpu_seconds_total[5m])", "ratio"],
    ["histogram_quantile(0.9, sum by (le) (rate(x_duration_seconds_bucket[5m])))", "seconds"],
    ["count(node_memory_MemFree_bytes)", "short"],
    ["node_memory_MemFree_bytes / node_memory_MemTotal_bytes", "ratio"],
    ["node_load1", "short"],
  ])("of %s is %s", (expr, want) => expect(inferUnit(expr)).toBe(want));
  it("may be declared by metadata", () => expect(inferUnit("queue_wait", () => "seconds")).toBe("seconds"));
});

it("a series is named by its sorted labels", () => {
  expect(seriesName({ b: "2", __name__: "up", a: '"' })).toBe('up{a="\\"", b="2"}');
  expect(seriesName({})).toBe("{}");
});

it.each([
  [1000, 4000, "3 s ago"],
  [0, 4000, "never"],
  [4000, 4000, "now"],
])("a moment reads as its distance", (at, now, want) => expect(ago(at, now)).toBe(want));
