import { describe, expect, it } from "vitest";
import { decimate } from "../lib/chart/decimate";
import { appendPoint, frameOf, lastValue, mergeFrames, summary, type Frame, type Value } from "../lib/chart/frame";
import { withDots, yRange } from "../lib/chart/options";
import { stack } from "../lib/chart/stack";

describe("a range answer on its grid", () => {
  const range = { from: 10_000, to: 50_000, stepMs: 10_000 };
  it("shows absent points as gaps", () => {
    const frame = frameOf([{ metric: { __name__: "up" }, values: [[10, "1"], [20, "2"], [50, "5"]] }], range);
    expect(frame.times).toEqual([10_000, 20_000, 30_000, 40_000, 50_000]);
    expect(frame.series[0]?.values).toEqual([1, 2, null, null, 5]);
  });
  it("shows what cannot be drawn as gaps", () => {
    const frame = frameOf([{ metric: {}, values: [[10, "NaN"], [20, "+Inf"], [30, "3"]] }], range);
    expect(frame.series[0]?.values).toEqual([null, null, 3, null, null]);
  });
  it("ignores points off the grid", () => {
    expect(frameOf([{ metric: {}, values: [[4, "1"], [99, "1"]] }], range).series[0]?.values).toEqual(Array(5).fill(null));
  });
});

describe("a live point", () => {
  const frame: Frame = { times: [0, 10], series: [{ key: "a", name: "a", labels: {}, values: [1, 2] }] };
  it("extends its series and starts new ones", () => {
    const next = appendPoint(frame, 20, new Map([["a", 3], ["b", 9]]), 100, 0);
    expect(next.times).toEqual([0, 10, 20]);
    expect(next.series.map((s) => s.values)).toEqual([[1, 2, 3], [null, null, 9]]);
  });
  it("replaces a point of the same time", () => {
    expect(appendPoint(frame, 10, new Map([["a", 7]]), 100, 0).series[0]?.values).toEqual([1, 7]);
  });
  it("leaves a gap after a silence", () => {
    expect(appendPoint(frame, 500, new Map([["a", 7]]), 100, 0).series[0]?.values).toEqual([1, 2, null, 7]);
  });
  it("drops what left the picture, but for one point", () => {
    expect(appendPoint(frame, 30, new Map([["a", 3]]), 100, 25).times).toEqual([10, 30]);
  });
  it("from the past changes nothing", () => expect(appendPoint(frame, 5, new Map([["a", 3]]), 100, 0)).toBe(frame));
});

describe("merging frames", () => {
  const one = (times: number[], values: Value[], key: string): Frame => ({ times, series: [{ key, name: key, labels: {}, values }] });
  it("keeps a shared grid", () => {
    const times = [1, 2];
    expect(mergeFrames([one(times, [1, 2], "a"), one(times, [3, 4], "b")]).times).toBe(times);
  });
  it("uses the union of different times", () => {
    const merged = mergeFrames([one([1, 3], [1, 3], "a"), one([2], [2], "b")]);
    expect(merged.times).toEqual([1, 2, 3]);
    expect(merged.series.map((s) => s.values)).toEqual([[1, null, 3], [null, 2, null]]);
  });
});

describe("downsampling", () => {
  const wave = Array.from({ length: 100_000 }, (_, i): Value => Math.sin(i / 500));
  it("is not done when every point has a pixel", () => expect(decimate([wave.slice(0, 400)], 400, 200)).toBeNull());
  it("keeps a few points a pixel, in order", () => {
    const kept = decimate([wave], wave.length, 1000) ?? [];
    expect(kept.length).toBeLessThanOrEqual(5000);
    expect(kept).toEqual(kept.toSorted((a, b) => a - b));
    expect(new Set(kept).size).toBe(kept.length);
    expect([kept[0], kept.at(-1)]).toEqual([0, wave.length - 1]);
  });
  it("keeps a spike one point wide", () => {
    const spiky = wave.slice();
    spiky[51_234] = 1000;
    spiky[51_235] = -1000;
    expect(decimate([wave, spiky], wave.length, 800)).toEqual(expect.arrayContaining([51_234, 51_235]));
  });
  it("keeps a gap a gap", () => {
    const gappy: Value[] = wave.slice();
    gappy[777] = null;
    expect(decimate([gappy], gappy.length, 500)).toContain(777);
  });
});

describe("stacking", () => {
  it("adds up, with a gap only where all have one", () => {
    expect(stack([[1, null, null], [2, 2, null]])).toEqual([[1, 0, null], [3, 2, null]]);
  });
});

it("summaries skip gaps", () => {
  expect(summary([null, 1, 3])).toEqual({ min: 1, max: 3, mean: 2 });
  expect(summary([null])).toEqual({ min: null, max: null, mean: null });
  expect(lastValue([1, 2, null])).toBe(2);
});

it.each([
  ["dots above the lines are in the picture", 10, [12], 12],
  ["one far above does not flatten the lines", 10, [400], 20],
  ["dots below change nothing", 10, [3], 10],
])("%s", (_, max, values, want) =>
  expect(withDots(max, values.map((value) => ({ t: 0, value, label: "", traceId: "" })))).toBe(want));

it.each<[string, number | null, number | null, number | undefined, [number, number]]>([
  ["nothing", null, null, undefined, [0, 1]],
  ["nothing, of a known most", null, null, 4, [0, 4]],
  ["zeros", 0, 0, undefined, [0, 1]],
  ["a value that never changes", 1, 1, undefined, [0, 1.05]],
  ["a value that changes less than can be told", 1, 1 + 1e-15, undefined, [0, 1.05]],
  ["a negative one", -2, -2, undefined, [-2, -1.8]],
  ["values from zero", 2, 10, undefined, [0, 10.5]],
  ["values far above zero", 100, 102, undefined, [99, 103]],
  ["parts of a known most", 0.2, 0.3, 1, [0, 1]],
])("the axis of %s", (_, min, max, most, [low, high]) => {
  const range = yRange(min, max, most);
  expect(range[0]).toBeCloseTo(low, 6);
  expect(range[1]).toBeCloseTo(high, 6);
  expect(range[0]).toBeLessThan(range[1] as number);
});
