/**
 * A search cut into tokens and terms, as far as colouring, completion and edits by click need it. It never fails:
 * what the server will refuse is still cut somehow.
 */

export type TokenKind = "space" | "operator" | "paren" | "sign" | "name" | "compare" | "value" | "number" | "string" | "regex" | "word";

export interface Token {
  kind: TokenKind;
  start: number;
  end: number;
}

/** A word, a phrase, or a field with what is asked of it. */
export interface Term {
  /** With its sign. */
  start: number;
  end: number;
  negated: boolean;
  /** Null for words that are looked for in the message. */
  name: string | null;
  /** `""`, `=`, `!=`, `>`, `>=`, `<`, `<=`, `~`. */
  compare: string;
  valueStart: number;
  /** As written, quotes and stars included. */
  value: string;
  /** Open parentheses around it. */
  depth: number;
}

export interface Scan {
  tokens: Token[];
  terms: Term[];
  /** True when `OR` or `|` stands outside all parentheses. */
  alternatives: boolean;
}

const OPERATOR = /^(?:AND|OR|NOT|&&)(?=[\s()"|]|$)/;

/** End of a quoted text that begins at `at`; the text's end when it is not closed. */
function quotedEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i += 1) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/** End of a bare word that begins at `at`. */
function wordEnd(text: string, at: number, stop: RegExp): number {
  let i = at;
  while (i < text.length && !stop.test(text[i] ?? "")) i += text[i] === "\\" ? 2 : 1;
  return Math.min(i, text.length);
}

/** End of a group that opens at `at`, quotes respected. */
function groupEnd(text: string, at: number, open: string, close: string): number {
  let depth = 0;
  for (let i = at; i < text.length; i += 1) {
    const char = text[i] ?? "";
    if (char === '"') i = quotedEnd(text, i) - 1;
    else if (char === "\\") i += 1;
    else if (open.includes(char)) depth += 1;
    else if (close.includes(char) && --depth === 0) return i + 1;
  }
  return text.length;
}

function valueAt(text: string, at: number): { end: number; kind: TokenKind } {
  const char = text[at];
  if (char === '"') {
    const end = quotedEnd(text, at);
    return { end: text[end] === "*" ? end + 1 : end, kind: "string" };
  }
  if (char === "(") return { end: groupEnd(text, at, "(", ")"), kind: "value" };
  if (char === "[" || char === "{") return { end: groupEnd(text, at, "[{", "]}"), kind: "number" };
  const regex = /^\/(?:\\.|[^/\\\s])+\/(?=[\s)]|$)/.exec(text.slice(at));
  if (regex) return { end: at + regex[0].length, kind: "regex" };
  const end = wordEnd(text, at, /[\s()"|]/);
  return { end, kind: /^-?\d[\d.]*(?:[eE]\d+|[nuµm]?s|[mhd])?$/.test(text.slice(at, end)) ? "number" : "value" };
}

/** The text of a quoted piece without quotes and escapes. */
export function unquote(piece: string): string {
  if (!piece.startsWith('"')) return piece.replace(/\\(.)/gs, "$1");
  const inner = piece.replace(/\*$/, "").replace(/^"|"$/g, "");
  const known: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return inner.replace(/\\(.)/gs, (_, char: string) => known[char] ?? char);
}

export function scan(text: string): Scan {
  const tokens: Token[] = [];
  const terms: Term[] = [];
  let alternatives = false;
  let depth = 0;
  let at = 0;
  /** Where the signs of the next term begin, and whether they negate it. */
  let signs = null as { start: number; negated: boolean } | null;
  const push = (kind: TokenKind, end: number) => {
    tokens.push({ kind, start: at, end });
    at = end;
  };

  while (at < text.length) {
    const char = text[at] ?? "";
    const rest = text.slice(at, at + 4);
    const operator = OPERATOR.exec(rest)?.[0];
    if (/\s/.test(char)) {
      push("space", at + (/^\s+/.exec(text.slice(at))?.[0].length ?? 1));
    } else if (char === "(" || char === ")") {
      depth = Math.max(0, depth + (char === "(" ? 1 : -1));
      signs = null;
      push("paren", at + 1);
    } else if (char === "|" || operator === "OR") {
      alternatives ||= depth === 0;
      signs = null;
      push("operator", at + (operator?.length ?? 1));
    } else if (operator === "NOT") {
      signs = { start: signs?.start ?? at, negated: !(signs?.negated ?? false) };
      push("operator", at + 3);
    } else if (operator) {
      signs = null;
      push("operator", at + operator.length);
    } else if ((char === "-" || char === "!") && at + 1 < text.length && !/[\s)]/.test(text[at + 1] ?? "")) {
      signs = { start: signs?.start ?? at, negated: !(signs?.negated ?? false) };
      push("sign", at + 1);
    } else {
      term();
    }
  }
  return { tokens, terms, alternatives };

  function term(): void {
    const start = at;
    let end = text[at] === '"' ? quotedEnd(text, at) : wordEnd(text, at, /[\s()"|:]/);
    // `attributes."any key":value`
    if (text[end] === '"' && /^(?:attributes|attr|resource)\.$/.test(text.slice(start, end))) end = quotedEnd(text, end);
    const made: Term = {
      start: signs?.start ?? start,
      end,
      negated: signs?.negated ?? false,
      name: null,
      compare: "",
      valueStart: start,
      value: "",
      depth,
    };
    signs = null;
    if (text[end] === ":" && end > start) {
      made.name = nameOf(text.slice(start, end));
      push("name", end + 1);
      const compare = /^(?:!=|>=|<=|[=><~])/.exec(text.slice(at, at + 2))?.[0] ?? "";
      made.compare = compare;
      if (compare) push("compare", at + compare.length);
      made.valueStart = at;
      const value = valueAt(text, at);
      if (value.end > at) push(value.kind, value.end);
    } else {
      if (end === start) end = start + 1;
      const quoted = text[start] === '"';
      if (quoted && text[end] === "*") end += 1;
      push(quoted ? "string" : "word", end);
    }
    made.end = at;
    made.value = text.slice(made.valueStart, at);
    terms.push(made);
  }
}

/** A field's name as the server knows it, quotes removed. */
function nameOf(written: string): string {
  const quote = written.indexOf('"');
  return quote < 0 ? unquote(written) : written.slice(0, quote) + unquote(written.slice(quote));
}
