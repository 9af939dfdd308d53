/** The live socket of the stand-in server: just enough of RFC 6455 for small text frames. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { logsSince } from "./logs.ts";
import { SERIES } from "./series.ts";

function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head =
    payload.length < 126
      ? Buffer.from([0x81, payload.length])
      : payload.length < 65_536
        ? Buffer.from([0x81, 126, payload.length >> 8, payload.length & 255])
        : Buffer.concat([Buffer.from([0x81, 127, 0, 0, 0, 0]), Buffer.from([payload.length >>> 24, (payload.length >> 16) & 255, (payload.length >> 8) & 255, payload.length & 255])]);
  return Buffer.concat([head, payload]);
}

/** Text of one masked client frame; larger ones than a chunk are not needed here. */
function unframe(chunk: Buffer): string | null {
  const opcode = (chunk[0] ?? 0) & 15;
  if (opcode !== 1) return null;
  let length = (chunk[1] ?? 0) & 127;
  let at = 2;
  if (length === 126) {
    length = chunk.readUInt16BE(2);
    at = 4;
  }
  const mask = chunk.subarray(at, at + 4);
  const payload = chunk.subarray(at + 4, at + 4 + length);
  return Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))).toString();
}

interface Message {
  type: string;
  data: { id: string; match?: string[]; channel?: string; signal?: string; query?: string };
}

export function serveSocket(request: IncomingMessage, socket: Socket): void {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  const subscriptions = new Map<string, { match: Set<string>; sequence: number }>();
  const send = (id: string) => {
    const subscription = subscriptions.get(id);
    if (!subscription) return;
    const t = Math.floor(Date.now() / 10_000) * 10_000;
    const series = SERIES.filter((s) => subscription.match.has(s.labels.__name__ ?? "")).map((s) => ({
      labels: s.labels,
      points: [[t, s.at(t / 1000)]],
    }));
    const data = { subscription: id, sequence: (subscription.sequence += 1), series, missed: 0 };
    socket.write(frame(JSON.stringify({ type: "metrics_update", data, timestamp: new Date().toISOString(), tenant_id: "default" })));
  };
  const tails = new Map<string, { query: string; seq: number; at: number }>();
  const tail = setInterval(() => {
    for (const [id, one] of tails) {
      const now = Date.now();
      const rows = logsSince(one.query, one.at, now);
      one.at = now;
      if (rows.length === 0) continue;
      const data = { subscription: id, sequence: (one.seq += 1), rows, missed: one.seq % 40 === 0 ? 3 : 0 };
      socket.write(frame(JSON.stringify({ type: "tail", data, timestamp: new Date().toISOString(), tenant_id: "default" })));
    }
  }, 300);
  let last = Math.floor(Date.now() / 10_000);
  const timer = setInterval(() => {
    const now = Math.floor(Date.now() / 10_000);
    if (now === last) return;
    last = now;
    for (const id of subscriptions.keys()) send(id);
  }, 250);
  socket.on("data", (chunk) => {
    const text = unframe(chunk);
    if (text === null) return;
    const message = JSON.parse(text) as Message;
    if (message.type === "subscribe" && message.data.channel === "tail") {
      tails.set(message.data.id, { query: message.data.query ?? "", seq: 0, at: Date.now() - 2000 });
      return;
    }
    if (message.type === "unsubscribe") tails.delete(message.data.id);
    if (message.type === "subscribe") subscriptions.set(message.data.id, { match: new Set(message.data.match), sequence: 0 });
    if (message.type === "unsubscribe") subscriptions.delete(message.data.id);
  });
  const end = () => {
    clearInterval(timer);
    clearInterval(tail);
  };
  socket.on("close", end);
  socket.on("error", end);
}
