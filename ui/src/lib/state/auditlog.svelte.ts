/** The rows of the audit log that a search finds: page by page, new ones on top. */
import { auditQuery, withNewer, type AuditFilters } from "../admin/audit";
import { fetchAudit, type AuditRow } from "../api/audit";
import { isAbort, messageOf } from "../api/client";
import type { RangeMs } from "../time/range";

export class AuditLog {
  rows = $state.raw<AuditRow[]>([]);
  problem = $state("");
  loading = $state(false);
  /** False until the first answer. */
  asked = $state(false);
  private next: string | null = null;
  private filters: AuditFilters | null = null;
  private range: RangeMs = { from: 0, to: 0 };
  private abort: AbortController | null = null;

  get more(): boolean {
    return this.next !== null;
  }

  /** Another search. */
  async search(filters: AuditFilters, range: RangeMs): Promise<void> {
    this.filters = filters;
    this.range = range;
    await this.ask(null, (rows, next) => {
      this.rows = rows;
      this.next = next;
    });
  }

  /** The same search a moment later: what is new goes on top, what was read stays. */
  async newer(range: RangeMs): Promise<void> {
    this.range = range;
    await this.ask(null, (rows, next) => {
      const { rows: merged, joined } = withNewer(this.rows, rows);
      this.rows = merged;
      if (!joined) this.next = next;
    });
  }

  /** The next page. */
  async older(): Promise<void> {
    if (this.loading || this.next === null) return;
    await this.ask(this.next, (rows, next) => {
      this.rows = [...this.rows, ...rows];
      this.next = next;
    });
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
  }

  private async ask(cursor: string | null, take: (rows: AuditRow[], next: string | null) => void): Promise<void> {
    if (!this.filters) return;
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.loading = true;
    try {
      const page = await fetchAudit(auditQuery(this.filters, this.range, cursor), abort.signal);
      if (this.abort !== abort) return;
      take(page.items, page.next);
      this.problem = "";
      this.asked = true;
    } catch (error) {
      if (isAbort(error) || this.abort !== abort) return;
      this.problem = messageOf(error);
      // Asking for the same page at every scroll would not help.
      if (cursor !== null) this.next = null;
    }
    this.loading = false;
  }
}
