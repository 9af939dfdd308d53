/** Columns of the tables: the fixed ones, and the attributes that rows of the range have. */
import { request } from "../api/client";
import { fetchFields, type FieldInfo } from "../api/logs";
import { view } from "../state/view.svelte";
import { TABLES } from "./text";

export interface Column {
  name: string;
  type: string;
}

const FRESH_MS = 60_000;

class SqlSchema {
  private keys = $state.raw<Record<string, FieldInfo[]>>({});
  private readonly asked = new Map<string, number>();

  /** Asks for a table's attributes unless that was done a moment ago. */
  async load(table: string): Promise<void> {
    if (table !== "logs" && table !== "spans" && table !== "events") return;
    if (Date.now() - (this.asked.get(table) ?? 0) < FRESH_MS) return;
    this.asked.set(table, Date.now());
    const range = view.resolve();
    try {
      const query = new URLSearchParams({ start: String(Math.round(range.from)), end: String(Math.round(range.to)) });
      const fields =
        table === "logs"
          ? await fetchFields(range)
          : (await request<{ fields: FieldInfo[] }>(`/api/v1/monitoring/${table}/fields?${query}`)).fields;
      const found = fields.filter((field) => field.scope !== "fixed");
      found.sort((a, b) => (b.count ?? 0) - (a.count ?? 0) || a.name.localeCompare(b.name));
      this.keys = { ...this.keys, [table]: found };
    } catch {
      // The fixed columns are listed all the same; the statement will say what is wrong.
    }
  }

  columnsOf(table: string): Column[] {
    const fixed = TABLES.find((one) => one.name === table)?.columns ?? [];
    const seen = new Set(fixed);
    const out: Column[] = fixed.map((name) => ({ name, type: "" }));
    for (const { name, type } of this.keys[table] ?? []) {
      if (seen.has(name)) continue;
      seen.add(name);
      out.push({ name, type });
    }
    return out;
  }
}

export const schema = new SqlSchema();
