/** The pages of the side navigation, in order; the digit keys open the first nine, 0 the tenth. */
import type { IconName } from "../Icon.svelte";

export const PAGES: readonly { path: string; title: string; icon: IconName }[] = [
  { path: "/", title: "Host", icon: "host" },
  { path: "/hosts", title: "Hosts", icon: "hosts" },
  { path: "/explore", title: "Explore", icon: "explore" },
  { path: "/logs", title: "Logs", icon: "logs" },
  { path: "/traces", title: "Traces", icon: "traces" },
  { path: "/map", title: "Map", icon: "map" },
  { path: "/apm", title: "APM", icon: "apm" },
  { path: "/sql", title: "SQL", icon: "sql" },
  { path: "/targets", title: "Targets", icon: "targets" },
  { path: "/services", title: "Services", icon: "services" },
];
