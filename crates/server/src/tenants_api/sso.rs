//! Identity providers of a tenant: set up, changed, tried.

mod config; // what bodies say of a provider

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use control::sso::{OidcConfig, Preset, Provider, ProviderConfig, ProviderKind, SamlConfig, Sso};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use self::config::{NewSignInProvider, RoleRule};
use super::scope::InTenant;
use crate::account::find_provider;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::word::Word;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/sso";
    let provider = &format!("{base}/{{name}}");
    Routes::new("Sign-in providers")
        .get(
            base,
            list,
            Op::new("listSignInProviders", "The identity providers of a tenant")
                .gives::<Page<SignInProvider>>(),
        )
        .post(
            base,
            create,
            Op::new("createSignInProvider", "Sets an identity provider up")
                .takes::<NewSignInProvider>()
                .creates::<SignInProvider>()
                .refuses(&[409]),
        )
        .put(
            provider,
            replace,
            Op::new("replaceSignInProvider", "Sets it up anew; what the configuration leaves out stays")
                .about("By identifier or name.")
                .takes::<NewSignInProvider>()
                .gives::<SignInProvider>()
                .refuses(&[409]),
        )
        .delete(
            provider,
            remove,
            Op::new("deleteSignInProvider", "Ends it").about("By identifier or name.").gives_nothing(204),
        )
        .post(
            &format!("{provider}/test"),
            test,
            Op::new(
                "testSignInProvider",
                "Whether the provider answers as it should, without signing anyone in",
            )
            .about("By identifier or name.")
            .gives::<ProviderTest>()
            .refuses(&[409]),
        )
}

/// An identity provider.
#[derive(Serialize, JsonSchema)]
pub(super) struct SignInProvider {
    id: String,
    /// What people read on the sign-in page.
    name: String,
    kind: Word<ProviderKind>,
    preset: Option<Word<Preset>>,
    /// False hides it and refuses sign-ins.
    enabled: bool,
    config: Settings,
    /// In order: the first rule that fits counts.
    role_mapping: Vec<RoleRule>,
    /// For those no rule fits; without one they may not sign in.
    default_role: Option<String>,
    /// Whose addresses may sign in; empty for all.
    domains: Vec<String>,
    /// Where a browser begins to sign in.
    sign_in_url: String,
    /// What an OpenID provider must be told; `null` while the server does not know its own address.
    callback_url: Option<String>,
    /// What a SAML provider must be told; `null` while the server does not know its own address.
    acs_url: Option<String>,
    /// Our own metadata, which is also our name to SAML providers.
    metadata_url: Option<String>,
    created_at: Moment,
    updated_at: Moment,
}

/// How a provider is reached.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SignInProviderConfig")]
enum Settings {
    Oidc(OidcSettings),
    Saml(SamlSettings),
}

/// How an OpenID provider is reached: never the client secret, only whether there is one.
#[derive(Serialize, JsonSchema)]
struct OidcSettings {
    issuer: String,
    client_id: String,
    /// Whether one is stored.
    client_secret_set: bool,
    scopes: Vec<String>,
    /// The claim that lists groups; empty when there is none.
    groups_claim: String,
    /// Whether addresses are believed without the claim `email_verified`.
    trust_email: bool,
    /// The claim whose value must be one of the domains, too; empty for none.
    domain_claim: String,
}

/// How a SAML identity provider is reached.
#[derive(Serialize, JsonSchema)]
struct SamlSettings {
    entity_id: String,
    /// Where browsers are sent.
    sso_url: String,
    /// Its signing certificates, PEM or plain base64.
    certificates: Vec<String>,
    /// Empty for the usual ones, and then the NameID.
    email_attribute: String,
    /// Empty for the usual ones.
    name_attribute: String,
    /// Empty for the usual ones.
    groups_attribute: String,
}

impl SignInProvider {
    /// A provider as the API shows it; with `sso`, the addresses that the provider must be told are in it.
    pub(super) fn of(provider: Provider, sso: Option<&Sso>) -> Self {
        let kind = Word(provider.config.kind());
        let (config, preset) = match provider.config {
            ProviderConfig::Oidc(oidc) => {
                let preset = config::preset_of(&oidc.issuer).map(|(preset, _)| Word(preset));
                (Settings::oidc(oidc, provider.has_secret), preset)
            }
            ProviderConfig::Saml(saml) => (Settings::saml(saml), None),
        };
        Self {
            kind,
            preset,
            enabled: provider.enabled,
            config,
            role_mapping: provider.role_mapping.into_iter().map(RoleRule::from).collect(),
            default_role: provider.default_role,
            domains: provider.domains,
            sign_in_url: format!("/api/v1/auth/sso/{}/{}", provider.tenant, provider.id),
            callback_url: sso.map(|sso| sso.callback_url(&provider.id)),
            acs_url: sso.map(|sso| sso.acs_url(&provider.id)),
            metadata_url: sso.map(|sso| sso.entity_id(&provider.id)),
            created_at: Moment(provider.created_at),
            updated_at: Moment(provider.updated_at),
            id: provider.id,
            name: provider.name,
        }
    }
}

impl Settings {
    fn oidc(config: OidcConfig, client_secret_set: bool) -> Self {
        let OidcConfig { issuer, client_id, scopes, groups_claim, trust_email, domain_claim } = config;
        Self::Oidc(OidcSettings {
            issuer,
            client_id,
            client_secret_set,
            scopes,
            groups_claim,
            trust_email,
            domain_claim,
        })
    }

    fn saml(config: SamlConfig) -> Self {
        let SamlConfig { entity_id, sso_url, certificates, .. } = config;
        Self::Saml(SamlSettings {
            entity_id,
            sso_url,
            certificates,
            email_attribute: config.email_attribute,
            name_attribute: config.name_attribute,
            groups_attribute: config.groups_attribute,
        })
    }
}

/// Whether a provider answers as it should.
#[derive(Serialize, JsonSchema)]
struct ProviderTest {
    ok: bool,
    checks: Vec<ProviderCheck>,
}

/// One thing that was looked at.
#[derive(Serialize, JsonSchema)]
struct ProviderCheck {
    name: String,
    ok: bool,
    /// What was found, or what is wrong.
    detail: String,
}

async fn list(scope: InTenant) -> Result<Json<Page<SignInProvider>>, ApiFault> {
    let all = scope.control.sso_providers(scope.id()).await?;
    let sso = scope.app.sso().ok();
    let shown = |provider| SignInProvider::of(provider, sso.as_ref());
    Ok(Json(Page::whole(all.into_iter().map(shown).collect())))
}

async fn create(
    scope: InTenant,
    body: Body<NewSignInProvider>,
) -> Result<(StatusCode, Json<SignInProvider>), ApiFault> {
    let new = body.0.provider(&scope.app, scope.id(), None).await?;
    let made = scope.control.create_sso_provider(scope.by(), scope.id(), &new).await?;
    Ok((StatusCode::CREATED, Json(changed(&scope, "sso:create", made))))
}

async fn replace(
    scope: InTenant,
    Path((_, name)): Path<(String, String)>,
    body: Body<NewSignInProvider>,
) -> Result<Json<SignInProvider>, ApiFault> {
    let before = find_provider(&scope.app, scope.id(), &name).await?;
    let new = body.0.provider(&scope.app, scope.id(), Some(&before)).await?;
    let after = scope.control.update_sso_provider(scope.by(), scope.id(), &before.id, &new).await?;
    Ok(Json(changed(&scope, "sso:update", after)))
}

/// Writes a change down and shows what became of it.
fn changed(scope: &InTenant, action: &str, provider: Provider) -> SignInProvider {
    let detail = json!(SignInProvider::of(provider.clone(), None));
    scope.audited(action, &provider.name, &detail);
    SignInProvider::of(provider, scope.app.sso().ok().as_ref())
}

async fn remove(scope: InTenant, Path((_, name)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    let found = find_provider(&scope.app, scope.id(), &name).await?;
    scope.control.delete_sso_provider(scope.by(), scope.id(), &found.id).await?;
    scope.audited("sso:delete", &found.name, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

/// Asks whether the provider answers as it should, without signing anyone in.
async fn test(
    scope: InTenant,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<ProviderTest>, ApiFault> {
    let found = find_provider(&scope.app, scope.id(), &name).await?;
    scope.audited("sso:test", &found.name, &Value::Null);
    let check = |name: &str, ok, detail| ProviderCheck { name: name.to_owned(), ok, detail };
    Ok(Json(match scope.app.sso()?.check_provider(&found).await {
        Ok(facts) => {
            let checked = |(name, fact): (&String, &Value)| {
                check(name, true, fact.as_str().map_or_else(|| fact.to_string(), str::to_owned))
            };
            ProviderTest { ok: true, checks: facts.as_object().into_iter().flatten().map(checked).collect() }
        }
        Err(error) => {
            let detail = match &error {
                // In its own words; the rest is ours, and not for the page.
                control::ControlError::Sso(_) => error.to_string(),
                _ => Fault::from(error).message(),
            };
            ProviderTest { ok: false, checks: vec![check("provider", false, detail)] }
        }
    }))
}
