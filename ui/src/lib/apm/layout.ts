/**
 * A layered drawing of who calls whom: callers left, called right. Loops are broken, nodes ordered so that few lines
 * cross, then moved beside their neighbours.
 */

export interface Link {
  from: string;
  to: string;
}

export interface Size {
  width: number;
  height: number;
  /** Between layers, and between nodes of a layer. */
  across: number;
  down: number;
}

export interface PlacedNode {
  name: string;
  /** Top left corner. */
  x: number;
  y: number;
  layer: number;
}

export interface PlacedLink<T extends Link = Link> {
  /** The call as it was given. */
  call: T;
  /** From the right side of one node to the left side of another, or the other way where a loop was broken. */
  points: { x: number; y: number }[];
  /** True for a call against the direction of the layers. */
  back: boolean;
}

export interface Drawing<T extends Link = Link> {
  nodes: PlacedNode[];
  links: PlacedLink<T>[];
  width: number;
  height: number;
}

/** A node of the drawing, or the place where a line passes a layer. */
interface Slot {
  name: string | null;
  layer: number;
  /** Slots of the neighbouring layers. */
  left: number[];
  right: number[];
  y: number;
}

/** Passes that look for an order with fewer crossings; a tangle of long lines gets fewer, to be drawn in time. */
const sweepsFor = (slots: number): number => Math.min(16, Math.max(2, Math.floor(30_000 / Math.max(slots, 1))));

/** For each link whether it must be turned round for the rest to be without loops. */
function turned(names: readonly string[], links: readonly Link[]): boolean[] {
  const out = new Map<string, number[]>(names.map((name) => [name, []]));
  const incoming = new Map<string, number>(names.map((name) => [name, 0]));
  links.forEach((link, i) => {
    out.get(link.from)?.push(i);
    incoming.set(link.to, (incoming.get(link.to) ?? 0) + 1);
  });
  const state = new Map<string, "open" | "done">();
  const back = new Array<boolean>(links.length).fill(false);
  // Those that nobody calls first: a walk from there turns the fewest lines.
  const starts = names.toSorted((a, b) => (incoming.get(a) ?? 0) - (incoming.get(b) ?? 0) || a.localeCompare(b));
  for (const start of starts) {
    if (state.has(start)) continue;
    state.set(start, "open");
    const stack: { name: string; next: number }[] = [{ name: start, next: 0 }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const index = out.get(top.name)?.[top.next];
      top.next += 1;
      if (index === undefined) {
        state.set(top.name, "done");
        stack.pop();
        continue;
      }
      const to = links[index]?.to ?? "";
      if (state.get(to) === "open") back[index] = true;
      else if (!state.has(to)) {
        state.set(to, "open");
        stack.push({ name: to, next: 0 });
      }
    }
  }
  return back;
}

/** Layer of each name: one more than its furthest caller's. Callers without callers stand right before what they call. */
function layersOf(names: readonly string[], forward: readonly Link[]): Map<string, number> {
  const out = new Map<string, string[]>(names.map((name) => [name, []]));
  const waiting = new Map<string, number>(names.map((name) => [name, 0]));
  for (const { from, to } of forward) {
    out.get(from)?.push(to);
    waiting.set(to, (waiting.get(to) ?? 0) + 1);
  }
  const layer = new Map<string, number>(names.map((name) => [name, 0]));
  const first = names.filter((name) => waiting.get(name) === 0);
  const ready = [...first];
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    for (const to of out.get(name) ?? []) {
      layer.set(to, Math.max(layer.get(to) ?? 0, (layer.get(name) ?? 0) + 1));
      const left = (waiting.get(to) ?? 0) - 1;
      waiting.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  for (const name of first) {
    const below = (out.get(name) ?? []).map((to) => layer.get(to) ?? 1);
    if (below.length > 0) layer.set(name, Math.min(...below) - 1);
  }
  return layer;
}

/** How often lines between two layers cross, by counting inversions. */
function crossings(slots: readonly Slot[], order: readonly number[], place: readonly number[]): number {
  const ends: number[] = [];
  let most = 0;
  for (const slot of order) {
    const targets = (slots[slot]?.right ?? []).map((to) => place[to] ?? 0).sort((a, b) => a - b);
    for (const target of targets) {
      ends.push(target);
      most = Math.max(most, target);
    }
  }
  const tree = new Array<number>(most + 2).fill(0);
  let count = 0;
  ends.forEach((end, seen) => {
    let before = 0;
    for (let i = end + 1; i > 0; i -= i & -i) before += tree[i] ?? 0;
    count += seen - before;
    for (let i = end + 1; i < tree.length; i += i & -i) tree[i] = (tree[i] ?? 0) + 1;
  });
  return count;
}

function ordered(slots: readonly Slot[], layers: number): number[][] {
  const rows: number[][] = Array.from({ length: layers }, () => []);
  slots.forEach((slot, i) => rows[slot.layer]?.push(i));
  const place = new Array<number>(slots.length).fill(0);
  const settle = (row: readonly number[]) => row.forEach((slot, i) => (place[slot] = i));
  rows.forEach(settle);
  const total = () => rows.reduce((sum, row) => sum + crossings(slots, row, place), 0);
  let [best, fewest] = [rows.map((row) => [...row]), total()];
  const sweeps = sweepsFor(slots.length);
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep += 1) {
    const rightward = sweep % 2 === 0;
    for (let k = 1; k < layers; k += 1) {
      const row = rows[rightward ? k : layers - 1 - k] ?? [];
      const middle = (slot: number) => {
        const near = (rightward ? slots[slot]?.left : slots[slot]?.right) ?? [];
        return near.length === 0 ? (place[slot] ?? 0) : near.reduce((sum, one) => sum + (place[one] ?? 0), 0) / near.length;
      };
      const keys = new Map(row.map((slot) => [slot, middle(slot)]));
      row.sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0) || (place[a] ?? 0) - (place[b] ?? 0));
      settle(row);
    }
    const now = total();
    if (now < fewest) [best, fewest] = [rows.map((row) => [...row]), now];
  }
  return best;
}

/** Places near `wished` (rising or not) that keep their order and distances, with the least sum of squared moves. */
export function spread(wished: readonly number[], gaps: readonly number[]): number[] {
  const offsets: number[] = [];
  wished.forEach((_, i) => (offsets[i] = i === 0 ? 0 : (offsets[i - 1] ?? 0) + (gaps[i - 1] ?? 0)));
  const blocks: { sum: number; count: number }[] = [];
  wished.forEach((wish, i) => {
    blocks.push({ sum: wish - (offsets[i] ?? 0), count: 1 });
    for (let last = blocks.at(-1), before = blocks.at(-2); last && before; last = blocks.at(-1), before = blocks.at(-2)) {
      if (before.sum / before.count <= last.sum / last.count) break;
      before.sum += last.sum;
      before.count += last.count;
      blocks.pop();
    }
  });
  return blocks.flatMap(({ sum, count }) => new Array<number>(count).fill(sum / count)).map((level, i) => level + (offsets[i] ?? 0));
}

/** Lays out services and their calls. Calls of a service to itself are left out; names without calls stand below. */
export function layered<T extends Link>(names: readonly string[], calls: readonly T[], size: Size): Drawing<T> {
  const known = new Set(names);
  const links = calls.filter((call) => call.from !== call.to && known.has(call.from) && known.has(call.to));
  const linked = new Set(links.flatMap((link) => [link.from, link.to]));
  const joined = names.filter((name) => linked.has(name));
  const back = turned(joined, links);
  const forward = links.map((link, i) => (back[i] ? { from: link.to, to: link.from } : link));
  const layer = layersOf(joined, forward);
  const layers = joined.length === 0 ? 0 : Math.max(...layer.values()) + 1;

  const slots: Slot[] = joined.map((name) => ({ name, layer: layer.get(name) ?? 0, left: [], right: [], y: 0 }));
  const index = new Map(joined.map((name, i) => [name, i]));
  const join = (a: number, b: number) => {
    slots[a]?.right.push(b);
    slots[b]?.left.push(a);
  };
  const chains = forward.map(({ from, to }) => {
    const [first, last] = [index.get(from) ?? 0, index.get(to) ?? 0];
    const chain = [first];
    for (let l = (layer.get(from) ?? 0) + 1; l < (layer.get(to) ?? 0); l += 1) {
      slots.push({ name: null, layer: l, left: [], right: [], y: 0 });
      chain.push(slots.length - 1);
    }
    chain.push(last);
    for (let i = 1; i < chain.length; i += 1) join(chain[i - 1] ?? 0, chain[i] ?? 0);
    return chain;
  });

  const rows = ordered(slots, layers);
  place(slots, rows, size);
  const top = Math.min(0, ...slots.map((slot) => slot.y - tall(slot, size) / 2));
  const step = size.width + size.across;
  const nodes = joined.map((name, i): PlacedNode => {
    const slot = slots[i] as Slot;
    return { name, x: slot.layer * step, y: slot.y - top - size.height / 2, layer: slot.layer };
  });
  const seen = new Map<string, number>();
  const placed = links.map((call, i): PlacedLink<T> => {
    const chain = chains[i] ?? [];
    // A second kind of call between the same two runs below the first.
    const pair = `${call.from}\n${call.to}`;
    const lower = (seen.get(pair) ?? 0) * 14;
    seen.set(pair, (seen.get(pair) ?? 0) + 1);
    const points = chain.flatMap((slotIndex, at) => {
      const slot = slots[slotIndex] as Slot;
      const [x, y] = [slot.layer * step, slot.y - top + lower];
      if (at === 0) return [{ x: x + size.width, y }];
      if (at === chain.length - 1) return [{ x, y }];
      return [{ x, y }, { x: x + size.width, y }];
    });
    return { call, points: back[i] ? points.reverse() : points, back: back[i] ?? false };
  });
  const bottom = Math.max(0, ...nodes.map((node) => node.y + size.height));
  return withLone(names.filter((name) => !linked.has(name)), nodes, placed, Math.max(layers, 1), bottom, size);
}

const tall = (slot: Slot, size: Size) => (slot.name === null ? 10 : size.height);

/** Heights: each layer in its order, pulled towards its neighbours a few times from either side. */
function place(slots: readonly Slot[], rows: readonly number[][], size: Size): void {
  const gap = (a: number, b: number) => (tall(slots[a] as Slot, size) + tall(slots[b] as Slot, size)) / 2 + size.down;
  const gapsOf = (row: readonly number[]) => row.slice(1).map((slot, i) => gap(row[i] ?? 0, slot));
  for (const row of rows) {
    const gaps = gapsOf(row);
    const length = gaps.reduce((sum, one) => sum + one, 0);
    let y = -length / 2;
    row.forEach((slot, i) => {
      (slots[slot] as Slot).y = y;
      y += gaps[i] ?? 0;
    });
  }
  for (let pass = 0; pass < 8; pass += 1) {
    const rightward = pass % 2 === 0;
    for (let k = 0; k < rows.length; k += 1) {
      const row = rows[rightward ? k : rows.length - 1 - k] ?? [];
      const wished = row.map((slot) => {
        const { left, right, y } = slots[slot] as Slot;
        const near = pass > 5 ? [...left, ...right] : rightward ? left : right;
        return near.length === 0 ? y : near.reduce((sum, one) => sum + (slots[one]?.y ?? 0), 0) / near.length;
      });
      spread(wished, gapsOf(row)).forEach((y, i) => ((slots[row[i] ?? 0] as Slot).y = y));
    }
  }
}

/** Adds services that neither call nor are called, in rows below. */
function withLone<T extends Link>(
  lone: readonly string[],
  nodes: PlacedNode[],
  links: PlacedLink<T>[],
  layers: number,
  bottom: number,
  size: Size,
): Drawing<T> {
  const perRow = Math.max(layers, Math.min(lone.length, 4), 1);
  const start = bottom === 0 ? 0 : bottom + size.down * 2;
  lone.forEach((name, i) => {
    const [column, row] = [i % perRow, Math.floor(i / perRow)];
    nodes.push({ name, x: column * (size.width + size.across), y: start + row * (size.height + size.down), layer: column });
  });
  return {
    nodes,
    links,
    width: Math.max(size.width, ...nodes.map((node) => node.x + size.width)),
    height: Math.max(size.height, ...nodes.map((node) => node.y + size.height)),
  };
}

/** A smooth line through points, level at each of them. */
export function curve(points: readonly { x: number; y: number }[]): string {
  const round = (n: number) => Math.round(n * 10) / 10;
  return points
    .map(({ x, y }, i) => {
      const before = points[i - 1];
      if (!before) return `M${round(x)} ${round(y)}`;
      const middle = round((before.x + x) / 2);
      return `C${middle} ${round(before.y)} ${middle} ${round(y)} ${round(x)} ${round(y)}`;
    })
    .join("");
}
