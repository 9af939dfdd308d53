/** Two weeks of a schedule as rows of seven days, in the reader's zone. */
import type { Shift } from "../api/oncall";

export const WEEKS = 2;
const DAYS = 7;

/** The Monday at or before a moment, at its local midnight, some weeks on. */
export function mondayOf(ms: number, weeks = 0): number {
  const date = new Date(ms);
  date.setHours(0, 0, 0, 0);
  date.setDate(date.getDate() - ((date.getDay() + 6) % 7) + weeks * DAYS);
  return date.getTime();
}

/** The local midnight so many days later; days are not all 24 hours long. */
export function dayAfter(ms: number, days: number): number {
  const date = new Date(ms);
  date.setDate(date.getDate() + days);
  return date.getTime();
}

/** A piece of a shift within one week; `left` and `width` are shares of the week. */
export interface Piece {
  shift: Shift;
  left: number;
  width: number;
  /** It goes on before or after this week. */
  before: boolean;
  after: boolean;
}

export interface Week {
  from: number;
  until: number;
  /** Midnights of its seven days. */
  days: number[];
  pieces: Piece[];
  /** Parts of the week in which nobody is on duty. */
  gaps: { left: number; width: number }[];
}

/** Shares shorter than this are rounding, no gap: a second of a week. */
const EPSILON = 1 / (7 * 86_400);

export function weeksOf(shifts: readonly Shift[], monday: number, weeks = WEEKS): Week[] {
  return Array.from({ length: weeks }, (_, week) => {
    const days = Array.from({ length: DAYS }, (_, day) => dayAfter(monday, week * DAYS + day));
    const from = days[0] ?? monday;
    const until = dayAfter(monday, (week + 1) * DAYS);
    // Days are as wide as each other, whether or not clocks are set on one of them.
    const share = (ms: number) => {
      if (ms <= from) return 0;
      if (ms >= until) return 1;
      const day = days.findLastIndex((start) => start <= ms);
      const start = days[day] ?? from;
      const end = days[day + 1] ?? until;
      return (day + (ms - start) / (end - start)) / DAYS;
    };
    const pieces = shifts
      .filter((shift) => Date.parse(shift.from) < until && Date.parse(shift.until) > from)
      .map((shift): Piece => {
        const [begin, end] = [Date.parse(shift.from), Date.parse(shift.until)];
        const left = share(begin);
        return { shift, left, width: share(end) - left, before: begin < from, after: end > until };
      })
      .sort((a, b) => a.left - b.left);
    const gaps: Week["gaps"] = [];
    let at = 0;
    for (const piece of pieces) {
      if (piece.left - at > EPSILON) gaps.push({ left: at, width: piece.left - at });
      at = Math.max(at, piece.left + piece.width);
    }
    if (1 - at > EPSILON) gaps.push({ left: at, width: 1 - at });
    return { from, until, days, pieces, gaps };
  });
}

/** Colours that tell people apart, by the order in which they come. */
const COLOURS = 8;
export function coloursOf(shifts: readonly Shift[]): Map<string, number> {
  const people = [...new Set(shifts.map((shift) => shift.person))].sort();
  return new Map(people.map((person, i) => [person, (i % COLOURS) + 1]));
}

/** `ann` of `ann@example.com`, where that tells people apart. */
export function shortName(person: string, all: readonly string[]): string {
  const own = person.split("@")[0] ?? person;
  return all.some((one) => one !== person && one.split("@")[0] === own) ? person : own;
}

export const isOverride = (shift: Shift): boolean => shift.override !== null && shift.override !== undefined;
