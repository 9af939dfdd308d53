/** Rows fetched page by page behind a cursor. */

export interface Page<Row> {
  rows: Row[];
  next: string | null;
}

/** More rows than this are not kept in a page of the browser; the search should be narrowed instead. */
export const KEPT_MAX = 100_000;

/** Small first, so that something is seen at once; larger as the reader goes on. */
export function pageSize(have: number): number {
  return have === 0 ? 200 : have < 5_000 ? 1_000 : 5_000;
}

/**
 * Rows so far with one more page. Rows that say the same at the same moment share their id, so equal ids are no sign of
 * an overlap: a cursor continues exactly where its page ended.
 */
export function append<Row>(have: readonly Row[], page: Page<Row>): { rows: Row[]; next: string | null } {
  const rows = [...have, ...page.rows];
  // An empty page with a cursor would be asked for again and again.
  return { rows, next: rows.length >= KEPT_MAX || page.rows.length === 0 ? null : page.next };
}
