/** Running sums for stacked areas. */
import type { Value } from "./frame";

/** Each column plus all before it. A point is a gap only where every column has one. */
export function stack(columns: readonly (readonly Value[])[]): Value[][] {
  const length = columns[0]?.length ?? 0;
  const sums = new Float64Array(length);
  const seen = new Uint8Array(length);
  for (const column of columns) {
    for (let i = 0; i < length; i += 1) if (column[i] !== null && column[i] !== undefined) seen[i] = 1;
  }
  return columns.map((column) => {
    const out: Value[] = new Array<Value>(length);
    for (let i = 0; i < length; i += 1) {
      const sum = (sums[i] ?? 0) + (column[i] ?? 0);
      sums[i] = sum;
      out[i] = seen[i] ? sum : null;
    }
    return out;
  });
}
