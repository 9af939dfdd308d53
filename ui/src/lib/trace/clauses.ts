/** Edits of a search by clicking. A search is written in the search syntax, or in TraceQL when it begins with `{`. */
import { durationLiteral } from "./instant";

export const isTraceQl = (query: string): boolean => query.trimStart().startsWith("{");

/** Terms of the search syntax; quoted text and parentheses hold together. */
function terms(query: string): string[] {
  const out: string[] = [];
  let [depth, term] = [0, ""];
  for (const [part] of query.matchAll(/"(?:\\.|[^"\\])*"?|\s+|[()]|[^\s"()]+/g)) {
    if (/^\s/.test(part) && depth === 0) {
      if (term !== "") out.push(term);
      term = "";
      continue;
    }
    if (part === "(") depth += 1;
    if (part === ")") depth = Math.max(0, depth - 1);
    term += part;
  }
  return term === "" ? out : [...out, term];
}

const quoted = (value: string) => `"${value.replace(/[\\"]/g, "\\$&")}"`;

/** A value as the search syntax takes it, bare where that is safe. */
function literal(value: string): string {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(value) && !/^(and|or|not)$/i.test(value) ? value : quoted(value);
}

export const clauseOf = (field: string, value: string): string => `${field}:${literal(value)}`;

const QL_NAMES: Record<string, string> = { service: "resource.service.name", name: "name", operation: "name", status: "status", kind: "kind" };

function qlClause(field: string, value: string, not: boolean): string {
  const name = QL_NAMES[field] ?? (/^(span|resource)\./.test(field) ? field : `.${field}`);
  const bare = field === "status" || field === "kind" || /^-?\d+(\.\d+)?$/.test(value);
  return `${name} ${not ? "!=" : "="} ${bare ? value : quoted(value)}`;
}

/** Adds a condition to every span selected: inside a lone selector, before anything else. */
function qlAnd(query: string, condition: string): string {
  const lone = /^\{([^{}]*)\}$/.exec(query.trim());
  if (!lone) return `{ ${condition} } && ${query.trim()}`;
  const inner = (lone[1] ?? "").trim();
  if (inner === "" || inner === "true") return `{ ${condition} }`;
  return `{ ${/\|\|/.test(inner) ? `(${inner})` : inner} && ${condition} }`;
}

function join(query: string, clause: string): string {
  const parts = terms(query);
  if (parts.length === 0 || (parts.length === 1 && parts[0] === "*")) return clause;
  const alternative = parts.some((part) => part === "OR" || part === "|" || part === "||");
  return alternative ? `(${query.trim()}) ${clause}` : `${parts.join(" ")} ${clause}`;
}

/** True when the search holds this very clause. */
export function hasClause(query: string, field: string, value: string, not = false): boolean {
  if (isTraceQl(query)) return query.includes(qlClause(field, value, not));
  return terms(query).includes((not ? "-" : "") + clauseOf(field, value));
}

/** Adds a clause, or takes it away again where it stands already; its opposite goes. */
export function toggleClause(query: string, field: string, value: string, not = false): string {
  if (isTraceQl(query)) return hasClause(query, field, value, not) ? query : qlAnd(query, qlClause(field, value, not));
  const clause = clauseOf(field, value);
  const [wanted, other] = not ? [`-${clause}`, clause] : [clause, `-${clause}`];
  const parts = terms(query);
  if (parts.includes(wanted)) return parts.filter((part) => part !== wanted).join(" ");
  return join(parts.filter((part) => part !== other).join(" "), wanted);
}

/** The search limited to durations of `[min, max)` nanoseconds; null leaves an end open. Replaces an earlier limit. */
export function withDuration(query: string, min: number | null, max: number | null): string {
  const limits = [min === null ? "" : `>=${durationLiteral(min)}`, max === null ? "" : `<${durationLiteral(max)}`].filter((l) => l !== "");
  if (isTraceQl(query)) {
    const bare = query.replace(/\s*&&\s*duration\s*(>=|<)\s*[\d.]+[a-zµ]+/g, "");
    return limits.reduce((text, limit) => qlAnd(text, `duration ${limit.replace(/^(>=|<)/, "$1 ")}`), bare);
  }
  const rest = terms(query).filter((part) => !/^duration:(>=|<)/.test(part)).join(" ");
  return limits.reduce((text, limit) => join(text, `duration:${limit}`), rest);
}
