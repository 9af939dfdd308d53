/** The unit of an expression, from the names and metadata of what it reads. */
import type { Unit } from "./format";
import { tokenize } from "./promql/lexer";

const RATE_FUNCTIONS = new Set(["rate", "irate", "deriv"]);
const UNITLESS = new Set(["count", "count_values", "group", "absent", "changes", "resets", "count_over_time"]);

function ofName(name: string, declared: string): Unit {
  const base = name.replace(/_(total|sum|bucket)$/, "");
  const says = (unit: string) => declared === unit || base.endsWith(`_${unit}`);
  if (says("bytes")) return "bytes";
  if (says("seconds")) return "seconds";
  if (says("ratio")) return "ratio";
  if (says("celsius")) return "celsius";
  if (says("hertz")) return "hertz";
  if (says("volts")) return "volts";
  return "short";
}

/** `unitOf` looks a metric's declared unit up; an empty answer falls back on the name's suffix. */
export function inferUnit(expr: string, unitOf: (metric: string) => string = () => ""): Unit {
  const tokens = tokenize(expr).filter((t) => t.kind !== "space" && t.kind !== "comment");
  const functions = new Set<string>();
  const metrics: string[] = [];
  let braces = 0;
  tokens.forEach((token, i) => {
    if (token.text === "{") braces += 1;
    if (token.text === "}") braces -= 1;
    if (token.kind !== "name" || braces > 0) return;
    const next = tokens[i + 1]?.text;
    if (next === "(") functions.add(token.text);
    else if (/_/.test(token.text) || tokens.length === 1 || next === "{" || next === "[") metrics.push(token.text);
  });
  const first = metrics[0];
  if (first === undefined) return "short";
  for (const name of functions) if (UNITLESS.has(name)) return "short";
  const units = new Set(metrics.map((name) => ofName(name, unitOf(name))));
  const divides = tokens.some((t) => t.text === "/");
  const unit = ofName(first, unitOf(first));
  if (divides && metrics.length > 1) return units.size === 1 && unit !== "short" ? "ratio" : "short";
  if (functions.has("histogram_quantile")) return unit;
  if (![...functions].some((name) => RATE_FUNCTIONS.has(name))) return unit;
  if (unit === "bytes") return "bytes/s";
  return unit === "short" ? "per-second" : unit === "seconds" ? "ratio" : "short";
}
