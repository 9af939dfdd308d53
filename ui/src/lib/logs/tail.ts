/** What a live tail shows: the newest rows, bounded, held back while the reader looks at something. */

export const TAIL_MAX = 5_000;

export class TailBuffer<Row extends { id?: string; timestamp: string }> {
  /** Newest first. */
  rows: Row[] = [];
  /** Matching rows that the server left out because they came too fast. */
  missed = 0;
  received = 0;
  paused = false;
  /** Arrived while paused; shown on `resume`. */
  private held: Row[] = [];
  /** Arrived while paused and beyond the bound. */
  private overflow = 0;

  constructor(private readonly max = TAIL_MAX) {}

  get waiting(): number {
    return this.held.length + this.overflow;
  }

  push(rows: readonly Row[], missed: number): void {
    this.missed += missed;
    this.received += rows.length;
    // A message's order is that of arrival; the list is by time.
    const fresh = [...rows].sort((a, b) => (a.timestamp < b.timestamp ? 1 : a.timestamp > b.timestamp ? -1 : 0));
    if (!this.paused) {
      this.rows = [...fresh, ...this.rows].slice(0, this.max);
      return;
    }
    const all = [...fresh, ...this.held];
    this.overflow += Math.max(0, all.length - this.max);
    this.held = all.slice(0, this.max);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.rows = [...this.held, ...this.rows].slice(0, this.max);
    this.held = [];
    this.overflow = 0;
  }

  clear(): void {
    this.rows = [];
    this.held = [];
    this.missed = 0;
    this.received = 0;
    this.overflow = 0;
  }
}
