/** Silences: which there are, how long they last, and what is asked of the server. */
import type { NewSilence, Silence } from "../api/alerts";
import { parseTime } from "../time/range";
import { written, type Matcher } from "./matchers";

export const SILENCE_TONES: Record<string, "ok" | "warn" | "bad" | "idle"> = { active: "warn", pending: "idle", expired: "idle" };

/** Lengths that are offered, as `parseTime` reads them behind `now+`. */
export const LENGTHS: readonly [length: string, label: string][] = [
  ["30m", "30 minutes"],
  ["2h", "2 hours"],
  ["8h", "8 hours"],
  ["1d", "1 day"],
  ["7d", "7 days"],
];

export interface SilenceForm {
  matchers: Matcher[];
  /** Empty for now; else what a `datetime-local` field holds. */
  starts: string;
  /** One of the lengths, or empty where `ends` says until when. */
  length: string;
  ends: string;
  comment: string;
}

export function emptySilence(matchers: readonly Matcher[] = []): SilenceForm {
  const rows = matchers.map((one) => ({ ...one }));
  return { matchers: rows.length > 0 ? rows : [{ label: "", operator: "=", value: "" }], starts: "", length: "2h", ends: "", comment: "" };
}

/** Epoch milliseconds of a `datetime-local` field, which is in the reader's zone. */
const momentOf = (text: string): number => (text === "" ? NaN : Date.parse(text));

export function endOf(form: Pick<SilenceForm, "starts" | "length" | "ends">, nowMs: number): number {
  const start = form.starts === "" ? nowMs : momentOf(form.starts);
  return form.length === "" ? momentOf(form.ends) : (parseTime(`now+${form.length}`, start) ?? NaN);
}

export type SilenceFaults = Partial<Record<"matchers" | "starts" | "ends" | "comment", string>>;

export function silenceFaults(form: SilenceForm, nowMs: number): SilenceFaults {
  const faults: SilenceFaults = {};
  const filled = form.matchers.filter((one) => one.label.trim() !== "");
  if (filled.length === 0) faults.matchers = "name at least one label, such as alertname or service";
  else if (form.matchers.some((one) => one.label.trim() === "" && one.value !== "")) faults.matchers = "a value stands without its label";
  else if (filled.every((one) => matchesEmpty(one))) faults.matchers = "these conditions also hold for alerts without such labels: make one that needs a value";
  if (form.starts !== "" && !Number.isFinite(momentOf(form.starts))) faults.starts = "is not a time";
  const end = endOf(form, nowMs);
  if (!Number.isFinite(end)) faults.ends = "say until when";
  else if (end <= (form.starts === "" ? nowMs : momentOf(form.starts))) faults.ends = "lies before its start";
  else if (end <= nowMs) faults.ends = "is over already";
  if (form.comment.trim() === "") faults.comment = "say why, for whoever wonders why nobody was told";
  return faults;
}

/** Whether a condition holds where there is no such label. */
function matchesEmpty({ operator, value }: Matcher): boolean {
  if (operator === "=") return value === "";
  if (operator === "!=") return value !== "";
  try {
    const matches = new RegExp(`^(?:${value})$`, "s").test("");
    return operator === "=~" ? matches : !matches;
  } catch {
    // Written for another engine; the server judges it.
    return false;
  }
}

export function silenceBody(form: SilenceForm, nowMs: number): NewSilence {
  return {
    matchers: written(form.matchers),
    ...(form.starts !== "" && { startsAt: new Date(momentOf(form.starts)).toISOString() }),
    endsAt: new Date(endOf(form, nowMs)).toISOString(),
    comment: form.comment.trim(),
  };
}

/** The same silence until later: from its end where it goes on, from now where it is over. */
export function extended(silence: Pick<Silence, "matchers" | "startsAt" | "endsAt" | "comment" | "state">, length: string, nowMs: number): NewSilence {
  const from = Math.max(Date.parse(silence.endsAt), nowMs);
  const body = { matchers: silence.matchers, endsAt: new Date(parseTime(`now+${length}`, from) ?? from).toISOString(), comment: silence.comment };
  return silence.state === "expired" ? body : { ...body, startsAt: silence.startsAt };
}

/** What goes on first, then what is to come, then what is over, the latest end first. */
export function silencesShown<T extends Pick<Silence, "state" | "startsAt" | "endsAt" | "matchers" | "comment" | "createdBy">>(silences: readonly T[], text: string, state: string): T[] {
  const rank = (one: T) => ["active", "pending", "expired"].indexOf(one.state);
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return silences
    .filter((one) => (state === "" ? one.state !== "expired" : one.state === state))
    .filter((one) => {
      const hay = `${one.matchers.join(" ")} ${one.comment} ${one.createdBy}`.toLowerCase();
      return words.every((word) => hay.includes(word));
    })
    .sort((a, b) => rank(a) - rank(b) || (a.state === "expired" ? b.endsAt.localeCompare(a.endsAt) : a.endsAt.localeCompare(b.endsAt)));
}
