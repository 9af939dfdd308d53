import { describe, expect, it } from "vitest";
import { HIDDEN_KEPT_MAX, letter, readExplore, writeExplore, type ExploreState } from "../lib/state/explore";

function roundTrip(state: ExploreState): ExploreState {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(writeExplore(state))) {
    for (const one of value === null ? [] : typeof value === "string" ? [value] : value) params.append(key, one);
  }
  return readExplore(new URLSearchParams(params.toString()));
}

describe("the explorer's address", () => {
  it.each<[string, ExploreState]>([
    ["an empty view", { queries: [{ expr: "", enabled: true }], tab: "graph", step: "", hidden: [], only: false }],
    [
      "several queries, one off",
      {
        queries: [
          { expr: 'rate(a{b="c & d"}[5m])', enabled: true },
          { expr: "up\n  # a comment", enabled: false },
        ],
        tab: "table",
        step: "15s",
        hidden: [],
        only: false,
      },
    ],
    ["hidden series", { queries: [{ expr: "up", enabled: true }], tab: "graph", step: "", hidden: ['A up{job="x"}'], only: false }],
    ["a series alone", { queries: [{ expr: "up", enabled: true }], tab: "graph", step: "", hidden: ["A up"], only: true }],
  ])("keeps %s", (_, state) => expect(roundTrip(state)).toEqual(state));

  it("leaves defaults out", () => {
    const written = writeExplore({ queries: [{ expr: "up", enabled: true }], tab: "graph", step: "", hidden: [], only: false });
    expect(Object.entries(written).filter(([, value]) => value !== null)).toEqual([["q", ["up"]]]);
  });
  it("does not keep more hidden series than a link can hold", () => {
    const hidden = Array.from({ length: HIDDEN_KEPT_MAX + 1 }, (_, i) => `A ${i}`);
    expect(writeExplore({ queries: [], tab: "graph", step: "", hidden, only: false }).hide).toBeNull();
  });
  it("survives nonsense", () => {
    expect(readExplore(new URLSearchParams("tab=x&off=a,9&step=1"))).toMatchObject({ tab: "graph", step: "1" });
  });
});

it.each([
  [0, "A"],
  [25, "Z"],
  [26, "A2"],
])("query %s is %s", (index, want) => expect(letter(index)).toBe(want));
