/** Statements that were run in this browser, newest first. */

const KEY = "bellwether.sql";
const MAX = 50;

export interface SqlRun {
  at: number;
  sql: string;
}

/** An unreadable store counts as empty. */
export function readRuns(): SqlRun[] {
  try {
    const parsed: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(parsed) ? (parsed as SqlRun[]) : [];
  } catch {
    return [];
  }
}

/** The list with one more run on top; the same statement run before moves up instead of repeating. */
export function withRun(runs: readonly SqlRun[], sql: string, at: number): SqlRun[] {
  const text = sql.trim();
  return text === "" ? [...runs] : [{ at, sql: text }, ...runs.filter((run) => run.sql !== text)].slice(0, MAX);
}

export function rememberRun(sql: string, at: number): void {
  localStorage.setItem(KEY, JSON.stringify(withRun(readRuns(), sql, at)));
}
