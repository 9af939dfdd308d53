/** Hosts as rows of a table: which are shown, in which order, and which have gone quiet. */
import type { HostSummary } from "./api/bellwether";

/** A host that was not heard of for longer is stale. */
export const STALE_MS = 5 * 60_000;
const AROUND_MS = 3_600_000;

export type HostState = "up" | "stale";
export const HOST_KEYS = ["name", "state", "seen", "system", "job"] as const;
export type HostKey = (typeof HOST_KEYS)[number];

export interface HostRow {
  name: string;
  state: HostState;
  seenMs: number;
  /** Kernel, its release and the machine it was built for. */
  system: string;
  job: string;
}

export interface HostSort {
  key: HostKey;
  descending: boolean;
}

/** A host the server counts as up is not stale, whatever the reader's clock says. */
export function hostRow(host: HostSummary, nowMs: number): HostRow {
  const seenMs = Date.parse(host.last_seen);
  return {
    name: host.name,
    state: host.state !== "up" && !(nowMs - seenMs <= STALE_MS) ? "stale" : "up",
    seenMs,
    system: [host.system, host.release, host.machine].filter((part) => part !== "").join(" "),
    job: host.job,
  };
}

/** `seen` and `-seen` of the address; anything else is by name. */
export function readSort(text: string): HostSort {
  const descending = text.startsWith("-");
  const key = HOST_KEYS.find((one) => one === text.slice(descending ? 1 : 0));
  return key ? { key, descending } : { key: "name", descending: false };
}

/** The address' text for a click on a column; the usual order is left out. */
export function nextSort(sort: HostSort, key: HostKey): string | null {
  const descending = sort.key === key && !sort.descending;
  return key === "name" && !descending ? null : `${descending ? "-" : ""}${key}`;
}

const collator = new Intl.Collator("en", { numeric: true });

function compare(a: HostRow, b: HostRow, key: HostKey): number {
  return key === "seen" ? (a.seenMs || 0) - (b.seenMs || 0) : collator.compare(a[key], b[key]);
}

/** Rows that hold every word of `filter`, in order; equal ones by name. */
export function hostsShown(rows: readonly HostRow[], filter: string, state: string, sort: HostSort): HostRow[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const sign = sort.descending ? -1 : 1;
  return rows
    .filter((row) => state === "" || row.state === state)
    .filter((row) => {
      const hay = `${row.name} ${row.system} ${row.job}`.toLowerCase();
      return words.every((word) => hay.includes(word));
    })
    .sort((a, b) => sign * compare(a, b, sort.key) || collator.compare(a.name, b.name));
}

/** What the link to a host's page carries; of a stale host it opens the last hour that was heard of. */
export function hostParams(row: HostRow): Record<string, string> {
  if (row.state === "up" || Number.isNaN(row.seenMs)) return { host: row.name };
  return { host: row.name, from: String(row.seenMs - AROUND_MS), to: String(row.seenMs) };
}
