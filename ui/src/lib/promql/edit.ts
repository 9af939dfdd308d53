/** Small edits of a query made by clicking: a metric chosen, a matcher added. */
import { tokenize } from "./lexer";
import { isCallable, isKeyword } from "./functions";

/** A label value as a PromQL string. */
export function quote(value: string): string {
  return JSON.stringify(value);
}

/** Adds `label="value"` to the first selector of `expr`; an empty query becomes that selector alone. */
export function addMatcher(expr: string, label: string, value: string): string {
  const matcher = `${label}=${quote(value)}`;
  const tokens = tokenize(expr).filter((t) => t.kind !== "space" && t.kind !== "comment");
  for (const [i, token] of tokens.entries()) {
    const next = tokens[i + 1];
    if (token.text === "{") {
      const joint = next?.text === "}" ? "" : ",";
      return `${expr.slice(0, token.end)}${matcher}${joint}${expr.slice(token.end)}`;
    }
    const metric = token.kind === "name" && next?.text !== "(" && !isCallable(token.text) && !isKeyword(token.text);
    if (metric && next?.text !== "{") {
      const inGrouping = tokens[i - 1]?.text === "(" && isKeyword(tokens[i - 2]?.text ?? "");
      if (!inGrouping) return `${expr.slice(0, token.end)}{${matcher}}${expr.slice(token.end)}`;
    }
  }
  return expr.trim() === "" ? `{${matcher}}` : expr;
}

/** A first query for a metric: counters as a rate, histograms as a quantile, all else as it is. */
export function starterQuery(metric: string, type: string): string {
  if (type === "histogram" && !/_(sum|count)$/.test(metric)) {
    const bucket = metric.endsWith("_bucket") ? metric : `${metric}_bucket`;
    return `histogram_quantile(0.95, sum by (le) (rate(${bucket}[$__rate_interval])))`;
  }
  const counts = type === "counter" || /_(total|sum|count)$/.test(metric);
  return counts ? `rate(${metric}[$__rate_interval])` : metric;
}
