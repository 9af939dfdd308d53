/** The live tail as the page shows it. */
import type { LogRow } from "../api/logs";
import { live } from "../live/socket.svelte";
import { TailBuffer } from "./tail";

export class TailView {
  rows = $state.raw<LogRow[]>([]);
  missed = $state(0);
  received = $state(0);
  waiting = $state(0);
  paused = $state(false);
  /** The connection was lost meanwhile. */
  gap = $state(false);
  problem = $state("");
  private buffer = new TailBuffer<LogRow>();
  private end: (() => void) | null = null;
  private serial = 0;

  start(query: string): void {
    this.stop();
    this.buffer = new TailBuffer<LogRow>();
    this.gap = false;
    this.problem = "";
    this.show();
    this.end = live.tail<LogRow>("logs", query, {
      onRows: (rows, missed) => {
        // A row that is not stored yet may come without an id; the list needs one to know it again.
        this.buffer.push(rows.map((row) => (row.id ? row : { ...row, id: `tail-${(this.serial += 1)}` })), missed);
        this.show();
      },
      onGap: () => (this.gap = true),
      onRefused: (message) => (this.problem = message),
    });
  }

  stop(): void {
    this.end?.();
    this.end = null;
  }

  pause(): void {
    this.buffer.pause();
    this.show();
  }

  resume(): void {
    this.buffer.resume();
    this.show();
  }

  clear(): void {
    this.buffer.clear();
    this.gap = false;
    this.show();
  }

  private show(): void {
    this.rows = this.buffer.rows;
    this.missed = this.buffer.missed;
    this.received = this.buffer.received;
    this.waiting = this.buffer.waiting;
    this.paused = this.buffer.paused;
  }
}
