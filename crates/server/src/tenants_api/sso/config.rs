//! What bodies say of a provider, and the configuration that follows from it.

use control::Secret;
use control::sso::{NewProvider, OidcConfig, Preset, Provider, ProviderConfig, ProviderKind, SamlConfig};
use model::TenantId;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::SharedApp;
use crate::error::Fault;
use crate::word::Word;

/// What is asked of a provider that no preset knows.
const SCOPES: [&str; 3] = ["openid", "email", "profile"];

const GOOGLE: &str = "https://accounts.google.com";

/// A provider to be set up, or what one is to become.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSignInProvider {
    /// What people read on the sign-in page.
    name: String,
    kind: Word<ProviderKind>,
    /// Fills in what is the same for everyone who uses it; an empty text is none.
    #[schemars(with = "Option<Word<Preset>>")]
    preset: Option<String>,
    /// By `kind`.
    #[schemars(with = "GivenConfig")]
    config: Value,
    /// In order: the first rule that fits counts.
    #[serde(default)]
    role_mapping: Vec<RoleRule>,
    /// For those no rule fits; without one they may not sign in.
    default_role: Option<String>,
    /// Whose addresses may sign in; none for all.
    #[serde(default)]
    domains: Vec<String>,
    /// False hides it and refuses sign-ins.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// Whoever is in this group gets this role.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleRule {
    /// As the provider spells it.
    group: String,
    /// The name of a role.
    role: String,
}

impl From<control::sso::RoleRule> for RoleRule {
    fn from(rule: control::sso::RoleRule) -> Self {
        Self { group: rule.group, role: rule.role }
    }
}

impl From<RoleRule> for control::sso::RoleRule {
    fn from(rule: RoleRule) -> Self {
        Self { group: rule.group, role: rule.role }
    }
}

/// How a provider is reached, as a body says it. Which of the two follows from `kind`, so that a fault in one
/// is told in its words.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "NewSignInProviderConfig")]
#[expect(dead_code, reason = "it describes what is read by kind")]
enum GivenConfig {
    Oidc(OidcGiven),
    Saml(SamlGiven),
}

/// An OpenID provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOidcSettings")]
struct OidcGiven {
    /// With a preset it follows from `organisation`, unless it is another than the preset's own.
    #[serde(default)]
    issuer: String,
    /// The directory of Microsoft, the host of Okta.
    organisation: Option<String>,
    client_id: String,
    /// Left out, it stays as it is.
    client_secret: Option<String>,
    /// Part of what we answer, so that an answer may be sent back.
    #[serde(rename = "client_secret_set")]
    _client_secret_set: Option<bool>,
    scopes: Option<Vec<String>>,
    groups_claim: Option<String>,
    trust_email: Option<bool>,
    domain_claim: Option<String>,
}

/// A SAML identity provider, from metadata, pasted or to be fetched, or field by field.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSamlSettings")]
struct SamlGiven {
    metadata_xml: Option<String>,
    metadata_url: Option<String>,
    entity_id: Option<String>,
    sso_url: Option<String>,
    certificates: Option<Vec<String>>,
    email_attribute: Option<String>,
    name_attribute: Option<String>,
    groups_attribute: Option<String>,
}

impl NewSignInProvider {
    /// The provider that is meant; what a change leaves out is as before.
    pub(super) async fn provider(
        self,
        app: &SharedApp,
        tenant: &TenantId,
        before: Option<&Provider>,
    ) -> Result<NewProvider, Fault> {
        let (config, client_secret) = match self.kind.0 {
            ProviderKind::Oidc => {
                let given: OidcGiven = fields(self.config)?;
                let before = match before.map(|provider| &provider.config) {
                    Some(ProviderConfig::Oidc(config)) => Some(config),
                    _ => None,
                };
                let preset = self.preset.as_deref().filter(|name| !name.is_empty()).map(preset_named);
                let config = oidc(&given, preset.transpose()?, before)?;
                (ProviderConfig::Oidc(config), given.client_secret.map(Secret::of))
            }
            ProviderKind::Saml => {
                let before = match before.map(|provider| &provider.config) {
                    Some(ProviderConfig::Saml(config)) => Some(config),
                    _ => None,
                };
                (ProviderConfig::Saml(saml(app, tenant, fields(self.config)?, before).await?), None)
            }
        };
        Ok(NewProvider {
            name: self.name,
            enabled: self.enabled,
            config,
            client_secret,
            role_mapping: self.role_mapping.into_iter().map(Into::into).collect(),
            default_role: self.default_role.filter(|role| !role.is_empty()),
            domains: self.domains,
        })
    }
}

fn fields<T: DeserializeOwned>(config: Value) -> Result<T, Fault> {
    serde_json::from_value(config).map_err(|error| Fault::invalid("config", error.to_string()))
}

fn preset_named(name: &str) -> Result<Preset, Fault> {
    Preset::parse(name).ok_or_else(|| {
        let known = Preset::ALL.map(Preset::as_str).join(", ");
        let shown: String = name.chars().take(40).collect();
        Fault::invalid("preset", format!("{shown:?} is none of {known}"))
    })
}

/// The preset that an issuer belongs to, and the organisation within it.
pub(super) fn preset_of(issuer: &str) -> Option<(Preset, &str)> {
    if issuer == GOOGLE {
        return Some((Preset::Google, ""));
    }
    let rest = issuer.strip_prefix("https://")?;
    if let Some(rest) = rest.strip_prefix("login.microsoftonline.com/") {
        return Some((Preset::Microsoft, rest.strip_suffix("/v2.0")?));
    }
    [".okta.com", ".oktapreview.com", ".okta-emea.com"]
        .iter()
        .any(|end| rest.ends_with(end))
        .then_some((Preset::Okta, rest))
}

fn oidc(given: &OidcGiven, preset: Option<Preset>, before: Option<&OidcConfig>) -> Result<OidcConfig, Fault> {
    let known = preset_of(&given.issuer);
    let organisation = given.organisation.as_deref().or(known.map(|(_, found)| found)).unwrap_or("");
    let mut config = match (preset.or(known.map(|(preset, _)| preset)), before) {
        (None, Some(before)) if before.issuer == given.issuer => before.clone(),
        (None, _) => OidcConfig {
            issuer: given.issuer.clone(),
            client_id: String::new(),
            scopes: SCOPES.map(str::to_owned).into(),
            groups_claim: "groups".to_owned(),
            trust_email: false,
            domain_claim: String::new(),
        },
        (Some(preset), before) => {
            let is_own = known.is_some() || given.organisation.is_some() || given.issuer.is_empty();
            let fresh = match is_own {
                true => preset.config(organisation, &given.client_id)?,
                // A domain of its own, a national cloud.
                false => preset.config_at(&given.issuer, &given.client_id),
            };
            // What was set otherwise than the preset has it stays so.
            before.filter(|before| before.issuer == fresh.issuer).cloned().unwrap_or(fresh)
        }
    };
    config.client_id.clone_from(&given.client_id);
    if let Some(scopes) = &given.scopes {
        config.scopes.clone_from(scopes);
    }
    if let Some(claim) = &given.groups_claim {
        config.groups_claim.clone_from(claim);
    }
    if let Some(trust) = given.trust_email {
        config.trust_email = trust;
    }
    if let Some(claim) = &given.domain_claim {
        config.domain_claim.clone_from(claim);
    }
    Ok(config)
}

async fn saml(
    app: &SharedApp,
    tenant: &TenantId,
    given: SamlGiven,
    before: Option<&SamlConfig>,
) -> Result<SamlConfig, Fault> {
    let SamlGiven { metadata_xml, metadata_url, entity_id, sso_url, certificates, .. } = given;
    let mut config = match (metadata_xml, metadata_url) {
        (Some(xml), _) => SamlConfig::from_metadata(&xml, app.now_ms())?,
        (None, Some(url)) => app.sso()?.fetch_saml_metadata(tenant, &url).await?,
        (None, None) => before.cloned().unwrap_or_default(),
    };
    let texts = [
        (&mut config.entity_id, entity_id),
        (&mut config.sso_url, sso_url),
        (&mut config.email_attribute, given.email_attribute),
        (&mut config.name_attribute, given.name_attribute),
        (&mut config.groups_attribute, given.groups_attribute),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            *field = text;
        }
    }
    if let Some(certificates) = certificates {
        config.certificates = certificates;
    }
    if config.entity_id.is_empty() {
        let why =
            "paste the provider's metadata, or give metadata_url, or entity_id, sso_url and certificates";
        return Err(Fault::invalid("config.metadata_xml", why));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value, preset: Option<Preset>, before: Option<&OidcConfig>) -> Result<OidcConfig, Fault> {
        oidc(&fields(config)?, preset, before)
    }

    #[test]
    fn a_preset_is_found_by_name_organisation_or_issuer() {
        let directory = "11111111-2222-3333-4444-555555555555";
        let microsoft = format!("https://login.microsoftonline.com/{directory}/v2.0");
        for (config, preset, issuer, trust) in [
            (json!({"client_id": "c"}), Some(Preset::Google), GOOGLE, false),
            (json!({"client_id": "c", "issuer": GOOGLE}), None, GOOGLE, false),
            (json!({"client_id": "c", "organisation": directory}), Some(Preset::Microsoft), &microsoft, true),
            (json!({"client_id": "c", "issuer": microsoft}), Some(Preset::Microsoft), &microsoft, true),
            (json!({"client_id": "c", "issuer": microsoft, "trust_email": false}), None, &microsoft, false),
            (
                json!({"client_id": "c", "issuer": "https://a.okta.com"}),
                Some(Preset::Okta),
                "https://a.okta.com",
                false,
            ),
            (
                json!({"client_id": "c", "issuer": "https://login.a.com"}),
                Some(Preset::Okta),
                "https://login.a.com",
                false,
            ),
            (
                json!({"client_id": "c", "issuer": "https://a.okta.com/oauth2/default"}),
                Some(Preset::Okta),
                "https://a.okta.com/oauth2/default",
                false,
            ),
            (
                json!({"client_id": "c", "issuer": "https://login.microsoftonline.us/d/v2.0"}),
                Some(Preset::Microsoft),
                "https://login.microsoftonline.us/d/v2.0",
                true,
            ),
            (json!({"client_id": "c", "issuer": "https://idp.a.com"}), None, "https://idp.a.com", false),
        ] {
            let read = read(config.clone(), preset, None).unwrap();
            assert_eq!((read.issuer.as_str(), read.trust_email), (issuer, trust), "{config}");
            assert_eq!(read.client_id, "c");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let first = json!({"client_id": "c", "issuer": "https://idp.a.com", "groups_claim": "teams"});
        let before = read(first, None, None).unwrap();
        let same = json!({"client_id": "d", "issuer": "https://idp.a.com", "client_secret_set": true});
        let after = read(same, None, Some(&before)).unwrap();
        assert_eq!((after.client_id.as_str(), after.groups_claim.as_str()), ("d", "teams"));
        let other = json!({"client_id": "d", "issuer": "https://other.a.com"});
        assert_eq!(read(other, None, Some(&before)).unwrap().groups_claim, "groups");
        assert!(matches!(fields::<OidcGiven>(json!({"client": "x"})), Err(Fault::Invalid { .. })));
    }
}
