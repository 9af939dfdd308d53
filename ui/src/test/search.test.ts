import { describe, expect, it } from "vitest";
import { searchContext, suggestFields, suggestOperators, suggestValues } from "../lib/search/complete";
import { addTerm, filterState, filterText, mark, patternQuery, removeFilter, toggleFilter, typedValue, wordsOf, type FilterValue } from "../lib/search/edit";
import { charOffset, readSearchFault } from "../lib/search/fault";
import { scan } from "../lib/search/scan";

describe("cutting a search", () => {
  const terms = (text: string) => scan(text).terms.map((t) => [t.negated ? "-" : "", t.name, t.compare, t.value]);

  it.each<[string, ReturnType<typeof terms>]>([
    ["time out", [["", null, "", "time"], ["", null, "", "out"]]],
    ['"timed out"', [["", null, "", '"timed out"']]],
    ["level:error", [["", "level", "", "error"]]],
    ["-path:/health", [["-", "path", "", "/health"]]],
    ["NOT a:b", [["-", "a", "", "b"]]],
    ["!-a:b", [["", "a", "", "b"]]],
    ["status:>=500", [["", "status", ">=", "500"]]],
    ["a:!=b", [["", "a", "!=", "b"]]],
    ['body:~"a b"', [["", "body", "~", '"a b"']]],
    ["path:/a.*b/", [["", "path", "", "/a.*b/"]]],
    ["n:[1 TO 5] x", [["", "n", "", "[1 TO 5]"], ["", null, "", "x"]]],
    ["a:(b OR c) d", [["", "a", "", "(b OR c)"], ["", null, "", "d"]]],
    ['attributes."any key":v', [["", "attributes.any key", "", "v"]]],
    ['"any: key":v', [["", "any: key", "", "v"]]],
    ["url:http://a/b", [["", "url", "", "http://a/b"]]],
    ['a:"say \\"no\\""', [["", "a", "", '"say \\"no\\""']]],
    ["key:", [["", "key", "", ""]]],
    ["", []],
  ])("%s", (text, want) => expect(terms(text)).toEqual(want));

  it.each([
    ["a OR b", true],
    ["a | b", true],
    ["(a OR b) c", false],
    ["a AND b", false],
    ["ORDER", false],
  ])("%s has alternatives outside: %s", (text, want) => expect(scan(text).alternatives).toBe(want));

  it.each(["a:(b", '"open', "((", ")", "a:[1 TO", "\\", ":", "- -", "a:\\", "(a:b OR c:\"d) e"])("cuts %s without a gap", (text) => {
    const { tokens } = scan(text);
    expect(tokens.map((t) => text.slice(t.start, t.end)).join("")).toBe(text);
  });
});

describe("filters by click", () => {
  it.each<[string, FilterValue | null, string]>([
    ["service", "api", "service:api"],
    ["path", "/health", 'path:"/health"'],
    ["code", "500", 'code:"500"'],
    ["code", 500, "code:500"],
    ["n", -3, "n:-3"],
    ["flag", true, "flag:true"],
    ["flag", "true", 'flag:"true"'],
    ["a", "x y", 'a:"x y"'],
    ["a", 'say "no"\n', 'a:"say \\"no\\"\\n"'],
    ["a", "", 'a:""'],
    ["a", "b*c", 'a:"b*c"'],
    ["any key", "v", '"any key":v'],
    ["resource.any key", "v", 'resource."any key":v'],
    ["body", "it failed", 'body:="it failed"'],
    ["a", null, "a:*"],
  ])("%s is %s: %s", (name, value, want) => {
    expect(filterText(name, value)).toBe(want);
    expect(filterState(want, name, value)).toBe("in");
    expect(filterState(`-${want}`, name, value)).toBe("out");
    expect(removeFilter(`x ${want} y`, name, value)).toBe("x y");
  });

  it.each<[string, string, FilterValue, boolean, string]>([
    ["", "a", "b", false, "a:b"],
    ["*", "a", "b", false, "a:b"],
    ["", "a", "b", true, "-a:b"],
    ["a:b", "a", "b", false, ""],
    ["a:b", "a", "b", true, "-a:b"],
    ["-a:b", "a", "b", false, "a:b"],
    ["-a:b", "a", "b", true, ""],
    ["a:!=b c", "a", "b", true, "c"],
    ["x a:b y", "a", "b", false, "x y"],
    ["x AND a:b", "a", "b", false, "x"],
    ["a:b AND x", "a", "b", false, "x"],
    ["x OR y", "a", "b", false, "(x OR y) a:b"],
    ["(a:b OR c)", "a", "b", false, "(a:b OR c) a:b"],
    ["a:b*", "a", "b", false, "a:b* a:b"],
    ["a:c", "a", "b", false, "a:c a:b"],
  ])("%s and a click on %s=%s (out: %s) gives %s", (query, name, value, out, want) => {
    expect(toggleFilter(query, name, value, out)).toBe(want);
  });

  it("adds a term to alternatives as a whole", () => expect(addTerm("a | b", "c")).toBe("(a | b) c"));
});

it.each<[FilterValue, string, FilterValue]>([
  ["500", "int", 500],
  ["0.5", "double", 0.5],
  ["1e3", "double", "1e3"],
  ["007", "int", "007"],
  ["500", "text", "500"],
  ["true", "bool", true],
  ["yes", "bool", "yes"],
])("%s of a field of type %s is asked for as %o", (value, type, want) => expect(typedValue(value, type)).toBe(want));

describe("marks", () => {
  it.each([
    ['level:error "Timed out" cart -x', ["timed out", "cart"]],
    ["body:panic time* a:b", ["panic", "time"]],
    ["/x/ *", ["/x/"]],
  ])("%s", (query, want) => expect(wordsOf(query)).toEqual(want));

  it("finds them whatever their case", () => {
    expect(mark("Request timed OUT", ["out", "timed"])).toEqual([
      { text: "Request ", hit: false },
      { text: "timed", hit: true },
      { text: " ", hit: false },
      { text: "OUT", hit: true },
    ]);
  });
  it("leaves a text alone whose length changes in lower case", () => {
    expect(mark("İstanbul x", ["x"])).toEqual([{ text: "İstanbul x", hit: false }]);
  });
});

it.each([
  ["request timed out after <*>s calling payments.charge", '"request timed out after" "calling payments.charge"'],
  ["GET <*> answered <*> in <*>ms", '"GET" "answered" "in"'],
  ["took<*>ms", ""],
  ["<ip> a:b <num>", '"a:b"'],
  ['said "no" <*>', '"said \\"no"'],
])("the template %s is asked for as %s", (template, want) => expect(patternQuery(template)).toBe(want));

describe("completion", () => {
  it.each([
    ["lev|", { kind: "term", prefix: "lev", replace: [0, 3] }],
    ["a lev|", { kind: "term", prefix: "lev", replace: [2, 5] }],
    ["-lev|", { kind: "term", prefix: "lev", replace: [1, 4] }],
    ["level:|", { kind: "value", field: "level", prefix: "", replace: [6, 6] }],
    ["level:er|", { kind: "value", field: "level", prefix: "er", replace: [6, 8] }],
    ["level:>=wa|", { kind: "value", field: "level", prefix: "wa", replace: [8, 10] }],
    ['a:"x y|', { kind: "value", field: "a", prefix: "x y", replace: [2, 6] }],
    ["lev|el:x", { kind: "term", prefix: "lev", replace: [0, 6] }],
    ["a |", { kind: "term", prefix: "", replace: [2, 2] }],
    ["a:/x|/", null],
  ] as const)("%s", (marked, want) => {
    const cursor = marked.indexOf("|");
    const found = searchContext(marked.replace("|", ""), cursor);
    if (want === null) return expect(found).toBeNull();
    expect(found).toMatchObject({ ...want, replace: { start: want.replace[0], end: want.replace[1] } });
  });

  const context = (prefix: string) => ({ kind: "term" as const, field: "", prefix, replace: { start: 0, end: prefix.length } });

  it("offers fields, frequent ones first", () => {
    const fields = [
      { name: "http.route", type: "text", count: 5 },
      { name: "http.method", type: "text", count: 9 },
      { name: "any http", type: "text", count: 1 },
    ];
    expect(suggestFields(fields, context("http")).map((one) => one.insert)).toEqual(["http.method:", "http.route:", '"any http":']);
  });
  it("offers operators between terms only", () => {
    expect(suggestOperators(context("A"), true).map((one) => one.label)).toEqual(["AND"]);
    expect(suggestOperators(context("A"), false)).toEqual([]);
  });
  it("quotes texts that look like numbers, and numbers not", () => {
    const values = [{ value: "500", count: 2 }];
    expect(suggestValues(values, context("5"), false)[0]?.insert).toBe('"500" ');
    expect(suggestValues(values, context("5"), true)[0]?.insert).toBe("500 ");
  });
});

describe("faults", () => {
  it.each([
    ["abc", 2, 2],
    ["é:x", 3, 2],
    ["😀 x", 5, 3],
    ["a", 9, 1],
  ])("byte %2$s of %1$s", (text, bytes, want) => expect(charOffset(text, bytes)).toBe(want));

  it("underlines what the server names", () => {
    const fault = readSearchFault('search, position 4: a quote is not closed, found "\\"b"; write `"` where it ends', 'é a"b');
    expect(fault).toMatchObject({ start: 3, end: 5 });
    expect(fault.message).toMatch(/^a quote is not closed/);
  });
  it("takes other messages as they are", () => {
    expect(readSearchFault("too many rows", "x")).toEqual({ message: "too many rows", start: -1, end: -1 });
  });
});
