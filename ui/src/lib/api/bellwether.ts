/** Bellwether's own API: hosts, targets, services, saved objects. */
import { request, requestAll } from "./client";
import type { Schemas } from "./types";

/** A host that sent metrics in the last seven days. */
export type HostSummary = Schemas["Host"];

export async function fetchHosts(signal?: AbortSignal): Promise<HostSummary[]> {
  const answer = await request<Schemas["Hosts"]>("/api/v1/monitoring/hosts", signal ? { signal } : {});
  return answer.hosts;
}

export type Target = Schemas["PrometheusActiveTarget"];
export type TargetsAnswer = Schemas["PrometheusTargets"]["data"];

export async function fetchTargets(signal?: AbortSignal): Promise<TargetsAnswer> {
  const { data } = await request<Schemas["PrometheusTargets"]>("/api/v1/targets", signal ? { signal } : {});
  return data;
}

export type ServiceStatus = Schemas["ServiceStatus"];
export type Service = Schemas["Service"];

export async function fetchServices(signal?: AbortSignal): Promise<Service[]> {
  const answer = await request<Schemas["Services"]>("/api/v1/services", signal ? { signal } : {});
  return answer.services;
}

/** What is kept by name; a program may have put anything there. */
export type SavedObject = Schemas["Object"];

const SAVED = "/api/v1/monitoring/objects/saved_query";

export const fetchSavedQueries = (): Promise<SavedObject[]> => requestAll<SavedObject>(SAVED);

export const putSavedQuery = (name: string, spec: object) =>
  request<SavedObject>(`${SAVED}/${encodeURIComponent(name)}`, { method: "PUT", json: spec });

export const deleteSavedQuery = (name: string) =>
  request<void>(`${SAVED}/${encodeURIComponent(name)}`, { method: "DELETE" });
