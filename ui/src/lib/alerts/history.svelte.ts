/** What fired in a range, page by page as it is scrolled. */
import { fetchEvents, type AlertEvent, type EventQuery } from "../api/alerts";
import { isAbort, messageOf } from "../api/client";

const PAGE = 200;

export class EventHistory {
  rows = $state.raw<AlertEvent[]>([]);
  more = $state(false);
  asked = $state(false);
  loading = $state(false);
  problem = $state("");
  private abort: AbortController | null = null;
  private query: EventQuery = {};
  private after: string | undefined;

  /** Begins anew with what is asked. */
  async search(query: EventQuery): Promise<void> {
    this.query = query;
    this.after = undefined;
    await this.load(true);
  }

  /** The next page; nothing while one is under way. */
  async older(): Promise<void> {
    if (this.more && !this.loading) await this.load(false);
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
  }

  private async load(anew: boolean): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.loading = true;
    try {
      const page = await fetchEvents({ ...this.query, limit: PAGE, ...(!anew && this.after !== undefined && { after: this.after }) }, abort.signal);
      if (this.abort !== abort) return;
      this.rows = anew ? page.items : [...this.rows, ...page.items];
      this.after = page.next ?? undefined;
      this.more = this.after !== undefined;
      this.asked = true;
      this.problem = "";
    } catch (error) {
      if (isAbort(error) || this.abort !== abort) return;
      this.problem = messageOf(error);
    }
    this.loading = false;
  }
}
