/** Permissions as a matrix of areas and verbs. */
import { splitPermission } from "../account/permissions";
import type { DescribedPermission, Role } from "../api/tenants";

export interface Area {
  area: string;
  permissions: (DescribedPermission & { verb: string })[];
}

/** Permissions by area, in the order they are listed. */
export function areasOf(permissions: readonly DescribedPermission[]): Area[] {
  const areas = new Map<string, Area>();
  for (const { name, description } of permissions) {
    const [area, verb] = splitPermission(name);
    const entry = areas.get(area) ?? { area, permissions: [] };
    entry.permissions.push({ name, verb, description });
    areas.set(area, entry);
  }
  return [...areas.values()];
}

type Named = Pick<Role, "name" | "permissions" | "builtin">;

const BUILT_IN = ["viewer", "responder", "editor", "admin", "platform_admin"];

/** Built-in roles by what they may, then a tenant's own by name. */
export function sortRoles<T extends Named>(roles: readonly T[]): T[] {
  const rank = (role: T) => (role.builtin ? BUILT_IN.indexOf(role.name) : BUILT_IN.length);
  return roles.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** Roles someone may give: nobody grants what they do not hold. */
export function grantable<T extends Named>(roles: readonly T[], held: readonly string[]): T[] {
  return sortRoles(roles).filter((role) => role.permissions.every((permission) => held.includes(permission)));
}
