/** The colours of a query. */
import { isCallable, isKeyword } from "../../lib/promql/functions";
import { tokenize, type Token } from "../../lib/promql/lexer";
import { cutSpans, type Piece, type Span } from "../editor/spans";

function kindOf(token: Token, braces: number, next: string | undefined): string {
  if (token.kind !== "name") return token.kind;
  if (braces > 0) return "label";
  if (isCallable(token.text) && (next === "(" || next === "by" || next === "without")) return "function";
  return isKeyword(token.text) ? "keyword" : "metric";
}

/** Spans that together spell `text`. */
export function highlight(text: string, fault: { start: number; end: number } | null): Span[] {
  const tokens = tokenize(text);
  const solid = tokens.filter((token) => token.kind !== "space");
  const nextOf = new Map(solid.map((token, i) => [token, solid[i + 1]?.text]));
  let braces = 0;
  const pieces = tokens.map((token): Piece => {
    if (token.text === "{") braces += 1;
    if (token.text === "}") braces = Math.max(0, braces - 1);
    return { start: token.start, end: token.end, kind: kindOf(token, braces, nextOf.get(token)) };
  });
  return cutSpans(text, pieces, fault);
}
