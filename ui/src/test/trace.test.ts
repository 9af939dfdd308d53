import { describe, expect, it } from "vitest";
import type { TraceAnswer, TraceSpan } from "../lib/api/traces";
import { hasClause, toggleClause, withDuration } from "../lib/trace/clauses";
import { criticalPath, joined, stretchesOf } from "../lib/trace/critical";
import { flameOf, rowAt } from "../lib/trace/flame";
import { boxOf, cellsOf, decades, shade } from "../lib/trace/heatmap";
import { axisMarks, durationLiteral, formatNs, msOf, parseInstant, parseLength, since } from "../lib/trace/instant";
import { layOut } from "../lib/trace/model";
import { atDepth, find, haystacks, nextOf, operations, pathTo, placeOf, revealed, slotsOf, spoken, visibleRows, windowOf } from "../lib/trace/rows";
import { clampZoom, readZoom, writeZoom, zoomed, zoomTo } from "../lib/trace/scale";

const START = "2026-01-01T00:00:00.000000000Z";

/** `id parent start end` in nanoseconds; `-` for no parent, `!` after the id for an error. */
function trace(...lines: string[]): TraceAnswer {
  const spans = lines.map((line): TraceSpan => {
    const [id = "", parent = "", start = "0", end = "0"] = line.split(" ");
    return {
      id: id.replace("!", ""),
      start: `2026-01-01T00:00:00.${start.padStart(9, "0")}Z`,
      duration_ns: Number(end) - Number(start),
      trace_id: "t",
      span_id: id.replace("!", ""),
      parent_span_id: parent === "-" ? null : parent,
      name: `op ${id.replace("!", "")}`,
      service: id.startsWith("d") ? "db" : "api",
      status_code: id.endsWith("!") ? "error" : "unset",
      status_message: null,
      kind: "internal",
      attributes: { "http.route": `/${id}` },
      resource: {},
      events: [],
      links: [],
      depth: 0,
      children: 0,
      self_ns: 0,
      critical_ns: 0,
    };
  });
  return {
    trace_id: "t", start: START, duration_ns: 0, complete: true, spans, spans_left_out: 0, missing_parents: [], critical_path: [],
    services: [], operations: [], logs: 0, cost: { rows: 0, bytes: 0, slices: 0, ms: 0 },
  };
}

const ids = (answer: TraceAnswer) => layOut(answer).ids.join(" ");
const TREE = trace("a - 0 100", "b a 10 40", "c b 15 20", "d! a 50 90");

describe("the order of rows", () => {
  it.each<[string, TraceAnswer, string]>([
    ["children follow their parent, by start", trace("d a 50 90", "c b 15 20", "b a 10 40", "a - 0 100"), "a b c d"],
    ["a parent that never came has a row", trace("b x 10 40", "c x 20 30"), "x b c"],
    ["an all-zero parent is none", trace("a 0000000000000000 0 9"), "a"],
    ["a span that came twice is one", trace("a - 0 9", "a - 0 9"), "a"],
    ["a loop is cut", trace("a b 0 9", "b a 1 8"), "b a"],
    ["a span that is its own parent is a root", trace("a a 0 9"), "a"],
    ["roots stand by start", trace("b - 5 9", "a - 0 4"), "a b"],
  ])("%s", (_, answer, want) => expect(ids(answer)).toBe(want));

  it("counts what is below", () => {
    const model = layOut(TREE);
    expect([...model.depth]).toEqual([0, 1, 2, 1]);
    expect([...model.end]).toEqual([4, 3, 3, 4]);
    expect([...model.children]).toEqual([2, 1, 0, 0]);
    expect([...model.errorsBelow]).toEqual([1, 0, 0, 1]);
    expect(model).toMatchObject({ durationNs: 100, errors: 1, missing: 0, maxDepth: 2, services: ["api", "db"] });
  });
  it("gives a missing parent the time of its children", () => {
    const model = layOut(trace("b x 10 40", "c x 20 70"));
    expect([model.start[0], model.duration[0], model.missing]).toEqual([10, 60, 1]);
  });
  it("bears a chain of 50,000", () => {
    const chain = trace(...Array.from({ length: 50_000 }, (_, i) => `s${i} ${i === 0 ? "-" : `s${i - 1}`} ${i} 100000`));
    const model = layOut(chain);
    expect([model.rows, model.maxDepth, flameOf(model).lanes]).toEqual([50_000, 49_999, 50_000]);
    expect(criticalPath(model).row.length).toBe(50_000);
  });
});

describe("what is seen", () => {
  const model = layOut(TREE);
  it.each<[string, number[], number[]]>([
    ["everything", [], [0, 1, 2, 3]],
    ["nothing below a collapsed row", [1], [0, 1, 3]],
    ["only the root", [0, 1], [0]],
  ])("%s", (_, collapsed, want) => expect([...visibleRows(model, new Set(collapsed))]).toEqual(want));
  it.each([[0, 0], [1, 1], [2, 1], [3, 2]])("row %s stands at place %s when b is collapsed", (row, want) =>
    expect(placeOf(visibleRows(model, new Set([1])), row)).toBe(want));
  it("draws what is in the window and a little more", () => {
    expect(windowOf(1000, 200, 20, 50_000, 5)).toEqual([45, 65]);
    expect(windowOf(0, 200, 20, 3, 5)).toEqual([0, 3]);
  });
  it("keeps each row in its slot while the list is scrolled", () => {
    expect(slotsOf(0, 4, 5)).toEqual([0, 1, 2, 3, -1]);
    expect(slotsOf(2, 7, 5)).toEqual([5, 6, 2, 3, 4]);
  });
  it("says a row in words", () => {
    expect(spoken(model, 3, 2)).toBe("db op d, error, 40 ns, 2 logs");
    expect(spoken(layOut(trace("b x 10 40")), 0, 0)).toBe("Parent span x was not received");
  });
  it("opens the ancestors of a row", () => expect([...revealed(model, new Set([0, 1, 3]), 2)]).toEqual([3]));
  it("collapses from a depth on", () => expect([...atDepth(model, 1)]).toEqual([1]));
  it("knows the way to a row", () => expect(pathTo(model, 2)).toEqual([0, 1, 2]));
  it.each([["op", [0, 1, 2, 3]], ["/c", [2]], ["api op", [0, 1, 2]], ["error", [3]], [" ", []], ["none", []]])(
    "finds %j",
    (typed, want) => expect([...find(model, haystacks(model), typed)]).toEqual(want),
  );
  it.each([[0, 1, 1], [1, 1, 3], [3, 1, 1], [3, -1, 1], [1, -1, 3]])("from row %s by %s to %s", (from, step, want) =>
    expect(nextOf(Int32Array.from([1, 3]), from, step as 1 | -1)).toBe(want));
  it("sums by service", () => {
    expect(operations(model, true).map((o) => [o.service, o.count, o.errors, o.totalNs])).toEqual([["api", 3, 0, 135], ["db", 1, 1, 40]]);
  });
});

describe("the critical path", () => {
  it.each<[string, TraceAnswer, string]>([
    ["one span", trace("a - 0 9"), "a 0-9"],
    ["the child that ended last, then the one before it", TREE, "a 90-100, d 50-90, a 40-50, b 20-40, c 15-20, b 10-15, a 0-10"],
    ["of two at once the one that ended later", trace("a - 0 100", "b a 10 80", "c a 20 90"), "a 90-100, c 20-90, a 0-20"],
    ["a child that outlives its parent is cut", trace("a - 0 50", "b - 60 70", "c a 10 55"), "b 60-70, c 10-50, a 0-10"],
    ["through a parent that is missing", trace("b x 10 40"), "b 10-40"],
  ])("%s", (_, answer, want) => {
    const model = layOut(answer);
    const path = criticalPath(model);
    const text = path.row.map((row, i) => [path.to[i] ?? 0, `${model.ids[row]} ${path.from[i]}-${path.to[i]}`] as const);
    expect(text.sort((a, b) => b[0] - a[0]).map((part) => part[1]).join(", ")).toBe(want);
  });
  it("is joined where the eye sees no gap", () => {
    const parts = stretchesOf(criticalPath(layOut(TREE))).get(0) ?? [];
    expect(parts).toEqual([[0, 10], [40, 50], [90, 100]]);
    expect(joined(parts, 0, 100, 31)).toEqual([[0, 50], [90, 100]]);
    expect(joined(parts, 45, 60, 1)).toEqual([[40, 50]]);
  });
  it("shares the whole time out", () => {
    const model = layOut(TREE);
    criticalPath(model);
    expect(model.critical.reduce((sum, ns) => sum + ns, 0)).toBe(100);
  });
});

describe("the flame view", () => {
  it.each<[string, TraceAnswer, number[]]>([
    ["depth where nothing overlaps", TREE, [0, 1, 2, 1]],
    ["a lane more for what runs beside", trace("a - 0 100", "b a 10 40", "c a 20 30"), [0, 1, 2]],
    ["a lane again when it is free", trace("a - 0 100", "b a 10 40", "c a 20 30", "e a 40 50"), [0, 1, 2, 1]],
    ["below the parent even when clocks differ", trace("a - 50 100", "b a 10 40"), [0, 1]],
  ])("%s", (_, answer, want) => expect([...flameOf(layOut(answer)).lane]).toEqual(want));
  it("never lets two rows of a lane overlap", () => {
    let seed = 7;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const lines = Array.from({ length: 500 }, (_, i) => {
      const start = random(1000);
      return `s${i} ${i === 0 ? "-" : `s${random(i)}`} ${start} ${start + 1 + random(50)}`;
    });
    const model = layOut(trace(...lines));
    const flame = flameOf(model);
    for (let lane = 0; lane < flame.lanes; lane += 1) {
      const rows = [...flame.byLane.subarray(flame.first[lane], flame.first[lane + 1])];
      rows.slice(1).forEach((row, i) => {
        const before = rows[i] as number;
        expect((model.start[before] as number) + (model.duration[before] as number)).toBeLessThanOrEqual(model.start[row] as number);
      });
    }
    for (let row = 1; row < model.rows; row += 1) {
      const parent = model.parent[row] as number;
      if (parent >= 0) expect(flame.lane[row]).toBeGreaterThan(flame.lane[parent] as number);
    }
  });
  it("finds the row under the pointer", () => {
    const model = layOut(TREE);
    const flame = flameOf(model);
    expect([rowAt(model, flame, 1, 20, 0), rowAt(model, flame, 1, 45, 0), rowAt(model, flame, 1, 45, 6), rowAt(model, flame, 9, 0, 0)]).toEqual([1, -1, 3, -1]);
  });
});

describe("instants and lengths", () => {
  it("keeps nanoseconds", () => {
    const [a, b] = [parseInstant("2026-01-01T00:00:00.123456789Z"), parseInstant("2026-01-01T01:00:01.123456790+01:00")];
    expect(a && b && since(a, b)).toBe(1_000_000_001);
  });
  it.each<[string | number, number]>([
    [1767225600, 1767225600000],
    ["1767225600000", 1767225600000],
    ["1767225600000000000", 1767225600000],
    ["2026-01-01T00:00:00Z", 1767225600000],
    ["2026-01-01 00:00:00.5", 1767225600500],
    ["yesterday", NaN],
  ])("reads %s", (text, want) => expect(msOf(text)).toBe(want));
  it.each<[number, string]>([
    [0, "0 ns"],
    [999, "999 ns"],
    [1234, "1.23 µs"],
    [15_600_000, "15.6 ms"],
    [2e9, "2 s"],
    [200e9, "3 min 20 s"],
    [7200e9, "2 h 0 min"],
    [-1500, "-1.5 µs"],
    [Infinity, "–"],
  ])("writes %s ns as %s", (ns, want) => expect(formatNs(ns)).toBe(want));
  it.each<[string, number | null]>([["1.5ms", 1_500_000], ["2 s", 2e9], ["10us", 10_000], ["10", null], ["x ms", null]])(
    "reads the length %j",
    (text, want) => expect(parseLength(text)).toBe(want),
  );
  it("writes lengths that it reads", () => {
    for (const ns of [1, 999, 1500, 2_345_000, 3.5e9]) expect(parseLength(durationLiteral(ns))).toBe(ns);
  });
  it("marks axes at round places", () => expect(axisMarks(0, 95, 5)).toEqual([0, 20, 40, 60, 80]));
});

describe("the window of time", () => {
  it("stays within the trace", () => {
    expect(clampZoom({ from: -5, to: 20 }, 100)).toEqual({ from: 0, to: 25 });
    expect(clampZoom({ from: 90, to: 120 }, 100)).toEqual({ from: 70, to: 100 });
  });
  it("keeps the instant under the pointer", () => {
    const zoom = zoomed({ from: 0, to: 1000 }, 0.5, 0.25, 1000);
    expect(zoom.from + (zoom.to - zoom.from) * 0.25).toBe(250);
  });
  it("fits a span with room", () => expect(zoomTo(100, 100, 1000)).toEqual({ from: 95, to: 205 }));
  it("is kept by the address", () => {
    expect(readZoom(writeZoom({ from: 10, to: 20 }, 100), 100)).toEqual({ from: 10, to: 20 });
    expect([writeZoom({ from: 0, to: 100 }, 100), readZoom("9-3", 100), readZoom("x", 100)]).toEqual([null, null, null]);
  });
});

describe("a search edited by clicks", () => {
  it.each<[string, string, string, string, boolean, string]>([
    ["an empty search", "", "service", "api", false, "service:api"],
    ["one more", "service:api", "name", "GET /x", false, 'service:api name:"GET /x"'],
    ["the same again takes it away", "service:api name:x", "service", "api", false, "name:x"],
    ["a quoted one too", 'a name:"GET /x" b', "name", "GET /x", false, "a b"],
    ["the opposite goes", "service:api", "service", "api", true, "-service:api"],
    ["alternatives are bracketed", "a OR b", "service", "api", false, "(a OR b) service:api"],
    ["everything is nothing", "*", "kind", "server", false, "kind:server"],
    ["quotes are escaped", "", "name", 'say "hi"', false, 'name:"say \\"hi\\""'],
    ["a keyword is quoted", "", "name", "OR", false, 'name:"OR"'],
    ["an empty selector", "{}", "service", "api", false, '{ resource.service.name = "api" }'],
    ["a selector", "{ status = error }", "kind", "server", false, "{ status = error && kind = server }"],
    ["a selector of alternatives", "{ .a = 1 || .b = 2 }", "http.code", "500", false, "{ (.a = 1 || .b = 2) && .http.code = 500 }"],
    ["a longer TraceQL query", "{ .a = 1 } >> { .b = 2 }", "status", "error", true, "{ status != error } && { .a = 1 } >> { .b = 2 }"],
  ])("%s", (_, query, field, value, not, want) => expect(toggleClause(query, field, value, not)).toBe(want));
  it("knows its clauses", () => {
    expect(hasClause('x name:"GET /x"', "name", "GET /x")).toBe(true);
    expect(hasClause("(service:api OR x)", "service", "api")).toBe(false);
  });
  it.each<[string, number | null, number | null, string]>([
    ["service:api", 1e6, 2e6, "service:api duration:>=1ms duration:<2ms"],
    ["duration:>=5s service:api", 1e6, null, "service:api duration:>=1ms"],
    ["duration:>=5s", null, null, ""],
    ["{ status = error }", 1e6, 2e6, "{ status = error && duration >= 1ms && duration < 2ms }"],
    ["{ status = error && duration >= 1ms && duration < 2ms }", null, 3e9, "{ status = error && duration < 3s }"],
  ])("%j from %s to %s", (query, min, max, want) => expect(withDuration(query, min, max)).toBe(want));
});

describe("the heatmap", () => {
  const cells = cellsOf({ start: "1767225600", step_ms: 1000, buckets: 4, edges_ns: [1e6, 1e7, 1e8], counts: [[1, 0], [0, 5], [0, 0], [2, 2]], errors: [[0, 0], [0, 3], [0, 0], [0, 0]] });
  const at = (seconds: number) => 1767225600000 + seconds * 1000;
  it("reads the answer column by column", () => {
    expect([cells.columns, cells.rows, cells.most, cells.total]).toEqual([4, 2, 5, 10]);
    expect(cells.errors[1 * 2 + 1]).toBe(3);
  });
  it.each<[string, [number, number, number, number], ReturnType<typeof boxOf>]>([
    ["grows to whole cells", [0.3, 0.6, 0.4, 0.9], { from: at(1), to: at(2), min: 1e7, max: null }],
    ["the lowest row has no least", [0, 0, 1, 0.4], { from: at(0), to: at(4), min: null, max: 1e7 }],
    ["drawn from right to left", [0.9, 0.9, 0.1, 0.1], { from: at(0), to: at(4), min: null, max: null }],
    ["a click is none", [0.5, 0.5, 0.501, 0.501], null],
  ])("a box: %s", (_, [x0, y0, x1, y1], want) => expect(boxOf(cells, x0, y0, x1, y1)).toEqual(want));
  it("marks the decades", () => expect(decades(cells.edges)).toEqual([{ ns: 1e6, at: 0 }, { ns: 1e7, at: 0.5 }, { ns: 1e8, at: 1 }]));
  it("shades one beside many", () => {
    expect(shade(0, 100)).toBe(0);
    expect(shade(1, 10_000)).toBeGreaterThan(0.2);
    expect(shade(10_000, 10_000)).toBe(1);
  });
});
