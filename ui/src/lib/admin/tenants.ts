/** Tenants as rows of a table, and what making one went through. */
import type { Provisioned, Tenant } from "../api/tenants";

export const TENANT_TONES: Record<string, "ok" | "warn" | "bad" | "idle"> = {
  active: "ok",
  creating: "warn",
  suspended: "warn",
  deleting: "bad",
};

const collator = new Intl.Collator("en", { numeric: true });

export function tenantsShown(tenants: readonly Tenant[], filter: string, state: string): Tenant[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return tenants
    .filter((tenant) => state === "" || tenant.state === state)
    .filter((tenant) => words.every((word) => `${tenant.id} ${tenant.name}`.toLowerCase().includes(word)))
    .sort((a, b) => collator.compare(a.name, b.name) || collator.compare(a.id, b.id));
}

const STEPS: Record<string, string> = {
  create_schema: "A database of its own",
  apply_migrations: "Its tables",
  configure_settings: "Settings and limits",
  create_admin: "Its administrator",
  default_dashboards: "Dashboards and rules to start with",
};

/** The steps that were taken, each with how long after the one before it was done. */
export function stepRows(steps: Provisioned["steps"]): { label: string; ms: number | null }[] {
  return steps.map((step, i) => {
    const before = steps[i - 1];
    const ms = before ? Date.parse(step.at) - Date.parse(before.at) : null;
    return { label: STEPS[step.name] ?? step.name.replaceAll("_", " "), ms: ms !== null && Number.isFinite(ms) ? ms : null };
  });
}

/** Tenants that the platform itself lives in are not deleted. */
export const isKept = (id: string): boolean => id === "default" || id === "platform";
