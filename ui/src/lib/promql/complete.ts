/** Candidates for a completion context, best first. */
import { catalog } from "../state/catalog.svelte";
import { selectorOf, type CompletionContext } from "./context";
import { AGGREGATIONS, FUNCTIONS, KEYWORDS } from "./functions";
import { score } from "./score";

export interface Candidate {
  label: string;
  kind: "metric" | "function" | "aggregation" | "keyword" | "label" | "value" | "duration";
  /** Shown beside the label: a signature or a type. */
  detail: string;
  /** One sentence of help. */
  help: string;
  /** The text that takes the place of what was typed, and where the cursor goes in it. */
  insert: string;
  cursor: number;
}

const DURATIONS = ["$__rate_interval", "$__interval", "$__range", "1m", "5m", "10m", "30m", "1h", "6h", "1d", "7d"];
const SHOWN_MAX = 100;

function plain(label: string, kind: Candidate["kind"], detail = "", help = "", insert = label): Candidate {
  return { label, kind, detail, help, insert, cursor: insert.length };
}

function callables(): Candidate[] {
  const call = (kind: Candidate["kind"]) => (f: { name: string; signature: string; help: string }) => ({
    ...plain(f.name, kind, f.signature.slice(f.name.length), f.help, `${f.name}()`),
    cursor: f.name.length + 1,
  });
  return [...AGGREGATIONS.map(call("aggregation")), ...FUNCTIONS.map(call("function"))];
}

function metrics(): Candidate[] {
  return catalog.names.map((name) => {
    const meta = catalog.of(name);
    return plain(name, "metric", meta?.type ?? "", meta?.help ?? "");
  });
}

async function labelCandidates(context: Extract<CompletionContext, { kind: "labelName" }>): Promise<Candidate[]> {
  const names = await catalog.labels(selectorOf(context.metric, context.matchers));
  return names
    .filter((name) => name !== "__name__" || !context.grouping)
    .map((name) => {
      if (context.grouping) return plain(name, "label");
      return { ...plain(name, "label", "", "", `${name}=""`), cursor: name.length + 2 };
    });
}

async function valueCandidates(context: Extract<CompletionContext, { kind: "labelValue" }>): Promise<Candidate[]> {
  const values = await catalog.values(context.label, selectorOf(context.metric, context.matchers));
  return values.map((value) => {
    const escaped = context.quote === "`" ? value : JSON.stringify(value).slice(1, -1);
    const insert = context.quote === "" ? `"${escaped}"` : context.closed ? escaped : `${escaped}${context.quote}`;
    return plain(value, "value", "", "", insert);
  });
}

/** The best `SHOWN_MAX` candidates for what is typed. */
export function rank(candidates: readonly Candidate[], typed: string): Candidate[] {
  const scored: { candidate: Candidate; points: number; index: number }[] = [];
  candidates.forEach((candidate, index) => {
    const points = score(candidate.label, typed);
    if (points !== null) scored.push({ candidate, points, index });
  });
  scored.sort((a, b) => a.points - b.points || a.index - b.index);
  return scored.slice(0, SHOWN_MAX).map((s) => s.candidate);
}

/** A candidate as it is written before `after`: parentheses or a comparison that already stand there are not repeated. */
export function fitted(candidate: Candidate, after: string): Candidate {
  let { insert } = candidate;
  if (insert.endsWith("()") && after.startsWith("(")) insert = insert.slice(0, -2);
  if (insert.endsWith('=""') && /^\s*(=|!)/.test(after)) insert = insert.slice(0, -3);
  return { ...candidate, insert, cursor: Math.min(candidate.cursor, insert.length) };
}

/** Candidates for a place; empty where nothing can be said. */
export async function complete(context: CompletionContext): Promise<Candidate[]> {
  switch (context.kind) {
    case "none":
      return [];
    case "duration":
      return rank(DURATIONS.map((d) => plain(d, "duration")), context.prefix);
    case "labelName":
      return rank(await labelCandidates(context), context.prefix);
    case "labelValue":
      return rank(await valueCandidates(context), context.prefix);
    case "expression": {
      if (context.prefix === "") return [];
      const words = KEYWORDS.map((word) => plain(word, "keyword"));
      return rank([...callables(), ...metrics(), ...words], context.prefix);
    }
  }
}
