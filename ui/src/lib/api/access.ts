/** What programs and identity providers sign in with: keys, service accounts, single sign-on. */
import { request, requestAll } from "./client";
import { OWN, tenantPath } from "./tenants";

const enc = encodeURIComponent;
const own = (rest: string) => tenantPath(OWN, rest);
const remove = (path: string) => request<void>(path, { method: "DELETE" });

export type Scope = "ingest" | "query" | "admin";

export interface ApiKey {
  id: string;
  name: string;
  /** How the key begins, to tell it from others. */
  prefix: string;
  scopes: Scope[];
  /** A service account's identifier: the key may do what the account's role does. */
  service_account: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
  /** Until when the secret before the last rotation works, too. */
  old_expires_at?: string | null;
  created_by: string | null;
}

/** The key itself is in this answer and in no other. */
export interface IssuedKey extends ApiKey {
  key: string;
}

export interface NewKey {
  name: string;
  scopes?: Scope[];
  service_account?: string;
  expires_at?: string;
}

export const fetchKeys = (signal: AbortSignal) => requestAll<ApiKey>(own("/keys"), signal);
export const createKey = (key: NewKey) => request<IssuedKey>(own("/keys"), { json: key });
export const rotateKey = (id: string, overlapSeconds: number) =>
  request<IssuedKey>(own(`/keys/${enc(id)}/rotate`), { json: { overlap_seconds: overlapSeconds } });
export const revokeKey = (id: string) => remove(own(`/keys/${enc(id)}`));

export interface ServiceAccount {
  id: string;
  name: string;
  role: string;
  created_at?: string;
}

const account = (id: string) => own(`/service-accounts/${enc(id)}`);

export const fetchServiceAccounts = (signal: AbortSignal) => requestAll<ServiceAccount>(own("/service-accounts"), signal);
export const createServiceAccount = (name: string, role: string) =>
  request<ServiceAccount>(own("/service-accounts"), { json: { name, role } });
export const patchServiceAccount = (id: string, changes: { name?: string; role?: string }) =>
  request<unknown>(account(id), { method: "PATCH", json: changes });
export const deleteServiceAccount = (id: string) => remove(account(id));

export interface RoleRule {
  group: string;
  role: string;
}

export type SsoKind = "oidc" | "saml";
export type Preset = "google" | "microsoft" | "okta";

export interface SsoProvider {
  name: string;
  kind: SsoKind;
  preset?: Preset | null;
  /** Never holds a secret: `client_secret_set` tells that there is one. */
  config: { issuer?: string; client_id?: string; client_secret_set?: boolean; entity_id?: string };
  /** What the provider must be told. */
  callback_url?: string | null;
  acs_url?: string | null;
  metadata_url?: string | null;
  role_mapping: RoleRule[];
  default_role: string | null;
  domains: string[];
  enabled: boolean;
}

export interface SsoBody extends Omit<SsoProvider, "config" | "callback_url" | "acs_url" | "metadata_url"> {
  config: { issuer?: string; client_id?: string; client_secret?: string; metadata_xml?: string; metadata_url?: string };
}

export interface SsoTest {
  ok: boolean;
  checks: { name: string; ok: boolean; detail: string }[];
}

const provider = (name: string, rest = "") => own(`/sso/${enc(name)}${rest}`);

export const fetchProviders = (signal: AbortSignal) => requestAll<SsoProvider>(own("/sso"), signal);
export const createProvider = (body: SsoBody) => request<SsoProvider>(own("/sso"), { json: body });
export const putProvider = (name: string, body: SsoBody) => request<SsoProvider>(provider(name), { method: "PUT", json: body });
export const deleteProvider = (name: string) => remove(provider(name));
export const testProvider = (name: string) => request<SsoTest>(provider(name, "/test"), { method: "POST" });
