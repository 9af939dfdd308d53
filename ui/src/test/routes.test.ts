import { describe, expect, test } from "vitest";
import { heightOf, layout, NODE_WIDTH, routeAt, routeBody, routeForm, severityText, treeOf, verdictsOf, withRoute, type RouteSpec } from "../lib/alerts/routes";

const object = (name: string, spec: RouteSpec) => ({ name, spec: spec as Record<string, unknown>, file: null });
const PAYMENTS: RouteSpec = { matchers: ['team="payments"'], channels: ["ops"], routes: [{ severity: { at_least: "critical" }, channels: ["pager"] }, { matchers: ['region="eu"'] }] };
const tree = () => treeOf([object("rest", { channels: ["mail"] }), object("payments", PAYMENTS)], [{ name: "cpu", channels: ["ops"] }, { name: "disk" }]);

describe("the tree", () => {
  test("has the rules' own channels first, then the routes in the order of their names", () => {
    const root = tree();
    expect(root.children.map((node) => node.id)).toEqual(["rules", "payments", "rest"]);
    expect(root.children[1]?.children.map((node) => [node.id, node.channels, node.inherits])).toEqual([["payments/0", ["pager"], false], ["payments/1", ["ops"], true]]);
    expect(treeOf([], []).children).toEqual([]);
  });

  test("is laid out without overlaps, a parent beside its first child", () => {
    const { placed, width, height } = layout(tree());
    const by = new Map(placed.map((one) => [one.node.id, one]));
    expect([by.get("root")?.y, by.get("rules")?.y]).toEqual([0, 0]);
    expect(by.get("payments")?.y).toBe(by.get("payments/0")?.y);
    for (const a of placed) {
      expect(a.height).toBe(heightOf(a.node));
      expect([a.x + NODE_WIDTH <= width, a.y + a.height <= height]).toEqual([true, true]);
      for (const b of placed) if (a !== b && a.x === b.x) expect(a.y + a.height <= b.y || b.y + b.height <= a.y, `${a.node.id} over ${b.node.id}`).toBe(true);
    }
  });

  test("many routes stay apart", () => {
    const many = Array.from({ length: 200 }, (_, i) => object(`r${String(i).padStart(3, "0")}`, { matchers: [`a="${i}"`], channels: ["x"] }));
    const ys = layout(treeOf(many, [])).placed.filter((one) => one.parent === "root").map((one) => one.y);
    expect(new Set(ys).size).toBe(200);
  });
});

const visit = (name: string | null, depth: number, matched: boolean, takes = false, failed: string | null = null) => ({ name, depth, matched, failed, takes });

describe("the way of an alert", () => {
  test("is found among routes without names, by their order", () => {
    const { verdicts, rules } = verdictsOf(tree(), {
      routes: [visit(null, 0, true), visit("rule cpu", 1, true, true), visit("payments", 1, true), visit(null, 2, false, false, "severity"), visit(null, 2, true, true)],
    });
    expect(rules).toEqual(["cpu"]);
    expect(Object.fromEntries([...verdicts].map(([id, one]) => [id, one.kind]))).toEqual({ root: "passes", payments: "passes", "payments/0": "fails", "payments/1": "takes", rules: "takes" });
    expect(verdicts.has("rest")).toBe(false);
  });

  test("passes by what did not match, with the condition that failed", () => {
    const { verdicts } = verdictsOf(tree(), { routes: [visit(null, 0, true), visit("rule cpu", 1, false, false, "alertname"), visit("payments", 1, false, false, 'team="payments"'), visit("rest", 1, true, true)] });
    expect(verdicts.get("payments")).toEqual({ kind: "fails", failed: 'team="payments"' });
    expect([verdicts.get("rest")?.kind, verdicts.get("rules")?.kind]).toEqual(["takes", "fails"]);
  });
});

describe("editing", () => {
  test("a part of a route is changed, added and removed in its object", () => {
    expect(routeAt(PAYMENTS, [1])).toEqual({ matchers: ['region="eu"'] });
    expect(withRoute(PAYMENTS, [1], { channels: ["x"] }).routes?.[1]).toEqual({ channels: ["x"] });
    expect(withRoute(PAYMENTS, [2], { channels: ["x"] }).routes).toHaveLength(3);
    expect(withRoute(PAYMENTS, [0, 0], { channels: ["x"] }).routes?.[0]?.routes).toEqual([{ channels: ["x"] }]);
    expect(withRoute({ routes: [{}] }, [0], null)).toEqual({});
    expect(withRoute(PAYMENTS, [], { channels: ["y"] })).toEqual({ channels: ["y"] });
  });

  test("the form gives what it read", () => {
    const specs: RouteSpec[] = [
      {},
      PAYMENTS,
      { severity: ["error", "critical"], channels: [], continue: true, group_by: ["a", "b"], group_wait: "10s", group_interval: "5m", repeat_interval: "4h", digest: "1d", mute: ["nights"], active: ["days"], escalation: "first", incident: true },
    ];
    for (const spec of specs) expect(routeBody(routeForm("r", spec), spec)).toEqual(spec);
    expect(routeBody({ ...routeForm("r", {}), matchers: "a=b\n\n c=d " }, {})).toEqual({ matchers: ["a=b", "c=d"] });
    expect([severityText(undefined), severityText(["error"]), severityText({ atLeast: "error" })]).toEqual(["", "severity error", "severity error or worse"]);
  });
});
