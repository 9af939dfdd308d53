/** A status page as its form edits it. */
import type { StatusPageSpec } from "./page";

export const emptyPage = (): StatusPageSpec => ({ title: "", public: false, components: [{ name: "" }] });

export function pageFaults(spec: StatusPageSpec): Record<string, string> {
  const faults: Record<string, string> = {};
  if (spec.title.trim() === "") faults.title = "a title is needed";
  const names = (spec.components ?? []).map((one) => one.name.trim());
  names.forEach((name, n) => {
    if (name === "") faults[`components[${n}].name`] = "a name is needed";
    else if (names.indexOf(name) < n) faults[`components[${n}].name`] = "stands twice";
  });
  (spec.maintenances ?? []).forEach((work, n) => {
    if (work.title.trim() === "") faults[`maintenances[${n}].title`] = "say in a line what is done";
    if (Number.isNaN(Date.parse(work.from))) faults[`maintenances[${n}].from`] = "is no moment such as 2030-01-07T09:00:00Z";
    if (Number.isNaN(Date.parse(work.until))) faults[`maintenances[${n}].until`] = "is no moment such as 2030-01-07T11:00:00Z";
  });
  return faults;
}

const kept = <T extends object>(one: T): T => Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0))) as T;

/** As it is saved: without empty texts and lists. Work keeps its list of components, which is needed. */
export function pageBody(spec: StatusPageSpec): StatusPageSpec {
  const { components = [], maintenances = [], ...rest } = spec;
  const works = maintenances.map((work) => ({ ...kept(work), components: work.components }));
  return { ...kept(rest), title: rest.title, components: components.map((one) => ({ ...kept(one), name: one.name.trim() })), ...(works.length > 0 && { maintenances: works }) };
}
