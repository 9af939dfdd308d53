/** What the command palette offers. */
import { ALERTING, alertingPath, RESPONSE, sectionsFor } from "../../lib/account/permissions";
import { score } from "../../lib/promql/score";
import { starterQuery } from "../../lib/promql/edit";
import { catalog } from "../../lib/state/catalog.svelte";
import { prefs } from "../../lib/state/prefs.svelte";
import { placeOf, type SavedQuery } from "../../lib/state/savedspec";
import { session } from "../../lib/state/session.svelte";
import { view } from "../../lib/state/view.svelte";
import { PRESETS } from "../../lib/time/range";
import { pagesFor } from "./pages";

export interface Command {
  id: string;
  kind: "Page" | "Range" | "Theme" | "Density" | "Account" | "Metric" | "Query" | "Action";
  label: string;
  href?: string;
  run?: () => void;
}

const SHOWN_MAX = 50;

function fixed(): Command[] {
  return [
    ...pagesFor(session.permissions).map((page): Command => ({ id: page.path, kind: "Page", label: page.title, href: view.href(page.path) })),
    ...ALERTING.filter((section) => section.id !== "" && session.can(section.needs)).map(
      (section): Command => ({ id: `alerting-${section.id}`, kind: "Page", label: `Alerts: ${section.title}`, href: view.href(alertingPath(section.id)) }),
    ),
    ...RESPONSE.filter((one) => one.path !== "/incidents" && session.can(one.needs)).map(
      (one): Command => ({ id: one.path, kind: "Page", label: one.title, href: view.href(one.path) }),
    ),
    ...(session.can("alerts:respond") ? [{ id: "new-incident", kind: "Action", label: "New incident", href: view.href("/incidents", { new: "1" }) } as const] : []),
    ...sectionsFor(session.permissions).map(
      (section): Command => ({ id: `admin-${section.id}`, kind: "Page", label: `Admin: ${section.title}`, href: view.href(`/admin/${section.id}`) }),
    ),
    { id: "profile", kind: "Account", label: "Profile", href: view.href("/profile") },
    { id: "logs-errors", kind: "Action", label: "Logs: errors", href: view.href("/logs", { q: "level:>=error" }) },
    { id: "logs-live", kind: "Action", label: "Logs: live tail", href: view.href("/logs", { live: "1" }) },
    { id: "logs-patterns", kind: "Action", label: "Logs: patterns", href: view.href("/logs", { tab: "patterns" }) },
    { id: "traces-failed", kind: "Action", label: "Traces: failed", href: view.href("/traces", { q: "status:error" }) },
    { id: "traces-slowest", kind: "Action", label: "Traces: slowest", href: view.href("/traces", { order: "slowest" }) },
    { id: "reload", kind: "Action", label: "Refresh now", run: () => view.reload() },
    ...PRESETS.map((p): Command => ({ id: p.label, kind: "Range", label: p.label, run: () => view.setRange(p) })),
    { id: "t-auto", kind: "Theme", label: "Theme as the system", run: () => prefs.setTheme("auto") },
    { id: "t-dark", kind: "Theme", label: "Dark theme", run: () => prefs.setTheme("dark") },
    { id: "t-light", kind: "Theme", label: "Light theme", run: () => prefs.setTheme("light") },
    { id: "d-normal", kind: "Density", label: "Normal density", run: () => prefs.setDensity("normal") },
    { id: "d-compact", kind: "Density", label: "Compact density", run: () => prefs.setDensity("compact") },
    { id: "signout", kind: "Account", label: "Sign out", run: () => void session.signOut() },
  ];
}

/** Commands that answer `typed`, best first; metrics only once something is typed. */
export function search(typed: string, metrics: readonly string[], saved: readonly SavedQuery[]): Command[] {
  const want = typed.trim();
  const queries = saved.map(({ name, spec }): Command => {
    const { path, params } = placeOf(spec);
    return { id: `q ${name}`, kind: "Query", label: name, href: view.href(path, params) };
  });
  const names = want === "" ? [] : metrics;
  const found = names.map((name): Command => ({
    id: `m ${name}`,
    kind: "Metric",
    label: name,
    href: view.href("/explore", { q: starterQuery(name, catalog.of(name)?.type ?? "") }),
  }));
  const elsewhere: Command[] = want === "" ? [] : [
    { id: "search-logs", kind: "Action", label: `Search logs for ${want}`, href: view.href("/logs", { q: want }) },
    { id: "search-traces", kind: "Action", label: `Search traces for ${want}`, href: view.href("/traces", { q: want }) },
    ...(/^[0-9a-f]{16}(?:[0-9a-f]{16})?$/i.test(want)
      ? [{ id: "trace", kind: "Action", label: `Open trace ${want}`, href: view.href(`/traces/${want.toLowerCase()}`) } as const]
      : []),
  ];
  return [...fixed(), ...queries, ...found, ...elsewhere]
    .map((command, index) => ({ command, index, points: score(command.label, want) }))
    .filter((entry) => entry.points !== null)
    .sort((a, b) => (a.points ?? 0) - (b.points ?? 0) || a.index - b.index)
    .slice(0, SHOWN_MAX)
    .map((entry) => entry.command);
}
