/** uPlot's options for a chart of ours: axes with units, our colours, stacks, dots for exemplars. */
import uPlot from "uplot";
import { formatTick, type Unit } from "../format";
import { drawBands, drawRules, withRules, type Band, type Rule } from "./marks";
import { resolveColor, withAlpha } from "./palette";

/** How one series is drawn. `color` is a custom property, resolved when painted. */
export interface Stroke {
  name: string;
  color: string;
  show: boolean;
}

/** A dot beside the lines: an exemplar at epoch milliseconds. */
export interface Dot {
  t: number;
  value: number;
  label: string;
  /** The trace it was taken from, empty where it names none. */
  traceId: string;
}

export interface PlotSetup {
  width: number;
  height: number;
  strokes: readonly Stroke[];
  unit: Unit;
  stacked: boolean;
  max?: number;
  syncKey: string;
  /** The visible range, read on every scale pass, so that a live chart can slide. */
  range: () => { from: number; to: number };
  dots: () => readonly Dot[];
  /** Limits across the picture, which is high enough to show them. */
  rules: () => readonly Rule[];
  /** Stretches of time that are shaded. */
  bands: () => readonly Band[];
  onZoom: (from: number, to: number) => void;
  onCursor: (plot: uPlot) => void;
}

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** Y-axis steps that are round in powers of two, for byte scales. */
const BYTE_STEPS = Array.from({ length: 60 }, (_, i) => 2 ** i);

/** Both ends of the y axis; never equal, nor closer than numbers of their size can tell apart. */
export function yRange(min: number | null, max: number | null, fixedMax: number | undefined): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, fixedMax ?? 1];
  const low = Math.min(min, 0);
  const high = fixedMax !== undefined ? Math.max(fixedMax, max) : max;
  if (low === high) return [low, low + (low === 0 ? 1 : Math.abs(low) * 0.1)];
  // Starting at zero is honest, unless all values huddle far above it. A value that never changes does not huddle.
  const spread = (max - min) / max;
  const huddled = min > 0 && spread < 0.05 && spread > 1e-9 && fixedMax === undefined;
  return huddled ? [min - (max - min) * 0.5, max + (max - min) * 0.5] : [low, high === fixedMax ? high : high * 1.05];
}

/** The largest value with the dots counted in, so that they are seen; one far away does not flatten the lines. */
export function withDots(max: number, dots: readonly Dot[]): number {
  return dots.reduce((most, dot) => Math.max(most, Math.min(dot.value, max * 2)), max);
}

/** Where a dot stands, in pixels of the plot; what lies above the picture stands at its top edge. */
export function dotPlace(plot: uPlot, dot: Dot, canvas: boolean): { x: number; y: number } {
  const top = canvas ? plot.bbox.top : 0;
  return { x: plot.valToPos(dot.t / 1000, "x", canvas), y: Math.max(plot.valToPos(dot.value, "y", canvas), top) };
}

function drawDots(plot: uPlot, dots: readonly Dot[]): void {
  const { ctx } = plot;
  const size = 4 * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = resolveColor("--accent");
  ctx.strokeStyle = resolveColor("--surface");
  for (const dot of dots) {
    const { x, y } = dotPlace(plot, dot, true);
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

/** Options for one chart. Data columns must follow `strokes` in order. */
export function plotOptions(setup: PlotSetup): uPlot.Options {
  const axis = (): Partial<uPlot.Axis> => ({
    stroke: () => resolveColor("--text-3"),
    font: FONT,
    grid: { stroke: () => resolveColor("--grid"), width: 1 },
    ticks: { show: false },
  });
  const shown = setup.strokes.map((stroke, i) => ({ stroke, i })).filter((entry) => entry.stroke.show);
  const bands: uPlot.Band[] = [];
  if (setup.stacked) {
    for (let k = 1; k < shown.length; k += 1) {
      const [upper, lower] = [shown[k], shown[k - 1]];
      if (!upper || !lower) continue;
      bands.push({
        series: [upper.i + 1, lower.i + 1],
        fill: () => withAlpha(resolveColor(upper.stroke.color), 0.45),
      });
    }
  }
  const options: uPlot.Options = {
    width: setup.width,
    height: setup.height,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    bands,
    scales: {
      x: {
        time: true,
        range: () => {
          const { from, to } = setup.range();
          return [from / 1000, to / 1000];
        },
      },
      y: {
        range: (_plot, min, max) => {
          const seen = withRules(min, max, setup.rules());
          return yRange(seen.min, seen.max === null ? null : withDots(seen.max, setup.dots()), setup.max);
        },
      },
    },
    axes: [
      { ...axis(), size: 28, gap: 8, space: 72, values: timeTicks },
      {
        ...axis(),
        // One width for all but the longest labels, so that charts above each other share their time axis.
        size: (_plot, values) => Math.max(64, 8 + Math.max(0, ...(values ?? []).map((v) => String(v).length)) * 6.4),
        gap: 4,
        space: 32,
        ...(setup.unit.startsWith("bytes") ? { incrs: BYTE_STEPS } : {}),
        values: (_plot, splits, _axis, _space, increment) => splits.map((v) => formatTick(v, setup.unit, increment)),
      },
    ],
    cursor: {
      sync: { key: setup.syncKey, setSeries: false },
      points: { size: 6, width: 1.5 },
      drag: { x: true, y: false, setScale: false },
      focus: { prox: 24 },
    },
    focus: { alpha: 1 },
    series: [
      {},
      ...setup.strokes.map((stroke, i): uPlot.Series => {
        const bottom = setup.stacked && shown[0]?.i === i;
        return {
          label: stroke.name,
          show: stroke.show,
          stroke: () => resolveColor(stroke.color),
          width: setup.stacked ? 1 : 1.5,
          spanGaps: false,
          points: { show: false },
          ...(bottom ? { fill: () => withAlpha(resolveColor(stroke.color), 0.45) } : {}),
        };
      }),
    ],
    hooks: {
      drawAxes: [(plot) => drawBands(plot, setup.bands())],
      draw: [(plot) => drawRules(plot, setup.rules()), (plot) => drawDots(plot, setup.dots())],
      setCursor: [setup.onCursor],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const from = plot.posToVal(plot.select.left, "x") * 1000;
          const to = plot.posToVal(plot.select.left + plot.select.width, "x") * 1000;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          setup.onZoom(from, to);
        },
      ],
    },
  };
  return options;
}

const two = (n: number) => String(n).padStart(2, "0");

/** Clock times, with the date where a day begins; seconds only when ticks are that close. */
function timeTicks(_plot: uPlot, splits: number[], _axis: number, _space: number, increment: number): string[] {
  let lastDay = "";
  return splits.map((seconds) => {
    const d = new Date(seconds * 1000);
    const day = `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
    const midnight = d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0;
    const changed = lastDay !== "" && lastDay !== day;
    lastDay = day;
    if (increment >= 86_400) return day;
    if (midnight || changed) return day;
    const clock = `${two(d.getHours())}:${two(d.getMinutes())}`;
    return increment < 60 ? `${clock}:${two(d.getSeconds())}` : clock;
  });
}
