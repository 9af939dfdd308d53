/** A text cut into coloured spans, with a fault underlined. */

export interface Piece {
  start: number;
  end: number;
  /** One of the editor's colours, or anything for plain text. */
  kind: string;
}

export interface Span {
  text: string;
  kind: string;
  fault: boolean;
}

/** Spans that together spell `text`; a fault may begin or end inside a piece, which is cut there. */
export function cutSpans(text: string, pieces: readonly Piece[], fault: { start: number; end: number } | null): Span[] {
  const stretch = fault && fault.start >= 0 && fault.start < fault.end ? fault : null;
  return pieces.flatMap(({ start, end, kind }) => {
    const inner = stretch ? [stretch.start, stretch.end].filter((cut) => cut > start && cut < end) : [];
    const cuts = [start, ...inner, end];
    return cuts.slice(1).map((to, i) => {
      const from = cuts[i] ?? 0;
      return { text: text.slice(from, to), kind, fault: stretch !== null && stretch.start <= from && to <= stretch.end };
    });
  });
}
