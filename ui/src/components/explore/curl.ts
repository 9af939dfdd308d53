/** A query of the explorer as a command for a terminal. */
import type { ExploreState } from "../../lib/state/explore";
import { stepFor } from "../../lib/state/explorer.svelte";
import { expandVariables } from "../../lib/promql/variables";
import type { RangeMs } from "../../lib/time/range";

const shellQuote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The same request this page sends, with the key left to fill in. */
export function curlOf(expr: string, state: Pick<ExploreState, "tab" | "step">, range: RangeMs): string {
  const stepMs = stepFor(range, state.step);
  const query = expandVariables(expr, stepMs, range.to - range.from).text;
  const seconds = (ms: number) => (ms / 1000).toFixed(3);
  const graph = state.tab === "graph";
  const lines = [
    `curl -sS ${shellQuote(`${location.origin}/api/v1/${graph ? "query_range" : "query"}`)}`,
    `-H 'Authorization: Bearer YOUR_KEY'`,
    `--data-urlencode ${shellQuote(`query=${query}`)}`,
    ...(graph
      ? [`-d start=${seconds(range.from)} -d end=${seconds(range.to)} -d step=${stepMs / 1000}`]
      : [`-d time=${seconds(range.to)}`]),
  ];
  return lines.join(" \\\n  ");
}
