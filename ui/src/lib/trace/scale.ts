/** The window of time that a trace is drawn in. */

export interface Zoom {
  from: number;
  to: number;
}

/** A window within `[0, whole]`, at least a nanosecond and a ten-millionth of the whole long. */
export function clampZoom(zoom: Zoom, whole: number): Zoom {
  const least = Math.max(1, whole / 1e7);
  const length = Math.min(Math.max(zoom.to - zoom.from, least), Math.max(whole, least));
  const from = Math.min(Math.max(zoom.from, 0), Math.max(whole - length, 0));
  return { from, to: from + length };
}

/** The window `factor` times as long, with the instant at `anchor` (0 to 1 across) staying where it is. */
export function zoomed(zoom: Zoom, factor: number, anchor: number, whole: number): Zoom {
  const at = zoom.from + (zoom.to - zoom.from) * anchor;
  return clampZoom({ from: at - (at - zoom.from) * factor, to: at + (zoom.to - at) * factor }, whole);
}

/** A span with a little room on either side. */
export function zoomTo(start: number, duration: number, whole: number): Zoom {
  const room = Math.max(duration * 0.05, 1);
  return clampZoom({ from: start - room, to: start + duration + room }, whole);
}

export function shifted(zoom: Zoom, by: number, whole: number): Zoom {
  return clampZoom({ from: zoom.from + by, to: zoom.to + by }, whole);
}

/** `0-1500000` in the address; null for the whole trace or nonsense. */
export function readZoom(text: string | null, whole: number): Zoom | null {
  const parts = /^(\d+)-(\d+)$/.exec(text ?? "");
  if (!parts || Number(parts[1]) >= Number(parts[2])) return null;
  return clampZoom({ from: Number(parts[1]), to: Number(parts[2]) }, whole);
}

export const writeZoom = (zoom: Zoom, whole: number): string | null =>
  zoom.from <= 0 && zoom.to >= whole ? null : `${Math.floor(zoom.from)}-${Math.ceil(zoom.to)}`;
