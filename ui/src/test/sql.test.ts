import { describe, expect, it } from "vitest";
import type { Cell } from "../lib/api/sql";
import { sqlCandidates, sqlContext, tablesIn } from "../lib/sql/complete";
import { withRun } from "../lib/sql/history";
import { chartOf, columnWidths, csvOf, isNumeric, jsonOf, SERIES_MAX, sortedIndices } from "../lib/sql/result";
import { EXAMPLES, readSqlFault, sqlName, sqlPieces } from "../lib/sql/text";

describe("SQL as text", () => {
  it.each(EXAMPLES.map((example) => example.sql).concat(["SELECT 'open", '"open', "/* open", "a -- b\nc", "'it''s'"]))("%s is cut without a gap", (sql) => {
    expect(sqlPieces(sql).map((piece) => piece.text).join("")).toBe(sql);
  });
  it("tells what is what", () => {
    const kinds = sqlPieces(`SELECT count(*), "a b", 'x' FROM t -- c`).filter((piece) => piece.text.trim() !== "").map((piece) => `${piece.text}:${piece.kind}`);
    expect(kinds).toEqual(["SELECT:keyword", "count:function", "(:other", "*:other", "):other", ",:other", '"a b":name', ",:other", "'x':string", "FROM:keyword", "t:other", "-- c:comment"]);
  });
  it.each([
    ["body", "body"],
    ["service.name", '"service.name"'],
    ["userId", '"userId"'],
    ["select", '"select"'],
    ['a"b', '"a""b"'],
  ])("the column %s is written %s", (name, want) => expect(sqlName(name)).toBe(want));
  it.each([
    ["parser error at Line: 2, Column: 6", "FROM"],
    ["table 'nosuch' not found", "nosuch"],
    ["No field named bodyy", ""],
    ["Schema error: No field named 'x'", ""],
    ["column \"public.nosuch\" does not exist", "nosuch"],
    ["at Line: 99, Column: 1", "x"],
  ])("%s points at %s", (error, want) => {
    const sql = "SELECT a\nzzz, FROM nosuch x";
    const fault = readSqlFault(error, sql);
    if (want === "") return expect(fault.message).toBe(error);
    expect(sql.slice(fault.start, fault.end)).toBe(want);
  });
});

const answer = (columns: string[], types: string[], rows: Cell[][]) => ({ columns, types, rows });
const T = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000000Z`;

describe("an answer", () => {
  it.each<[boolean, number[]]>([
    [false, [3, 0, 1, 2]],
    [true, [1, 0, 3, 2]],
  ])("is sorted by numbers, empty cells last (descending: %s)", (descending, want) => {
    expect(sortedIndices([[9], [10], [null], [-1]], 0, descending)).toEqual(want);
  });
  it("is as wide as what it holds, within reason", () => {
    const [narrow, wide] = columnWidths({ columns: ["a", "b"], rows: [["x", "y".repeat(500)]] });
    expect([narrow, wide]).toEqual([64, 480]);
  });
  it("becomes lines, one a number column", () => {
    const made = chartOf(answer(["t", "a", "b"], ["timestamp", "bigint", "double"], [[T(1), 1, 0.5], [T(2), 2, null]]));
    expect(made?.frame.times.length).toBe(2);
    expect(made?.frame.series.map((one) => [one.name, one.values])).toEqual([["a", [1, 2]], ["b", [0.5, null]]]);
  });
  it("becomes lines, one a label, in order of time", () => {
    const made = chartOf(answer(["t", "service", "n"], ["timestamp", "text", "bigint"], [[T(2), "x", 2], [T(1), "x", 1], [T(1), "y", 5]]));
    expect(made?.frame.series.map((one) => [one.name, one.values])).toEqual([["x", [1, 2]], ["y", [5, null]]]);
  });
  it.each([
    ["without a time", answer(["a", "b"], ["text", "bigint"], [["x", 1], ["y", 2]])],
    ["without numbers", answer(["t", "b"], ["timestamp", "text"], [[T(1), "x"], [T(2), "y"]])],
    ["of one moment", answer(["t", "n"], ["timestamp", "bigint"], [[T(1), 1], [T(1), 2]])],
  ])("%s is no chart", (_, one) => expect(chartOf(one)).toBeNull());
  it("draws no more lines than can be told apart", () => {
    const rows = Array.from({ length: SERIES_MAX + 5 }, (_, i): Cell[][] => [[T(1), `s${i}`, i], [T(2), `s${i}`, i]]).flat();
    const made = chartOf(answer(["t", "s", "n"], ["timestamp", "text", "bigint"], rows));
    expect([made?.frame.series.length, made?.cut]).toEqual([SERIES_MAX, 5]);
  });
  it("is written as CSV and JSON", () => {
    const one = answer(["a", "b,c"], ["text", "bigint"], [["x\"y", 1], [null, 2]]);
    expect(csvOf(one)).toBe('a,"b,c"\r\n"x""y",1\r\n,2\r\n');
    expect(JSON.parse(jsonOf(one))).toEqual([{ a: 'x"y', "b,c": 1 }, { a: null, "b,c": 2 }]);
  });
});

it("a statement run again moves up", () => {
  const runs = withRun(withRun(withRun([], "a", 1), "b", 2), " a ", 3);
  expect(runs).toEqual([{ at: 3, sql: "a" }, { at: 2, sql: "b" }]);
  expect(withRun(runs, "  ", 4)).toEqual(runs);
});

describe("completion", () => {
  it.each([
    ["SELECT bo|", { prefix: "bo", start: 7, table: false, of: "" }],
    ["SELECT bo|dy FROM logs", { prefix: "bo", start: 7, end: 11 }],
    ["SELECT * FROM |", { prefix: "", table: true }],
    ["SELECT * FROM lo|", { prefix: "lo", start: 14, table: true }],
    ["SELECT http.response.st|", { prefix: "http.response.st", start: 7, end: 23, of: "" }],
    ["SELECT logs.x| FROM logs", { prefix: "x", start: 12, of: "logs" }],
    ["SELECT l.| FROM logs l", { prefix: "", of: "l", table: false }],
    ["SELECT l.bo| FROM logs AS l", { prefix: "bo", of: "l" }],
    ['SELECT "serv|', { prefix: "serv", start: 7 }],
    ['SELECT "a"|', null],
    ["SELECT 'bo|", null],
    ["-- bo|", null],
    ["LIMIT 10|", null],
  ])("%s", (marked, want) => {
    const found = sqlContext(marked.replace("|", ""), marked.indexOf("|"));
    if (want === null) expect(found).toBeNull();
    else expect(found).toMatchObject(want);
  });
  it("finds tables and their aliases", () => {
    expect(tablesIn("SELECT * FROM logs l JOIN spans AS s ON 1 = 1, nosuch x WHERE a IN (SELECT b FROM events)")).toEqual([
      { table: "logs", alias: "l" },
      { table: "spans", alias: "s" },
      { table: "events", alias: "" },
    ]);
  });
  it("offers tables behind FROM, columns elsewhere, quoted where they must be", () => {
    const columns = [{ name: "service.name", type: "text", table: "logs" }, { name: "severity_text", type: "", table: "logs" }];
    const at = (marked: string) => sqlCandidates(sqlContext(marked.replace("|", ""), marked.indexOf("|"))!, columns);
    expect(at("SELECT * FROM s|").map((one) => one.label)).toContain("spans");
    expect(at("SELECT se|")[0]).toEqual({ label: "service.name", detail: "text", insert: '"service.name"' });
    expect(at("SELECT service.n|")[0]?.insert).toBe('"service.name"');
    expect(at('SELECT "service.n|')[0]?.insert).toBe('"service.name"');
  });
});

it.each([
  ["bigint", true],
  ["double", true],
  ["decimal(10, 2)", true],
  ["interval month", false],
  ["varchar", false],
])("%s is a number: %s", (type, want) => expect(isNumeric(type)).toBe(want));
