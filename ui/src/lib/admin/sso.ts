/** Single sign-on: presets, the addresses a provider must know, and the form as the API takes it. */
import type { Preset, RoleRule, SsoBody, SsoKind, SsoProvider } from "../api/access";
import { domainsOf, nameFault, urlFault } from "./fields";

export interface PresetInfo {
  id: Preset;
  label: string;
  kinds: readonly SsoKind[];
  /** What to ask for to know the issuer; empty when it is always the same. */
  organisation: string;
  example: string;
  issuer: (organisation: string) => string;
}

export const PRESETS: readonly PresetInfo[] = [
  { id: "google", label: "Google Workspace", kinds: ["oidc"], organisation: "", example: "", issuer: () => "https://accounts.google.com" },
  {
    id: "microsoft",
    label: "Microsoft Entra ID",
    kinds: ["oidc", "saml"],
    organisation: "Directory (tenant) ID",
    example: "00000000-0000-0000-0000-000000000000",
    issuer: (directory) => `https://login.microsoftonline.com/${directory}/v2.0`,
  },
  {
    id: "okta",
    label: "Okta",
    kinds: ["oidc", "saml"],
    organisation: "Okta domain",
    example: "example.okta.com",
    issuer: (host) => `https://${host}`,
  },
];

export const presetOf = (id: string): PresetInfo | undefined => PRESETS.find((preset) => preset.id === id);

export interface SsoForm {
  name: string;
  kind: SsoKind;
  preset: Preset | "";
  organisation: string;
  issuer: string;
  clientId: string;
  /** Empty keeps the one there is. */
  clientSecret: string;
  secretSet: boolean;
  /** SAML: the provider's metadata, as an address or as text. */
  metadataUrl: string;
  metadataXml: string;
  /** Metadata is stored: both may stay empty to keep it. */
  metadataSet: boolean;
  rules: RoleRule[];
  defaultRole: string;
  domains: string;
  enabled: boolean;
}

export function emptyForm(kind: SsoKind = "oidc"): SsoForm {
  return {
    name: "", kind, preset: "", organisation: "", issuer: "", clientId: "", clientSecret: "", secretSet: false,
    metadataUrl: "", metadataXml: "", metadataSet: false, rules: [], defaultRole: "viewer", domains: "", enabled: true,
  };
}

/** What the form reads of a provider. */
type SsoAnswer = Pick<SsoProvider, "kind" | "name" | "config" | "role_mapping" | "default_role" | "domains" | "enabled">;

export function formOf(provider: SsoAnswer): SsoForm {
  const { config } = provider;
  // A provider's protocol is told by what its configuration holds.
  const oidc = "issuer" in config ? config : null;
  return {
    ...emptyForm(provider.kind),
    name: provider.name,
    // The issuer is known by now: what it was made of is not asked again.
    issuer: oidc?.issuer ?? "",
    clientId: oidc?.client_id ?? "",
    secretSet: oidc?.client_secret_set ?? false,
    metadataSet: oidc === null,
    rules: provider.role_mapping.map((rule) => ({ ...rule })),
    defaultRole: provider.default_role ?? "",
    domains: provider.domains.join(", "),
    enabled: provider.enabled,
  };
}

export function issuerOf(form: SsoForm): string {
  const preset = presetOf(form.preset);
  if (!preset) return form.issuer.trim();
  const organisation = form.organisation.trim().toLowerCase();
  return preset.organisation !== "" && organisation === "" ? "" : preset.issuer(organisation);
}

export type SsoFaults = Partial<Record<"name" | "organisation" | "issuer" | "clientId" | "clientSecret" | "metadata" | "domains" | "rules", string>>;

export function ssoFaults(form: SsoForm, taken: readonly string[]): SsoFaults {
  const faults: SsoFaults = {};
  const name = nameFault(form.name);
  if (name) faults.name = name;
  else if (taken.includes(form.name.trim())) faults.name = "there is a provider of this name";
  if (form.kind === "oidc") {
    const issuer = issuerOf(form);
    const preset = presetOf(form.preset);
    if (preset?.organisation && form.organisation.trim() === "") faults.organisation = `${preset.organisation} is needed`;
    else if (/^(common|organizations|consumers)$/.test(form.organisation.trim()) && form.preset === "microsoft")
      faults.organisation = "lets every directory in; use the ID of yours";
    else if (urlFault(issuer)) faults.issuer = urlFault(issuer);
    if (form.clientId.trim() === "") faults.clientId = "the client ID is needed";
    if (form.clientSecret === "" && !form.secretSet) faults.clientSecret = "the client secret is needed";
  } else if (form.metadataXml.trim() === "") {
    const none = form.metadataSet ? "" : "the provider's metadata is needed, as an address or as XML";
    const fault = form.metadataUrl.trim() === "" ? none : urlFault(form.metadataUrl);
    if (fault) faults.metadata = fault;
  } else if (!/<(\w+:)?EntityDescriptor[\s>]/.test(form.metadataXml)) {
    faults.metadata = "holds no EntityDescriptor; paste the whole file";
  }
  const { fault } = domainsOf(form.domains);
  if (fault) faults.domains = fault;
  if (form.rules.some((rule) => rule.group.trim() === "" || rule.role === "")) faults.rules = "each rule needs a group and a role";
  return faults;
}

export function ssoBody(form: SsoForm): SsoBody {
  const xml = form.metadataXml.trim();
  const config: SsoBody["config"] =
    form.kind === "oidc"
      ? { issuer: issuerOf(form), client_id: form.clientId.trim(), ...(form.clientSecret !== "" && { client_secret: form.clientSecret }) }
      : xml !== ""
        ? { metadata_xml: xml }
        : form.metadataUrl.trim() !== ""
          ? { metadata_url: form.metadataUrl.trim() }
          : {};
  return {
    name: form.name.trim(),
    kind: form.kind,
    ...(form.preset !== "" && { preset: form.preset }),
    config,
    role_mapping: form.rules.map((rule) => ({ group: rule.group.trim(), role: rule.role })),
    default_role: form.defaultRole || null,
    domains: domainsOf(form.domains).domains,
    enabled: form.enabled,
  };
}

/** What the provider must be told; the server knows it once the provider is created. */
export function providerUrls(provider: Pick<SsoProvider, "kind" | "callback_url" | "acs_url" | "metadata_url">): { label: string; url: string }[] {
  const urls: [string, string | null][] =
    provider.kind === "oidc"
      ? [["Redirect (callback) URI", provider.callback_url]]
      : [["Assertion consumer service (ACS) URL", provider.acs_url], ["Audience (entity ID) and metadata", provider.metadata_url]];
  return urls.flatMap(([label, url]) => (url ? [{ label, url }] : []));
}
