/** Variables a query may use, filled in here since the server knows nothing of the view: `$__interval` and kin. */
import { formatDuration } from "../time/duration";

/** The filled-in text, and a way back from its offsets to those of the source. */
export interface Expanded {
  text: string;
  toSource: (offset: number) => number;
}

/** `scrapeMs` is the interval assumed between samples; rates read at least four of them. */
export function expandVariables(source: string, stepMs: number, rangeMs: number, scrapeMs = 10_000): Expanded {
  const values: Record<string, string> = {
    $__interval: formatDuration(stepMs),
    $__rate_interval: formatDuration(Math.max(stepMs + scrapeMs, 4 * scrapeMs)),
    $__range: formatDuration(rangeMs),
  };
  const pieces: { sentEnd: number; sourceStart: number; sourceEnd: number; verbatim: boolean }[] = [];
  let text = "";
  let at = 0;
  for (const match of source.matchAll(/\$__(?:rate_interval|interval|range)\b/g)) {
    const index = match.index;
    text += source.slice(at, index);
    pieces.push({ sentEnd: text.length, sourceStart: at, sourceEnd: index, verbatim: true });
    text += values[match[0]] ?? match[0];
    pieces.push({ sentEnd: text.length, sourceStart: index, sourceEnd: index + match[0].length, verbatim: false });
    at = index + match[0].length;
  }
  text += source.slice(at);
  pieces.push({ sentEnd: text.length, sourceStart: at, sourceEnd: source.length, verbatim: true });
  const toSource = (offset: number): number => {
    let sentStart = 0;
    for (const piece of pieces) {
      if (offset < piece.sentEnd) {
        return piece.verbatim ? piece.sourceStart + offset - sentStart : piece.sourceStart;
      }
      sentStart = piece.sentEnd;
    }
    return source.length;
  };
  return { text, toSource };
}
