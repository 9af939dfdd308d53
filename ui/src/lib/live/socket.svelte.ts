/**
 * The one WebSocket of the page. Subscriptions outlive connections: after a reconnect they are sent again and
 * their owners are told to fetch what they missed.
 */
import type { Labels } from "../api/prometheus";
import { session } from "../state/session.svelte";
import { backoffMs } from "./backoff";

export type LiveState = "off" | "connecting" | "open" | "waiting";

/** Series of one update; points are `[epoch ms, value]`. */
export interface MetricsUpdate {
  series: { labels: Labels; points: [number, number][] }[];
}

interface Subscription {
  id: string;
  /** What is asked for, beside the id. */
  wish: { channel: "metrics"; match: string[] } | { channel: "tail"; signal: TailSignal; query: string } | { channel: MessageKind };
  sequence: number | null;
  onUpdate: (update: UpdateData) => void;
  onGap: () => void;
  onRefused?: (message: string) => void;
}

export type TailSignal = "logs" | "spans" | "events";

/** Messages that are sent to whoever asks for their type. */
export type MessageKind = "alert" | "incident";

/** What the owner of a subscription to a type of messages is told. */
export interface MessageListener<T> {
  onMessage: (message: T) => void;
  /** Messages may be missing: the list they change is to be read again. */
  onGap: () => void;
  onRefused?: (message: string) => void;
}

/** What the owner of a tail is told. */
export interface TailListener<Row> {
  /** Rows that arrived, and how many matching ones were left out since the last message. */
  onRows: (rows: Row[], missed: number) => void;
  /** Rows may be missing, nobody knows how many: the connection was lost for a while. */
  onGap: () => void;
  onRefused: (message: string) => void;
}

interface Envelope {
  type: string;
  data: unknown;
  timestamp: string;
  tenant_id: string;
}

interface UpdateData extends MetricsUpdate {
  subscription: string;
  sequence: number;
  missed?: number;
  rows?: unknown[];
}

/** Messages that belong to a subscription. */
const KINDS: ReadonlySet<string> = new Set(["metrics_update", "tail", ...(["alert", "incident"] satisfies MessageKind[])]);

class LiveSocket {
  state = $state<LiveState>("off");
  /** What the server said last time it refused something. */
  problem = $state("");
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private wanted = false;
  private nextId = 1;
  private readonly subscriptions = new Map<string, Subscription>();

  start(): void {
    this.wanted = true;
    if (!this.socket) this.connect();
  }

  stop(): void {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.socket = null;
    this.state = "off";
  }

  /** Subscribes to metrics by name; the returned function ends it. `onGap` asks for a fresh query. */
  subscribe(match: string[], onUpdate: (update: MetricsUpdate) => void, onGap: () => void): () => void {
    return this.open({ id: `m${this.nextId++}`, wish: { channel: "metrics", match }, sequence: null, onUpdate, onGap });
  }

  /** Subscribes to rows as they are stored; the returned function ends it. */
  tail<Row>(signal: TailSignal, query: string, listener: TailListener<Row>): () => void {
    return this.open({
      id: `t${this.nextId++}`,
      wish: { channel: "tail", signal, query },
      sequence: null,
      onUpdate: (data) => listener.onRows((data.rows ?? []) as Row[], data.missed ?? 0),
      onGap: listener.onGap,
      onRefused: listener.onRefused,
    });
  }

  /** Subscribes to every message of a type; the returned function ends it. */
  follow<T>(channel: MessageKind, listener: MessageListener<T>): () => void {
    return this.open({
      id: `k${this.nextId++}`,
      wish: { channel },
      sequence: null,
      onUpdate: (data) => listener.onMessage(data as unknown as T),
      onGap: listener.onGap,
      onRefused: listener.onRefused ?? (() => {}),
    });
  }

  private open(subscription: Subscription): () => void {
    this.subscriptions.set(subscription.id, subscription);
    this.announce(subscription);
    return () => {
      this.subscriptions.delete(subscription.id);
      this.send("unsubscribe", { id: subscription.id });
    };
  }

  /** Connects at once instead of waiting; used when the network or the tab comes back. */
  nudge(): void {
    if (this.wanted && this.state === "waiting") {
      clearTimeout(this.timer);
      this.attempt = 0;
      this.connect();
    }
  }

  private connect(): void {
    this.state = "connecting";
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/ws`);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      const again = this.attempt > 0;
      this.attempt = 0;
      this.state = "open";
      this.problem = "";
      for (const subscription of this.subscriptions.values()) {
        this.announce(subscription);
        if (again) subscription.onGap();
      }
    };
    socket.onmessage = (event) => this.receive(String(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (!this.wanted) return;
      this.state = "waiting";
      // A refused upgrade shows no status here; asking for the session tells an expired one from a dead server.
      if (!opened && this.attempt > 0) void session.check();
      this.timer = setTimeout(() => this.connect(), backoffMs(this.attempt, Math.random()));
      this.attempt += 1;
    };
  }

  private announce(subscription: Subscription): void {
    subscription.sequence = null;
    this.send("subscribe", { id: subscription.id, ...subscription.wish });
  }

  private send(type: string, data: unknown): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const envelope: Envelope = { type, data, timestamp: new Date().toISOString(), tenant_id: session.tenant.id };
    this.socket.send(JSON.stringify(envelope));
  }

  private receive(text: string): void {
    let envelope: Envelope;
    try {
      envelope = JSON.parse(text) as Envelope;
    } catch {
      return;
    }
    if (envelope.type === "error") {
      const data = envelope.data as { message?: string; error?: string; id?: string; subscription?: string } | null;
      const message = data?.message ?? data?.error ?? "the server refused a message";
      const refused = this.subscriptions.get(data?.subscription ?? data?.id ?? "")?.onRefused;
      if (refused) refused(message);
      else this.problem = message;
    }
    if (!KINDS.has(envelope.type)) return;
    const data = envelope.data as UpdateData;
    const subscription = this.subscriptions.get(data.subscription);
    if (!subscription) return;
    const last = subscription.sequence;
    subscription.sequence = data.sequence;
    subscription.onUpdate(data);
    if (envelope.type === "tail") return;
    if ((data.missed ?? 0) > 0 || (last !== null && data.sequence > last + 1)) subscription.onGap();
  }
}

export const live = new LiveSocket();
