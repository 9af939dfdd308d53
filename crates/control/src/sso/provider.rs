//! Providers of a tenant: what is set up, and by whom it may be.

use db::Tx;
use model::TenantId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::keys::tenant_of_row;
use crate::permissions::{Permission, Permissions, Principal};
use crate::roles::{covers, find_grant, may_give};
use crate::secret::{Secret, new_id};
use crate::sso::mapping::is_domain;
use crate::sso::oidc::OidcConfig;
use crate::sso::presets::GOOGLE;
use crate::sso::saml::SamlConfig;
use crate::tokens::{Which, end_families_of};

/// Providers of one tenant.
const PROVIDERS_MAX: i64 = 20;
const RULES_MAX: usize = 200;
const DOMAINS_MAX: usize = 50;
const SECRET_BYTES_MAX: usize = 1_000;

const COLUMNS: &str = "id, tenant_id, name, kind, enabled, config, role_mapping, default_role, domains, \
                       created_at, updated_at, \
                       CAST(CASE WHEN secret = '' THEN 0 ELSE 1 END AS BIGINT) AS has_secret";

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect.
    Oidc,
    /// SAML 2.0.
    Saml,
}

impl ProviderKind {
    /// Both protocols.
    pub const ALL: [Self; 2] = [Self::Oidc, Self::Saml];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Saml => "saml",
        }
    }
}

/// How a provider is reached, and what it calls things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderConfig {
    /// By OpenID Connect.
    Oidc(OidcConfig),
    /// By SAML 2.0.
    Saml(SamlConfig),
}

impl ProviderConfig {
    /// Which protocol.
    pub fn kind(&self) -> ProviderKind {
        match self {
            Self::Oidc(_) => ProviderKind::Oidc,
            Self::Saml(_) => ProviderKind::Saml,
        }
    }
}

/// Whoever is in this group gets this role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// As the provider spells it.
    pub group: String,
    /// The name of a built-in role or of one of the tenant's.
    pub role: String,
}

/// A provider that is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Identifier.
    pub id: String,
    /// Whose.
    pub tenant: TenantId,
    /// What people read on the sign-in page, unique within the tenant.
    pub name: String,
    /// False hides it and refuses sign-ins.
    pub enabled: bool,
    /// How it is reached.
    pub config: ProviderConfig,
    /// True when a client secret is stored.
    pub has_secret: bool,
    /// In order: the first rule that fits counts.
    pub role_mapping: Vec<RoleRule>,
    /// For those no rule fits; without one they may not sign in.
    pub default_role: Option<String>,
    /// Whose addresses may sign in; empty for all.
    pub domains: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
}

/// A provider to be created, or what one is to become.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// At most 100 bytes.
    pub name: String,
    /// False hides it.
    pub enabled: bool,
    /// How it is reached.
    pub config: ProviderConfig,
    /// The client secret of OpenID Connect. `None` keeps the one there is.
    pub client_secret: Option<Secret>,
    /// At most 200 rules.
    pub role_mapping: Vec<RoleRule>,
    /// For those no rule fits.
    pub default_role: Option<String>,
    /// Lower case, at most 50.
    pub domains: Vec<String>,
}

/// What the sign-in page may show to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInOption {
    /// The provider's identifier.
    pub id: String,
    /// What people read.
    pub name: String,
    /// The spelling of its protocol.
    pub kind: String,
}

impl Control {
    /// Sets a provider up. Whoever does so may manage settings and holds every role it hands out.
    pub async fn create_sso_provider(
        &self,
        by: &Principal,
        tenant: &TenantId,
        new: &NewProvider,
    ) -> Result<Provider, ControlError> {
        check(new)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        self.may_hand_out(&mut tx, by, tenant, &new.role_mapping, new.default_role.as_deref(), false).await?;
        let count = sqlx::query("SELECT COUNT(*) FROM sso_providers WHERE tenant_id = $1");
        let count = count.bind(tenant.as_str()).fetch_one(&mut *tx).await?;
        if count.try_get::<i64, _>(0)? >= PROVIDERS_MAX {
            let message = format!("the tenant has {PROVIDERS_MAX} providers already; delete one first");
            return Err(ControlError::Invalid { field: "name", message });
        }
        let id = new_id("sso")?;
        let secret = self.sealed_secret(&id, new.client_secret.as_ref())?.unwrap_or_default();
        let inserted = sqlx::query(
            "INSERT INTO sso_providers (id, tenant_id, name, kind, enabled, config, secret, role_mapping, \
             default_role, domains, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT (tenant_id, name) DO NOTHING",
        )
        .bind(id.as_str())
        .bind(tenant.as_str())
        .bind(new.name.trim())
        .bind(new.config.kind().as_str())
        .bind(i64::from(new.enabled))
        .bind(config_text(&new.config))
        .bind(secret)
        .bind(json(&new.role_mapping))
        .bind(new.default_role.as_deref())
        .bind(json(&new.domains))
        .bind(self.now())
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(ControlError::Exists { kind: "sign-in provider", name: new.name.clone() });
        }
        tx.commit().await?;
        self.sso_provider(tenant, &id).await
    }

    /// Changes a provider. Whoever does so holds every role it hands out, before and after; its protocol
    /// stays.
    pub async fn update_sso_provider(
        &self,
        by: &Principal,
        tenant: &TenantId,
        id: &str,
        new: &NewProvider,
    ) -> Result<Provider, ControlError> {
        check(new)?;
        let old = self.sso_provider(tenant, id).await?;
        if old.config.kind() != new.config.kind() {
            let message = format!("is {}; create another provider instead", old.config.kind().as_str());
            return Err(ControlError::Invalid { field: "kind", message });
        }
        let is_elsewhere = is_elsewhere(&old.config, &new.config);
        if is_elsewhere && old.has_secret && new.client_secret.is_none() {
            let message = "must be given again where the issuer or the client changes: the one there is was \
                           entered for another server"
                .to_owned();
            return Err(ControlError::Invalid { field: "client_secret", message });
        }
        let secret = self.sealed_secret(id, new.client_secret.as_ref())?;
        let mut tx = self.begin().await?;
        self.may_hand_out(&mut tx, by, tenant, &old.role_mapping, old.default_role.as_deref(), true).await?;
        self.may_hand_out(&mut tx, by, tenant, &new.role_mapping, new.default_role.as_deref(), false).await?;
        let updated = sqlx::query(
            "UPDATE sso_providers SET name = $1, enabled = $2, config = $3, secret = COALESCE($4, secret), \
             role_mapping = $5, default_role = $6, domains = $7, updated_at = $8 \
             WHERE id = $9 AND tenant_id = $10 AND updated_at = $11",
        )
        .bind(new.name.trim())
        .bind(i64::from(new.enabled))
        .bind(config_text(&new.config))
        .bind(secret)
        .bind(json(&new.role_mapping))
        .bind(new.default_role.as_deref())
        .bind(json(&new.domains))
        // Always later, so that two changes at once cannot both be judged by what was there before.
        .bind(self.now().max(old.updated_at.saturating_add(1)))
        .bind(id)
        .bind(tenant.as_str())
        .bind(old.updated_at)
        .execute(&mut *tx)
        .await;
        let updated = updated.map_err(db::DbError::from).map_err(|error| match error.is_conflict() {
            true => ControlError::Exists { kind: "sign-in provider", name: new.name.clone() },
            false => error.into(),
        })?;
        if updated.rows_affected() == 0 {
            let name = old.name;
            return Err(ControlError::Changed { kind: "sign-in provider", name, expected: 0, found: 1 });
        }
        if is_elsewhere {
            // Its people have other names there.
            let identities = sqlx::query("DELETE FROM sso_identities WHERE provider_id = $1");
            tx.execute(identities.bind(id)).await?;
        }
        if is_elsewhere || !new.enabled {
            end_of_provider(&mut tx, self.now(), id).await?;
        }
        tx.commit().await?;
        self.sso_provider(tenant, id).await
    }

    /// Removes a provider. People who signed in through it stay; what they signed in to through it ends.
    pub async fn delete_sso_provider(
        &self,
        by: &Principal,
        tenant: &TenantId,
        id: &str,
    ) -> Result<(), ControlError> {
        let old = self.sso_provider(tenant, id).await?;
        let mut tx = self.begin().await?;
        self.may_hand_out(&mut tx, by, tenant, &old.role_mapping, old.default_role.as_deref(), true).await?;
        end_of_provider(&mut tx, self.now(), id).await?;
        let delete = sqlx::query("DELETE FROM sso_providers WHERE id = $1 AND tenant_id = $2");
        tx.execute(delete.bind(id).bind(tenant.as_str())).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The tenant's providers, in order of name.
    pub async fn sso_providers(&self, tenant: &TenantId) -> Result<Vec<Provider>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM sso_providers WHERE tenant_id = $1 ORDER BY name");
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str());
        rows.fetch_all(&mut *connection).await?.iter().map(provider_of_row).collect()
    }

    /// One of them.
    pub async fn sso_provider(&self, tenant: &TenantId, id: &str) -> Result<Provider, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM sso_providers WHERE tenant_id = $1 AND id = $2");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id);
        let row = row.fetch_optional(&mut *connection).await?;
        provider_of_row(&row.ok_or_else(|| not_found("sign-in provider", id))?)
    }

    /// One that is enabled, whosever it is: the answer of a provider names only it.
    pub(crate) async fn enabled_sso_provider(&self, id: &str) -> Result<Option<Provider>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM sso_providers WHERE id = $1 AND enabled = 1");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id).fetch_optional(&mut *connection).await?;
        row.as_ref().map(provider_of_row).transpose()
    }

    /// What the sign-in page of a tenant offers.
    pub async fn sign_in_options(&self, tenant: &TenantId) -> Result<Vec<SignInOption>, ControlError> {
        let enabled = self.sso_providers(tenant).await?.into_iter().filter(|provider| provider.enabled);
        let option = |provider: Provider| SignInOption {
            kind: provider.config.kind().as_str().to_owned(),
            id: provider.id,
            name: provider.name,
        };
        Ok(enabled.map(option).collect())
    }

    /// The client secret; `None` for a provider without one.
    pub(crate) async fn sso_secret(&self, id: &str) -> Result<Option<Secret>, ControlError> {
        let mut connection = self.read().await?;
        let row = sqlx::query("SELECT secret FROM sso_providers WHERE id = $1").bind(id);
        let sealed: String = row.fetch_one(&mut *connection).await?.try_get(0)?;
        if sealed.is_empty() {
            return Ok(None);
        }
        let plain = self.shared.keyring.unseal(&purpose(id), &sealed)?;
        let damaged =
            |_| ControlError::Damaged { what: "sso_providers.secret", message: "is no text".to_owned() };
        Ok(Some(Secret::of(String::from_utf8(plain).map_err(damaged)?)))
    }

    fn sealed_secret(&self, id: &str, secret: Option<&Secret>) -> Result<Option<String>, ControlError> {
        let Some(secret) = secret else { return Ok(None) };
        if secret.expose().is_empty() {
            return Ok(Some(String::new()));
        }
        one_line("client_secret", secret.expose(), SECRET_BYTES_MAX)?;
        self.shared.keyring.seal(&purpose(id), secret.expose().as_bytes()).map(Some)
    }

    /// Nobody hands out what they do not hold, neither directly nor through a provider.
    async fn may_hand_out(
        &self,
        tx: &mut Tx,
        by: &Principal,
        tenant: &TenantId,
        rules: &[RoleRule],
        default_role: Option<&str>,
        is_old: bool,
    ) -> Result<(), ControlError> {
        by.need_in(tenant, Permission::SettingsManage)?;
        let mut names: Vec<_> = rules.iter().map(|rule| rule.role.as_str()).chain(default_role).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if is_old {
                // It may name a role that is gone, which hands out nothing.
                covers(&mut *tx, tenant, by, name).await?;
            } else {
                may_give(&mut *tx, tenant, by, name).await?;
            }
        }
        Ok(())
    }
}

impl Provider {
    /// Whether whoever carries the role may do nothing that the provider's roles together do not permit.
    pub(crate) async fn covers(&self, tx: &mut Tx, role: &str) -> Result<bool, ControlError> {
        let Some(held) = find_grant(&mut *tx, &self.tenant, role).await? else { return Ok(true) };
        let mut permissions = Permissions::NONE;
        let mut shows = false;
        let roles = self.role_mapping.iter().map(|rule| rule.role.as_str());
        for name in roles.chain(self.default_role.as_deref()) {
            if let Some(grant) = find_grant(&mut *tx, &self.tenant, name).await? {
                permissions = permissions.and(grant.permissions);
                shows |= grant.selector.is_none() || grant.selector == held.selector;
            }
        }
        Ok(shows && permissions.missing(held.permissions).is_empty())
    }
}

fn check(new: &NewProvider) -> Result<(), ControlError> {
    let invalid = |field, message: String| Err(ControlError::Invalid { field, message });
    one_line("name", &new.name, 100)?;
    // Providers are asked for by identifier or by name.
    if new.name.trim().starts_with("sso_") {
        return invalid("name", "must not begin with sso_, as identifiers do".to_owned());
    }
    if new.role_mapping.len() > RULES_MAX {
        return invalid("role_mapping", format!("has {} rules; at most {RULES_MAX}", new.role_mapping.len()));
    }
    for rule in &new.role_mapping {
        one_line("group", &rule.group, 1_000)?;
    }
    if new.domains.len() > DOMAINS_MAX {
        return invalid("domains", format!("has {} domains; at most {DOMAINS_MAX}", new.domains.len()));
    }
    if let Some(wrong) = new.domains.iter().find(|domain| !is_domain(domain)) {
        return invalid("domains", format!("{wrong:.80?} is no domain such as example.com in lower case"));
    }
    match &new.config {
        ProviderConfig::Oidc(config) => {
            config.check()?;
            let needs_domains =
                config.trust_email || !config.domain_claim.is_empty() || config.issuer == GOOGLE;
            if new.domains.is_empty() && needs_domains {
                let message =
                    "must name your domains: this provider speaks for people of other organisations, too";
                return invalid("domains", message.to_owned());
            }
            Ok(())
        }
        ProviderConfig::Saml(config) => config.check(),
    }
}

/// Ends sessions and tokens that were begun through a provider, which vouches for nobody any more.
async fn end_of_provider(tx: &mut Tx, now: i64, id: &str) -> Result<(), ControlError> {
    end_families_of(tx, now, Which::OfProvider(id), "the identity provider was changed or removed").await?;
    tx.execute(sqlx::query("DELETE FROM sessions WHERE provider_id = $1").bind(id)).await?;
    Ok(())
}

/// Whether another server speaks for people, or calls them otherwise: subjects may differ from client to client.
fn is_elsewhere(old: &ProviderConfig, new: &ProviderConfig) -> bool {
    match (old, new) {
        (ProviderConfig::Oidc(old), ProviderConfig::Oidc(new)) => {
            old.issuer != new.issuer || old.client_id != new.client_id
        }
        (ProviderConfig::Saml(old), ProviderConfig::Saml(new)) => old.entity_id != new.entity_id,
        _ => true,
    }
}

fn provider_of_row(row: &AnyRow) -> Result<Provider, ControlError> {
    let config: String = row.try_get("config")?;
    let config = match row.try_get::<String, _>("kind")?.as_str() {
        "oidc" => ProviderConfig::Oidc(parse("sso_providers.config", &config)?),
        "saml" => ProviderConfig::Saml(parse("sso_providers.config", &config)?),
        other => {
            let message = format!("{other:?} is no protocol");
            return Err(ControlError::Damaged { what: "sso_providers.kind", message });
        }
    };
    Ok(Provider {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        name: row.try_get("name")?,
        enabled: row.try_get::<i64, _>("enabled")? != 0,
        config,
        has_secret: row.try_get::<i64, _>("has_secret")? != 0,
        role_mapping: parse("sso_providers.role_mapping", &row.try_get::<String, _>("role_mapping")?)?,
        default_role: row.try_get("default_role")?,
        domains: parse("sso_providers.domains", &row.try_get::<String, _>("domains")?)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn parse<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, ControlError> {
    serde_json::from_str(text).map_err(|error| ControlError::Damaged { what, message: error.to_string() })
}

fn config_text(config: &ProviderConfig) -> String {
    match config {
        ProviderConfig::Oidc(config) => json(config),
        ProviderConfig::Saml(config) => json(config),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and lists make JSON")
}

fn purpose(id: &str) -> String {
    format!("sso_provider/{id}")
}
