/** What may be written at the cursor of a statement. */
import { score } from "../promql/score";
import { sqlName, sqlPieces, TABLES, VIEWS } from "./text";

export interface SqlContext {
  /** What is typed so far, without its opening quote. */
  prefix: string;
  /** Where that begins, quote included, and where the word around the cursor ends. */
  start: number;
  end: number;
  /** True where a table's name belongs. */
  table: boolean;
  /** The name before a dot, such as an alias. */
  of: string;
}

export interface SqlCandidate {
  label: string;
  detail: string;
  insert: string;
}

const FUNCTIONS = ["count", "sum", "avg", "min", "max", "date_bin", "date_trunc", "approx_percentile_cont", "approx_distinct", "coalesce", "now", "lower", "regexp_like", "starts_with", "to_timestamp", "first_value", "last_value"];
const CLAUSES = ["SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "JOIN", "ON", "AND", "OR", "NOT", "AS", "CASE WHEN", "FILTER (WHERE", "INTERVAL", "IS NULL", "ILIKE", "DESC", "WITH"];

/** The word at the cursor; null inside texts, numbers and comments. */
export function sqlContext(text: string, cursor: number): SqlContext | null {
  const pieces = sqlPieces(text);
  const at = pieces.findIndex((piece) => piece.start < cursor && cursor <= piece.start + piece.text.length);
  const piece = pieces[at];
  if (piece && (piece.kind === "string" || piece.kind === "comment" || piece.kind === "number")) return null;
  const known = new Set(tablesIn(text).flatMap(({ table, alias }) => [table, alias]).concat("attr", "resource"));
  const isWord = piece !== undefined && (piece.kind === "name" || /^[\p{L}_]/u.test(piece.text));
  // A closed quoted name is done.
  if (isWord && piece.kind === "name" && piece.text.length > 1 && piece.text.endsWith('"') && cursor === piece.start + piece.text.length) return null;
  let start = isWord ? piece.start : cursor;
  const before = pieces.filter((one) => one.start < start && one.text.trim() !== "" && one.kind !== "comment");
  let last = before.at(-1);
  let dotted = last?.text === "." && last.start + 1 === start;
  let owner = dotted ? (before.at(-2)?.text ?? "") : "";
  // What stands before a dot and is no table begins a key with dots, which was not put in quotes yet.
  while (dotted && last && !known.has(owner.replaceAll('"', ""))) {
    start = before.at(-2)?.start ?? last.start;
    before.splice(-2);
    last = before.at(-1);
    dotted = last?.text === "." && last.start + 1 === start;
    owner = dotted ? (before.at(-2)?.text ?? "") : "";
  }
  return {
    prefix: text.slice(start, cursor).replace(/^"/, ""),
    start,
    end: isWord ? piece.start + piece.text.length : cursor,
    table: !dotted && /^(?:from|join|describe)$/i.test(last?.text ?? ""),
    of: owner.replaceAll('"', ""),
  };
}

/** Tables that a statement names, with the aliases it gives them. */
export function tablesIn(text: string): { table: string; alias: string }[] {
  const words = sqlPieces(text).filter((piece) => piece.text.trim() !== "" && piece.kind !== "comment");
  const known = new Set(TABLES.map((table) => table.name));
  return words.flatMap((word, i) => {
    if (!/^(?:from|join)$/i.test(word.text)) return [];
    const table = words[i + 1]?.text.toLowerCase() ?? "";
    if (!known.has(table)) return [];
    const next = /^as$/i.test(words[i + 2]?.text ?? "") ? words[i + 3] : words[i + 2];
    return [{ table, alias: next && next.kind === "other" && /^[\p{L}_]/u.test(next.text) ? next.text : "" }];
  });
}

/** Candidates in order of fit; `columns` are those of the tables that the statement names. */
export function sqlCandidates(context: SqlContext, columns: readonly { name: string; type: string; table: string }[]): SqlCandidate[] {
  const tables = [
    ...TABLES.map((table): SqlCandidate => ({ label: table.name, detail: table.about, insert: table.name })),
    ...VIEWS.map((name): SqlCandidate => ({ label: name, detail: "view", insert: name === name.toLowerCase() ? name : `"${name}"` })),
  ];
  const fields = columns.map(({ name, type }): SqlCandidate => ({ label: name, detail: type, insert: sqlName(name) }));
  const functions = FUNCTIONS.map((name): SqlCandidate => ({ label: name, detail: "function", insert: `${name}(` }));
  const clauses = CLAUSES.map((name): SqlCandidate => ({ label: name, detail: "", insert: `${name} ` }));
  const offered = context.table ? tables : context.of !== "" ? fields : [...fields, ...functions, ...clauses];
  const seen = new Set<string>();
  return offered
    .map((one, i) => ({ one, i, points: score(one.label.replaceAll(".", "_"), context.prefix.replaceAll(".", "_")) }))
    .filter(({ one, points }) => points !== null && !seen.has(one.label) && seen.add(one.label) !== undefined)
    .sort((a, b) => (a.points ?? 0) - (b.points ?? 0) || a.i - b.i)
    .slice(0, 40)
    .map(({ one }) => one);
}
