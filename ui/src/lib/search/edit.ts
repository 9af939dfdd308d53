/** Edits of a search made by clicking: a filter added, turned round or taken away. */
import { scan, unquote, type Term } from "./scan";

export type FilterValue = string | number | boolean;

/** Unquoted numbers are compared as numbers, so a text that looks like one needs its quotes. */
function isPlain(value: string): boolean {
  if (value === "" || /[\s()"|*\\]/.test(value) || /^[-!=><~/[{+.\d]/.test(value)) return false;
  return !/^(?:AND|OR|NOT|TO|&&|true|false)$/.test(value);
}

/** A text in quotes, as the search syntax reads them. */
export function quoted(text: string): string {
  const escapes: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return `"${text.replace(/["\\\n\r\t]/g, (char) => escapes[char] ?? char)}"`;
}

export function valueText(value: FilterValue): string {
  if (typeof value !== "string") return String(value);
  return isPlain(value) ? value : quoted(value);
}

/** A field's name as it is written before the colon. */
export function nameText(name: string): string {
  const scoped = /^(attributes\.|attr\.|resource\.)(.+)$/s.exec(name);
  const [scope, key] = scoped ? [scoped[1] ?? "", scoped[2] ?? ""] : ["", name];
  const plain = key !== "" && !/[\s()"|*\\:]/.test(key) && !/^[-!]/.test(key) && !/^(?:AND|OR|NOT|&&)$/.test(key);
  return scope + (plain ? key : quoted(key));
}

/** `field:value`, or `field:=value` for messages, whose plain form finds words instead of the whole. */
export function filterText(name: string, value: FilterValue | null): string {
  if (value === null) return `${nameText(name)}:*`;
  const whole = name === "body" || name === "message" || name === "msg" ? "=" : "";
  return `${nameText(name)}:${whole}${valueText(value)}`;
}

function asks(term: Term, name: string, value: FilterValue | null): boolean {
  if (term.name !== name || term.depth > 0) return false;
  if (value === null) return term.compare === "" && term.value === "*";
  if (term.compare !== "" && term.compare !== "=" && term.compare !== "!=") return false;
  const open = term.value.startsWith('"') ? term.value.endsWith("*") : /^[([{/]|(?:^|[^\\])\*/.test(term.value);
  if (open) return false;
  return unquote(term.value) === String(value);
}

const excludes = (term: Term) => term.negated !== (term.compare === "!=");

/** A value that came as text, as what its field holds: numbers and truths are compared as such when unquoted. */
export function typedValue(value: FilterValue, type: string): FilterValue {
  if (typeof value !== "string") return value;
  if (/int|double|float/.test(type) && value.trim() !== "" && Number.isFinite(Number(value)) && String(Number(value)) === value) return Number(value);
  if (type === "bool" && (value === "true" || value === "false")) return value === "true";
  return value;
}

/** Whether the search asks for this value, refuses it, or says nothing of it. */
export function filterState(query: string, name: string, value: FilterValue | null): "in" | "out" | null {
  const { terms, alternatives } = scan(query);
  if (alternatives) return null;
  const term = terms.find((one) => asks(one, name, value));
  return term ? (excludes(term) ? "out" : "in") : null;
}

function cut(query: string, term: { start: number; end: number }): string {
  const before = query.slice(0, term.start).replace(/\s*(?:\bAND|&&)?\s*$/, "");
  const after = query.slice(term.end).replace(/^\s*(?:AND\b|&&)?\s*/, "");
  return before === "" || after === "" ? before + after : `${before} ${after}`;
}

/** The search without the terms that ask for this value or refuse it. */
export function removeFilter(query: string, name: string, value: FilterValue | null): string {
  let rest = query;
  for (;;) {
    const found = scan(rest);
    const term = found.alternatives ? undefined : found.terms.find((one) => asks(one, name, value));
    if (!term) return rest;
    rest = cut(rest, term);
  }
}

/** Adds one more condition; alternatives are put in parentheses first, so that it holds for all of them. */
export function addTerm(query: string, term: string): string {
  const base = query.trim();
  if (base === "" || base === "*") return term;
  return scan(base).alternatives ? `(${base}) ${term}` : `${base} ${term}`;
}

/**
 * A click on a value: asks for it, or (with `out`) refuses it. What already says so is taken away, what says the
 * opposite is turned round.
 */
export function toggleFilter(query: string, name: string, value: FilterValue | null, out = false): string {
  const state = filterState(query, name, value);
  const rest = removeFilter(query, name, value);
  if (state === (out ? "out" : "in")) return rest.trim();
  return addTerm(rest, (out ? "-" : "") + filterText(name, value));
}

/** Words and phrases that a row's message must have, for marking them; lower case. */
export function wordsOf(query: string): string[] {
  const found: string[] = [];
  for (const term of scan(query).terms) {
    if (term.negated || (term.name !== null && !/^(?:body|message|msg)$/.test(term.name))) continue;
    if (term.compare !== "" || (term.name !== null && /^[([{/]/.test(term.value))) continue;
    const text = unquote(term.value).replace(/^\*+|\*+$/g, "");
    if (text !== "" && !text.includes("*")) found.push(text.toLowerCase());
  }
  return found;
}

/** Pieces of `text`, those found by a search marked. */
export function mark(text: string, words: readonly string[]): { text: string; hit: boolean }[] {
  if (words.length === 0) return [{ text, hit: false }];
  const low = text.toLowerCase();
  // Lower-casing can change a text's length; then positions would lie.
  if (low.length !== text.length) return [{ text, hit: false }];
  const out: { text: string; hit: boolean }[] = [];
  let at = 0;
  while (at < text.length) {
    let [next, length] = [-1, 0];
    for (const word of words) {
      const found = low.indexOf(word, at);
      if (found >= 0 && (next < 0 || found < next)) [next, length] = [found, word.length];
    }
    if (next < 0) break;
    if (next > at) out.push({ text: text.slice(at, next), hit: false });
    out.push({ text: text.slice(next, next + length), hit: true });
    at = next + length;
  }
  if (at < text.length) out.push({ text: text.slice(at), hit: false });
  return out;
}

/** A piece of a template: fixed text, or a place where messages differ. */
export function templateParts(template: string): { text: string; variable: boolean }[] {
  return template
    .split(/(<[*\w:.-]+>)/)
    .map((text, i) => ({ text, variable: i % 2 === 1 }))
    .filter((part) => part.text !== "");
}

/** A search for the messages of a template: its fixed stretches as phrases, without words that a variable cuts. */
export function patternQuery(template: string): string {
  const parts = templateParts(template);
  const phrases = parts.flatMap((part, i) => {
    if (part.variable) return [];
    let text = part.text;
    if (parts[i - 1]?.variable) text = text.replace(/^[\p{L}\p{N}_]+/u, "");
    if (parts[i + 1]?.variable) text = text.replace(/[\p{L}\p{N}_]+$/u, "");
    text = text.replace(/^[^\p{L}\p{N}_]+|[^\p{L}\p{N}_]+$/gu, "");
    return text === "" ? [] : [quoted(text)];
  });
  return [...new Set(phrases)].join(" ");
}
