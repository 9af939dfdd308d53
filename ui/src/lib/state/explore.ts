/** The explorer's view as address parameters, and back. */

export interface ExploreState {
  queries: { expr: string; enabled: boolean }[];
  tab: "graph" | "table";
  /** A duration, or empty for automatic. */
  step: string;
  /** Keys of series the reader hid; with `only`, the ones that stay. */
  hidden: string[];
  only: boolean;
}

/** More hidden series than this are not kept in the address; it would no longer fit a message. */
export const HIDDEN_KEPT_MAX = 20;

export function readExplore(params: URLSearchParams): ExploreState {
  const off = new Set((params.get("off") ?? "").split(",").filter((part) => part !== "").map(Number));
  const queries = params.getAll("q").map((expr, i) => ({ expr, enabled: !off.has(i) }));
  const only = params.getAll("only");
  return {
    queries: queries.length > 0 ? queries : [{ expr: "", enabled: true }],
    tab: params.get("tab") === "table" ? "table" : "graph",
    step: params.get("step") ?? "",
    hidden: only.length > 0 ? only : params.getAll("hide"),
    only: only.length > 0,
  };
}

/** Parameters for `router.set`; what equals its default is left out. */
export function writeExplore(state: ExploreState): Record<string, string | string[] | null> {
  const off = state.queries.flatMap((query, i) => (query.enabled ? [] : [String(i)]));
  const queries = state.queries.map((query) => query.expr);
  const hidden = state.hidden.length > 0 && state.hidden.length <= HIDDEN_KEPT_MAX ? state.hidden : null;
  return {
    q: queries.every((expr) => expr.trim() === "") ? null : queries,
    off: off.length > 0 ? off.join(",") : null,
    tab: state.tab === "graph" ? null : state.tab,
    step: state.step || null,
    hide: state.only ? null : hidden,
    only: state.only ? hidden : null,
  };
}

/** Letter of the n-th query: A … Z, then A2 and on. */
export function letter(index: number): string {
  const round = Math.floor(index / 26);
  return String.fromCharCode(65 + (index % 26)) + (round > 0 ? String(round + 1) : "");
}
