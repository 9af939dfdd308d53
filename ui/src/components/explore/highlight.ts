/** A query cut into coloured spans, with a fault underlined. */
import { isCallable, isKeyword } from "../../lib/promql/functions";
import { tokenize, type Token } from "../../lib/promql/lexer";

export interface Span {
  text: string;
  kind: string;
  fault: boolean;
}

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
  const spans: Span[] = [];
  let braces = 0;
  for (const token of tokens) {
    if (token.text === "{") braces += 1;
    if (token.text === "}") braces = Math.max(0, braces - 1);
    const kind = kindOf(token, braces, nextOf.get(token));
    // A fault may begin or end inside a token; cut there.
    const cuts = [token.start, fault?.start ?? -1, fault?.end ?? -1, token.end]
      .filter((cut) => cut >= token.start && cut <= token.end)
      .sort((a, b) => a - b);
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const [start, end] = [cuts[i] ?? 0, cuts[i + 1] ?? 0];
      if (start === end) continue;
      const inside = fault !== null && fault.start <= start && end <= fault.end && fault.start < fault.end;
      spans.push({ text: text.slice(start, end), kind, fault: inside });
    }
  }
  return spans;
}

/** Where the character at `offset` is drawn inside `layer`: its left edge and its baseline's bottom, in pixels. */
export function placeIn(layer: HTMLElement, offset: number): { left: number; top: number } {
  const walker = document.createTreeWalker(layer, NodeFilter.SHOW_TEXT);
  let rest = offset;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.textContent?.length ?? 0;
    if (rest <= length) {
      const range = document.createRange();
      range.setStart(node, rest);
      const [at, box] = [range.getBoundingClientRect(), layer.getBoundingClientRect()];
      return { left: at.left - box.left, top: at.bottom - box.top };
    }
    rest -= length;
  }
  return { left: 8, top: 28 };
}
