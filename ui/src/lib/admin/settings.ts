/** A tenant's settings and limits as rows to read. */
import { formatValue, type Unit } from "../format";
import { QUOTAS } from "./usage";

/** What is in an object, inner ones under dotted names; in order of the names. */
export function flat(object: unknown, prefix = ""): [string, unknown][] {
  if (object === null || typeof object !== "object" || Array.isArray(object)) return [];
  return Object.entries(object)
    .sort(([a], [b]) => a.localeCompare(b))
    .flatMap(([key, value]): [string, unknown][] => {
      const name = prefix + key;
      return value !== null && typeof value === "object" && !Array.isArray(value) ? flat(value, `${name}.`) : [[name, value]];
    });
}

const unitOf = (key: string): Unit =>
  QUOTAS.find((quota) => quota.key === key)?.unit ?? (/bytes/.test(key) ? "bytes" : /seconds|_s$/.test(key) ? "seconds" : "short");

/** Limits by their label where there is one. */
export function limitRows(limits: unknown): [string, string][] {
  return flat(limits).map(([key, value]) => {
    const label = QUOTAS.find((quota) => quota.key === key)?.label ?? key.replaceAll("_", " ").replaceAll(".", ", ");
    return [label, typeof value === "number" ? formatValue(value, unitOf(key)) : String(value)];
  });
}

/** How long each signal is kept, as the settings say it. */
export function retentionRows(settings: Record<string, unknown>): [string, string][] {
  return flat(settings.retention).map(([signal, keep]) => [signal, keep === "off" || keep === null ? "kept for ever" : String(keep)]);
}

/** The settings written as JSON, read back; a fault says where. */
export function readSettings(text: string): { settings: Record<string, unknown>; fault: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return { settings: {}, fault: "must be an object in braces" };
    return { settings: value as Record<string, unknown>, fault: "" };
  } catch (error) {
    return { settings: {}, fault: error instanceof Error ? error.message : "is not JSON" };
  }
}
