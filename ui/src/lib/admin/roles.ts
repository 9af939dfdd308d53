/** Permissions as a matrix of areas and verbs. */
import { splitPermission } from "../account/permissions";
import type { Role } from "../api/tenants";

export interface Area {
  area: string;
  permissions: { name: string; verb: string; description: string }[];
}

/** Permissions by area, in the order they are listed. */
export function areasOf(permissions: readonly { name: string; description: string }[]): Area[] {
  const areas = new Map<string, Area>();
  for (const { name, description } of permissions) {
    const [area, verb] = splitPermission(name);
    const entry = areas.get(area) ?? { area, permissions: [] };
    entry.permissions.push({ name, verb, description });
    areas.set(area, entry);
  }
  return [...areas.values()];
}

const BUILT_IN = ["viewer", "responder", "editor", "admin", "platform_admin"];

/** Built-in roles by what they may, then a tenant's own by name. */
export function sortRoles(roles: readonly Role[]): Role[] {
  const rank = (role: Role) => (role.builtin ? BUILT_IN.indexOf(role.name) : BUILT_IN.length);
  return roles.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** Roles someone may give: nobody grants what they do not hold. */
export function grantable(roles: readonly Role[], held: readonly string[]): Role[] {
  return sortRoles(roles).filter((role) => role.permissions.every((permission) => held.includes(permission)));
}
