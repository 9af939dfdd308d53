/** Bellwether's own API: hosts, targets, services, saved objects. */
import { request } from "./client";
import type { Labels } from "./prometheus";

/** A host that sent metrics in the last seven days. */
export interface HostSummary {
  name: string;
  last_seen: string;
  /** `gone` when it was not heard of for a minute. */
  state: "up" | "gone";
  system: string;
  release: string;
  machine: string;
  job: string;
}

export async function fetchHosts(signal?: AbortSignal): Promise<HostSummary[]> {
  const answer = await request<{ hosts: HostSummary[] }>("/api/v1/monitoring/hosts", signal ? { signal } : {});
  return answer.hosts;
}

export interface Target {
  labels: Labels;
  discoveredLabels?: Labels;
  scrapePool: string;
  scrapeUrl: string;
  health: "up" | "down" | "unknown";
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  scrapeInterval?: string;
}

export interface TargetsAnswer {
  activeTargets: Target[];
  droppedTargets: { discoveredLabels: Labels; scrapePool?: string }[];
  unsupportedJobs: { job: string; reason: string }[];
}

export async function fetchTargets(signal?: AbortSignal): Promise<TargetsAnswer> {
  const { data } = await request<{ data: Partial<TargetsAnswer> }>("/api/v1/targets", signal ? { signal } : {});
  return {
    activeTargets: data.activeTargets ?? [],
    droppedTargets: data.droppedTargets ?? [],
    unsupportedJobs: data.unsupportedJobs ?? [],
  };
}

/** As the service kit names them; a page must also bear names it does not know. */
export type ServiceStatus = "registered" | "initializing" | "starting" | "ready" | "degraded" | "failed" | "stopping" | "stopped";

export interface Service {
  name: string;
  description?: string;
  status: ServiceStatus;
  message?: string | null;
  depends_on: string[];
  restarts: number;
  uptime_seconds: number;
  operations?: Record<string, { count: number; errors: number; avg_ms: number }>;
}

export async function fetchServices(signal?: AbortSignal): Promise<Service[]> {
  const answer = await request<{ services: Service[] }>("/api/v1/services", signal ? { signal } : {});
  return answer.services;
}

/** What is kept by name; a program may have put anything there. */
export interface SavedObject {
  name: string;
  spec: Record<string, unknown>;
  updated_at?: string;
  /** The file that owns it (`bellwether apply`): it is changed there and not here. */
  file?: string | null;
}

const SAVED = "/api/v1/monitoring/objects/saved_query";

export async function fetchSavedQueries(): Promise<SavedObject[]> {
  const answer = await request<{ items?: SavedObject[] }>(SAVED);
  return answer.items ?? [];
}

export const putSavedQuery = (name: string, spec: object) =>
  request<unknown>(`${SAVED}/${encodeURIComponent(name)}`, { method: "PUT", json: spec });

export const deleteSavedQuery = (name: string) =>
  request<unknown>(`${SAVED}/${encodeURIComponent(name)}`, { method: "DELETE" });
