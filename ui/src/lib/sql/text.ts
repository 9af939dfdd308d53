/** SQL as text: colours, names, faults, and statements to begin with. */

export type SqlKind = "keyword" | "function" | "string" | "name" | "number" | "comment" | "other";

const KEYWORDS = new Set(
  `select from where group by order having limit offset as and or not in is null like ilike between case when then else end
  with distinct union all join left right inner outer full cross on using asc desc nulls first last interval cast explain
  analyze show columns describe over partition filter exists true false values lateral within rows range preceding following
  unbounded current row`.split(/\s+/),
);

const PIECE = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$))|(\d+(?:\.\d+)?(?:e[+-]?\d+)?)|([\p{L}_][\p{L}\p{N}_]*)|(\s+)|([\s\S])/giu;

/** Pieces that together spell `text`. */
export function sqlPieces(text: string): { text: string; kind: SqlKind; start: number }[] {
  const out: { text: string; kind: SqlKind; start: number }[] = [];
  for (const found of text.matchAll(PIECE)) {
    const [piece, comment, string, name, number, word] = found;
    let kind: SqlKind = "other";
    if (comment) kind = "comment";
    else if (string) kind = "string";
    else if (name) kind = "name";
    else if (number) kind = "number";
    else if (word && KEYWORDS.has(word.toLowerCase())) kind = "keyword";
    else if (word && text[found.index + piece.length] === "(") kind = "function";
    out.push({ text: piece, kind, start: found.index });
  }
  return out;
}

/** A column's name as SQL writes it: in quotes unless it is a plain lower-case word. */
export function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !KEYWORDS.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

export interface SqlFault {
  message: string;
  start: number;
  end: number;
}

/** Reads the place out of `… at Line: 1, Column: 15`; a name between quotes serves where there is none. */
export function readSqlFault(said: string, sql: string): SqlFault {
  const error = said.replace(/^invalid parameter "query": /, "");
  const place = /line:?\s*(\d+),?\s*column:?\s*(\d+)/i.exec(error);
  const pieces = sqlPieces(sql);
  let start = -1;
  if (place) {
    const lines = sql.split("\n");
    const before = lines.slice(0, Number(place[1]) - 1).reduce((sum, one) => sum + one.length + 1, 0);
    start = Math.min(before + Number(place[2]) - 1, Math.max(0, sql.length - 1));
  } else {
    const named = /(?:table|column|field|function)[^'"`]{0,30}['"`]([^'"`]+)['"`]/i.exec(error)?.[1]?.split(".").pop();
    const piece = named ? pieces.find((one) => one.text.replaceAll('"', "").toLowerCase() === named.toLowerCase()) : undefined;
    if (piece) start = piece.start;
  }
  if (start < 0) return { message: error, start: -1, end: -1 };
  const piece = pieces.find((one) => one.start <= start && start < one.start + one.text.length);
  return { message: error, start, end: piece ? piece.start + piece.text.length : start + 1 };
}

export const TABLES: readonly { name: string; about: string; columns: readonly string[] }[] = [
  {
    name: "logs",
    about: "Log records",
    columns: ["timestamp", "observed_timestamp", "severity_number", "severity_text", "body", "trace_id", "span_id", "attributes", "resource_attributes"],
  },
  {
    name: "spans",
    about: "Spans of traces; duration in nanoseconds",
    columns: ["start", "duration", "trace_id", "span_id", "parent_span_id", "name", "kind", "status_code", "status_message", "events", "links", "attributes", "resource_attributes"],
  },
  {
    name: "events",
    about: "Business, deployment and user events",
    columns: ["timestamp", "name", "kind", "user_id", "team_id", "project_id", "session_id", "value", "attributes"],
  },
  { name: "metrics", about: "Samples of metrics; every label is a column", columns: ["timestamp", "name", "value", "histogram", "labels"] },
];

export const VIEWS: readonly string[] = ["LogEntry", "SystemMetric", "ApplicationMetric", "command_executions"];

/** The time range of the page applies to each; a statement need not name it. */
export const EXAMPLES: readonly { title: string; sql: string }[] = [
  {
    title: "Errors by service",
    sql: `SELECT "service.name" AS service, count(*) AS errors
FROM logs
WHERE severity_number >= 17
GROUP BY 1
ORDER BY errors DESC`,
  },
  {
    title: "Records and errors over time",
    sql: `SELECT date_bin(INTERVAL '1 minute', timestamp) AS minute,
       count(*) AS records,
       count(*) FILTER (WHERE severity_number >= 17) AS errors
FROM logs
GROUP BY 1
ORDER BY 1`,
  },
  {
    title: "Newest records",
    sql: `SELECT timestamp, severity_text, "service.name", body, trace_id
FROM logs
ORDER BY timestamp DESC
LIMIT 1000`,
  },
  {
    title: "Slowest operations",
    sql: `SELECT "service.name" AS service, name,
       count(*) AS calls,
       approx_percentile_cont(duration, 0.95) / 1e6 AS p95_ms
FROM spans
GROUP BY 1, 2
ORDER BY p95_ms DESC
LIMIT 50`,
  },
  {
    title: "Logs of failed spans",
    sql: `SELECT l.timestamp, l.body, s.name, s.duration / 1e6 AS ms
FROM spans s
JOIN logs l ON l.trace_id = s.trace_id AND l.span_id = s.span_id
WHERE s.status_code = 'error'
ORDER BY l.timestamp DESC
LIMIT 200`,
  },
  { title: "Columns of logs", sql: "DESCRIBE logs" },
];
