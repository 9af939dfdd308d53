import { describe, expect, it } from "vitest";
import { readLogs } from "../lib/state/logs";
import { logsSpec, nameTaken, placeOf, readSaved, summaryOf, type SavedSpec } from "../lib/state/savedspec";
import type { RangeText } from "../lib/time/range";

const HOUR: RangeText = { from: "now-1h", to: "now" };

describe("a saved log search", () => {
  it.each<[string, string[], RangeText, object]>([
    [" level:error ", ["service"], HOUR, { page: "logs", query: "level:error", from: "now-1h", to: "now" }],
    ["", ["service"], { from: "now/d", to: "now" }, { page: "logs", query: "", from: "now/d", to: "now" }],
    ["a", ["host.name", "service"], HOUR, { page: "logs", query: "a", columns: ["host.name", "service"], from: "now-1h", to: "now" }],
    ["a", [], HOUR, { page: "logs", query: "a", columns: [], from: "now-1h", to: "now" }],
    ["a", ["service"], { from: "1767000000000", to: "1767003600000" }, { page: "logs", query: "a" }],
    ["a", ["service"], { from: "1767000000000", to: "now" }, { page: "logs", query: "a" }],
    ["a", ["service"], { from: "now-nonsense", to: "now" }, { page: "logs", query: "a" }],
  ])("%o, columns %o, range %o", (query, columns, range, want) => {
    const spec = logsSpec({ query, columns }, range);
    expect(spec).toEqual(want);
    // What the server answers is read as what was kept, and its address shows the same search.
    expect(readSaved({ name: "n", spec: JSON.parse(JSON.stringify(spec)), file: null })).toEqual({ name: "n", spec });
    const { path, params } = placeOf(spec);
    const address = new URLSearchParams();
    for (const [key, value] of Object.entries(params)) for (const one of typeof value === "string" ? [value] : value) address.append(key, one);
    expect(path).toBe("/logs");
    expect(readLogs(address)).toMatchObject({ query: query.trim(), columns });
    expect(address.get("from")).toBe("from" in want ? range.from : null);
  });
});

it("queries of the explorer are kept as they always were", () => {
  const spec = { queries: ["up", "node_load1"] };
  expect(readSaved({ name: "n", spec, file: null })).toEqual({ name: "n", spec });
  expect(placeOf(spec)).toEqual({ path: "/explore", params: { q: ["up", "node_load1"] } });
});

it("what a file owns keeps its name from being taken", () => {
  const object = { name: "n", spec: { queries: ["up"] }, file: "queries.yaml" };
  expect(readSaved(object)).toEqual(object);
  expect(readSaved({ ...object, file: null })).toEqual({ name: "n", spec: object.spec });
  expect(nameTaken([object], "n", object.spec)).toContain("queries.yaml");
  expect(nameTaken([{ ...object, file: null }], "n", object.spec)).toBe("");
});

it.each([
  [{}],
  [{ query: "up" }],
  [{ queries: "up" }],
  [{ queries: [1] }],
  [{ page: "logs" }],
  [{ page: "traces", query: "a" }],
])("%o is left to whoever put it there", (spec) => expect(readSaved({ name: "n", spec, file: null })).toBeNull());

it.each<[SavedSpec, string]>([
  [{ queries: ["a", "b"] }, "a  ·  b"],
  [{ page: "logs", query: "a", from: "now-1h", to: "now" }, "a  ·  now-1h … now"],
  [{ page: "logs", query: "" }, "all records"],
])("%o reads %s", (spec, want) => expect(summaryOf(spec)).toBe(want));

describe("a name", () => {
  const objects = [
    { name: "m", spec: { queries: ["up"] }, file: null },
    { name: "l", spec: { page: "logs", query: "a" }, file: null },
    { name: "x", spec: { query: "up" }, file: null },
  ];
  it.each([
    ["new", "logs", ""],
    ["l", "logs", ""],
    ["m", "explore", ""],
    ["m", "logs", "a metrics query"],
    ["l", "explore", "a log search"],
    ["x", "logs", "something else"],
  ])("%s for %s is refused: %o", (name, page, want) => {
    const said = nameTaken(objects, name, page === "logs" ? { page: "logs", query: "" } : { queries: [] });
    if (want === "") expect(said).toBe("");
    else expect(said).toContain(want);
  });
});
