/** Incidents, page by page as they are scrolled; what is shown is read again as things happen. */
import { untrack } from "svelte";
import { fetchIncidents, type Incident, type IncidentQuery } from "../api/incidents";
import { isAbort, messageOf } from "../api/client";
import { live } from "../live/socket.svelte";

const PAGE = 200;
/** Pages that a refresh reads at most. */
const REFRESH_PAGES = 5;
/** How often the list is read again: alerts that join one are not told. */
const POLL_MS = 10_000;

export class IncidentList {
  rows = $state.raw<Incident[]>([]);
  more = $state(false);
  asked = $state(false);
  loading = $state(false);
  problem = $state("");
  private query: IncidentQuery = {};
  private next: string | null = null;
  private abort: AbortController | null = null;

  /** Begins anew. */
  search(query: IncidentQuery): Promise<void> {
    this.query = query;
    return this.load(1);
  }

  /** Reads what is shown again. */
  again(): Promise<void> {
    if (this.loading) return Promise.resolve();
    return this.load(Math.max(1, Math.min(REFRESH_PAGES, Math.ceil(this.rows.length / PAGE))));
  }

  async older(): Promise<void> {
    if (!this.more || this.loading) return;
    await this.read(async (signal) => {
      const page = await fetchIncidents({ ...this.query, limit: PAGE, ...(this.next !== null && { after: this.next }) }, signal);
      return { rows: [...this.rows, ...page.items], next: page.next ?? null };
    });
  }

  /** Runs inside an effect: reads again after messages and every few seconds. */
  follow(): () => void {
    const again = () => {
      if (!document.hidden) void this.again();
    };
    const unfollow = untrack(() => live.follow("incident", { onMessage: again, onGap: again }));
    const timer = setInterval(again, POLL_MS);
    return () => {
      clearInterval(timer);
      unfollow();
      this.abort?.abort();
      this.abort = null;
    };
  }

  private load(pages: number): Promise<void> {
    return this.read(async (signal) => {
      const rows: Incident[] = [];
      let next: string | null = null;
      for (let page = 0; page < pages; page += 1) {
        const answer = await fetchIncidents({ ...this.query, limit: PAGE, ...(next !== null && { after: next }) }, signal);
        rows.push(...answer.items);
        next = answer.next ?? null;
        if (next === null) break;
      }
      return { rows, next };
    });
  }

  private async read(work: (signal: AbortSignal) => Promise<{ rows: Incident[]; next: string | null }>): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.loading = true;
    try {
      const found = await work(abort.signal);
      if (this.abort !== abort) return;
      this.rows = found.rows;
      this.next = found.next;
      this.more = found.next !== null;
      this.asked = true;
      this.problem = "";
    } catch (error) {
      if (isAbort(error) || this.abort !== abort) return;
      this.problem = messageOf(error);
    }
    this.loading = false;
  }
}
