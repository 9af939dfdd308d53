/** What a session may do, and which pages and parts of the administration that opens. */

import type { Schemas } from "../api/types";

export type Permission = Schemas["Permission"];

export const PERMISSIONS: readonly Permission[] = [
  "telemetry:read",
  "telemetry:write",
  "objects:read",
  "objects:write",
  "alerts:respond",
  "members:read",
  "members:manage",
  "keys:manage",
  "settings:read",
  "settings:manage",
  "audit:read",
  "data:delete",
  "platform:manage",
];

/** One permission, or a list of which any will do; an empty list needs nothing. */
export type Need = Permission | readonly Permission[];

/** What is missing: nothing when the need is met, else every permission that would meet it. */
export function missing(need: Need, held: readonly string[]): readonly Permission[] {
  const wanted = typeof need === "string" ? [need] : need;
  return wanted.length === 0 || wanted.some((one) => held.includes(one)) ? [] : wanted;
}

export interface Section {
  /** Last part of its address. */
  id: string;
  title: string;
  needs: Permission;
  /** True when it reads the time range. */
  timed?: boolean;
}

/** The administration, in the order of its navigation. */
export const SECTIONS = [
  { id: "organisation", title: "Organisation", needs: "settings:read" },
  { id: "members", title: "Members", needs: "members:read" },
  { id: "roles", title: "Roles", needs: "members:read" },
  { id: "teams", title: "Teams and projects", needs: "members:read" },
  { id: "keys", title: "Keys", needs: "keys:manage" },
  { id: "service-accounts", title: "Service accounts", needs: "keys:manage" },
  { id: "sso", title: "Single sign-on", needs: "settings:manage" },
  { id: "usage", title: "Quotas and usage", needs: "settings:read" },
  { id: "audit", title: "Audit", needs: "audit:read", timed: true },
  { id: "tenants", title: "Tenants", needs: "platform:manage" },
] as const satisfies readonly Section[];
export type SectionId = (typeof SECTIONS)[number]["id"];

/** What opens the administration at all: any of its sections. */
export const ADMIN_NEEDS: readonly Permission[] = [...new Set(SECTIONS.map((section) => section.needs))];

export const sectionsFor = (held: readonly string[]) => SECTIONS.filter((section) => missing(section.needs, held).length === 0);

/** The alerting, in the order of its navigation. What fires is the bare address. */
export const ALERTING = [
  { id: "", title: "Firing", needs: "telemetry:read" },
  { id: "history", title: "History", needs: "telemetry:read", timed: true },
  { id: "rules", title: "Rules", needs: "objects:read" },
  { id: "silences", title: "Silences", needs: "telemetry:read" },
  { id: "channels", title: "Channels", needs: "objects:read" },
  { id: "routes", title: "Routes", needs: "objects:read" },
] as const satisfies readonly Section[];
export type AlertingId = (typeof ALERTING)[number]["id"];

/** Address of a part of the alerting. */
export const alertingPath = (id: AlertingId): string => (id === "" ? "/alerts" : `/alerts/${id}`);

/** What belongs to incidents, beside each other above their pages. */
export const RESPONSE = [
  { path: "/incidents", title: "Incidents", needs: "telemetry:read" },
  { path: "/runbooks", title: "Runbooks", needs: "objects:read" },
  { path: "/status-pages", title: "Status pages", needs: "objects:read" },
] as const satisfies readonly { path: string; title: string; needs: Permission }[];

/** The part of a permission before and after the colon. */
export function splitPermission(name: string): [area: string, verb: string] {
  const cut = name.indexOf(":");
  return cut < 0 ? [name, ""] : [name.slice(0, cut), name.slice(cut + 1)];
}
