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

/** Rows so far with one more page; rows that two pages share stand there once. */
export function append<Row extends { id: string }>(have: readonly Row[], page: Page<Row>): { rows: Row[]; next: string | null } {
  // Only the seam can overlap: a cursor continues where the last page ended.
  const seam = new Set(have.slice(-page.rows.length).map((row) => row.id));
  const fresh = page.rows.filter((row) => row.id === "" || !seam.has(row.id));
  const rows = [...have, ...fresh];
  const stuck = page.rows.length > 0 && fresh.length === 0;
  return { rows, next: rows.length >= KEPT_MAX || stuck ? null : page.next };
}
