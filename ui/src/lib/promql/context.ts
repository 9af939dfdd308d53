/** What may be completed at a place of a query, decided from the tokens before it. */
import { isClosed, tokenize, type Token } from "./lexer";

/** `replace` is the stretch of text the chosen candidate takes the place of; `prefix` is what is typed of it. */
interface Place {
  prefix: string;
  replace: { start: number; end: number };
}

export type CompletionContext = Place &
  (
    | { kind: "expression"; callee?: string }
    | { kind: "labelName"; metric: string; matchers: string[]; grouping: boolean }
    | { kind: "labelValue"; metric: string; matchers: string[]; label: string; quote: string; closed: boolean }
    | { kind: "duration" }
    | { kind: "none" }
  );

interface Scope {
  open: "(" | "[" | "{";
  /** The name before the bracket: a function, a metric, or `by` and the like. */
  owner: string;
  matchers: string[];
  label: string;
  operator: string;
}

const GROUPING = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);

/** The context at `cursor`; the token under the cursor is what a candidate replaces. */
export function completionContext(text: string, cursor: number): CompletionContext {
  const tokens = tokenize(text);
  const under = tokens.find((t) => t.start < cursor && cursor <= t.end && isEditable(t, cursor));
  const before = tokens.filter((t) => t.end <= (under?.start ?? cursor) && t.kind !== "space" && t.kind !== "comment");
  const inComment = tokens.some((t) => t.kind === "comment" && t.start < cursor && cursor <= t.end);
  const place: Place = {
    prefix: under ? text.slice(under.start, cursor) : "",
    replace: under ? { start: under.start, end: under.end } : { start: cursor, end: cursor },
  };
  if (inComment) return { ...place, kind: "none" };

  const scope = openScope(before);
  const last = before[before.length - 1];
  if (under?.kind === "string") return inString(under, cursor, scope, text, tokens);
  if (scope?.open === "[") return { ...place, kind: "duration" };
  if (last?.text.toLowerCase() === "offset") return { ...place, kind: "duration" };
  if (scope?.open === "{") return inBraces(place, scope, last, text, cursor);
  if (scope?.open === "(" && GROUPING.has(scope.owner)) {
    const metric = nearestMetric(tokens, cursor);
    return { ...place, kind: "labelName", metric, matchers: [], grouping: true };
  }
  if (under?.kind === "number" || under?.kind === "duration") return { ...place, kind: "none" };
  const callee = scope?.open === "(" && scope.owner !== "" ? scope.owner : undefined;
  return callee === undefined ? { ...place, kind: "expression" } : { ...place, kind: "expression", callee };
}

function isEditable(token: Token, cursor: number): boolean {
  if (token.kind === "string") return cursor < token.end || !isClosed(token);
  return token.kind === "name" || token.kind === "number" || token.kind === "duration" || token.kind === "variable";
}

/** The innermost bracket still open after `tokens`, with the matchers read inside it. */
function openScope(tokens: readonly Token[]): Scope | undefined {
  const stack: Scope[] = [];
  tokens.forEach((token, i) => {
    const scope = stack[stack.length - 1];
    if (token.text === "(" || token.text === "[" || token.text === "{") {
      const previous = tokens[i - 1];
      const owner = previous?.kind === "name" ? previous.text : "";
      stack.push({ open: token.text, owner, matchers: [], label: "", operator: "" });
    } else if (token.kind === "bracket") {
      stack.pop();
    } else if (scope?.open === "{") {
      if (token.kind === "name") scope.label = token.text;
      else if (token.kind === "operator") scope.operator = token.text;
      else if (token.kind === "string" && scope.operator) {
        scope.matchers.push(`${scope.label}${scope.operator}${token.text}`);
        scope.operator = "";
      } else if (token.kind === "comma") {
        scope.label = "";
        scope.operator = "";
      }
    }
  });
  return stack[stack.length - 1];
}

function inBraces(
  place: Place,
  scope: Scope,
  last: Token | undefined,
  text: string,
  cursor: number,
): CompletionContext {
  if (scope.operator) {
    // After an operator a value must follow, though its quote is not typed yet.
    const closed = text[cursor] === '"';
    const common = { metric: scope.owner, matchers: scope.matchers, label: scope.label };
    return { ...place, kind: "labelValue", ...common, quote: "", closed };
  }
  const expectsName = last?.text === "{" || last?.text === "," || place.prefix !== "";
  if (!expectsName) return { ...place, kind: "none" };
  return { ...place, kind: "labelName", metric: scope.owner, matchers: scope.matchers, grouping: false };
}

function inString(
  token: Token,
  cursor: number,
  scope: Scope | undefined,
  text: string,
  tokens: readonly Token[],
): CompletionContext {
  const closed = isClosed(token);
  const replace = { start: token.start + 1, end: closed ? token.end - 1 : cursor };
  const place: Place = { prefix: text.slice(token.start + 1, cursor), replace };
  if (scope?.open !== "{" || !scope.operator) return { ...place, kind: "none" };
  // Matchers after the cursor narrow the values as well.
  const after = tokens.filter((t) => t.start >= token.end && t.kind !== "space");
  const matchers = [...scope.matchers];
  for (let i = 0; i + 2 < after.length && after[i]?.text !== "}"; i += 1) {
    const [name, operator, value] = [after[i], after[i + 1], after[i + 2]];
    if (name?.kind === "name" && operator?.kind === "operator" && value?.kind === "string" && isClosed(value)) {
      matchers.push(`${name.text}${operator.text}${value.text}`);
    }
  }
  const quote = token.text[0] ?? '"';
  return { ...place, kind: "labelValue", metric: scope.owner, matchers, label: scope.label, quote, closed };
}

/** The metric a grouping most likely speaks of: the next one after the cursor, else the last before it. */
function nearestMetric(tokens: readonly Token[], cursor: number): string {
  const isMetric = (t: Token, i: number) => {
    const next = tokens.slice(i + 1).find((n) => n.kind !== "space");
    return t.kind === "name" && /_/.test(t.text) && next?.text !== "(" && !GROUPING.has(t.text);
  };
  const metrics = tokens.filter(isMetric);
  return (metrics.find((t) => t.start > cursor) ?? metrics[metrics.length - 1])?.text ?? "";
}

/** A selector for the APIs that take `match[]`, or null when nothing narrows the answer. */
export function selectorOf(metric: string, matchers: readonly string[]): string | null {
  if (metric === "" && matchers.length === 0) return null;
  return `${metric}${matchers.length > 0 ? `{${matchers.join(",")}}` : ""}`;
}
