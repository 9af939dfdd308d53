import { describe, expect, it } from "vitest";
import { errorText, msText, toneOf } from "../lib/apm/health";
import { impactOf, nearest } from "../lib/apm/impact";
import { redFrames, redTotals } from "../lib/apm/red";
import { curve, layered, spread, type Link } from "../lib/apm/layout";

const SIZE = { width: 100, height: 40, across: 60, down: 20 };
const links = (text: string): Link[] => (text === "" ? [] : text.split(" ")).map((pair) => ({ from: pair[0] ?? "", to: pair[1] ?? "" }));
const draw = (names: string, text: string) => layered([...names], links(text), SIZE);
const layers = (names: string, text: string) => draw(names, text).nodes.map((node) => `${node.name}${node.layer}`).sort().join(" ");

describe("the layers of the map", () => {
  it.each([
    ["a chain", "abc", "ab bc", "a0 b1 c2"],
    ["the longest way counts", "abcd", "ab bc ad cd", "a0 b1 c2 d3"],
    ["a loop is broken", "abc", "ab bc ca", "a0 b1 c2"],
    ["two that call each other", "ab", "ab ba", "a0 b1"],
    ["a call to itself is left out", "ab", "aa ab", "a0 b1"],
    ["a late caller stands before what it calls", "abcd", "ab bc dc", "a0 b1 c2 d1"],
    ["unknown names are left out", "ab", "ab ax", "a0 b1"],
    ["nothing", "", "", ""],
  ])("%s", (_, names, text, want) => expect(layers(names, text)).toBe(want));

  it("says which calls run against the layers", () => {
    const drawing = draw("abc", "ab bc ca");
    expect(drawing.links.map((link) => link.back)).toEqual([false, false, true]);
    const back = drawing.links[2];
    expect(back?.points.at(0)?.x).toBeGreaterThan(back?.points.at(-1)?.x ?? 0);
  });
  it("uncrosses what can be uncrossed", () => {
    const drawing = draw("abcd", "ad bc");
    const y = Object.fromEntries(drawing.nodes.map((node) => [node.name, node.y]));
    expect(((y.a ?? 0) - (y.b ?? 0)) * ((y.d ?? 0) - (y.c ?? 0))).toBeGreaterThan(0);
  });
  it("puts services without calls below", () => {
    const drawing = draw("abz", "ab");
    const y = (name: string) => drawing.nodes.find((node) => node.name === name)?.y ?? 0;
    expect(y("z")).toBeGreaterThan(y("a") + SIZE.height);
  });
  it("draws two calls between the same services, by message and by request", () => {
    const drawing = layered(["a", "b"], [{ from: "a", to: "b", kind: "call" }, { from: "a", to: "b", kind: "messaging" }], SIZE);
    expect(drawing.links.map((link) => link.call.kind)).toEqual(["call", "messaging"]);
    expect(drawing.links.map((link) => link.points[0]?.y)).toEqual([20, 34]);
  });
  it("leads long lines through every layer", () => {
    expect(draw("abc", "ab bc ac").links[2]?.points.map((point) => point.x)).toEqual([100, 160, 260, 320]);
  });
  it("never lets nodes overlap, with 200 services and 600 calls", () => {
    let seed = 3;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const names = Array.from({ length: 200 }, (_, i) => `s${i}`);
    const calls = Array.from({ length: 600 }, () => ({ from: `s${random(200)}`, to: `s${random(200)}` }));
    const drawing = layered(names, calls, SIZE);
    expect(drawing.nodes.length).toBe(200);
    for (const x of new Set(drawing.nodes.map((node) => node.x))) {
      const ys = drawing.nodes.filter((node) => node.x === x).map((node) => node.y).sort((a, b) => a - b);
      ys.slice(1).forEach((y, i) => expect(y - (ys[i] ?? 0)).toBeGreaterThanOrEqual(SIZE.height - 1e-6));
    }
  });
});

it.each<[string, number[], number[], number[]]>([
  ["what fits stays", [0, 10, 20], [5, 5], [0, 10, 20]],
  ["what is too near moves apart evenly", [0, 0], [10], [-5, 5]],
  ["order is kept", [10, 0], [2], [4, 6]],
  ["nothing", [], [], []],
])("spreading: %s", (_, wished, gaps, want) => expect(spread(wished, gaps)).toEqual(want));

it("draws a line level at its ends", () => {
  expect(curve([{ x: 0, y: 0 }, { x: 10, y: 20 }])).toBe("M0 0C5 0 5 20 10 20");
});

describe("impact", () => {
  const calls = links("ab bc cd xc da");
  it.each([
    ["c", "b1 x1 a2 d3", "d1 a2 b3"],
    ["x", "", "c1 d2 a3 b4"],
    ["q", "", ""],
  ])("of %s", (service, up, down) => {
    const reach = impactOf(service, calls);
    const text = (map: Map<string, number>) => nearest(map).map(([name, distance]) => name + String(distance)).join(" ");
    expect([text(reach.upstream), text(reach.downstream)]).toEqual([up, down]);
  });
});

describe("health in words", () => {
  it.each([[0, "ok"], [0.01, "warn"], [0.049, "warn"], [0.05, "bad"]])("%s is %s", (rate, want) => expect(toneOf(rate)).toBe(want));
  it.each([[0, "0 %"], [0.0004, "< 0.1 %"], [0.0123, "1.2 %"], [1, "100 %"]])("%s reads %s", (rate, want) => expect(errorText(rate)).toBe(want));
  it.each<[number | null, string]>([[0.25, "250 µs"], [3.14, "3.1 ms"], [250.4, "250 ms"], [1234, "1.23 s"], [null, "–"]])("%s ms reads %s", (ms, want) =>
    expect(msText(ms)).toBe(want));
});

describe("rate, errors and durations", () => {
  const red = { start: "2026-01-01T00:00:00Z", step_ms: 10_000, calls: [20, 0, 10], errors: [5, 0, 0], p50_ms: [10, null, 20], p95_ms: [50, null, 60], p99_ms: [90, null, 99] };
  const frames = redFrames(red);
  it("stand in the middle of their step", () => expect(frames.rate.times.map((t) => t - 1767225600000)).toEqual([5000, 15_000, 25_000]));
  it("are a second", () => expect(frames.rate.series.map((one) => one.values)).toEqual([[2, 0, 1], [0.5, 0, 0]]));
  it("have no ratio without calls", () => expect(frames.errors.series[0]?.values).toEqual([0.25, null, 0]));
  it("are seconds, with gaps", () => expect(frames.latency.series[1]?.values).toEqual([0.05, null, 0.06]));
  it("sum up", () => expect(redTotals(red)).toEqual({ calls: 30, errors: 5, perSecond: 1 }));
});
