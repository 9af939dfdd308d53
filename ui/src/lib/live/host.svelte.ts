/** The host page's data: past values by query, then live points appended to the same frames. */
import { isAbort, messageOf } from "../api/client";
import { labelValues, queryInstant, queryRange, numberOf, type MatrixItem } from "../api/prometheus";
import { appendPoint, EMPTY_FRAME, frameOf, mergeFrames, type Frame } from "../chart/frame";
import { formatDuration, niceStep } from "../time/duration";
import type { RangeMs } from "../time/range";
import { fillQuery, HOST_METRICS, HOST_PANELS, type HostPanel } from "./host";
import { LiveSamples, spacing } from "./samples";
import { live, type MetricsUpdate } from "./socket.svelte";

/** The collector's interval, assumed until a host's samples tell another. */
const COLLECT_MS = 10_000;
/** How far back raw samples are read: two of them at any usual scrape interval. */
const RAW_WINDOW = "150s";
const POINTS = 480;

export class HostData {
  hosts = $state.raw<string[]>([]);
  frames = $state.raw<Record<string, Frame>>({});
  errors = $state.raw<Record<string, string>>({});
  /** Counts what changed in `samples`, which is too busy to be reactive itself. */
  version = $state(0);
  loading = $state(true);
  problem = $state("");
  readonly samples = new LiveSamples();
  private abort: AbortController | null = null;
  private length = 3_600_000;
  private stepMs = COLLECT_MS;
  /** Time between this host's samples; no step is finer, and a silence of three is a gap. */
  private intervalMs = COLLECT_MS;

  async loadHosts(): Promise<void> {
    try {
      this.hosts = (await labelValues("instance", "node_uname_info")).sort();
      this.problem = "";
    } catch (error) {
      this.problem = messageOf(error);
    } finally {
      if (this.hosts.length === 0) this.loading = false;
    }
  }

  /** Fetches every panel for `instance` over `range`; an earlier fetch still running is dropped. */
  async load(instance: string, range: RangeMs): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.length = range.to - range.from;
    try {
      await this.loadSamples(instance, range.to, abort.signal);
      this.stepMs = niceStep(this.length, POINTS, this.intervalMs);
      await Promise.all(HOST_PANELS.map((panel) => this.loadPanel(panel, instance, range, abort.signal)));
      this.problem = "";
    } catch (error) {
      if (!isAbort(error)) this.problem = messageOf(error);
    } finally {
      if (this.abort === abort) this.loading = false;
    }
  }

  /** Milliseconds without a sample that are no longer chance. */
  get patienceMs(): number {
    return 3.5 * this.intervalMs;
  }

  /** When the host was last heard of, 0 while nothing is known; after a long silence only the panels still know. */
  get newest(): number {
    if (this.samples.time > 0) return this.samples.time;
    const ends = Object.values(this.frames).map((frame) => {
      const index = frame.times.findLastIndex((_, i) => frame.series.some((s) => s.values[i] !== null));
      return frame.times[index] ?? 0;
    });
    const last = Math.max(0, ...ends);
    return last > 0 ? last + this.stepMs : 0;
  }

  /** The rate window a panel's queries use at the current step. */
  get window(): string {
    return formatDuration(Math.max(this.stepMs + this.intervalMs, 4 * this.intervalMs));
  }

  /** Subscribes to the host's raw series; the returned function ends it. */
  follow(instance: string, onGap: () => void): () => void {
    return live.subscribe([...HOST_METRICS], (update) => this.take(update, instance), onGap);
  }

  /**
   * Raw samples before `at` seed the live ones with their own timestamps, so that counters have a rate before the
   * first live point, and that point has the right one.
   */
  private async loadSamples(instance: string, at: number, signal: AbortSignal): Promise<void> {
    const selector = `{__name__=~"${HOST_METRICS.join("|")}",instance=${JSON.stringify(instance)}}[${RAW_WINDOW}]`;
    const { data } = await queryInstant(selector, at, signal);
    const items = data.resultType === "matrix" ? data.result : [];
    const load = items.find((item) => item.metric.__name__ === "node_load1");
    this.intervalMs = spacing((load?.values ?? []).map(([seconds]) => seconds * 1000), COLLECT_MS);
    this.samples.clear();
    this.samples.staleMs = 3.5 * this.intervalMs;
    for (const { metric, values } of items) {
      for (const [seconds, text] of values ?? []) this.samples.observe(metric, seconds * 1000, numberOf(text));
    }
    this.version += 1;
  }

  private async loadPanel(panel: HostPanel, instance: string, range: RangeMs, signal: AbortSignal): Promise<void> {
    const to = Math.floor(range.to / this.stepMs) * this.stepMs;
    const from = Math.floor(range.from / this.stepMs) * this.stepMs;
    const bounds = { from, to, stepMs: this.stepMs };
    try {
      const frames = await Promise.all(
        panel.queries.map(async (query) => {
          const { data } = await queryRange(fillQuery(query.expr, instance, this.window), bounds, signal);
          const items: MatrixItem[] = data.resultType === "matrix" ? data.result : [];
          const frame = frameOf(items, bounds, query.name);
          for (const series of frame.series) series.key = series.name;
          return frame;
        }),
      );
      this.frames = { ...this.frames, [panel.id]: mergeFrames(frames) };
      const { [panel.id]: _gone, ...rest } = this.errors;
      this.errors = rest;
    } catch (error) {
      if (isAbort(error)) throw error;
      this.errors = { ...this.errors, [panel.id]: messageOf(error) };
    }
  }

  private take(update: MetricsUpdate, instance: string): void {
    for (const { labels, points } of update.series) {
      if (labels.instance !== instance) continue;
      for (const [t, value] of points) this.samples.observe(labels, t, value);
    }
    const t = this.samples.time;
    const keepFrom = t - this.length;
    const gap = Math.max(3 * this.intervalMs, 2.5 * this.stepMs);
    const next: Record<string, Frame> = { ...this.frames };
    for (const panel of HOST_PANELS) {
      const values = panel.live(this.samples);
      if (values.size > 0) next[panel.id] = appendPoint(next[panel.id] ?? EMPTY_FRAME, t, values, gap, keepFrom);
    }
    this.frames = next;
    this.version += 1;
  }
}
