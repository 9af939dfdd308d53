/** A value fetched again on every refresh, and by itself every few seconds while the page is seen. */
import { isAbort, messageOf } from "../api/client";
import { view } from "./view.svelte";

export class Polled<T> {
  value = $state.raw<T | null>(null);
  problem = $state("");
  /** When the value shown was fetched, epoch milliseconds. */
  at = $state(0);

  constructor(
    private readonly fetch: (signal: AbortSignal) => Promise<T>,
    private readonly everyMs = 10_000,
  ) {}

  /** Runs inside an effect; reading `view.tick` makes a manual refresh fetch at once. */
  start(): () => void {
    void view.tick;
    const abort = new AbortController();
    const load = async () => {
      try {
        this.value = await this.fetch(abort.signal);
        this.problem = "";
        this.at = Date.now();
      } catch (error) {
        if (!isAbort(error)) this.problem = messageOf(error);
      }
    };
    void load();
    const timer = setInterval(() => {
      if (!document.hidden) void load();
    }, this.everyMs);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }
}
