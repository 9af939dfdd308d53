/** What is drawn over and under the lines of a chart: limits across it, and stretches of time. */
import type uPlot from "uplot";
import { resolveColor, withAlpha } from "./palette";

/** A limit: a dashed line across the picture. `color` is a custom property. */
export interface Rule {
  value: number;
  color: string;
  /** Written at its right end. */
  label: string;
  /** True for a line that matters less, with longer gaps. */
  faint?: boolean;
}

/** A stretch of time, epoch milliseconds, shaded over the whole height. */
export interface Band {
  from: number;
  to: number;
  color: string;
}

/** The range of values with the limits counted in, so that they are seen. */
export function withRules(min: number | null, max: number | null, rules: readonly Rule[]): { min: number | null; max: number | null } {
  const values = rules.map((rule) => rule.value).filter((value) => Number.isFinite(value));
  if (values.length === 0) return { min, max };
  return { min: Math.min(min ?? Infinity, ...values), max: Math.max(max ?? -Infinity, ...values) };
}

export function drawBands(plot: uPlot, bands: readonly Band[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const band of bands) {
    const left = Math.max(plot.valToPos(band.from / 1000, "x", true), bbox.left);
    const right = Math.min(plot.valToPos(band.to / 1000, "x", true), bbox.left + bbox.width);
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.fillStyle = withAlpha(resolveColor(band.color), 0.16);
    // However short, it can be seen.
    ctx.fillRect(left, bbox.top, Math.max(right - left, 2 * devicePixelRatio), bbox.height);
  }
  ctx.restore();
}

export function drawRules(plot: uPlot, rules: readonly Rule[]): void {
  const { ctx, bbox } = plot;
  const dpr = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * dpr}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  for (const rule of rules) {
    const y = Math.round(plot.valToPos(rule.value, "y", true));
    if (!Number.isFinite(y) || y < bbox.top - 1 || y > bbox.top + bbox.height + 1) continue;
    const color = resolveColor(rule.color);
    ctx.strokeStyle = color;
    ctx.fillStyle = color;
    ctx.lineWidth = dpr;
    ctx.setLineDash((rule.faint ? [2, 4] : [6, 3]).map((length) => length * dpr));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    // Below the line where there is no room above it.
    const below = y - bbox.top < 14 * dpr;
    ctx.textBaseline = below ? "top" : "bottom";
    ctx.fillText(rule.label, bbox.left + bbox.width - 4 * dpr, y + (below ? 2 : -2) * dpr);
  }
  ctx.restore();
}
