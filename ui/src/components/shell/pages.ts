/** The pages of the side navigation, in order; the digit keys open the first nine, 0 the tenth. */
import { ADMIN_NEEDS, missing, type Need } from "../../lib/account/permissions";
import type { IconName } from "../Icon.svelte";

export interface PageLink {
  path: string;
  title: string;
  icon: IconName;
  /** What its page needs; the telemetry, without. */
  needs?: Need;
}

export const TELEMETRY: Need = "telemetry:read";

export const PAGES: readonly PageLink[] = [
  { path: "/", title: "Host", icon: "host" },
  { path: "/hosts", title: "Hosts", icon: "hosts" },
  { path: "/explore", title: "Explore", icon: "explore" },
  { path: "/logs", title: "Logs", icon: "logs" },
  { path: "/traces", title: "Traces", icon: "traces" },
  { path: "/map", title: "Map", icon: "map" },
  { path: "/apm", title: "APM", icon: "apm" },
  { path: "/alerts", title: "Alerts", icon: "alerts" },
  { path: "/checks", title: "Checks", icon: "checks", needs: "objects:read" },
  { path: "/incidents", title: "Incidents", icon: "incidents" },
  { path: "/on-call", title: "On call", icon: "oncall" },
  { path: "/sql", title: "SQL", icon: "sql" },
  { path: "/targets", title: "Targets", icon: "targets" },
  { path: "/services", title: "Services", icon: "services" },
  { path: "/admin", title: "Admin", icon: "admin", needs: ADMIN_NEEDS },
];

/** Those that someone with these permissions may open. */
export const pagesFor = (held: readonly string[]): PageLink[] => PAGES.filter((page) => missing(page.needs ?? TELEMETRY, held).length === 0);
