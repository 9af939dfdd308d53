/** Where in a query the server found fault. */
import { tokenize } from "./lexer";

/** A fault with the stretch of text to underline; `start` is -1 when the server named no place. */
export interface QueryFault {
  message: string;
  line: number;
  column: number;
  start: number;
  end: number;
}

/** Offset of a 1-based line and column; the column counts UTF-8 bytes, as Prometheus does. */
export function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  for (let n = 1; n < line; n += 1) {
    const next = text.indexOf("\n", start);
    if (next < 0) break;
    start = next + 1;
  }
  let bytes = 1;
  let at = start;
  for (const char of text.slice(start)) {
    if (bytes >= column || char === "\n") break;
    bytes += new TextEncoder().encode(char).length;
    at += char.length;
  }
  return at;
}

/** Reads `invalid parameter "query": 1:7: parse error: …`. `toSource` maps an offset back over expanded variables. */
export function readFault(
  error: string,
  sent: string,
  source: string = sent,
  toSource: (offset: number) => number = (offset) => offset,
): QueryFault {
  const found = /(?:^|[\s:])(\d+):(\d+):\s*(?:parse error:\s*)?([\s\S]*)$/.exec(error);
  if (!found) return { message: error, line: 0, column: 0, start: -1, end: -1 };
  const offset = Math.min(toSource(offsetOf(sent, Number(found[1]), Number(found[2]))), source.length);
  const range = underline(source, offset);
  const before = source.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - (before.lastIndexOf("\n") + 1) + 1;
  return { message: found[3]?.trim() || error, line, column, ...range };
}

/** The token at `offset`; at the end of the text, the last thing written. */
function underline(text: string, offset: number): { start: number; end: number } {
  const tokens = tokenize(text).filter((t) => t.kind !== "space");
  const token = tokens.find((t) => t.start <= offset && offset < t.end) ?? tokens.find((t) => t.start >= offset);
  if (token) return { start: token.start, end: token.end };
  const last = tokens[tokens.length - 1];
  return last ? { start: last.end - 1, end: last.end } : { start: 0, end: 0 };
}
