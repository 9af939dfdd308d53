/** Whom a service's failure reaches, and whose failure reaches it. */
import type { Link } from "./layout";

export interface Reach {
  /** Those that call the service, over any number of calls: they suffer when it fails. */
  upstream: Map<string, number>;
  /** Those that it calls: it suffers when they fail. */
  downstream: Map<string, number>;
}

function walk(start: string, next: ReadonlyMap<string, readonly string[]>): Map<string, number> {
  const reached = new Map<string, number>();
  let edge = [start];
  for (let distance = 1; edge.length > 0; distance += 1) {
    const further: string[] = [];
    for (const name of edge.flatMap((one) => next.get(one) ?? [])) {
      if (name === start || reached.has(name)) continue;
      reached.set(name, distance);
      further.push(name);
    }
    edge = further;
  }
  return reached;
}

function grouped(links: readonly Link[], by: (link: Link) => [string, string]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const link of links) {
    const [key, value] = by(link);
    const group = groups.get(key) ?? [];
    group.push(value);
    groups.set(key, group);
  }
  return groups;
}

/** Everyone within reach, by how many calls away. */
export function impactOf(service: string, links: readonly Link[]): Reach {
  return {
    upstream: walk(service, grouped(links, ({ from, to }) => [to, from])),
    downstream: walk(service, grouped(links, ({ from, to }) => [from, to])),
  };
}

/** Nearest first, then by name. */
export const nearest = (reached: ReadonlyMap<string, number>): [string, number][] =>
  [...reached].sort(([a, x], [b, y]) => x - y || a.localeCompare(b));
