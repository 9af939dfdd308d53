import { describe, expect, it } from "vitest";
import type { FieldInfo, LogRow } from "../lib/api/logs";
import { csvColumns, linesOf } from "../lib/logs/export";
import { barsOf, niceTop, stretch } from "../lib/logs/histogram";
import { append, KEPT_MAX, pageSize } from "../lib/logs/paging";
import { csvCell, filterable, levelOf, msOf, prettyBody, searchName, valueOf } from "../lib/logs/record";
import { TailBuffer } from "../lib/logs/tail";
import { readLogs, writeLogs, type LogsState } from "../lib/state/logs";
import { chosenFacets, searchable } from "../lib/state/logs.svelte";

const row = (id: string, timestamp = "2026-01-01T00:00:00.000000000Z"): LogRow => ({
  id,
  timestamp,
  observed_timestamp: null,
  severity_number: null,
  severity_text: null,
  trace_id: null,
  span_id: null,
  level: "info",
  service: "api",
  body: `b ${id}`,
  attributes: { a: 1, "service.name": "mine", list: [1, 2] },
  resource: { a: "r", "host.name": "h" },
});

describe("pages", () => {
  it("follow each other", () => {
    const first = append([], { rows: [row("1"), row("2")], next: "c" });
    const second = append(first.rows, { rows: [row("3")], next: null });
    expect(second).toEqual({ rows: [row("1"), row("2"), row("3")], next: null });
  });
  it("keep rows that say the same, which share their id", () => {
    expect(append([row("1")], { rows: [row("1"), row("2")], next: null }).rows.map((one) => one.id)).toEqual(["1", "1", "2"]);
  });
  it("end with an empty one", () => expect(append([row("1")], { rows: [], next: "again" }).next).toBeNull());
  it("end where too much would be kept", () => {
    const many = Array.from({ length: KEPT_MAX - 1 }, (_, i) => row(String(i)));
    expect(append(many, { rows: [row("x")], next: "more" }).next).toBeNull();
  });
  it.each([
    [0, 200],
    [200, 1000],
    [5000, 5000],
  ])("with %s rows the next has %s", (have, want) => expect(pageSize(have)).toBe(want));
});

describe("the live tail", () => {
  const at = (second: number) => row(String(second), `2026-01-01T00:00:${String(second).padStart(2, "0")}.000Z`);
  const ids = (buffer: TailBuffer<LogRow>) => buffer.rows.map((one) => one.id);

  it("shows the newest first, however a message is ordered", () => {
    const buffer = new TailBuffer<LogRow>();
    buffer.push([at(1), at(2)], 0);
    buffer.push([at(4), at(3)], 2);
    expect(ids(buffer)).toEqual(["4", "3", "2", "1"]);
    expect([buffer.received, buffer.missed]).toEqual([4, 2]);
  });
  it("forgets the oldest beyond its bound", () => {
    const buffer = new TailBuffer<LogRow>(3);
    for (let i = 0; i < 5; i += 1) buffer.push([at(i)], 0);
    expect(ids(buffer)).toEqual(["4", "3", "2"]);
  });
  it("holds back while paused and counts what waits", () => {
    const buffer = new TailBuffer<LogRow>(2);
    buffer.push([at(1)], 0);
    buffer.pause();
    for (let i = 2; i < 6; i += 1) buffer.push([at(i)], 0);
    expect(ids(buffer)).toEqual(["1"]);
    expect(buffer.waiting).toBe(4);
    buffer.resume();
    expect(ids(buffer)).toEqual(["5", "4"]);
    expect(buffer.waiting).toBe(0);
  });
  it("starts again empty", () => {
    const buffer = new TailBuffer<LogRow>();
    buffer.push([at(1)], 3);
    buffer.clear();
    expect([buffer.rows.length, buffer.missed, buffer.received]).toEqual([0, 0, 0]);
  });
});

describe("the histogram", () => {
  const answer = {
    start: "2026-01-01T00:00:00Z",
    step_ms: 1000,
    buckets: 3,
    series: [
      { name: "error", counts: [1, 0, 2] },
      { name: "", counts: [0, 1, 0] },
      { name: "info", counts: [4, 0, 0] },
    ],
    total: 8,
  };
  it("stacks levels by severity", () => {
    const made = barsOf(answer, true);
    expect(made.names).toEqual(["none", "info", "error"]);
    expect(made.max).toBe(5);
    expect(made.bars[0]?.parts).toEqual([
      { series: 1, from: 0, to: 4, count: 4 },
      { series: 2, from: 4, to: 5, count: 1 },
    ]);
  });
  it("stacks other fields by size", () => expect(barsOf(answer, false).names).toEqual(["info", "error", "none"]));
  it("gives the stretch of a drag in either direction, inside the range", () => {
    const { bars } = barsOf(answer, true);
    const start = Date.parse(answer.start);
    expect(stretch(bars, 2, 1, { from: start, to: start + 2500 })).toEqual({ from: start + 1000, to: start + 2500 });
  });
  it.each([
    [0, 1],
    [1, 1],
    [7, 8],
    [632, 800],
    [1001, 1500],
  ])("the axis for %s ends at %s", (max, want) => expect(niceTop(max)).toBe(want));
});

describe("a record", () => {
  it.each<[string, unknown]>([
    ["a", 1],
    ["resource.a", "r"],
    ["attributes.a", 1],
    ["host.name", "h"],
    ["service", "api"],
    ["message", "b x"],
    ["trace_id", undefined],
    ["nothing", undefined],
  ])("%s is %s", (name, want) => expect(valueOf(row("x"), name)).toEqual(want));

  it("keeps milliseconds of a finer time", () => expect(msOf("2026-01-01T00:00:00.123456789Z")).toBe(Date.UTC(2026, 0, 1) + 123));
  it.each([
    ['{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}'],
    ["{not json", "{not json"],
    ["plain", "plain"],
  ])("lays %s out", (body, want) => expect(prettyBody(body)).toBe(want));
  it.each([
    ["ERROR", "error"],
    [null, "none"],
    ["odd", "none"],
  ])("level %s is %s", (level, want) => expect(levelOf(level)).toBe(want));
  it.each([
    ['say "a", b', '"say ""a"", b"'],
    ["a\nb", '"a\nb"'],
    [{ a: 1 }, '"{""a"":1}"'],
    [null, ""],
  ])("CSV of %s", (value, want) => expect(csvCell(value)).toBe(want));
  it("filters lists by their text", () => expect(filterable([1])).toBe("[1]"));
  it("exports a line each", () => {
    expect(csvColumns(["service", "body"])).toEqual(["timestamp", "level", "service", "body", "trace_id", "span_id"]);
    expect(linesOf([row("1")], "csv", ["a"])).toBe("2026-01-01T00:00:00.000000000Z,info,1,b 1,,\r\n");
    expect(JSON.parse(linesOf([row("1")], "jsonl", []))).toEqual(row("1"));
  });
});

describe("the address", () => {
  const base: LogsState = { query: "", tab: "rows", order: "desc", columns: ["service"], facets: [], by: "level", open: "", live: false, wrap: false };
  const roundTrip = (state: LogsState) => {
    const params = new URLSearchParams();
    for (const [key, value] of Object.entries(writeLogs(state))) {
      for (const one of value === null ? [] : typeof value === "string" ? [value] : value) params.append(key, one);
    }
    return { text: params.toString(), state: readLogs(params) };
  };
  it("is empty for the usual view", () => expect(roundTrip(base)).toEqual({ text: "", state: base }));
  it.each<Partial<LogsState>>([
    { query: 'level:error "a & b" +c', tab: "patterns" },
    { order: "asc", columns: [], facets: ["http.route", "any key"] },
    { columns: ["host.name", "trace_id"], by: "service", open: "l1", live: true, wrap: true },
  ])("keeps %o", (change) => expect(roundTrip({ ...base, ...change }).state).toEqual({ ...base, ...change }));
});

it.each([
  ["http.route", "attribute", false, "http.route"],
  ["level", "attribute", false, "attributes.level"],
  ["service", "resource", false, "resource.service"],
  ["a", "resource", true, "resource.a"],
  ["attributes.x", "attribute", false, "attributes.attributes.x"],
] as const)("%s of the %s (shadowed: %s) is searched as %s", (key, scope, shadowed, want) => expect(searchName(key, scope, shadowed)).toBe(want));

it("names each field once", () => {
  const fields: FieldInfo[] = [
    { name: "severity_text", scope: "fixed", type: "text", count: null },
    { name: "a", scope: "attribute", type: "int", count: 2 },
    { name: "a", scope: "resource", type: "text", count: 3 },
    { name: "level", scope: "attribute", type: "text", count: 1 },
  ];
  expect(searchable(fields).map((field) => [field.name, field.count])).toEqual([["severity_text", null], ["a", 5], ["attributes.level", 1]]);
});

it("lists fields worth counting", () => {
  const field = (name: string, count: number, type: FieldInfo["type"] = "text", scope: FieldInfo["scope"] = "attribute") => ({ name, scope, type, count });
  const fields = [field("level", 9, "text", "fixed"), field("user.id", 9), field("http.route", 8), field("host.name", 9), field("when", 9, "timestamp")];
  expect(chosenFacets(fields, ["mine"])).toEqual(["level", "service", "mine", "host.name", "http.route"]);
});
