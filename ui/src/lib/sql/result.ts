/** What can be made of an answer's rows: an order, widths, a chart, a file. */
import type { Cell, SqlAnswer } from "../api/sql";
import type { Frame, Series, Value } from "../chart/frame";
import { csvLine } from "../logs/record";

export const isNumeric = (type: string): boolean => /^(?:(?:big|small|tiny|u)?int(?:eger|\d+)?|double|float\d*|real|(?:decimal|numeric).*)$/i.test(type);
export const isTime = (type: string): boolean => /^(?:timestamp|date)/i.test(type);

export function cellText(cell: Cell): string {
  if (cell === null) return "";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/** Positions of rows by one column, numbers by size and all else as text; empty cells last. */
export function sortedIndices(rows: readonly Cell[][], column: number, descending: boolean): number[] {
  const order = rows.map((_, i) => i);
  const sign = descending ? -1 : 1;
  return order.sort((a, b) => {
    const [x, y] = [rows[a]?.[column] ?? null, rows[b]?.[column] ?? null];
    if (x === null || y === null) return Number(x === null) - Number(y === null) || a - b;
    const by = typeof x === "number" && typeof y === "number" ? x - y : cellText(x) < cellText(y) ? -1 : cellText(x) > cellText(y) ? 1 : 0;
    return by * sign || a - b;
  });
}

const CHARACTER = 7.3;
const SAMPLE = 300;

/** Pixel widths by what the first rows hold. */
export function columnWidths(answer: Pick<SqlAnswer, "columns" | "rows">): number[] {
  return answer.columns.map((name, i) => {
    let longest = name.length + 3;
    for (const row of answer.rows.slice(0, SAMPLE)) longest = Math.max(longest, cellText(row[i] ?? null).length);
    return Math.round(Math.min(Math.max(longest * CHARACTER + 8, 64), 480));
  });
}

export const SERIES_MAX = 40;

/**
 * A chart, when a column is a time and others are numbers: texts between them divide the numbers into series. Null when
 * there is nothing to draw.
 */
export function chartOf(answer: Pick<SqlAnswer, "columns" | "types" | "rows">): { frame: Frame; cut: number } | null {
  const { columns, rows } = answer;
  const types = answer.types ?? [];
  const time = types.findIndex(isTime);
  const numbers = types.flatMap((type, i) => (isNumeric(type) ? [i] : []));
  if (time < 0 || numbers.length === 0 || rows.length < 2) return null;
  const labels = types.flatMap((type, i) => (i !== time && !isNumeric(type) && !isTime(type) ? [i] : []));
  const at = rows.map((row) => Date.parse(cellText(row[time] ?? null).replace(/(\.\d{3})\d+/, "$1")));
  const times = [...new Set(at.filter((t) => !Number.isNaN(t)))].sort((a, b) => a - b);
  // Rows that share their time but no label cannot be lines: a list of records is no chart.
  if (times.length < 2) return null;
  const place = new Map(times.map((t, i) => [t, i]));
  const made = new Map<string, Series>();
  const cut = new Set<string>();
  rows.forEach((row, r) => {
    const index = place.get(at[r] ?? NaN);
    if (index === undefined) return;
    const group = labels.map((i) => cellText(row[i] ?? null));
    for (const i of numbers) {
      const name = [...group, ...(numbers.length > 1 || group.length === 0 ? [columns[i] ?? ""] : [])].join(" · ");
      let series = made.get(name);
      if (!series) {
        if (made.size >= SERIES_MAX) {
          cut.add(name);
          continue;
        }
        const values = new Array<Value>(times.length).fill(null);
        made.set(name, (series = { key: name, name, labels: {}, values }));
      }
      const value = row[i];
      if (typeof value === "number") series.values[index] = value;
    }
  });
  return { frame: { times, series: [...made.values()] }, cut: cut.size };
}

export const csvOf = (answer: Pick<SqlAnswer, "columns" | "rows">): string => csvLine(answer.columns) + answer.rows.map(csvLine).join("");

/** Objects by column; of columns with the same name the last one stays. */
export function jsonOf(answer: Pick<SqlAnswer, "columns" | "rows">): string {
  return JSON.stringify(answer.rows.map((row) => Object.fromEntries(answer.columns.map((name, i) => [name, row[i] ?? null]))), null, 1);
}
