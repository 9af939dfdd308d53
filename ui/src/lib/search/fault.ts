/** Where in a search the server found fault. */
import { scan } from "./scan";

export interface SearchFault {
  message: string;
  /** Stretch to underline; -1 when the server named no place. */
  start: number;
  end: number;
}

/** Character offset of a byte offset. */
export function charOffset(text: string, bytes: number): number {
  let [left, at] = [bytes, 0];
  for (const char of text) {
    if (left <= 0) break;
    const code = char.codePointAt(0) ?? 0;
    left -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    at += char.length;
  }
  return at;
}

/** Reads `invalid parameter "query": search, position 12: a quote is not closed, found "\"x"; write …`. */
export function readSearchFault(error: string, query: string): SearchFault {
  const found = /position (\d+): ([\s\S]+)$/.exec(error);
  if (!found) return { message: error.replace(/^invalid parameter "query": /, ""), start: -1, end: -1 };
  const start = Math.min(charOffset(query, Number(found[1])), query.length);
  const token = scan(query).tokens.find((one) => one.kind !== "space" && one.start <= start && start < one.end);
  const message = found[2] ?? error;
  if (token) return { message, start, end: token.end };
  // At the end there is nothing to underline but what stands last.
  return { message, start: Math.max(0, query.trimEnd().length - 1), end: query.length };
}
