/** The form of a check, and the body that the API takes. */
import { kindOf, type ConfigField } from "./kinds";
import type { CheckConfig, CheckSpec, CheckType, CheckView } from "./types";

export const emptyCheck = (type: CheckType = "http"): CheckSpec => ({
  name: "",
  type,
  target: "",
  interval: 60,
  timeout: 10,
  retries: 3,
  config: configOf(type, {}),
  isActive: true,
  critical: true,
});

/** The value at a path such as `tls.ca`. */
export function valueAt(config: CheckConfig, path: string): unknown {
  return path.split(".").reduce<unknown>((inside, key) => (inside !== null && typeof inside === "object" ? (inside as CheckConfig)[key] : undefined), config);
}

/** The configuration with another value at a path; undefined takes it out, with what is empty around it. */
export function withValue(config: CheckConfig, path: string, value: unknown): CheckConfig {
  const [first = "", ...rest] = path.split(".");
  const { [first]: before, ...others } = config;
  const next = rest.length === 0 ? value : withValue((before ?? {}) as CheckConfig, rest.join("."), value);
  const nothing = next === undefined || next === null || next === "" || (typeof next === "object" && !Array.isArray(next) && Object.keys(next).length === 0) || (Array.isArray(next) && next.length === 0);
  return nothing ? others : { ...config, [first]: next };
}

/** What of a configuration another type takes, with what it cannot do without. */
export function configOf(type: CheckType, before: CheckConfig): CheckConfig {
  let config: CheckConfig = {};
  for (const field of kindOf(type).fields) {
    const value = valueAt(before, field.path) ?? (field.required ? field.choices?.[0] : undefined);
    if (value !== undefined) config = withValue(config, field.path, value);
  }
  return config;
}

export function withType(check: CheckSpec, type: CheckType): CheckSpec {
  return { ...check, type, target: kindOf(type).targetless ? "" : check.target, config: configOf(type, check.config ?? {}) };
}

/** What people write of a check that the server answered. */
export function specOf(view: CheckView): CheckSpec {
  const { id: _id, createdAt: _c, updatedAt: _u, version: _v, state: _s, pushUrl: _p, file: _f, warnings: _w, config, quorum, runbook, ...spec } = view;
  return { ...spec, ...(config && { config }), ...(quorum != null && { quorum }), ...(runbook != null && { runbook }) };
}

/** A field's value as its text control shows it. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(String).join(", ");
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}

/** What was typed as the API takes it; undefined for nothing, an error for what cannot be read. */
export function readText(field: ConfigField, text: string): { value: unknown } | { problem: string } {
  const trimmed = text.trim();
  if (trimmed === "") return { value: undefined };
  switch (field.kind) {
    case "number": {
      const number = Number(trimmed.replace(",", "."));
      return Number.isFinite(number) ? { value: number } : { problem: "is not a number" };
    }
    case "list":
      return { value: trimmed.split(",").map((part) => part.trim()).filter((part) => part !== "") };
    case "json":
      try {
        return { value: JSON.parse(trimmed) as unknown };
      } catch {
        return { problem: "is not JSON" };
      }
    default:
      return { value: field.kind === "lines" || field.kind === "secret" ? text : trimmed };
  }
}

export type CheckFaults = Record<string, string>;

/** What is wrong before the server has to say so; keys are paths of the body. */
export function checkFaults(check: CheckSpec): CheckFaults {
  const faults: CheckFaults = {};
  const kind = kindOf(check.type);
  const whole = (name: "interval" | "timeout" | "retries", least: number, most: number) => {
    const value = check[name];
    if (!Number.isInteger(value) || value < least || value > most) faults[name] = `write a whole number from ${least} to ${most}`;
  };
  if (check.name.trim() === "") faults.name = "a name is needed";
  if (!kind.targetless && check.target.trim() === "") faults.target = `${kind.target.toLowerCase()}: is needed`;
  whole("interval", 1, 86_400);
  whole("timeout", 1, Number.isInteger(check.interval) ? Math.max(1, check.interval) : 86_400);
  whole("retries", 0, 10);
  for (const field of kind.fields) {
    if (field.required && valueAt(check.config ?? {}, field.path) === undefined) faults[`config.${field.path}`] = "is needed";
  }
  return faults;
}

/** The body: nothing empty, nothing that its type is not told. */
export function checkBody(check: CheckSpec): CheckSpec {
  const { description, labels, dependsOn, locations, quorum, runbook, config, ...rest } = check;
  const filled = Object.fromEntries(Object.entries(labels ?? {}).filter(([name]) => name.trim() !== ""));
  const known = configOf(check.type, config ?? {});
  return {
    ...rest,
    name: check.name.trim(),
    target: kindOf(check.type).targetless ? "" : check.target.trim(),
    ...(Object.keys(known).length > 0 && { config: known }),
    ...(description?.trim() && { description: description.trim() }),
    ...(Object.keys(filled).length > 0 && { labels: filled }),
    ...(dependsOn && dependsOn.length > 0 && { dependsOn }),
    ...(locations && locations.length > 0 && { locations }),
    ...(quorum !== undefined && quorum !== null && Number.isFinite(quorum) && { quorum }),
    ...(runbook?.trim() && { runbook: runbook.trim() }),
  };
}
