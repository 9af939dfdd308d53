/** Channels: what each kind needs, and the form of one as the API takes it. */
import type { ChannelRef, ChannelTestOutcome, SavedObject, Severity } from "../api/alerts";

export type Kind = "email" | "slack" | "webhook" | "pagerduty" | "msteams" | "discord" | "telegram" | "mattermost" | "googlechat" | "ntfy" | "sms";

export interface Setting {
  name: string;
  label: string;
  hint: string;
  required?: boolean;
  secret?: boolean;
  placeholder?: string;
  /** Values it may have. */
  choices?: readonly string[];
  /** Several, separated by commas. */
  list?: boolean;
  /** Names and values. */
  pairs?: boolean;
}

export interface KindInfo {
  id: Kind;
  label: string;
  about: string;
  settings: readonly Setting[];
}

const hook = (placeholder: string): Setting => ({ name: "url", label: "Webhook address", hint: "The chat made it for this channel; whoever has it can write there.", required: true, secret: true, placeholder });
const username: Setting = { name: "username", label: "Shown as", hint: "The sender's name; the webhook's own when empty." };
const elsewhere: Setting = { name: "channel", label: "Channel", hint: "Another than the webhook's own." };
const server = (usual: string): Setting => ({ name: "url", label: "Server", hint: `${usual} when empty.`, placeholder: usual });

export const KINDS: readonly KindInfo[] = [
  { id: "email", label: "Email", about: "A letter, over the server's mail settings.", settings: [{ name: "to", label: "Addresses", hint: "Separated by commas.", required: true, list: true, placeholder: "ops@example.com" }] },
  { id: "slack", label: "Slack", about: "An incoming webhook of Slack.", settings: [hook("https://hooks.slack.com/services/…"), elsewhere, username] },
  {
    id: "webhook",
    label: "Webhook",
    about: "A signed request to a program, with Alertmanager's body.",
    settings: [
      { name: "url", label: "Address", hint: "Where the request goes.", required: true, secret: true, placeholder: "https://example.com/alerts" },
      { name: "secret", label: "Secret", hint: "Signs the request as Standard Webhooks says; begins with whsec_ or is any text.", secret: true, placeholder: "whsec_…" },
      { name: "headers", label: "Headers", hint: "Sent with each request.", secret: true, pairs: true },
    ],
  },
  {
    id: "pagerduty",
    label: "PagerDuty",
    about: "Events API v2.",
    settings: [{ name: "routingKey", label: "Integration key", hint: "Of an Events API v2 integration.", required: true, secret: true }, server("https://events.pagerduty.com/v2/enqueue")],
  },
  { id: "msteams", label: "Microsoft Teams", about: "A workflow that posts to a channel.", settings: [hook("https://….logic.azure.com/workflows/…")] },
  { id: "discord", label: "Discord", about: "A webhook of a channel.", settings: [hook("https://discord.com/api/webhooks/…"), username] },
  {
    id: "telegram",
    label: "Telegram",
    about: "A bot writes to a chat.",
    settings: [
      { name: "token", label: "Token of the bot", hint: "As @BotFather gave it.", required: true, secret: true, placeholder: "123456:ABC…" },
      { name: "chat", label: "Chat", hint: "Its id or @name.", required: true, placeholder: "-1001234567890" },
      server("https://api.telegram.org"),
    ],
  },
  { id: "mattermost", label: "Mattermost", about: "An incoming webhook.", settings: [hook("https://chat.example.com/hooks/…"), elsewhere, username] },
  { id: "googlechat", label: "Google Chat", about: "A webhook of a space.", settings: [hook("https://chat.googleapis.com/v1/spaces/…")] },
  {
    id: "ntfy",
    label: "ntfy",
    about: "A topic of an ntfy server.",
    settings: [
      { name: "topic", label: "Topic", hint: "Whoever knows it can read it.", required: true },
      server("https://ntfy.sh"),
      { name: "token", label: "Access token", hint: "Where the topic is protected.", secret: true, placeholder: "tk_…" },
    ],
  },
  {
    id: "sms",
    label: "SMS",
    about: "Text messages through Twilio or Vonage.",
    settings: [
      { name: "provider", label: "Provider", hint: "", required: true, choices: ["twilio", "vonage"] },
      { name: "account", label: "Account", hint: "Twilio's account SID, Vonage's API key.", required: true },
      { name: "token", label: "Token", hint: "Twilio's auth token, Vonage's API secret.", required: true, secret: true },
      { name: "from", label: "From", hint: "The sender's number or name.", required: true, placeholder: "+4790000000" },
      { name: "to", label: "To", hint: "Numbers, separated by commas.", required: true, list: true, placeholder: "+4790000001" },
      { name: "url", label: "Server", hint: "The provider's own when empty." },
    ],
  },
];

export const kindOf = (id: string): KindInfo | undefined => KINDS.find((kind) => kind.id === (id === "teams" ? "msteams" : id));

export const kindLabel = (id: string): string => kindOf(id)?.label ?? id;

type Config = Record<string, unknown>;

/** Values of a form: a text for each setting, or names and texts. */
export interface ConfigForm {
  texts: Record<string, string>;
  pairs: Record<string, Record<string, string>>;
}

export function configForm(kind: string, config: Config): ConfigForm {
  const form: ConfigForm = { texts: {}, pairs: {} };
  for (const setting of kindOf(kind)?.settings ?? []) {
    const value = config[setting.name];
    if (setting.pairs) form.pairs[setting.name] = value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([name, text]) => [name, String(text)])) : {};
    else form.texts[setting.name] = Array.isArray(value) ? value.join(", ") : value === undefined || value === null ? (setting.choices?.[0] ?? "") : String(value);
  }
  return form;
}

const listOf = (text: string): string[] => text.split(/[,\n]/).map((part) => part.trim()).filter((part) => part !== "");

/** What the API takes; nothing of another kind, nothing empty. */
export function configBody(kind: string, form: ConfigForm): Config {
  const config: Config = {};
  for (const { name, list, pairs } of kindOf(kind)?.settings ?? []) {
    if (pairs) {
      const filled = Object.entries(form.pairs[name] ?? {}).filter(([key]) => key.trim() !== "");
      if (filled.length > 0) config[name] = Object.fromEntries(filled);
      continue;
    }
    const text = (form.texts[name] ?? "").trim();
    if (text !== "") config[name] = list ? listOf(text) : text;
  }
  return config;
}

/** What is wrong with each setting, by its name. */
export function configFaults(kind: string, form: ConfigForm): Record<string, string> {
  const faults: Record<string, string> = {};
  for (const { name, label, required, list } of kindOf(kind)?.settings ?? []) {
    const text = (form.texts[name] ?? "").trim();
    if (required && text === "") faults[name] = `${label.toLowerCase()} is needed`;
    else if (name === "url" && text !== "" && text !== MASK && !/^https?:\/\/\S+$/i.test(text)) faults[name] = "must begin with https:// or http://";
    else if (kind === "email" && list && listOf(text).some((one) => !/^[^\s@]+@[^\s@]+$/.test(one))) faults[name] = "holds something that is not an email address";
  }
  return faults;
}

/** What stands in place of a secret for those who may not see it; sent back, it keeps what is stored. */
export const MASK = "<masked secret>";

export interface ChannelForm {
  name: string;
  kind: Kind;
  config: ConfigForm;
  isActive: boolean;
  sendResolved: boolean;
  minSeverity: Severity | "";
  title: string;
  text: string;
  description: string;
}

export const emptyChannel = (kind: Kind = "webhook"): ChannelForm => ({
  name: "", kind, config: configForm(kind, {}), isActive: true, sendResolved: true, minSeverity: "", title: "", text: "", description: "",
});

/** Settings that the form does not show, such as `digest`, stay as they are. */
const SHOWN = ["type", "config", "isActive", "is_active", "sendResolved", "send_resolved", "minSeverity", "min_severity", "title", "text", "description"];

export function channelForm({ name, spec }: Pick<SavedObject, "name" | "spec">): ChannelForm {
  const read = <T>(...keys: string[]): T | undefined => keys.map((key) => spec[key] as T | undefined).find((value) => value !== undefined);
  const kind = kindOf(String(spec.type))?.id ?? "webhook";
  return {
    name,
    kind,
    config: configForm(kind, (read<Config>("config") ?? {})),
    isActive: read<boolean>("isActive", "is_active") ?? true,
    sendResolved: read<boolean>("sendResolved", "send_resolved") ?? true,
    minSeverity: read<Severity>("minSeverity", "min_severity") ?? "",
    title: read<string>("title") ?? "",
    text: read<string>("text") ?? "",
    description: read<string>("description") ?? "",
  };
}

export function channelBody(form: ChannelForm, before: SavedObject["spec"] = {}): Record<string, unknown> {
  const rest = Object.fromEntries(Object.entries(before).filter(([key]) => !SHOWN.includes(key)));
  return {
    ...rest,
    type: form.kind,
    config: configBody(form.kind, form.config),
    isActive: form.isActive,
    sendResolved: form.sendResolved,
    ...(form.minSeverity !== "" && { minSeverity: form.minSeverity }),
    ...(form.title.trim() !== "" && { title: form.title }),
    ...(form.text.trim() !== "" && { text: form.text }),
    ...(form.description.trim() !== "" && { description: form.description.trim() }),
  };
}

/** Names end up in addresses and lists; the server takes more, people read fewer. */
export function objectNameFault(name: string, taken: readonly string[]): string {
  const text = name.trim();
  if (text === "") return "a name is needed";
  if (text.length > 128) return `has ${text.length} characters; use at most 128`;
  if (/[/\0\r\n]/.test(text)) return "may not hold / or line breaks";
  return taken.includes(text) ? "is taken already" : "";
}

/** Where it sends, without what is secret about it. */
export function targetText(spec: SavedObject["spec"]): string {
  const config = (spec.config ?? {}) as Config;
  const text = (name: string) => (typeof config[name] === "string" ? config[name] : Array.isArray(config[name]) ? (config[name] as string[]).join(", ") : "");
  if (spec.type === "email" || spec.type === "sms") return text("to");
  if (spec.type === "telegram") return text("chat");
  if (spec.type === "ntfy") return text("topic");
  const url = text("url");
  try {
    return [new URL(url).host, text("channel")].filter((part) => part !== "").join(" ");
  } catch {
    return text("channel");
  }
}

/** Which rules and routes name a channel. */
export function usersOf(name: string, rules: readonly { name: string; channels?: ChannelRef[] | undefined }[], routes: readonly Pick<SavedObject, "name" | "spec">[]): string[] {
  const inRoute = (spec: Record<string, unknown>): boolean =>
    (Array.isArray(spec.channels) && spec.channels.includes(name)) ||
    (Array.isArray(spec.routes) && spec.routes.some((below) => inRoute(below as Record<string, unknown>)));
  return [
    ...rules.filter((rule) => (rule.channels ?? []).includes(name)).map((rule) => `rule ${rule.name}`),
    ...routes.filter((route) => inRoute(route.spec)).map((route) => `route ${route.name}`),
  ];
}

/** How a test went. */
export function outcomeText(outcome: ChannelTestOutcome): string {
  const status = outcome.statusCode === null ? "" : ` (${outcome.statusCode})`;
  const took = outcome.durationMs >= 1000 ? `${(outcome.durationMs / 1000).toFixed(1)} s` : `${outcome.durationMs} ms`;
  return outcome.delivered ? `Delivered${status} in ${took}` : `Not delivered${status}: ${outcome.error ?? "no reason was given"}`;
}
