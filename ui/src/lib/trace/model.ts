/**
 * A trace laid out for drawing: columns by row, in tree order. Rows are spans, and one row for every parent that was
 * named by a span but never arrived. Times are nanoseconds after the trace's start.
 */
import type { TraceAnswer, TraceSpan } from "../api/traces";
import { parseInstant, since, type Instant } from "./instant";

export interface TraceModel {
  id: string;
  base: Instant;
  /** From the first start to the last end. */
  durationNs: number;
  rows: number;
  /** The span of a row; null for a parent that is missing. */
  spans: (TraceSpan | null)[];
  /** Span id of each row, of missing parents too. */
  ids: string[];
  start: Float64Array;
  duration: Float64Array;
  self: Float64Array;
  /** Time on the critical path; `criticalPath` fills it. */
  critical: Float64Array;
  depth: Int32Array;
  /** Row of the parent, -1 for roots. */
  parent: Int32Array;
  /** First row after the row's subtree. */
  end: Int32Array;
  /** Direct children. */
  children: Int32Array;
  /** 1 where the span itself failed. */
  error: Uint8Array;
  /** Failed spans in the subtree, the row included. */
  errorsBelow: Int32Array;
  /** Index into `services`. */
  service: Int32Array;
  services: string[];
  rowOf: Map<string, number>;
  missing: number;
  roots: number;
  errors: number;
  maxDepth: number;
}

export const isError = (span: { status_code?: string | null }): boolean => /^(2|(status_code_)?error)$/i.test(span.status_code ?? "");

interface Sheet {
  span: TraceSpan | null;
  id: string;
  start: number;
  duration: number;
  children: number[];
}

/** Spans as sheets of a forest: duplicates of an id are one, loops are cut, absent parents get a sheet of their own. */
function forest(answer: TraceAnswer, base: Instant): { sheets: Sheet[]; roots: number[] } {
  const sheets: Sheet[] = [];
  const byId = new Map<string, number>();
  for (const span of answer.spans) {
    if (byId.has(span.span_id)) continue;
    const at = parseInstant(span.start) ?? base;
    byId.set(span.span_id, sheets.length);
    sheets.push({ span, id: span.span_id, start: since(base, at), duration: Math.max(span.duration_ns, 0), children: [] });
  }
  const parentOf = new Int32Array(sheets.length).fill(-1);
  const missing = new Map<string, number>();
  const arrived = sheets.length;
  for (let i = 0; i < arrived; i += 1) {
    const id = sheets[i]?.span?.parent_span_id;
    if (!id || /^0+$/.test(id)) continue;
    let parent = byId.get(id) ?? missing.get(id);
    if (parent === undefined) {
      parent = sheets.length;
      missing.set(id, parent);
      sheets.push({ span: null, id, start: Infinity, duration: 0, children: [] });
    }
    parentOf[i] = parent;
  }
  cutLoops(parentOf);
  const roots: number[] = [];
  for (let i = 0; i < sheets.length; i += 1) {
    const parent = i < arrived ? (parentOf[i] ?? -1) : -1;
    if (parent < 0) roots.push(i);
    else sheets[parent]?.children.push(i);
  }
  // A missing parent spans what is known of its children.
  for (let i = arrived; i < sheets.length; i += 1) {
    const sheet = sheets[i] as Sheet;
    let end = -Infinity;
    for (const child of sheet.children) {
      const { start, duration } = sheets[child] as Sheet;
      sheet.start = Math.min(sheet.start, start);
      end = Math.max(end, start + duration);
    }
    sheet.duration = end - sheet.start;
  }
  const order = (a: number, b: number) => (sheets[a]?.start ?? 0) - (sheets[b]?.start ?? 0) || a - b;
  for (const sheet of sheets) if (sheet.children.length > 1) sheet.children.sort(order);
  return { sheets, roots: roots.sort(order) };
}

/** Makes a root of one span in every loop of parents, so that each span is reached from a root. */
function cutLoops(parentOf: Int32Array): void {
  const seen = new Int32Array(parentOf.length).fill(-1);
  for (let i = 0; i < parentOf.length; i += 1) {
    let at = i;
    while (at >= 0 && at < parentOf.length && seen[at] === -1) {
      seen[at] = i;
      const next = parentOf[at] ?? -1;
      if (next >= 0 && next < parentOf.length && seen[next] === i) parentOf[at] = -1;
      at = parentOf[at] ?? -1;
    }
  }
}

/** Lays a trace out. Takes any answer: unordered, with duplicates, loops and parents that never came. */
export function layOut(answer: TraceAnswer): TraceModel {
  const base = baseOf(answer);
  const { sheets, roots } = forest(answer, base);
  const rows = sheets.length;
  const model: TraceModel = {
    id: answer.trace_id,
    base,
    durationNs: 0,
    rows,
    spans: new Array<TraceSpan | null>(rows),
    ids: new Array<string>(rows),
    start: new Float64Array(rows),
    duration: new Float64Array(rows),
    self: new Float64Array(rows),
    critical: new Float64Array(rows),
    depth: new Int32Array(rows),
    parent: new Int32Array(rows),
    end: new Int32Array(rows),
    children: new Int32Array(rows),
    error: new Uint8Array(rows),
    errorsBelow: new Int32Array(rows),
    service: new Int32Array(rows).fill(-1),
    services: [],
    rowOf: new Map(),
    missing: 0,
    roots: roots.length,
    errors: 0,
    maxDepth: 0,
  };
  const named = new Map<string, number>();
  // Sheets still to place, the next one last; a parent's row goes along.
  const stack: [sheet: number, parentRow: number][] = roots.toReversed().map((root) => [root, -1]);
  let row = 0;
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [index, parentRow] = next;
    const sheet = sheets[index] as Sheet;
    place(model, row, parentRow, sheet, named);
    for (let c = sheet.children.length - 1; c >= 0; c -= 1) stack.push([sheet.children[c] as number, row]);
    row += 1;
  }
  for (let r = rows - 1; r >= 0; r -= 1) {
    if (model.end[r] === 0) model.end[r] = r + 1;
    const parent = model.parent[r] as number;
    if (parent < 0) continue;
    model.errorsBelow[parent] = (model.errorsBelow[parent] as number) + (model.errorsBelow[r] as number);
    model.end[parent] = Math.max(model.end[parent] as number, model.end[r] as number);
  }
  return model;
}

function baseOf(answer: TraceAnswer): Instant {
  let base = parseInstant(answer.start) ?? { s: 0, ns: 0 };
  // The server's start is the first span's; a span before it would have a negative start.
  for (const span of answer.spans) {
    const at = parseInstant(span.start);
    if (at && since(base, at) < 0) base = at;
  }
  return base;
}

function place(model: TraceModel, row: number, parent: number, sheet: Sheet, named: Map<string, number>): void {
  const { span } = sheet;
  model.spans[row] = span;
  model.ids[row] = sheet.id;
  model.rowOf.set(sheet.id, row);
  model.start[row] = sheet.start;
  model.duration[row] = sheet.duration;
  model.parent[row] = parent;
  model.depth[row] = parent < 0 ? 0 : (model.depth[parent] as number) + 1;
  model.children[row] = sheet.children.length;
  model.maxDepth = Math.max(model.maxDepth, model.depth[row] as number);
  model.durationNs = Math.max(model.durationNs, sheet.start + sheet.duration);
  if (!span) {
    model.missing += 1;
    return;
  }
  model.self[row] = span.self_ns ?? 0;
  if (isError(span)) {
    model.error[row] = 1;
    model.errorsBelow[row] = 1;
    model.errors += 1;
  }
  let service = named.get(span.service);
  if (service === undefined) {
    service = model.services.length;
    named.set(span.service, service);
    model.services.push(span.service);
  }
  model.service[row] = service;
}
