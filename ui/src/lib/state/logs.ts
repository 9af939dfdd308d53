/** The view of the logs explorer as address parameters, and back. */

export interface LogsState {
  query: string;
  tab: "rows" | "patterns";
  order: "desc" | "asc";
  /** Fields shown between time and message. */
  columns: string[];
  /** Fields of the sidebar beyond those it chooses itself. */
  facets: string[];
  /** What the histogram's bars are stacked by. */
  by: string;
  /** Id of the record that is open. */
  open: string;
  live: boolean;
  /** Three lines a record instead of one. */
  wrap: boolean;
}

export const DEFAULT_COLUMNS: readonly string[] = ["service"];

export function readLogs(params: URLSearchParams): LogsState {
  const columns = params.getAll("col");
  return {
    query: params.get("q") ?? "",
    tab: params.get("tab") === "patterns" ? "patterns" : "rows",
    order: params.get("order") === "asc" ? "asc" : "desc",
    columns: columns.length > 0 ? columns.filter((name) => name !== "") : [...DEFAULT_COLUMNS],
    facets: params.getAll("facet"),
    by: params.get("by") ?? "level",
    open: params.get("id") ?? "",
    live: params.get("live") === "1",
    wrap: params.get("wrap") === "1",
  };
}

/** Parameters for `router.set`; what equals its default is left out. */
export function writeLogs(state: LogsState): Record<string, string | string[] | null> {
  const usual = JSON.stringify(state.columns) === JSON.stringify(DEFAULT_COLUMNS);
  return {
    q: state.query.trim() === "" ? null : state.query,
    tab: state.tab === "rows" ? null : state.tab,
    order: state.order === "desc" ? null : state.order,
    col: usual ? null : state.columns.length === 0 ? [""] : state.columns,
    facet: state.facets.length === 0 ? null : state.facets,
    by: state.by === "level" ? null : state.by,
    id: state.open || null,
    live: state.live ? "1" : null,
    wrap: state.wrap ? "1" : null,
  };
}
