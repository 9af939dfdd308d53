/** The list of rules. */
import type { AlertRule } from "../api/alerts";
import { SEVERITIES } from "./events";
import { conditionText } from "./rule";

export const RULE_TONES: Record<string, "ok" | "warn" | "bad" | "idle"> = { firing: "bad", pending: "warn", ok: "ok", inactive: "idle" };

export interface RuleFilter {
  text: string;
  state: string;
  type: string;
  severity: string;
}

export const readRuleFilter = (params: URLSearchParams): RuleFilter => ({
  text: params.get("filter") ?? "",
  state: params.get("state") ?? "",
  type: params.get("type") ?? "",
  severity: params.get("severity") ?? "",
});

export type RuleSort = "state" | "name" | "fired";

type Listed = Pick<AlertRule, "name" | "type" | "severity" | "state" | "error" | "condition" | "lastTriggered" | "owner">;

/** A rule that cannot be evaluated is a state of its own: it will never fire. */
export const stateOf = (rule: Pick<Listed, "state" | "error">): string => (rule.error && rule.state !== "inactive" && rule.state !== "firing" ? "error" : rule.state);

export function rulesShown<T extends Listed>(rules: readonly T[], filter: RuleFilter, sort: RuleSort): T[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const rank = (rule: T) => ["error", "firing", "pending", "ok", "inactive"].indexOf(stateOf(rule));
  const worse = (rule: T) => SEVERITIES.indexOf(rule.severity ?? "warning");
  const byName = (a: T, b: T) => a.name.localeCompare(b.name);
  const order: Record<RuleSort, (a: T, b: T) => number> = {
    name: byName,
    state: (a, b) => rank(a) - rank(b) || worse(a) - worse(b) || byName(a, b),
    fired: (a, b) => (b.lastTriggered ?? "").localeCompare(a.lastTriggered ?? "") || byName(a, b),
  };
  return rules
    .filter((rule) => (filter.type === "" || rule.type === filter.type) && (filter.severity === "" || (rule.severity ?? "warning") === filter.severity) && (filter.state === "" || stateOf(rule) === filter.state))
    .filter((rule) => {
      const hay = `${rule.name} ${conditionText(rule.condition, rule.type)} ${rule.owner ?? ""}`.toLowerCase();
      return words.every((word) => hay.includes(word));
    })
    .sort(order[sort]);
}
