/** What fires now: read once, then kept current by messages; read again where some may be missing. */
import { untrack } from "svelte";
import { fetchFiring, type AlertEvent } from "../api/alerts";
import { live } from "../live/socket.svelte";
import { Reread } from "../state/reread.svelte";
import { withEvent } from "./events";

/** How often the list is read again while no messages come. */
const POLL_MS = 10_000;
/** Also with messages: clocks drift apart, and roles may hide what a message would tell. */
const REREAD_MS = 120_000;

export class Firing extends Reread<AlertEvent[]> {
  /** Messages come as things happen. */
  told = $state(true);

  constructor() {
    super(fetchFiring);
  }

  /** Runs inside an effect; reads again on every refresh. */
  override start(): () => void {
    const stop = super.start();
    const unfollow = untrack(() =>
      live.follow<AlertEvent>("alert", {
        onMessage: (event) => this.put(event),
        onGap: () => void this.again(),
        onRefused: () => (this.told = false),
      }),
    );
    const timer = setInterval(() => {
      const due = !this.told || live.state !== "open" || Date.now() - this.at >= REREAD_MS;
      if (due && !document.hidden) void this.again();
    }, POLL_MS);
    return () => {
      clearInterval(timer);
      unfollow();
      stop();
    };
  }

  /** Puts one event as it is now in its place. */
  put(event: AlertEvent): void {
    if (this.value) this.value = withEvent(this.value, event);
  }

  private at = 0;

  override async again(): Promise<void> {
    this.at = Date.now();
    await super.again();
  }
}
