/** Saved queries (on the server) and the history of what was run (in this browser). */
import { deleteSavedQuery, fetchSavedQueries, putSavedQuery } from "../api/bellwether";
import { messageOf } from "../api/client";
import { nameTaken, readSaved, type SavedQuery, type SavedSpec } from "./savedspec";

class Saved {
  items = $state.raw<SavedQuery[]>([]);
  problem = $state("");

  async load(): Promise<void> {
    try {
      this.items = (await fetchSavedQueries()).flatMap((object) => readSaved(object) ?? []);
      this.problem = "";
    } catch (error) {
      this.problem = messageOf(error);
    }
  }

  /** Keeps a view, in the place of one of the same page and name. */
  async put(name: string, spec: SavedSpec): Promise<void> {
    const taken = nameTaken(await fetchSavedQueries(), name, spec);
    if (taken !== "") throw new Error(taken);
    await putSavedQuery(name, spec);
    await this.load();
  }

  async remove(name: string): Promise<void> {
    await deleteSavedQuery(name);
    await this.load();
  }
}

export const saved = new Saved();

const HISTORY_KEY = "bellwether.history";
const HISTORY_MAX = 50;

/** One run of the explorer. */
export interface HistoryEntry {
  at: number;
  queries: string[];
}

/** Newest first; an unreadable store counts as empty. */
export function readHistory(): HistoryEntry[] {
  try {
    const parsed: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
    return Array.isArray(parsed) ? (parsed as HistoryEntry[]) : [];
  } catch {
    return [];
  }
}

/** Puts a run on top; the same queries run before move up instead of repeating. */
export function remember(queries: string[], at: number): void {
  const filled = queries.filter((expr) => expr.trim() !== "");
  if (filled.length === 0) return;
  const key = JSON.stringify(filled);
  const rest = readHistory().filter((entry) => JSON.stringify(entry.queries) !== key);
  localStorage.setItem(HISTORY_KEY, JSON.stringify([{ at, queries: filled }, ...rest].slice(0, HISTORY_MAX)));
}
