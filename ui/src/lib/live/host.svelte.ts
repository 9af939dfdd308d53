/** The host page's data: past values by query, then live points appended to the same frames. */
import { isAbort, messageOf } from "../api/client";
import { labelValues, queryInstant, queryRange, numberOf, type MatrixItem } from "../api/prometheus";
import { appendPoint, EMPTY_FRAME, frameOf, mergeFrames, type Frame } from "../chart/frame";
import { formatDuration, niceStep } from "../time/duration";
import type { RangeMs } from "../time/range";
import { fillQuery, HOST_METRICS, HOST_PANELS, type HostPanel } from "./host";
import { LiveSamples } from "./samples";
import { live, type MetricsUpdate } from "./socket.svelte";

/** The collector's interval; no step is finer and a silence of three of them is a gap. */
const COLLECT_MS = 10_000;
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
    this.stepMs = niceStep(this.length, POINTS, COLLECT_MS);
    try {
      await Promise.all([
        this.loadSamples(instance, range.to, abort.signal),
        ...HOST_PANELS.map((panel) => this.loadPanel(panel, instance, range, abort.signal)),
      ]);
      this.problem = "";
    } catch (error) {
      if (!isAbort(error)) this.problem = messageOf(error);
    } finally {
      if (this.abort === abort) this.loading = false;
    }
  }

  /** Time of the newest point any panel has, 0 before there is one. */
  get newest(): number {
    const ends = Object.values(this.frames).map((frame) => {
      const index = frame.times.findLastIndex((_, i) => frame.series.some((s) => s.values[i] !== null));
      return frame.times[index] ?? 0;
    });
    return Math.max(0, ...ends);
  }

  /** The rate window a panel's queries use at the current step. */
  get window(): string {
    return formatDuration(Math.max(this.stepMs + COLLECT_MS, 4 * COLLECT_MS));
  }

  /** Subscribes to the host's raw series; the returned function ends it. */
  follow(instance: string, onGap: () => void): () => void {
    return live.subscribe([...HOST_METRICS], (update) => this.take(update, instance), onGap);
  }

  /** Past instants seed the live samples twice, so that counters have a rate before the first live point. */
  private async loadSamples(instance: string, at: number, signal: AbortSignal): Promise<void> {
    const selector = `{__name__=~"${HOST_METRICS.join("|")}",instance=${JSON.stringify(instance)}}`;
    const instants = await Promise.all([at - 2 * COLLECT_MS, at].map((t) => queryInstant(selector, t, signal)));
    this.samples.clear();
    instants.forEach((answer, i) => {
      if (answer.data.resultType !== "vector") return;
      const t = at - (instants.length - 1 - i) * 2 * COLLECT_MS;
      for (const { metric, value } of answer.data.result) {
        if (value) this.samples.observe(metric, t, numberOf(value[1]));
      }
    });
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
    const gap = Math.max(3 * COLLECT_MS, 2.5 * this.stepMs);
    const next: Record<string, Frame> = { ...this.frames };
    for (const panel of HOST_PANELS) {
      const values = panel.live(this.samples);
      if (values.size > 0) next[panel.id] = appendPoint(next[panel.id] ?? EMPTY_FRAME, t, values, gap, keepFrom);
    }
    this.frames = next;
    this.version += 1;
  }
}
