import { describe, expect, it } from "vitest";
import { cutSpans } from "../components/editor/spans";
import { fitted as fittedQuery, type Candidate } from "../lib/promql/complete";
import { fitted as fittedSearch } from "../lib/search/complete";

describe("spans", () => {
  const text = "ab cde";
  const pieces = [{ start: 0, end: 2, kind: "x" }, { start: 2, end: 3, kind: "space" }, { start: 3, end: 6, kind: "y" }];
  it.each<[string, { start: number; end: number } | null, string]>([
    ["no fault", null, "ab| |cde"],
    ["a piece", { start: 3, end: 6 }, "ab| |cde!"],
    ["part of a piece", { start: 4, end: 5 }, "ab| |c|d!|e"],
    ["over pieces", { start: 1, end: 4 }, "a|b!| !|c!|de"],
    ["an empty stretch", { start: 4, end: 4 }, "ab| |cde"],
    ["no known place", { start: -1, end: -1 }, "ab| |cde"],
    ["beyond the end", { start: 5, end: 9 }, "ab| |cd|e!"],
  ])("%s", (_, fault, want) => {
    const spans = cutSpans(text, pieces, fault);
    expect(spans.map((span) => span.text + (span.fault ? "!" : "")).join("|")).toBe(want);
    expect(spans.map((span) => span.text).join("")).toBe(text);
  });
});

describe("a candidate does not repeat what stands behind it", () => {
  it.each([
    ["rate()", 5, "", "rate()", 5],
    ["rate()", 5, "(x)", "rate", 4],
    ['job=""', 5, "", 'job=""', 5],
    ['job=""', 5, ' =~ "x"', "job", 3],
    ['job=""', 5, '!="x"', "job", 3],
    ["up", 2, "(", "up", 2],
  ])("%s at %i before %o is %s", (insert, cursor, after, want, at) => {
    const candidate: Candidate = { label: "", kind: "function", detail: "", help: "", insert, cursor };
    expect(fittedQuery(candidate, after)).toMatchObject({ insert: want, cursor: at });
  });
  it.each([
    ["error ", "", "error "],
    ["error ", " x", "error"],
    ["level:", " x", "level:"],
  ])("%o before %o is %o", (insert, after, want) => {
    expect(fittedSearch({ kind: "value", label: "", detail: "", insert }, after).insert).toBe(want);
  });
});
