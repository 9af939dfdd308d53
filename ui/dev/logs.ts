/**
 * Logs of the stand-in server: about 14 a second, each a function of its number alone, so that the same range always
 * shows the same rows. One hour holds 50,400.
 */
import type { Schemas } from "../src/lib/api/types.ts";
import { scan, unquote, type Term } from "../src/lib/search/scan.ts";

export class BadSearch extends Error {}

type Value = string | number | boolean;

/** Every record has what a collector would know of it. */
export type MockLog = Schemas["LogRow"] & {
  severity_number: number;
  level: string;
  service: string;
  body: string;
  attributes: Record<string, Value>;
  resource: Record<string, Value>;
};

const PER_SECOND = 14;
const ROWS_MAX = 60_000;
const SERVICES = ["checkout", "cart", "payments", "catalog", "gateway", "search", "shipping", "mailer"];
const ROUTES = ["/api/cart", "/api/orders", "/api/orders/{id}", "/api/products", "/health", "/api/search"];
const HOSTS = ["harbour", "quay", "pier"];
const NUMBERS: Record<string, number> = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 };

function mix(n: number): number {
  let h = Math.imul(n ^ 0x9e3779b9, 2246822507);
  h = Math.imul(h ^ (h >>> 13), 3266489909);
  return (h ^ (h >>> 16)) >>> 0;
}

const hex = (seed: number, digits: number) =>
  Array.from({ length: Math.ceil(digits / 8) }, (_, i) => mix(seed + i * 7919).toString(16).padStart(8, "0")).join("").slice(0, digits);

const pick = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;

const MESSAGES: Record<string, ((r: number) => string)[]> = {
  debug: [(r) => `cache lookup for key user:${r % 9000} took ${r % 40}us`, () => "connection returned to the pool"],
  info: [
    (r) => `GET ${pick(ROUTES, r)} answered 200 in ${(r % 900) + 3}ms`,
    (r) => `order ${100_000 + (r % 90_000)} placed by customer ${r % 5000}`,
    (r) => `started job ${hex(r, 8)} on worker ${r % 12}`,
    () => "health check passed",
    (r) => `{"event":"payment.captured","amount":${(r % 9000) / 100},"currency":"EUR","attempt":${1 + (r % 3)}}`,
  ],
  warn: [
    (r) => `slow query: SELECT * FROM orders WHERE customer_id = ${r % 5000} took ${800 + (r % 4000)}ms`,
    (r) => `retry ${1 + (r % 4)} of 5 after connection reset by peer`,
  ],
  error: [
    (r) => `request timed out after ${(r % 5) + 1}s calling payments.charge`,
    (r) => `cannot connect to 10.0.4.${r % 20}:5432: connection refused`,
    () => 'panic recovered: TypeError: Cannot read properties of undefined (reading "id")\n    at Cart.total (/app/cart.js:118:23)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
  ],
  fatal: [() => "out of disk space, stopping"],
};

/** Time of the n-th row, nanoseconds as `[ms, rest]`. */
function timeOf(n: number): [number, number] {
  const ms = (n * 1000) / PER_SECOND + (mix(n) % 60);
  return [Math.floor(ms), mix(n + 5) % 1_000_000];
}

export function logAt(n: number): MockLog {
  const r = mix(n);
  const [ms, rest] = timeOf(n);
  // Trouble comes in bursts.
  const burst = Math.floor(ms / 60_000) % 17 === 0 ? 12 : 1;
  const dice = (r >>> 8) % 1000;
  const level = dice < 1 ? "fatal" : dice < 18 * burst ? "error" : dice < 60 * burst ? "warn" : dice < 820 ? "info" : "debug";
  const service = pick(SERVICES, mix(n + 11) % 3 === 0 ? mix(n + 12) : mix(n + 12) % 3);
  const traced = mix(n + 21) % 5 < 3;
  const iso = new Date(ms).toISOString().replace("Z", "");
  const status = level === "error" ? 500 + (r % 4) : level === "warn" && r % 3 === 0 ? 429 : 200;
  return {
    id: `l${n.toString(36)}`,
    timestamp: `${iso}${String(rest).padStart(6, "0")}Z`,
    observed_timestamp: new Date(ms + 40).toISOString(),
    severity_number: NUMBERS[level] ?? 9,
    severity_text: level.toUpperCase(),
    level,
    service,
    body: pick(MESSAGES[level] ?? [() => ""], mix(n + 3))(r),
    trace_id: traced ? hex(Math.floor(n / 6), 32) : null,
    span_id: traced ? hex(n, 16) : null,
    attributes: {
      "http.route": pick(ROUTES, r),
      "http.response.status_code": status,
      "http.request.method": pick(["GET", "POST", "PUT"], r >>> 3),
      "thread.name": `worker-${r % 12}`,
      "client.address": `192.0.2.${r % 250}`,
      "user.id": `u${r % 5000}`,
      sampled: r % 2 === 0,
      ...(level === "error" ? { "exception.type": "TimeoutError", "code.function.name": "charge" } : {}),
    },
    resource: {
      "service.name": service,
      "host.name": pick(HOSTS, mix(n + 31)),
      "service.version": `1.${mix(n + 41) % 3}.0`,
      "deployment.environment.name": "production",
    },
  };
}

function fieldOf(row: MockLog, name: string): Value | null {
  const fixed: Record<string, Value | null> = { service: row.service, message: row.body, msg: row.body, body: row.body, level: row.level, severity_number: row.severity_number, severity_text: row.severity_text, trace_id: row.trace_id, trace: row.trace_id, span_id: row.span_id, timestamp: row.timestamp };
  if (name in fixed) return fixed[name] ?? null;
  if (name.startsWith("resource.")) return row.resource[name.slice(9)] ?? null;
  if (name.startsWith("attributes.")) return row.attributes[name.slice(11)] ?? null;
  return row.attributes[name] ?? row.resource[name] ?? null;
}

type Test = (row: MockLog) => boolean;
const fail = (at: number, problem: string, found: string, remedy: string) =>
  new BadSearch(`search, position ${at}: ${problem}, found ${found === "" ? "the end" : JSON.stringify(found)}; ${remedy}`);

function words(text: string): Test {
  const low = text.toLowerCase().replace(/\*$/, "");
  return (row) => row.body.toLowerCase().includes(low);
}

function fieldTest(term: Term): Test {
  const name = term.name ?? "";
  const { value, compare } = term;
  if (value === "") throw fail(term.valueStart, "a value is missing", "", "write one behind the colon, or put the text in quotes");
  const get = (row: MockLog) => fieldOf(row, name);
  if (value === "*") return (row) => get(row) !== null;
  if (value.startsWith("(")) {
    const parts = value.slice(1, -1).split(/\s+OR\s+|\s+/).map((one) => fieldTest({ ...term, value: one }));
    return (row) => parts.some((part) => part(row));
  }
  const regex = /^\/(.*)\/$/s.exec(value)?.[1] ?? (compare === "~" ? unquote(value) : undefined);
  if (regex !== undefined) {
    const made = new RegExp(regex);
    return (row) => made.test(String(get(row) ?? ""));
  }
  const text = unquote(value);
  const ordered = /^[<>]/.test(compare);
  if (name === "level" || name === "severity") {
    const number = NUMBERS[text.toLowerCase()];
    if (number === undefined) throw fail(term.start, `the field cannot be ${JSON.stringify(text)}`, text, "write trace, debug, info, warn, error or fatal");
    if (!ordered) return (row) => (row.severity_number === number) !== (compare === "!=");
    return (row) => order(row.severity_number, compare, number);
  }
  const range = /^[[{](\S+) TO (\S+)[\]}]$/.exec(value);
  if (range) return (row) => Number(get(row)) >= Number(range[1]) && Number(get(row)) <= Number(range[2]);
  if (ordered) return (row) => get(row) !== null && order(Number(get(row)), compare, Number(text));
  if (value.includes("*") && !value.startsWith('"')) {
    const made = new RegExp(`^${text.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`);
    return (row) => made.test(String(get(row) ?? ""));
  }
  if ((name === "body" || name === "message" || name === "msg") && compare === "") return words(text);
  return (row) => (String(get(row) ?? "") === text) !== (compare === "!=");
}

function order(value: number, compare: string, than: number): boolean {
  if (compare === ">") return value > than;
  if (compare === ">=") return value >= than;
  return compare === "<" ? value < than : value <= than;
}

/** What a search asks of a row; throws `BadSearch` like the server refuses. */
export function compileSearch(text: string): Test {
  const open = /"(?:[^"\\]|\\.)*$/s.exec(text.replace(/"(?:[^"\\]|\\.)*"/gs, (found) => " ".repeat(found.length)));
  if (open) throw fail(open.index, "a quote is not closed", open[0], 'write `"` where it ends');
  const { tokens, terms } = scan(text);
  const byStart = new Map(terms.map((term) => [term.start, term]));
  let at = 0;
  const all: Test = () => true;
  const skip = () => {
    while (tokens[at]?.kind === "space") at += 1;
  };
  const word = () => text.slice(tokens[at]?.start ?? 0, tokens[at]?.end ?? 0);
  const any = (): Test => {
    const parts = [group()];
    for (skip(); tokens[at] && (word() === "OR" || word() === "|"); skip()) {
      at += 1;
      parts.push(group());
    }
    return parts.length === 1 ? (parts[0] as Test) : (row) => parts.some((part) => part(row));
  };
  const group = (): Test => {
    const parts: Test[] = [];
    for (skip(); tokens[at]; skip()) {
      if (word() === "OR" || word() === "|" || word() === ")") break;
      if (word() === "AND" || word() === "&&") at += 1;
      else parts.push(one());
    }
    return (row) => parts.every((part) => part(row));
  };
  const one = (): Test => {
    const token = tokens[at];
    if (!token) throw fail(text.length, "a term is missing", "", 'write a word, "a phrase" or field:value');
    if (word() === "(") {
      at += 1;
      const inner = any();
      skip();
      if (!tokens[at]) throw fail(token.start, "a parenthesis is not closed", "(", "write `)` where it ends");
      at += 1;
      return inner;
    }
    const term = byStart.get(token.start);
    if (!term) {
      // A sign before a parenthesis.
      at += 1;
      skip();
      const inner = one();
      return (row) => !inner(row);
    }
    while (tokens[at] && (tokens[at]?.start ?? 0) < term.end) at += 1;
    const test = term.name !== null ? fieldTest(term) : /^\*+$/.test(term.value) ? all : words(unquote(term.value));
    return term.negated ? (row) => !test(row) : test;
  };
  if (text.trim() === "") return all;
  const made = any();
  skip();
  if (tokens[at]) throw fail(tokens[at]?.start ?? 0, "no parenthesis is open", ")", "remove the `)`");
  return made;
}

/** Rows of a range, newest first; long ranges are thinned out so that answering stays quick. */
function rowsOf(from: number, to: number): MockLog[] {
  const [first, last] = [Math.floor((from / 1000) * PER_SECOND), Math.floor((Math.min(to, Date.now()) / 1000) * PER_SECOND)];
  const step = Math.max(1, Math.ceil((last - first) / ROWS_MAX));
  const key = `${first} ${last} ${step}`;
  const known = cache.get(key);
  if (known) return known;
  const rows: MockLog[] = [];
  for (let n = last - (last % step); n >= first; n -= step) rows.push(logAt(n));
  if (cache.size > 3) cache.clear();
  cache.set(key, rows);
  return rows;
}
const cache = new Map<string, MockLog[]>();

function tally(values: Iterable<Value | null>): { counts: Map<Value, number>; missing: number } {
  const counts = new Map<Value, number>();
  let missing = 0;
  for (const value of values) {
    if (value === null) missing += 1;
    else counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return { counts, missing };
}

const top = (counts: Map<Value, number>, limit: number): Schemas["RowValueCount"][] =>
  [...counts].sort((a, b) => b[1] - a[1]).slice(0, limit).map(([value, count]) => ({ value: String(value), count }));

const template = (body: string) => body.replace(/\b(?:\d+(?:\.\d+)*(?:ms|us|s)?|[0-9a-f]{8})\b/g, "<*>").replace(/\/api\/\S+/, "<*>");

function fields(rows: MockLog[]): Schemas["RowField"][] {
  const out: Schemas["RowField"][] = [
    { name: "level", scope: "fixed", type: "text", count: rows.length },
    { name: "service", scope: "fixed", type: "text", count: rows.length },
    { name: "body", scope: "fixed", type: "text", count: rows.length },
    { name: "timestamp", scope: "fixed", type: "timestamp", count: rows.length },
    { name: "severity_number", scope: "fixed", type: "int", count: rows.length },
    { name: "trace_id", scope: "fixed", type: "id", count: Math.floor(rows.length * 0.6) },
    { name: "span_id", scope: "fixed", type: "id", count: Math.floor(rows.length * 0.6) },
  ];
  for (const [scope, of] of [["attribute", (row: MockLog) => row.attributes], ["resource", (row: MockLog) => row.resource]] as const) {
    const seen = new Map<string, { type: Schemas["RowField"]["type"]; count: number }>();
    for (const row of rows) {
      for (const [key, value] of Object.entries(of(row))) {
        const entry = seen.get(key) ?? { type: typeof value === "number" ? "int" : typeof value === "boolean" ? "bool" : "text", count: 0 };
        entry.count += 1;
        seen.set(key, entry);
      }
    }
    for (const [name, entry] of seen) out.push({ name, scope, ...entry });
  }
  return out;
}

function patterns(rows: MockLog[], from: number, to: number, limit: number, cost: Schemas["QueryCost"]): Schemas["LogPatterns"] {
  const found = new Map<string, MockLog[]>();
  for (const row of rows) {
    const key = template(row.body);
    const list = found.get(key);
    if (list) list.push(row);
    else found.set(key, [row]);
  }
  const list = [...found].sort((a, b) => b[1].length - a[1].length).slice(0, limit);
  return {
    patterns: list.map(([text, of]) => {
      const counts = new Array<number>(30).fill(0);
      for (const row of of) counts[Math.min(29, Math.floor(((Date.parse(row.timestamp) - from) / (to - from)) * 30))]! += 1;
      return { template: text, count: of.length, share: of.length / rows.length, level: of[0]?.level ?? null, examples: of.slice(0, 3).map((row) => row.body), first: of.at(-1)?.timestamp ?? "", last: of[0]?.timestamp ?? "", counts };
    }),
    total: rows.length,
    sampled: rows.length > 50_000,
    cost,
  };
}

/** Answers `/api/v1/monitoring/logs…`; undefined for what it does not know. */
export function logsAnswer(path: string, params: URLSearchParams): unknown {
  const started = performance.now();
  const [from, to] = [Number(params.get("start") ?? Date.now() - 3_600_000), Number(params.get("end") ?? Date.now())];
  const test = compileSearch(params.get("query") ?? "");
  const all = () => rowsOf(from, to);
  const found = () => all().filter(test);
  const limit = Number(params.get("limit") ?? 100);
  const cost = (): Schemas["QueryCost"] => ({ rows: all().length, bytes: all().length * 41, slices: 3, ms: performance.now() - started });
  switch (path) {
    case "": {
      const rows = params.get("order") === "asc" ? found().reverse() : found();
      const at = Number(params.get("cursor") ?? 0);
      const next = at + limit < rows.length ? String(at + limit) : null;
      return { rows: rows.slice(at, at + limit), next, cost: cost() } satisfies Schemas["LogRows"];
    }
    case "/histogram": {
      const buckets = Number(params.get("buckets") ?? 60);
      const step = Math.ceil((to - from) / buckets);
      const series = new Map<string, number[]>();
      const rows = found();
      const by = params.get("by") ?? "level";
      for (const row of rows) {
        const key = String(fieldOf(row, by) ?? "");
        const counts = series.get(key) ?? new Array<number>(buckets).fill(0);
        const bucket = Math.floor((Date.parse(row.timestamp) - from) / step);
        if (bucket >= 0 && bucket < buckets) counts[bucket]! += 1;
        series.set(key, counts);
      }
      return { start: new Date(from).toISOString(), step_ms: step, buckets, series: [...series].map(([name, counts]) => ({ name, counts })), total: rows.length, cost: cost() } satisfies Schemas["RowHistogram"];
    }
    case "/fields":
      return { fields: fields(all().slice(0, 5000)) } satisfies Schemas["RowFields"];
    case "/facets": {
      const rows = found();
      const names = (params.get("fields") ?? "").split(",").filter((name) => name !== "");
      const facets = names.map((name) => {
        const { counts, missing } = tally(rows.map((row) => fieldOf(row, name)));
        const values = top(counts, limit);
        const other = rows.length - missing - values.reduce((sum, one) => sum + one.count, 0);
        return { name, distinct: counts.size, missing, other, values };
      });
      return { facets, total: rows.length, cost: cost() } satisfies Schemas["RowFacets"];
    }
    case "/values": {
      const { counts } = tally(all().slice(0, 20_000).map((row) => fieldOf(row, params.get("field") ?? "")));
      const prefix = (params.get("prefix") ?? "").toLowerCase();
      return { values: top(new Map([...counts].filter(([value]) => String(value).toLowerCase().startsWith(prefix))), limit) } satisfies Schemas["RowValues"];
    }
    case "/patterns":
      return patterns(found(), from, to, limit, cost());
    case "/context": {
      const n = parseInt((params.get("id") ?? "").slice(1), 36);
      const near = (step: number, count: number) => Array.from({ length: count }, (_, i) => logAt(n + step * (i + 1)));
      return { before: near(-1, Number(params.get("before") ?? 10)).reverse(), record: logAt(n), after: near(1, Number(params.get("after") ?? 10)) } satisfies Schemas["LogRowContext"];
    }
    default:
      return undefined;
  }
}

const COLUMNS = ["timestamp", "level", "service", "body", "trace_id"] as const;

/** Enough of an answer to build the page on: 5,000 rows for `*`, counts by service otherwise. */
export function sqlAnswer(body: string): Schemas["SqlAnswer"] {
  const { query, start, end } = JSON.parse(body) as { query: string; start: number; end: number };
  if (!/^\s*(?:select|with|explain|show|describe)\b/i.test(query)) throw new BadSearch("sql: only SELECT, WITH, EXPLAIN, SHOW COLUMNS and DESCRIBE are answered; this begins with another word");
  if (/\bnosuch\b/.test(query)) throw new BadSearch("sql: table 'nosuch' not found; there are logs, spans, events and metrics");
  const rows = rowsOf(start, end);
  const cost = { rows: rows.length, bytes: rows.length * 41, slices: 3, ms: 12.5 };
  if (/group by/i.test(query) && /date_bin|time/i.test(query)) {
    const step = (end - start) / 30;
    const out = Array.from({ length: 30 }, (_, i) => {
      const inside = rows.filter((row) => Math.floor((Date.parse(row.timestamp) - start) / step) === i);
      return [new Date(start + i * step).toISOString(), inside.length, inside.filter((row) => row.severity_number >= 17).length];
    });
    return { columns: ["minute", "records", "errors"], types: ["timestamp", "bigint", "bigint"], rows: out, truncated: false, cost };
  }
  if (/group by/i.test(query)) {
    const counts = top(tally(rows.map((row) => row.service)).counts, 100);
    return { columns: ["service", "records", "share"], types: ["text", "bigint", "double"], rows: counts.map((one) => [one.value, one.count, one.count / rows.length]), truncated: false, cost };
  }
  const limit = Number(/limit\s+(\d+)/i.exec(query)?.[1] ?? 100_000);
  return { columns: [...COLUMNS], types: ["timestamp", "text", "text", "text", "text"], rows: rows.slice(0, limit).map((row) => COLUMNS.map((name) => row[name])), truncated: rows.length >= ROWS_MAX, cost };
}

/** Rows that arrived between two moments and answer a search; for the live tail. */
export function logsSince(query: string, from: number, to: number): MockLog[] {
  const test = compileSearch(query);
  const out: MockLog[] = [];
  for (let n = Math.ceil((from / 1000) * PER_SECOND); n < (to / 1000) * PER_SECOND; n += 1) {
    const row = logAt(n);
    if (test(row)) out.push(row);
  }
  return out.reverse();
}
