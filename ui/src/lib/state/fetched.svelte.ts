/** One answer that is asked for again and again; a later question overtakes an earlier one. */
import { isAbort, messageOf } from "../api/client";

export class Fetched<T> {
  value = $state.raw<T | null>(null);
  problem = $state("");
  loading = $state(false);
  private abort: AbortController | null = null;

  async run(fetch: (signal: AbortSignal) => Promise<T>): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.loading = true;
    try {
      const value = await fetch(abort.signal);
      if (this.abort !== abort) return;
      this.value = value;
      this.problem = "";
    } catch (error) {
      if (isAbort(error) || this.abort !== abort) return;
      this.problem = messageOf(error);
    }
    this.loading = false;
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
    this.loading = false;
  }
}
