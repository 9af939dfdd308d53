/** Names and metadata of metrics, fetched once and kept for completion, the browser and units. */
import { labelNames, labelValues, metadata, type MetricMetadata } from "../api/prometheus";

const FRESH_MS = 60_000;

class Catalog {
  names = $state.raw<string[]>([]);
  meta = $state.raw<Record<string, MetricMetadata[]>>({});
  problem = $state("");
  loading = $state(false);
  private loadedAt = 0;
  private readonly cache = new Map<string, { at: number; values: Promise<string[]> }>();

  /** Loads what is older than a minute; `force` loads in any case. */
  async load(force = false): Promise<void> {
    if (this.loading || (!force && Date.now() - this.loadedAt < FRESH_MS)) return;
    this.loading = true;
    try {
      const [names, meta] = await Promise.all([labelValues("__name__", null), metadata()]);
      this.names = names;
      this.meta = meta;
      this.problem = "";
      this.loadedAt = Date.now();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    } finally {
      this.loading = false;
    }
  }

  /** Metadata of a metric; those of a histogram's or summary's parts are found under its base name. */
  of(metric: string): MetricMetadata | undefined {
    const own = this.meta[metric]?.[0];
    return own ?? this.meta[metric.replace(/_(bucket|sum|count|total)$/, "")]?.[0];
  }

  readonly unitOf = (metric: string): string => this.of(metric)?.unit ?? "";

  labels(match: string | null): Promise<string[]> {
    return this.cached(`labels ${match ?? ""}`, () => labelNames(match));
  }

  values(label: string, match: string | null): Promise<string[]> {
    return this.cached(`values ${label} ${match ?? ""}`, () => labelValues(label, match));
  }

  private cached(key: string, fetch: () => Promise<string[]>): Promise<string[]> {
    const known = this.cache.get(key);
    if (known && Date.now() - known.at < FRESH_MS) return known.values;
    if (this.cache.size > 500) this.cache.clear();
    const values = fetch();
    values.catch(() => this.cache.delete(key));
    this.cache.set(key, { at: Date.now(), values });
    return values;
  }
}

export const catalog = new Catalog();
