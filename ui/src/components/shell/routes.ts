/** Which page answers which path. Pages that few visits open come as files of their own. */
import type { Component } from "svelte";
import { ADMIN_NEEDS, ALERTING, alertingPath, SECTIONS, type Need } from "../../lib/account/permissions";
import Explore from "../../pages/Explore.svelte";
import Host from "../../pages/Host.svelte";
import Hosts from "../../pages/Hosts.svelte";
import NotFound from "../../pages/NotFound.svelte";
import Services from "../../pages/Services.svelte";
import Targets from "../../pages/Targets.svelte";

/** `param` is the path's last part where the route ends in `/:`, decoded. */
type Page = Component<any>;

export interface Route {
  /** A path, or a prefix and `/:` for one part more. */
  path: string;
  title: string;
  /** True when the page reads the time range. */
  timed?: boolean;
  page?: Page;
  load?: () => Promise<{ default: Page }>;
  /** What it needs; the telemetry, without. */
  needs?: Need;
}

let admin: Promise<{ default: Page }> | undefined;
/** One promise for all sections, so that going from one to another keeps the frame around them. */
const loadAdmin = () => (admin ??= import("../../pages/admin/Admin.svelte"));

let alerting: Promise<{ default: Page }> | undefined;
const loadAlerting = () => (alerting ??= import("../../pages/alerts/Alerting.svelte"));

const ROUTES: readonly Route[] = [
  { path: "/", title: "Host", timed: true, page: Host },
  { path: "/hosts", title: "Hosts", page: Hosts },
  { path: "/explore", title: "Explore", timed: true, page: Explore },
  { path: "/logs", title: "Logs", timed: true, load: () => import("../../pages/logs/Logs.svelte") },
  { path: "/traces", title: "Traces", timed: true, load: () => import("../../pages/traces/Traces.svelte") },
  { path: "/traces/:", title: "Trace", load: () => import("../../pages/traces/Trace.svelte") },
  { path: "/map", title: "Map", timed: true, load: () => import("../../pages/apm/Map.svelte") },
  { path: "/apm", title: "APM", timed: true, load: () => import("../../pages/apm/Apm.svelte") },
  { path: "/apm/:", title: "Service", timed: true, load: () => import("../../pages/apm/Service.svelte") },
  ...ALERTING.map((section): Route => ({
    path: alertingPath(section.id),
    title: section.id === "" ? "Alerts" : section.title,
    needs: section.needs,
    timed: "timed" in section,
    load: loadAlerting,
  })),
  { path: "/alerts/:", title: "Alert", load: () => import("../../pages/alerts/Event.svelte") },
  { path: "/alerts/rules/:", title: "Rule", needs: "objects:read", load: () => import("../../pages/alerts/RuleEditor.svelte") },
  { path: "/checks", title: "Checks", needs: "objects:read", load: () => import("../../pages/checks/Checks.svelte") },
  { path: "/checks/new", title: "New check", needs: "objects:write", load: () => import("../../pages/checks/CheckEdit.svelte") },
  { path: "/checks/:", title: "Check", needs: "objects:read", timed: true, load: () => import("../../pages/checks/Check.svelte") },
  { path: "/incidents", title: "Incidents", load: () => import("../../pages/incidents/Incidents.svelte") },
  { path: "/incidents/:", title: "Incident", load: () => import("../../pages/incidents/Incident.svelte") },
  { path: "/runbooks", title: "Runbooks", needs: "objects:read", load: () => import("../../pages/incidents/Runbooks.svelte") },
  { path: "/runbooks/:", title: "Runbook", needs: "objects:read", load: () => import("../../pages/incidents/Runbook.svelte") },
  { path: "/new-runbook", title: "New runbook", needs: "objects:write", load: () => import("../../pages/incidents/Runbook.svelte") },
  { path: "/status-pages", title: "Status pages", needs: "objects:read", load: () => import("../../pages/status/StatusPages.svelte") },
  { path: "/status-pages/:", title: "Status page", needs: "objects:read", load: () => import("../../pages/status/StatusPageEdit.svelte") },
  { path: "/new-status-page", title: "New status page", needs: "objects:write", load: () => import("../../pages/status/StatusPageEdit.svelte") },
  { path: "/on-call", title: "On call", load: () => import("../../pages/oncall/OnCall.svelte") },
  { path: "/on-call/schedules", title: "New schedule", needs: "objects:write", load: () => import("../../pages/oncall/Schedule.svelte") },
  { path: "/on-call/schedules/:", title: "Schedule", needs: "objects:read", load: () => import("../../pages/oncall/Schedule.svelte") },
  { path: "/on-call/policies", title: "New escalation policy", needs: "objects:write", load: () => import("../../pages/oncall/Policy.svelte") },
  { path: "/on-call/policies/:", title: "Escalation policy", needs: "objects:read", load: () => import("../../pages/oncall/Policy.svelte") },
  { path: "/sql", title: "SQL", timed: true, load: () => import("../../pages/sql/Sql.svelte") },
  { path: "/targets", title: "Targets", page: Targets },
  { path: "/services", title: "Services", page: Services },
  { path: "/profile", title: "Profile", needs: [], load: () => import("../../pages/account/Profile.svelte") },
  { path: "/admin", title: "Administration", needs: ADMIN_NEEDS, load: loadAdmin },
  ...SECTIONS.map((section): Route => ({
    path: `/admin/${section.id}`,
    title: section.title,
    needs: section.needs,
    timed: "timed" in section,
    load: loadAdmin,
  })),
];

const NOT_FOUND: Route = { path: "", title: "Not found", needs: [], page: NotFound };

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A stray percent sign: the part is what was written.
    return part;
  }
}

/** The route of a path and the part of the path it takes. */
export function routeOf(path: string): { route: Route; param: string } {
  const exact = ROUTES.find((route) => route.path === path);
  if (exact) return { route: exact, param: "" };
  const cut = path.lastIndexOf("/");
  const rest = path.slice(cut + 1);
  const open = rest === "" ? undefined : ROUTES.find((route) => route.path === `${path.slice(0, cut)}/:`);
  return open ? { route: open, param: decoded(rest) } : { route: NOT_FOUND, param: "" };
}
