/** Time range and refreshing, shared by all pages and kept in the address bar. */
import { parseDuration } from "../time/duration";
import { DEFAULT_RANGE, isLive, resolveRange, type RangeMs, type RangeText } from "../time/range";
import { router } from "./router.svelte";

class View {
  readonly range: RangeText = $derived({
    from: router.params.get("from") ?? DEFAULT_RANGE.from,
    to: router.params.get("to") ?? DEFAULT_RANGE.to,
  });
  readonly live: boolean = $derived(isLive(this.range));
  /** Refresh interval as written (`10s`), empty when off. */
  readonly refresh: string = $derived(router.params.get("refresh") ?? "");
  /** Counts refreshes; reading it makes an effect run again on each. */
  tick = $state(0);

  /** The range now; an unreadable one falls back on the last hour. */
  resolve(): RangeMs {
    const now = Date.now();
    return resolveRange(this.range, now) ?? { from: now - 3_600_000, to: now };
  }

  setRange(range: RangeText): void {
    const isDefault = range.from === DEFAULT_RANGE.from && range.to === DEFAULT_RANGE.to;
    router.set({ from: isDefault ? null : range.from, to: isDefault ? null : range.to });
  }

  setAbsolute(range: RangeMs): void {
    this.setRange({ from: String(Math.round(range.from)), to: String(Math.round(range.to)) });
  }

  reload(): void {
    this.tick += 1;
  }

  /** Starts the interval timer; call inside an effect, which ends it by the returned function. */
  startTimer(): (() => void) | undefined {
    const interval = parseDuration(this.refresh);
    if (interval === null || interval < 1000) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) this.reload();
    }, interval);
    return () => clearInterval(timer);
  }

  /** An address that keeps the time range of this one. */
  href(path: string, params: Record<string, string | readonly string[]> = {}): string {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(params)) {
      for (const one of typeof value === "string" ? [value] : value) query.append(key, one);
    }
    for (const key of ["from", "to"]) {
      const value = router.params.get(key);
      if (value !== null && !query.has(key)) query.set(key, value);
    }
    const text = query.toString();
    return text ? `${path}?${text}` : path;
  }
}

export const view = new View();
