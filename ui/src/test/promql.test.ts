import { describe, expect, it } from "vitest";
import { completionContext, selectorOf } from "../lib/promql/context";
import { addMatcher, starterQuery } from "../lib/promql/edit";
import { offsetOf, readFault } from "../lib/promql/errors";
import { tokenize } from "../lib/promql/lexer";
import { score } from "../lib/promql/score";
import { expandVariables } from "../lib/promql/variables";

/** The context where `|` stands. */
function at(marked: string) {
  const cursor = marked.indexOf("|");
  return completionContext(marked.replace("|", ""), cursor);
}

describe("tokens", () => {
  it.each(['rate(a{b="c\\"d"}[5m]) # end', "\"open", "1h30m + 0x1F / 1e-3", "a.b:c{x!~`y`} ∑"])("cover %s", (text) => {
    expect(tokenize(text).map((token) => token.text).join("")).toBe(text);
  });
});

describe("completion", () => {
  it.each([
    ["a name at the start", "nod|", { kind: "expression", prefix: "nod" }],
    ["a name after an operator", "a + b|", { kind: "expression", prefix: "b" }],
    ["an argument, with its function", "rate(nod|", { kind: "expression", callee: "rate" }],
    ["label names in braces", "up{jo|", { kind: "labelName", metric: "up", prefix: "jo", grouping: false }],
    ["label names after a comma", 'up{job="x",|', { kind: "labelName", matchers: ['job="x"'] }],
    ["nothing after a matcher", 'up{job="x" |', { kind: "none" }],
    ["values in quotes", 'up{job="no|"}', { kind: "labelValue", label: "job", prefix: "no", closed: true, quote: '"' }],
    ["values in open quotes", "up{job='no|", { kind: "labelValue", label: "job", closed: false, quote: "'" }],
    ["values before their quote", "up{job=|", { kind: "labelValue", label: "job", quote: "" }],
    ["values of a regex matcher", 'up{a="1",job=~"x|"}', { kind: "labelValue", matchers: ['a="1"'] }],
    ["values narrowed by what follows", 'up{job="|",env="p"}', { kind: "labelValue", matchers: ['env="p"'] }],
    ["labels to group by", "sum by (mo|) (node_cpu)", { kind: "labelName", metric: "node_cpu", grouping: true }],
    ["labels to match on", "a_b * on(|) c_d", { kind: "labelName", grouping: true }],
    ["durations in a range", "rate(a[5|", { kind: "duration", prefix: "5" }],
    ["durations after offset", "a offset |", { kind: "duration" }],
    ["nothing in a comment", "up # a comm|", { kind: "none" }],
    ["nothing in a string argument", 'label_replace(a, "x|"', { kind: "none" }],
    ["nothing in a number", "up > 10|", { kind: "none" }],
  ])("offers %s", (_, marked, want) => expect(at(marked)).toMatchObject(want));

  it("replaces the whole word under the cursor", () => {
    expect(at("rate(node_c|pu[5m])").replace).toEqual({ start: 5, end: 13 });
    expect(at('up{job="no|de"}').replace).toEqual({ start: 8, end: 12 });
  });
  it("asks with a selector only when something narrows", () => {
    expect(selectorOf("", [])).toBeNull();
    expect(selectorOf("up", ['a="b"'])).toBe('up{a="b"}');
  });
});

describe("a fault", () => {
  const error = (place: string) => `invalid parameter "query": ${place}: parse error: unexpected character`;
  it("is found by line and column", () => {
    expect(readFault(error("1:7"), "up + & b")).toMatchObject({ message: "unexpected character", column: 7 });
    expect(readFault(error("2:3"), "up\n+ bad")).toMatchObject({ line: 2, column: 3, start: 5, end: 8 });
  });
  it("at the end underlines the last character", () => {
    expect(readFault(error("1:6"), "rate(")).toMatchObject({ start: 4, end: 5 });
  });
  it("without a place has the message alone", () => {
    expect(readFault("query timed out", "up")).toMatchObject({ message: "query timed out", start: -1 });
  });
  it("counts bytes as the server does", () => expect(offsetOf('{a="é"} x', 1, 9)).toBe(7));
  it("behind a variable points into the text as written", () => {
    const source = "rate(a[$__interval]) + )";
    const sent = expandVariables(source, 15_000, 3_600_000);
    const column = sent.text.indexOf("+ )") + 3;
    expect(readFault(error(`1:${column}`), sent.text, source, sent.toSource)).toMatchObject({ start: 23, end: 24, column: 24 });
  });
});

describe("a name answers what is typed", () => {
  it.each([
    ["up", "up", 0],
    ["node_cpu_seconds_total", "node", 1],
    ["node_cpu_seconds_total", "cpu", 2],
    ["node_cpu_seconds_total", "econds", 3],
    ["node_cpu_seconds_total", "ncpu", 4],
    ["node_cpu_seconds_total", "nct", 4],
    ["node_memory_bytes_total", "net", null],
    ["node_load1", "xyz", null],
  ])("%s to %s", (name, typed, want) => expect(score(name, typed)).toBe(want));
});

it("variables are filled in", () => {
  const { text } = expandVariables("rate(a[$__rate_interval]) / b[$__range] + c[$__interval]", 15_000, 3_600_000);
  expect(text).toBe("rate(a[40s]) / b[1h] + c[15s]");
});

describe("edits by clicking", () => {
  it.each([
    ["up", 'up{job="x"}'],
    ["up{}", 'up{job="x"}'],
    ['up{a="b"}', 'up{job="x",a="b"}'],
    ["sum by (mode) (rate(cpu[5m]))", 'sum by (mode) (rate(cpu{job="x"}[5m]))'],
    ["", '{job="x"}'],
  ])("a matcher added to %s", (expr, want) => expect(addMatcher(expr, "job", "x")).toBe(want));

  it.each([
    ["node_load1", "gauge", "node_load1"],
    ["http_requests_total", "counter", "rate(http_requests_total[$__rate_interval])"],
    ["latency", "histogram", "histogram_quantile(0.95, sum by (le) (rate(latency_bucket[$__rate_interval])))"],
    ["latency_count", "histogram", "rate(latency_count[$__rate_interval])"],
  ])("%s (%s) starts as %s", (metric, type, want) => expect(starterQuery(metric, type)).toBe(want));
});
