/** Writes what a search finds into a file, page by page, in the browser. */
import { fetchLogs, type Between, type LogRow } from "../api/logs";
import { csvLine, valueOf } from "./record";

export type ExportFormat = "jsonl" | "csv";

export const EXPORT_MAX = 100_000;
const PAGE = 10_000;

const CSV_FIRST = ["timestamp", "level"];
const CSV_LAST = ["body", "trace_id", "span_id"];

/** Lines of some rows; a CSV has the columns shown on the page between time and message. */
export function linesOf(rows: readonly LogRow[], format: ExportFormat, columns: readonly string[]): string {
  if (format === "jsonl") return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const names = csvColumns(columns);
  return rows.map((row) => csvLine(names.map((name) => valueOf(row, name)))).join("");
}

export function csvColumns(columns: readonly string[]): string[] {
  return [...new Set([...CSV_FIRST, ...columns, ...CSV_LAST])];
}

export interface Wish {
  query: string;
  range: Between;
  order: "asc" | "desc";
  format: ExportFormat;
  columns: readonly string[];
}

/** All rows of a search, at most `EXPORT_MAX`; `onprogress` hears how many there are so far. */
export async function exportLogs(wish: Wish, onprogress: (rows: number) => void): Promise<{ file: Blob; rows: number; cut: boolean }> {
  const parts: string[] = wish.format === "csv" ? [csvLine(csvColumns(wish.columns))] : [];
  let rows = 0;
  let cursor: string | null = null;
  do {
    const limit = Math.min(PAGE, EXPORT_MAX - rows);
    const page = await fetchLogs({ query: wish.query, range: wish.range, order: wish.order, limit, ...(cursor === null ? {} : { cursor }) });
    parts.push(linesOf(page.rows, wish.format, wish.columns));
    rows += page.rows.length;
    cursor = page.rows.length === 0 ? null : page.next;
    onprogress(rows);
  } while (cursor !== null && rows < EXPORT_MAX);
  const type = wish.format === "csv" ? "text/csv;charset=utf-8" : "application/x-ndjson";
  return { file: new Blob(parts, { type }), rows, cut: cursor !== null };
}

/** Hands a file to the browser's downloads. */
export function download(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // The download has its own hold of the data once it began.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
