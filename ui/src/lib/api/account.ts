/** Who is signed in, and what people do to their own account. Times are RFC 3339. */
import { request } from "./client";

const AUTH = "/api/v1/auth";

export interface Session {
  user: { id: string; name: string; email: string; role: string; kind: string };
  tenant: { id: string; name: string; state: string };
  permissions: string[];
  csrf: string;
  /** True when the account has a second factor. */
  second_factor: boolean;
  /** How the session began: `password`, `link`, the name of a provider. */
  method: string;
}

interface Begun {
  csrf: string;
}

export const fetchSession = () => request<Session>(`${AUTH}/session`, { quiet401: true });

/** Trades the token of a one-time link for a session cookie. */
export const redeemLink = (token: string) => request<Begun>(`${AUTH}/link`, { json: { token }, quiet401: true });

export interface Credentials {
  email: string;
  password: string;
  tenant?: string;
  /** Of the second factor, or a recovery code. */
  code?: string;
}

export const signIn = (credentials: Credentials) => request<Begun>(`${AUTH}/sign-in`, { json: credentials, quiet401: true });

export const signOut = () => request<void>(`${AUTH}/logout`, { method: "POST" });

export interface Methods {
  password: boolean;
  providers: { name: string; kind: string; label: string; url: string }[];
}

/** How an address may sign in; the answer tells nothing about whether it is known. */
export function fetchMethods(tenant: string, email: string, signal?: AbortSignal): Promise<Methods> {
  const query = new URLSearchParams({ ...(tenant && { tenant }), ...(email && { email }) });
  return request(`${AUTH}/methods?${query}`, { quiet401: true, ...(signal && { signal }) });
}

export const forgotPassword = (email: string, tenant: string) =>
  request<void>(`${AUTH}/password/forgot`, { json: { email, ...(tenant && { tenant }) }, quiet401: true });

export const resetPassword = (token: string, password: string) =>
  request<void>(`${AUTH}/password/reset`, { json: { token, password }, quiet401: true });

export interface InvitationOffer {
  tenant: { id: string; name: string };
  email: string;
  role: string;
  expires_at: string;
}

const invitation = (token: string) => `${AUTH}/invitations/${encodeURIComponent(token)}`;

export const fetchOffer = (token: string) => request<InvitationOffer>(invitation(token), { quiet401: true });

export const acceptOffer = (token: string, name: string, password: string) =>
  request<Begun>(invitation(token), { json: { name, password }, quiet401: true });

export const putProfile = (name: string) => request<unknown>(`${AUTH}/profile`, { method: "PUT", json: { name } });

/** A wrong current password is 401 too, and ends no session. Who has none yet gives none. */
export const changePassword = (current: string, next: string) =>
  request<void>(`${AUTH}/password`, { json: { ...(current && { current }), new: next }, quiet401: true });

export interface Enrolment {
  /** Base32, as people type it. */
  secret: string;
  otpauth_url: string;
}

export interface RecoveryCodes {
  recovery_codes: string[];
}

const factor = <T>(step: string, json: object = {}) => request<T>(`${AUTH}/second-factor${step}`, { json, quiet401: true });

export const startFactor = () => factor<Enrolment>("");
export const confirmFactor = (code: string) => factor<RecoveryCodes>("/confirm", { code });
export const disableFactor = (code: string) => factor<void>("/disable", { code });
export const newRecoveryCodes = (code: string) => factor<RecoveryCodes>("/recovery-codes", { code });

export interface SessionRow {
  id: string;
  current: boolean;
  method: string;
  user_agent: string;
  address: string;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
}

/** A chain of refresh tokens that one client holds. */
export interface TokenFamily {
  id: string;
  created_at: string;
  last_used_at?: string | null;
  expires_at: string;
  address: string;
  user_agent: string;
}

const itemsOf = async <T>(path: string, signal: AbortSignal) => (await request<{ items: T[] }>(path, { signal })).items;
const remove = (path: string) => request<void>(path, { method: "DELETE" });

export const fetchSessions = (signal: AbortSignal) => itemsOf<SessionRow>(`${AUTH}/sessions`, signal);
export const endSession = (id: string) => remove(`${AUTH}/sessions/${encodeURIComponent(id)}`);
/** Ends every session but this one. */
export const endOtherSessions = () => remove(`${AUTH}/sessions`);

export const fetchTokens = (signal: AbortSignal) => itemsOf<TokenFamily>(`${AUTH}/tokens`, signal);
export const revokeTokens = (id: string) => remove(`${AUTH}/tokens/${encodeURIComponent(id)}`);
