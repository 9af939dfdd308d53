/**
 * A tolerant PromQL lexer for highlighting and completion. It never fails: what it does not know becomes
 * a `bad` token, and an open string ends at the end of the text. Judging a query is the server's work.
 */

export type TokenKind =
  | "space"
  | "comment"
  | "string"
  | "duration"
  | "number"
  | "name"
  | "variable"
  | "operator"
  | "bracket"
  | "comma"
  | "bad";

/** One token; `start` is inside, `end` is not. Together the tokens cover the text without gaps. */
export interface Token {
  kind: TokenKind;
  text: string;
  start: number;
  end: number;
}

const RULES: readonly [TokenKind, RegExp][] = [
  ["space", /\s+/y],
  ["comment", /#[^\n]*/y],
  ["string", /"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`[^`]*`?/y],
  ["variable", /\$__?[A-Za-z_]\w*/y],
  ["duration", /(?:\d+(?:ms|[smhdwy]))+(?![A-Za-z0-9_])/y],
  ["number", /0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y],
  ["name", /[A-Za-z_:][A-Za-z0-9_:.]*/y],
  ["operator", /=~|!~|!=|==|<=|>=|[-+*/%^=<>@:]/y],
  ["bracket", /[()[\]{}]/y],
  ["comma", /,/y],
];

/** All tokens of `text`, in order. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    let kind: TokenKind = "bad";
    let end = at + 1;
    for (const [candidate, rule] of RULES) {
      rule.lastIndex = at;
      const match = rule.exec(text);
      if (match && match[0].length > 0) {
        kind = candidate;
        end = at + match[0].length;
        break;
      }
    }
    tokens.push({ kind, text: text.slice(at, end), start: at, end });
    at = end;
  }
  return tokens;
}

/** True when a string token has its closing quote. */
export function isClosed(token: Token): boolean {
  const quote = token.text[0];
  if (token.text.length < 2 || quote === undefined || !token.text.endsWith(quote)) return false;
  if (quote === "`") return true;
  const escapes = /\\+$/.exec(token.text.slice(1, -1))?.[0].length ?? 0;
  return escapes % 2 === 0;
}
