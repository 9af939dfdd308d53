/** Wait before the next attempt, in milliseconds: doubling from one second to thirty, with jitter of a half. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(1000 * 2 ** attempt, 30_000);
  return Math.round(full / 2 + (full / 2) * random);
}
