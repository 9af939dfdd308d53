/** The list of checks, page by page as it is scrolled; what is shown is read again every few seconds. */
import { fetchChecks, type CheckQuery } from "../api/checks";
import { isAbort, messageOf } from "../api/client";
import type { CheckSummary, CheckView } from "./types";

const PAGE = 200;
/** Pages that a refresh reads at most; what was scrolled to beyond them stays as it was read. */
const REFRESH_PAGES = 5;

export class CheckList {
  rows = $state.raw<CheckView[]>([]);
  summary = $state.raw<CheckSummary | null>(null);
  more = $state(false);
  loading = $state(false);
  problem = $state("");
  private query: CheckQuery = {};
  private next: string | null = null;
  private abort: AbortController | null = null;

  /** Begins anew. */
  search(query: CheckQuery): Promise<void> {
    this.query = query;
    return this.load(1, []);
  }

  /** Reads what is shown again. */
  again(): Promise<void> {
    if (this.loading) return Promise.resolve();
    return this.load(Math.max(1, Math.min(REFRESH_PAGES, Math.ceil(this.rows.length / PAGE))), this.rows);
  }

  async older(): Promise<void> {
    if (!this.more || this.loading) return;
    await this.read(async (signal) => {
      const page = await fetchChecks({ ...this.query, limit: PAGE, ...(this.next !== null && { after: this.next }) }, signal);
      return { rows: [...this.rows, ...page.items], next: page.next, summary: page.summary };
    });
  }

  put(check: CheckView): void {
    this.rows = this.rows.map((one) => (one.id === check.id ? check : one));
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
  }

  private load(pages: number, before: readonly CheckView[]): Promise<void> {
    return this.read(async (signal) => {
      const rows: CheckView[] = [];
      let [next, summary]: [string | null, CheckSummary | null] = [null, null];
      for (let page = 0; page < pages; page += 1) {
        const answer = await fetchChecks({ ...this.query, limit: PAGE, ...(next !== null && { after: next }) }, signal);
        rows.push(...answer.items);
        next = answer.next;
        summary ??= answer.summary;
        if (next === null) break;
      }
      const last = rows.at(-1)?.name;
      const rest = next === null || last === undefined ? [] : before.filter((one) => one.name > last);
      return { rows: [...rows, ...rest], next: rest.length > 0 ? this.next : next, summary };
    });
  }

  private async read(work: (signal: AbortSignal) => Promise<{ rows: CheckView[]; next: string | null; summary: CheckSummary | null }>): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.loading = true;
    try {
      const found = await work(abort.signal);
      if (this.abort !== abort) return;
      this.rows = found.rows;
      this.next = found.next;
      this.more = found.next !== null;
      this.summary = found.summary;
      this.problem = "";
    } catch (error) {
      if (isAbort(error) || this.abort !== abort) return;
      this.problem = messageOf(error);
    }
    this.loading = false;
  }
}
