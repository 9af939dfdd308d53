import { describe, expect, it } from "vitest";
import { highlight } from "../components/explore/highlight";

const kinds = (text: string) =>
  highlight(text, null)
    .filter((span) => span.kind !== "space")
    .map((span) => [span.text, span.kind]);

describe("highlighting", () => {
  it.each(["", "sum by (a) (rate(b_c{d=~'e'}[5m] offset 1h)) > bool 1 # f", "{{{\"", "é ∑ 日本"])("spells %s", (text) => {
    expect(highlight(text, { start: 1, end: 3 }).map((span) => span.text).join("")).toBe(text);
  });
  it("tells functions, labels and metrics apart by place", () => {
    expect(kinds("sum(sum)")).toEqual([["sum", "function"], ["(", "bracket"], ["sum", "metric"], [")", "bracket"]]);
    expect(kinds('up{rate="x"}').map(([, kind]) => kind)).toEqual(["metric", "bracket", "label", "operator", "string", "bracket"]);
  });
  it("cuts where a fault begins and ends", () => {
    const spans = highlight("node_load1 + )", { start: 13, end: 14 });
    expect(spans.filter((span) => span.fault).map((span) => span.text)).toEqual([")"]);
  });
});
