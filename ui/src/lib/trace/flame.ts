/** The flame view: time across, calls downwards. Spans that overlap get lanes of their own below their parent. */
import type { TraceModel } from "./model";

/** Finds the first lane from a given one that is free at a time; a tree of the smallest end per range of lanes. */
class Lanes {
  private readonly size: number;
  private readonly ends: Float64Array;

  constructor(lanes: number) {
    this.size = 2 ** Math.ceil(Math.log2(Math.max(lanes, 1)));
    this.ends = new Float64Array(this.size * 2).fill(-Infinity);
  }

  /** The first lane at or after `from` whose last span ended by `start`, taken until `end`. */
  take(from: number, start: number, end: number): number {
    let node = from + this.size;
    // Up while this range is busy or lies wholly behind, then down to its first free lane.
    while ((this.ends[node] as number) > start) {
      while ((node & 1) === 1) node >>= 1;
      if (node === 0) return this.size - 1;
      node += 1;
    }
    while (node < this.size) node = (this.ends[node * 2] as number) <= start ? node * 2 : node * 2 + 1;
    const lane = node - this.size;
    this.ends[node] = Math.max(end, this.ends[node] as number);
    for (node >>= 1; node >= 1; node >>= 1) {
      this.ends[node] = Math.min(this.ends[node * 2] as number, this.ends[node * 2 + 1] as number);
    }
    return lane;
  }
}

export interface Flame {
  /** Lane of each row. */
  lane: Int32Array;
  lanes: number;
  /** Rows lane by lane, by start within a lane; `first[l]` is where lane l begins in it. */
  byLane: Int32Array;
  first: Int32Array;
}

/** Gives every row a lane below its parent's, such that no two rows of a lane overlap. */
export function flameOf(model: TraceModel): Flame {
  const { rows } = model;
  const lane = new Int32Array(rows);
  const order = Int32Array.from({ length: rows }, (_, row) => row);
  // Parents come before children that start with them: rows are in tree order already.
  order.sort((a, b) => (model.start[a] as number) - (model.start[b] as number) || a - b);
  const placed = new Uint8Array(rows);
  const lanes = new Lanes(rows + model.maxDepth + 1);
  let most = 0;
  const put = (row: number): void => {
    const parent = model.parent[row] as number;
    const from = parent < 0 ? 0 : (lane[parent] as number) + 1;
    const start = model.start[row] as number;
    lane[row] = lanes.take(from, start, start + (model.duration[row] as number));
    placed[row] = 1;
    most = Math.max(most, (lane[row] as number) + 1);
  };
  for (const row of order) {
    if (placed[row] === 1) continue;
    // Clocks of two machines differ, so a child may start before its parent: the parent is placed first all the same.
    const waiting: number[] = [];
    for (let at = row; at >= 0 && placed[at] === 0; at = model.parent[at] as number) waiting.push(at);
    while (waiting.length > 0) put(waiting.pop() as number);
  }
  const first = new Int32Array(most + 1);
  for (const l of lane) first[l + 1] = (first[l + 1] as number) + 1;
  for (let l = 0; l < most; l += 1) first[l + 1] = (first[l + 1] as number) + (first[l] as number);
  const next = first.slice();
  const byLane = new Int32Array(rows);
  for (const row of order) {
    const l = lane[row] as number;
    byLane[next[l] as number] = row;
    next[l] = (next[l] as number) + 1;
  }
  return { lane, lanes: most, byLane, first };
}

/** The row drawn in `lane` at `time`, or within `slack` of it; -1 when there is none. */
export function rowAt(model: TraceModel, flame: Flame, lane: number, time: number, slack: number): number {
  if (lane < 0 || lane >= flame.lanes) return -1;
  let [best, away] = [-1, slack];
  for (let i = flame.first[lane] as number; i < (flame.first[lane + 1] as number); i += 1) {
    const row = flame.byLane[i] as number;
    const start = model.start[row] as number;
    if (start > time + slack) break;
    const end = start + (model.duration[row] as number);
    const distance = time < start ? start - time : time > end ? time - end : 0;
    if (distance <= away) [best, away] = [row, distance];
  }
  return best;
}
