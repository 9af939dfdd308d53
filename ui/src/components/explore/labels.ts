/** Labels of a set of series, with their values counted. */
import type { Labels } from "../../lib/api/prometheus";

export interface LabelCount {
  name: string;
  /** Most frequent first; `count` is null where series were not read. */
  values: { value: string; count: number | null }[];
}

/** Every label but the name, in order. */
export function countLabels(series: readonly Labels[]): LabelCount[] {
  const counts = new Map<string, Map<string, number>>();
  for (const labels of series) {
    for (const [name, value] of Object.entries(labels)) {
      if (name === "__name__") continue;
      const values = counts.get(name) ?? new Map<string, number>();
      values.set(value, (values.get(value) ?? 0) + 1);
      counts.set(name, values);
    }
  }
  return [...counts]
    .sort((a, b) => a[0].localeCompare(b[0]))
    .map(([name, values]) => ({
      name,
      values: [...values].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count),
    }));
}
