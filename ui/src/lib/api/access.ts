/** What programs and identity providers sign in with: keys, service accounts, single sign-on. */
import { request, requestAll } from "./client";
import { OWN, tenantPath } from "./tenants";
import type { Schemas } from "./types";

const enc = encodeURIComponent;
const own = (rest: string) => tenantPath(OWN, rest);
const remove = (path: string) => request<void>(path, { method: "DELETE" });

export type Scope = Schemas["KeyScope"];
export type ApiKey = Schemas["ApiKey"];
/** The key itself is in this answer and in no other. */
export type IssuedKey = Schemas["IssuedKey"];
export type NewKey = Schemas["NewKey"];

export const fetchKeys = (signal: AbortSignal) => requestAll<ApiKey>(own("/keys"), signal);
export const createKey = (key: NewKey) => request<IssuedKey>(own("/keys"), { json: key });
export const rotateKey = (id: string, rotation: Schemas["KeyRotation"]) =>
  request<IssuedKey>(own(`/keys/${enc(id)}/rotate`), { json: rotation });
export const revokeKey = (id: string) => remove(own(`/keys/${enc(id)}`));

export type ServiceAccount = Schemas["ServiceAccount"];

const account = (id: string) => own(`/service-accounts/${enc(id)}`);

export const fetchServiceAccounts = (signal: AbortSignal) => requestAll<ServiceAccount>(own("/service-accounts"), signal);
export const createServiceAccount = (made: Schemas["NewServiceAccount"]) =>
  request<ServiceAccount>(own("/service-accounts"), { json: made });
export const patchServiceAccount = (id: string, changes: Schemas["ServiceAccountChange"]) =>
  request<ServiceAccount>(account(id), { method: "PATCH", json: changes });
export const deleteServiceAccount = (id: string) => remove(account(id));

export type RoleRule = Schemas["RoleRule"];
export type SsoKind = Schemas["ProviderKind"];
export type Preset = Schemas["ProviderPreset"];

export type SsoProvider = Schemas["SignInProvider"];
export type SsoBody = Schemas["NewSignInProvider"];
export type SsoTest = Schemas["ProviderTest"];

const provider = (name: string, rest = "") => own(`/sso/${enc(name)}${rest}`);

export const fetchProviders = (signal: AbortSignal) => requestAll<SsoProvider>(own("/sso"), signal);
export const createProvider = (body: SsoBody) => request<SsoProvider>(own("/sso"), { json: body });
export const putProvider = (name: string, body: SsoBody) => request<SsoProvider>(provider(name), { method: "PUT", json: body });
export const deleteProvider = (name: string) => remove(provider(name));
export const testProvider = (name: string) => request<SsoTest>(provider(name, "/test"), { method: "POST" });
