/** What may be written at the cursor of a search. */
import { score } from "../promql/score";
import { nameText, valueText } from "./edit";
import { scan, unquote } from "./scan";

export interface SearchContext {
  kind: "term" | "value";
  /** The field whose value is being written. */
  field: string;
  /** What is typed so far, quotes removed. */
  prefix: string;
  replace: { start: number; end: number };
}

export interface Suggestion {
  kind: "field" | "value" | "operator" | "example";
  label: string;
  detail: string;
  /** What is put in the place of what was typed. */
  insert: string;
}

export interface KnownField {
  name: string;
  type: string;
  count?: number | null;
}

export const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

/** What the cursor stands in; null inside what completion cannot help with, such as a regular expression. */
export function searchContext(text: string, cursor: number): SearchContext | null {
  const { terms } = scan(text);
  const term = terms.find((one) => one.start <= cursor && cursor <= one.end && cursor >= one.valueStart);
  if (!term) {
    const inName = terms.find((one) => one.name !== null && one.start <= cursor && cursor < one.valueStart);
    if (!inName) return { kind: "term", field: "", prefix: "", replace: { start: cursor, end: cursor } };
    const start = inName.start + (/^(?:NOT\s+|[-!])*/.exec(text.slice(inName.start))?.[0].length ?? 0);
    return { kind: "term", field: "", prefix: text.slice(start, cursor), replace: { start, end: inName.valueStart } };
  }
  const typed = text.slice(term.valueStart, cursor);
  const replace = { start: term.valueStart, end: term.end };
  if (term.name === null) {
    return typed.startsWith('"') ? null : { kind: "term", field: "", prefix: typed, replace };
  }
  if (/^[/[{(]/.test(typed)) return null;
  return { kind: "value", field: term.name, prefix: unquote(typed.replace(/\*$/, "")), replace };
}

/** Fields that answer what was typed; the ones that most rows have come first. */
export function suggestFields(fields: readonly KnownField[], context: SearchContext): Suggestion[] {
  const seen = new Set<string>();
  const known = fields.flatMap((field) => {
    const points = score(field.name, context.prefix);
    if (points === null || seen.has(field.name)) return [];
    seen.add(field.name);
    return [{ field, points }];
  });
  known.sort((a, b) => a.points - b.points || (b.field.count ?? Infinity) - (a.field.count ?? Infinity) || a.field.name.localeCompare(b.field.name));
  return known.slice(0, 50).map(({ field }) => ({
    kind: "field",
    label: field.name,
    detail: field.type,
    insert: `${nameText(field.name)}:`,
  }));
}

/** What may stand between two terms; `beforeTerm` is false at the very start, where nothing can be joined. */
export function suggestOperators(context: SearchContext, anythingBefore: boolean): Suggestion[] {
  if (!anythingBefore || context.prefix === "") return [];
  const all: Suggestion[] = [
    { kind: "operator", label: "AND", detail: "both must hold", insert: "AND " },
    { kind: "operator", label: "OR", detail: "one must hold", insert: "OR " },
    { kind: "operator", label: "NOT", detail: "must not hold", insert: "NOT " },
  ];
  return all.filter((one) => one.label.startsWith(context.prefix));
}

export function suggestValues(
  values: readonly { value: string | number | boolean; count: number }[],
  context: SearchContext,
  numeric: boolean,
): Suggestion[] {
  const found = values
    .flatMap(({ value, count }) => {
      const points = score(String(value), context.prefix);
      return points === null ? [] : [{ value, count, points }];
    })
    .sort((a, b) => a.points - b.points || b.count - a.count)
    .slice(0, 50);
  return found.map(({ value, count }) => ({
    kind: "value",
    label: String(value),
    detail: count > 0 ? count.toLocaleString("en") : "",
    insert: `${numeric ? String(value) : valueText(value)} `,
  }));
}

/** What can be asked of a field, offered while nothing is typed behind its colon. */
export function suggestCompares(context: SearchContext, numeric: boolean): Suggestion[] {
  if (context.prefix !== "") return [];
  const any: Suggestion[] = [{ kind: "operator", label: "*", detail: "the field is there", insert: "* " }];
  const ordered: Suggestion[] = [
    { kind: "operator", label: ">=", detail: "at least", insert: ">=" },
    { kind: "operator", label: "<", detail: "below", insert: "<" },
    { kind: "operator", label: "[1 TO 5]", detail: "between", insert: "[" },
  ];
  const texts: Suggestion[] = [
    { kind: "operator", label: "/…/", detail: "regular expression", insert: "/" },
    { kind: "operator", label: "(… OR …)", detail: "one of several", insert: "(" },
  ];
  return [...any, ...(numeric ? ordered : texts)];
}

/** A suggestion as it is written before `after`: a space that already stands there is not written twice. */
export function fitted(one: Suggestion, after: string): Suggestion {
  return one.insert.endsWith(" ") && after.startsWith(" ") ? { ...one, insert: one.insert.slice(0, -1) } : one;
}
