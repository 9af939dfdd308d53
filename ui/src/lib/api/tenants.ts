/** Tenants, their people, teams and roles. `current` is the caller's own tenant; times are RFC 3339. */
import { request, requestAll } from "./client";

export const OWN = "current";
const enc = encodeURIComponent;
export const tenantPath = (tenant: string, rest = "") => `/api/v1/tenants/${enc(tenant)}${rest}`;
const own = (rest: string) => tenantPath(OWN, rest);
const remove = (path: string) => request<void>(path, { method: "DELETE" });
const patch = <T>(path: string, json: object) => request<T>(path, { method: "PATCH", json });

/** What a tenant may use; what is not named is not limited. */
export type Limits = Record<string, unknown>;

export interface Tenant {
  id: string;
  name: string;
  state: string;
  settings: Record<string, unknown>;
  limits: Limits;
  created_at: string;
  updated_at: string;
}

export const fetchTenant = (signal?: AbortSignal) => request<Tenant>(own(""), signal ? { signal } : {});
export const patchTenant = (changes: { name?: string; settings?: Record<string, unknown> }) => patch<Tenant>(own(""), changes);

export const fetchTenants = (signal: AbortSignal) => requestAll<Tenant>("/api/v1/tenants", signal);

export interface NewTenant {
  id: string;
  name: string;
  admin: { email: string; name: string };
  limits?: Limits;
}

export interface Provisioned {
  tenant: Tenant;
  steps: { name: string; at: string }[];
  sign_in_link: string;
  /** Shown once. */
  key: string | null;
}

export const createTenant = (tenant: NewTenant) => request<Provisioned>("/api/v1/tenants", { json: tenant });
export const putLimits = (tenant: string, limits: Limits) =>
  request<unknown>(tenantPath(tenant, "/limits"), { method: "PUT", json: limits });
export const setTenantState = (tenant: string, step: "suspend" | "activate") =>
  request<unknown>(tenantPath(tenant, `/${step}`), { method: "POST" });
export const deleteTenant = (tenant: string) => request<unknown>(tenantPath(tenant), { method: "DELETE" });

export interface Usage {
  limits: Limits;
  use: {
    requests_per_second: number;
    in_flight_bytes: number;
    series: number;
    stored_bytes: Record<string, number>;
    concurrent_queries: number;
  };
  /** What was turned away for being over a limit, counted. */
  refused: Record<string, number>;
  top: {
    metrics: { name: string; series: number }[];
    services: { name: string; bytes: number; rows: number }[];
    keys: { id: string; name: string; requests: number; bytes: number }[];
  };
}

export const fetchUsage = (tenant: string, signal: AbortSignal) => request<Usage>(tenantPath(tenant, "/usage"), { signal });

export interface Member {
  id: string;
  email: string;
  name: string;
  role: string;
  state: string;
  second_factor: boolean;
  last_sign_in_at: string | null;
  created_at: string;
  teams: string[];
}

const member = (id: string, rest = "") => own(`/members/${enc(id)}${rest}`);

export const fetchMembers = (signal: AbortSignal) => requestAll<Member>(own("/members"), signal);
export const patchMember = (id: string, changes: { name?: string; role?: string; state?: "active" | "disabled" }) =>
  patch<unknown>(member(id), changes);
export const deleteMember = (id: string) => remove(member(id));
export const memberLink = (id: string) =>
  request<{ url: string; expires_at: string }>(member(id, "/sign-in-link"), { method: "POST" });
export const resetMemberFactor = (id: string) => request<void>(member(id, "/reset-second-factor"), { method: "POST" });
export const endMemberSessions = (id: string) => remove(member(id, "/sessions"));

export interface Invitation {
  id: string;
  email: string;
  role: string;
  expires_at: string;
  /** Only in the answer to its creation. */
  url?: string;
}

export const fetchInvitations = (signal: AbortSignal) => requestAll<Invitation>(own("/invitations"), signal);
export const invite = (email: string, role: string) => request<Invitation>(own("/invitations"), { json: { email, role } });
export const withdrawInvitation = (id: string) => remove(own(`/invitations/${enc(id)}`));

export interface Role {
  name: string;
  description?: string;
  permissions: string[];
  selector?: string | null;
  builtin?: boolean;
}

export const fetchRoles = (signal?: AbortSignal) => requestAll<Role>(own("/roles"), signal);
export const fetchPermissions = (signal?: AbortSignal) =>
  requestAll<{ name: string; description: string }>(own("/permissions"), signal);
export const createRole = (role: Role) => request<unknown>(own("/roles"), { json: role });
export const putRole = (name: string, role: Omit<Role, "name">) =>
  request<unknown>(own(`/roles/${enc(name)}`), { method: "PUT", json: { name, ...role } });
export const deleteRole = (name: string) => remove(own(`/roles/${enc(name)}`));

export interface Team {
  id: string;
  name: string;
  members?: number;
}

export interface TeamMember {
  id: string;
  name: string;
  email: string;
}

const team = (id: string, rest = "") => own(`/teams/${enc(id)}${rest}`);

export const fetchTeams = (signal: AbortSignal) => requestAll<Team>(own("/teams"), signal);
export const createTeam = (name: string) => request<Team>(own("/teams"), { json: { name } });
export const renameTeam = (id: string, name: string) => patch<unknown>(team(id), { name });
export const deleteTeam = (id: string) => remove(team(id));
export const fetchTeamMembers = (id: string, signal: AbortSignal) => requestAll<TeamMember>(team(id, "/members"), signal);
export const joinTeam = (id: string, user: string) => request<unknown>(team(id, `/members/${enc(user)}`), { method: "PUT" });
export const leaveTeam = (id: string, user: string) => remove(team(id, `/members/${enc(user)}`));

export interface Project {
  id: string;
  name: string;
  /** A team's identifier. */
  team?: string | null;
}

export const fetchProjects = (signal: AbortSignal) => requestAll<Project>(own("/projects"), signal);
export const createProject = (name: string, team: string) =>
  request<Project>(own("/projects"), { json: { name, ...(team && { team }) } });
export const patchProject = (id: string, changes: { name?: string; team?: string | null }) =>
  patch<unknown>(own(`/projects/${enc(id)}`), changes);
export const deleteProject = (id: string) => remove(own(`/projects/${enc(id)}`));
