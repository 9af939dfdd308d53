/** Schedules and escalation policies as they are kept. What a form has no field for stays as it is. */

export type Rotation = "daily" | "weekly" | { days: number } | { hours: number };

export interface Layer {
  name?: string;
  people: string[];
  start: string;
  until?: string;
  rotation: Rotation;
  handover?: { time?: string; weekday?: string };
  restrictions?: object[];
}

export interface Override {
  person: string;
  from: string;
  until: string;
  reason?: string;
}

export interface ScheduleSpec {
  description?: string;
  time_zone?: string;
  timeZone?: string;
  layers: Layer[];
  overrides?: Override[];
}

export type Target = { schedule: string } | { person: string } | { channel: string };
export type TargetKind = "schedule" | "person" | "channel";

export interface Repeat {
  times: number;
  every: string;
}

export interface Level {
  after?: string;
  targets: Target[];
  repeat?: Repeat;
}

export interface EscalationSpec {
  description?: string;
  levels: Level[];
  repeat?: Repeat;
  ack_timeout?: string;
  ackTimeout?: string;
}

export const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/** A local day as the server reads it: `2030-01-07`. */
export function localDay(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
}

export const emptyLayer = (nowMs: number): Layer => ({ people: [], start: localDay(nowMs), rotation: "weekly", handover: { time: "09:00", weekday: "monday" } });
export const emptySchedule = (nowMs: number, zone: string): ScheduleSpec => ({ time_zone: zone, layers: [emptyLayer(nowMs)] });
export const emptyPolicy = (): EscalationSpec => ({ levels: [{ targets: [] }] });

export type RotationKind = "daily" | "weekly" | "days" | "hours";
export const rotationKind = (rotation: Rotation): RotationKind => (typeof rotation === "string" ? rotation : "days" in rotation ? "days" : "hours");
export const rotationCount = (rotation: Rotation): number => (typeof rotation === "string" ? 1 : "days" in rotation ? rotation.days : rotation.hours);
export function rotationOf(kind: RotationKind, count: number): Rotation {
  if (kind === "days") return { days: count };
  return kind === "hours" ? { hours: count } : kind;
}

/** Lines and commas between people. */
export const peopleOf = (text: string): string[] => text.split(/[\s,;]+/).filter((one) => one !== "");

export const targetKind = (target: Target): TargetKind => ("schedule" in target ? "schedule" : "person" in target ? "person" : "channel");
export const targetName = (target: Target): string => String(Object.values(target)[0] ?? "");
export const targetOf = (kind: TargetKind, name: string): Target => ({ [kind]: name }) as Target;

export const targetText = (target: Target): string => ({ schedule: `whoever has ${targetName(target)}`, person: targetName(target), channel: `channel ${targetName(target)}` })[targetKind(target)];

/** A policy in a line: who is called, one after the other. */
export const policyText = (spec: EscalationSpec): string =>
  spec.levels.map((level, n) => `${n > 0 || level.after ? `${level.after && level.after !== "0s" ? `after ${level.after} ` : ""}` : ""}${level.targets.map(targetText).join(" and ") || "nobody"}`).join(" → ");

export function scheduleFaults(spec: ScheduleSpec): Record<string, string> {
  const faults: Record<string, string> = {};
  spec.layers.forEach((layer, n) => {
    if (layer.people.length === 0) faults[`layers[${n}].people`] = "somebody is needed";
    if (layer.start.trim() === "") faults[`layers[${n}].start`] = "say when it begins";
  });
  (spec.overrides ?? []).forEach((one, n) => {
    if (one.person.trim() === "") faults[`overrides[${n}].person`] = "somebody is needed";
    if (!one.from || !one.until) faults[`overrides[${n}].from`] = "say from when until when";
  });
  return faults;
}

export function policyFaults(spec: EscalationSpec): Record<string, string> {
  const faults: Record<string, string> = {};
  spec.levels.forEach((level, n) => {
    if (level.targets.length === 0) faults[`levels[${n}].targets`] = "somebody is needed";
    level.targets.forEach((target, m) => {
      if (targetName(target).trim() === "") faults[`levels[${n}].targets[${m}]`] = "name it";
    });
  });
  return faults;
}

/** As it is saved: without empty texts and lists. */
export function scheduleBody(spec: ScheduleSpec): ScheduleSpec {
  const { description, overrides, ...rest } = spec;
  const layers = rest.layers.map(({ name, until, handover, restrictions, ...layer }): Layer => {
    // Only turns of whole weeks are handed over on a day of the week.
    const kind = rotationKind(layer.rotation);
    const weekly = kind === "weekly" || (kind === "days" && rotationCount(layer.rotation) % 7 === 0);
    const kept = Object.fromEntries(Object.entries(handover ?? {}).filter(([key, value]) => value && (key !== "weekday" || weekly)));
    return { ...(name?.trim() && { name: name.trim() }), ...layer, ...(until?.trim() && { until }), ...(Object.keys(kept).length > 0 && { handover: kept }), ...(restrictions?.length && { restrictions }) };
  });
  const exceptions = (overrides ?? []).map(({ reason, ...one }): Override => ({ ...one, person: one.person.trim(), ...(reason?.trim() && { reason }) }));
  return { ...(description?.trim() && { description }), ...rest, layers, ...(exceptions.length > 0 && { overrides: exceptions }) };
}

export function policyBody(spec: EscalationSpec): EscalationSpec {
  const { description, repeat, ack_timeout: hold, ...rest } = spec;
  const levels = rest.levels.map(({ after, targets, repeat: again }): Level => ({ ...(after?.trim() && { after }), targets, ...(again && { repeat: again }) }));
  return { ...(description?.trim() && { description }), ...rest, levels, ...(repeat && { repeat }), ...(hold?.trim() && { ack_timeout: hold }) };
}
