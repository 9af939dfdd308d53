/** What the logs explorer has fetched. */
import { fetchFacets, fetchFields, fetchHistogram, fetchLogs, fetchPatterns, type Cost, type FieldInfo, type HistogramAnswer, type LogRow } from "../api/logs";
import { isAbort, messageOf } from "../api/client";
import { searchName } from "../logs/record";
import { append, pageSize } from "../logs/paging";
import { Fetched } from "./fetched.svelte";
import type { RangeMs } from "../time/range";

const BUCKETS = 80;
const FACETS_CHOSEN = 6;
const FACET_VALUES = 8;
/** Fields whose values hardly repeat; a list of the most frequent ones would say nothing. */
const UNIQUE = /^(?:body|timestamp|observed_timestamp|time|trace_id|span_id|severity_(?:number|text)|.*(?:\.id|_id|Id)|dropped.*|flags)$/;

/** Fields the sidebar shows by itself: level and service, then the attributes that most records have. */
export function chosenFacets(fields: readonly FieldInfo[], wanted: readonly string[]): string[] {
  const known = fields
    .filter((field) => field.scope !== "fixed" && field.name !== "service.name" && !UNIQUE.test(field.name))
    .filter((field) => !/time|json|^id$/.test(field.type))
    .sort((a, b) => (b.count ?? 0) - (a.count ?? 0) || a.name.localeCompare(b.name))
    .slice(0, FACETS_CHOSEN)
    .map((field) => field.name);
  return [...new Set(["level", "service", ...wanted, ...known])];
}

/** Fields by the names a search knows them by, each once: a key may be the record's and the resource's. */
export function searchable(fields: readonly FieldInfo[]): FieldInfo[] {
  const byName = new Map<string, FieldInfo>();
  for (const field of fields) {
    const name = field.scope === "fixed" ? field.name : searchName(field.name, field.scope);
    const known = byName.get(name);
    const count = known ? (known.count ?? 0) + (field.count ?? 0) : field.count;
    byName.set(name, { ...(known ?? field), name, count });
  }
  return [...byName.values()];
}

export class LogsExplorer {
  rows = $state.raw<LogRow[]>([]);
  next = $state.raw<string | null>(null);
  cost = $state.raw<Cost | null>(null);
  /** Why the search has no answer. */
  problem = $state("");
  /** Why the next page did not come; the rows so far stay. */
  moreProblem = $state("");
  /** True when there are more rows than a page keeps. */
  cut = $state(false);
  loading = $state(false);
  /** Time from asking to the first page, as seen here. */
  elapsedMs = $state(0);
  range = $state.raw<RangeMs>({ from: 0, to: 0 });
  readonly histogram = new Fetched<HistogramAnswer>();
  readonly facets = new Fetched<Awaited<ReturnType<typeof fetchFacets>>>();
  readonly patterns = new Fetched<Awaited<ReturnType<typeof fetchPatterns>>>();
  readonly fields = new Fetched<FieldInfo[]>();
  private abort: AbortController | null = null;
  private asked: { query: string; order: "asc" | "desc" } = { query: "", order: "desc" };

  /** Asks for everything of a search; the end of the range is fixed here, so that all answers are of one moment. */
  async run(query: string, order: "asc" | "desc", by: string, range: RangeMs): Promise<void> {
    this.range = range;
    this.asked = { query, order };
    this.next = null;
    void this.fields.run(async (signal) => searchable(await fetchFields(range, signal)));
    void this.stack(by);
    await this.page(true);
  }

  stack(by: string): Promise<void> {
    return this.histogram.run((signal) => fetchHistogram(this.asked.query, this.range, BUCKETS, by, signal));
  }

  count(fields: readonly string[], limit = FACET_VALUES): Promise<void> {
    if (fields.length === 0) return Promise.resolve();
    return this.facets.run((signal) => fetchFacets(this.asked.query, this.range, fields, limit, signal));
  }

  mine(): Promise<void> {
    return this.patterns.run((signal) => fetchPatterns(this.asked.query, this.range, 50, signal));
  }

  /** The next page, when there is one and none is on its way. */
  async more(): Promise<void> {
    if (this.next !== null && !this.loading && this.moreProblem === "") await this.page(false);
  }

  /** Asks again for the page that did not come. */
  retry(): Promise<void> {
    this.moreProblem = "";
    return this.more();
  }

  stop(): void {
    this.abort?.abort();
    this.loading = false;
    for (const one of [this.histogram, this.facets, this.patterns, this.fields]) one.stop();
  }

  private async page(first: boolean): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const started = performance.now();
    this.loading = true;
    const limit = pageSize(first ? 0 : this.rows.length);
    const cursor = first ? {} : { cursor: this.next ?? "" };
    try {
      const answer = await fetchLogs({ ...this.asked, range: this.range, limit, ...cursor }, abort.signal);
      if (this.abort !== abort) return;
      const made = append(first ? [] : this.rows, answer);
      this.rows = made.rows;
      this.next = made.next;
      this.cut = made.next === null && answer.next !== null;
      this.problem = this.moreProblem = "";
      if (first) {
        this.cost = answer.cost ?? null;
        this.elapsedMs = performance.now() - started;
      }
    } catch (error) {
      if (isAbort(error) || this.abort !== abort) return;
      if (first) {
        this.problem = messageOf(error);
        this.rows = [];
      } else {
        this.moreProblem = messageOf(error);
      }
    }
    this.loading = false;
  }
}
