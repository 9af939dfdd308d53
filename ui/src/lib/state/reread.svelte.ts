/** What a page shows and changes: read at first, on every refresh, and after each change. */
import { untrack } from "svelte";
import { Fetched } from "./fetched.svelte";
import { view } from "./view.svelte";

export class Reread<T> extends Fetched<T> {
  constructor(private readonly fetch: (signal: AbortSignal) => Promise<T>) {
    super();
  }

  /** Runs inside an effect. */
  start(): () => void {
    void view.tick;
    untrack(() => void this.again());
    return () => this.stop();
  }

  again(): Promise<void> {
    return this.run(this.fetch);
  }
}
