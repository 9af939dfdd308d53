/** Tenants, their people, teams and roles. `current` is the caller's own tenant; times are RFC 3339. */
import { request, requestAll } from "./client";
import type { Schemas } from "./types";

export const OWN = "current";
const enc = encodeURIComponent;
export const tenantPath = (tenant: string, rest = "") => `/api/v1/tenants/${enc(tenant)}${rest}`;
const own = (rest: string) => tenantPath(OWN, rest);
const remove = (path: string) => request<void>(path, { method: "DELETE" });
const patch = <T>(path: string, json: object) => request<T>(path, { method: "PATCH", json });

/** What a tenant may use; what is not named is not limited. */
export type Limits = Schemas["TenantLimits"];
export type Tenant = Schemas["Tenant"];

export const fetchTenant = (signal?: AbortSignal) => request<Tenant>(own(""), signal ? { signal } : {});
export const patchTenant = (changes: Schemas["TenantChange"]) => patch<Tenant>(own(""), changes);

export const fetchTenants = (signal: AbortSignal) => requestAll<Tenant>("/api/v1/tenants", signal);

export type NewTenant = Schemas["NewTenant"];
/** The sign-in link and the key are shown once. */
export type Provisioned = Schemas["CreatedTenant"];

export const createTenant = (tenant: NewTenant) => request<Provisioned>("/api/v1/tenants", { json: tenant });
export const putLimits = (tenant: string, limits: Limits) =>
  request<Tenant>(tenantPath(tenant, "/limits"), { method: "PUT", json: limits });
export const setTenantState = (tenant: string, step: "suspend" | "activate") =>
  request<Tenant>(tenantPath(tenant, `/${step}`), { method: "POST" });
export const deleteTenant = (tenant: string) => request<Schemas["TenantDeletion"]>(tenantPath(tenant), { method: "DELETE" });

export type Usage = Schemas["Usage"];

export const fetchUsage = (tenant: string, signal: AbortSignal) => request<Usage>(tenantPath(tenant, "/usage"), { signal });

export type Member = Schemas["Member"];

const member = (id: string, rest = "") => own(`/members/${enc(id)}${rest}`);

export const fetchMembers = (signal: AbortSignal) => requestAll<Member>(own("/members"), signal);
export const patchMember = (id: string, changes: Schemas["MemberChange"]) => patch<Member>(member(id), changes);
export const deleteMember = (id: string) => remove(member(id));
export const memberLink = (id: string) => request<Schemas["SignInLink"]>(member(id, "/sign-in-link"), { method: "POST" });
export const resetMemberFactor = (id: string) => request<void>(member(id, "/reset-second-factor"), { method: "POST" });
export const endMemberSessions = (id: string) => remove(member(id, "/sessions"));

export type Invitation = Schemas["Invitation"];
/** The link is in this answer and in no other. */
export type IssuedInvitation = Schemas["IssuedInvitation"];

export const fetchInvitations = (signal: AbortSignal) => requestAll<Invitation>(own("/invitations"), signal);
export const invite = (invited: Schemas["NewInvitation"]) => request<IssuedInvitation>(own("/invitations"), { json: invited });
export const withdrawInvitation = (id: string) => remove(own(`/invitations/${enc(id)}`));

export type Role = Schemas["Role"];
export type DescribedPermission = Schemas["DescribedPermission"];

export const fetchRoles = (signal?: AbortSignal) => requestAll<Role>(own("/roles"), signal);
export const fetchPermissions = (signal?: AbortSignal) => requestAll<DescribedPermission>(own("/permissions"), signal);
export const createRole = (role: Schemas["NewRole"]) => request<Role>(own("/roles"), { json: role });
export const putRole = (name: string, role: Schemas["NewRole"]) =>
  request<Role>(own(`/roles/${enc(name)}`), { method: "PUT", json: { name, ...role } });
export const deleteRole = (name: string) => remove(own(`/roles/${enc(name)}`));

export type Team = Schemas["Team"];
export type TeamMember = Schemas["TeamMember"];

const team = (id: string, rest = "") => own(`/teams/${enc(id)}${rest}`);

export const fetchTeams = (signal: AbortSignal) => requestAll<Team>(own("/teams"), signal);
export const createTeam = (made: Schemas["TeamName"]) => request<Team>(own("/teams"), { json: made });
export const renameTeam = (id: string, changes: Schemas["TeamName"]) => patch<Team>(team(id), changes);
export const deleteTeam = (id: string) => remove(team(id));
export const fetchTeamMembers = (id: string, signal: AbortSignal) => requestAll<TeamMember>(team(id, "/members"), signal);
export const joinTeam = (id: string, user: string) => request<void>(team(id, `/members/${enc(user)}`), { method: "PUT" });
export const leaveTeam = (id: string, user: string) => remove(team(id, `/members/${enc(user)}`));

export type Project = Schemas["Project"];

export const fetchProjects = (signal: AbortSignal) => requestAll<Project>(own("/projects"), signal);
export const createProject = (made: Schemas["NewProject"]) => request<Project>(own("/projects"), { json: made });
export const patchProject = (id: string, changes: Schemas["ProjectChange"]) =>
  patch<Project>(own(`/projects/${enc(id)}`), changes);
export const deleteProject = (id: string) => remove(own(`/projects/${enc(id)}`));
