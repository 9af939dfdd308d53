/** Keys: which are near their end, and what a new one must say. */
import type { ApiKey, NewKey, Scope } from "../api/access";
import { humanDuration } from "../time/duration";
import { nameFault } from "./fields";

export const SCOPES: readonly { id: Scope; label: string; about: string }[] = [
  { id: "ingest", label: "Ingest", about: "send metrics, logs, traces and events" },
  { id: "query", label: "Query", about: "read them, and saved objects" },
  { id: "admin", label: "Admin", about: "everything within the tenant" },
];

/** A key that ends sooner is worth a warning. */
export const SOON_MS = 14 * 86_400_000;
/** A key unused for longer is probably forgotten. */
export const FORGOTTEN_MS = 90 * 86_400_000;

export type KeyState = "active" | "expiring" | "expired" | "revoked";

export function keyState(key: Pick<ApiKey, "expires_at" | "revoked_at">, nowMs: number): KeyState {
  const at = (time: string | null) => (time === null ? Infinity : Date.parse(time));
  // A rotated key is revoked at a moment to come: until then it works.
  if (at(key.revoked_at) <= nowMs) return "revoked";
  const end = Math.min(at(key.expires_at), at(key.revoked_at));
  if (end <= nowMs) return "expired";
  return end - nowMs <= SOON_MS ? "expiring" : "active";
}

export const KEY_TONES = { active: "ok", expiring: "warn", expired: "idle", revoked: "idle" } as const;

/** When a key stops working, in words; empty for one that does not. */
export function endText(key: Pick<ApiKey, "expires_at" | "revoked_at">, nowMs: number): string {
  const ends = [key.revoked_at, key.expires_at].filter((time) => time !== null).map((time) => Date.parse(time));
  if (ends.length === 0) return "never";
  const left = Math.min(...ends) - nowMs;
  return left > 0 ? `in ${humanDuration(left / 1000)}` : `${humanDuration(-left / 1000)} ago`;
}

export function isForgotten(key: Pick<ApiKey, "created_at" | "last_used_at">, nowMs: number): boolean {
  return nowMs - Date.parse(key.last_used_at ?? key.created_at) > FORGOTTEN_MS;
}

/** What needs a person, in one sentence; empty when nothing does. */
export function keysWarning(keys: readonly ApiKey[], nowMs: number): string {
  const soon = keys.filter((key) => keyState(key, nowMs) === "expiring");
  if (soon.length === 0) return "";
  const names = soon.slice(0, 3).map((key) => `“${key.name}”`).join(", ");
  const more = soon.length > 3 ? ` and ${soon.length - 3} more` : "";
  return `${names}${more} ${soon.length === 1 ? "ends" : "end"} within 14 days. Rotate and hand the new key out before.`;
}

export const EXPIRIES: readonly { label: string; days: number }[] = [
  { label: "30 days", days: 30 },
  { label: "90 days", days: 90 },
  { label: "1 year", days: 365 },
  { label: "Never", days: 0 },
];

export const OVERLAPS: readonly { label: string; seconds: number }[] = [
  { label: "at once", seconds: 0 },
  { label: "in 1 hour", seconds: 3600 },
  { label: "in 1 day", seconds: 86_400 },
  { label: "in 7 days", seconds: 7 * 86_400 },
  { label: "in 30 days", seconds: 30 * 86_400 },
];

export interface KeyForm {
  name: string;
  /** Empty for a key with scopes of its own. */
  account: string;
  scopes: readonly Scope[];
  days: number;
}

export function keyFault(form: KeyForm): { field: "name" | "scopes"; text: string } | null {
  const name = nameFault(form.name);
  if (name) return { field: "name", text: name };
  if (form.account === "" && form.scopes.length === 0) return { field: "scopes", text: "choose at least one scope, or a service account" };
  return null;
}

export function keyBody(form: KeyForm, nowMs: number): NewKey {
  return {
    name: form.name.trim(),
    ...(form.account === "" ? { scopes: [...form.scopes] } : { service_account: form.account }),
    ...(form.days > 0 && { expires_at: new Date(nowMs + form.days * 86_400_000).toISOString() }),
  };
}
