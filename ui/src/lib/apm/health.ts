/** How a service or a call does, in the server's words and in those of the pages. */

export type Tone = "ok" | "warn" | "bad";

/** The server's thresholds: one in a hundred fails, one in twenty fails. */
export const toneOf = (errorRate: number): Tone => (errorRate >= 0.05 ? "bad" : errorRate >= 0.01 ? "warn" : "ok");

export const WORDS: Record<Tone, string> = { ok: "healthy", warn: "some errors", bad: "failing" };

/** Milliseconds for reading, from the server's milliseconds. */
export const msText = (ms: number | null | undefined): string => {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toPrecision(3))} s`;
};

/** A part that fails: `0.4 %`, never a zero for what is not zero. */
export function errorText(rate: number): string {
  if (rate <= 0) return "0 %";
  if (rate < 0.001) return "< 0.1 %";
  return `${Number((rate * 100).toFixed(1))} %`;
}
