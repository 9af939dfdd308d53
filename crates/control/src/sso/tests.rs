//! Sign-ins through providers, on both kinds of database.

mod oidc; // OpenID Connect
mod people; // who is let in, and as what
mod providers; // setting them up
mod saml; // SAML 2.0

use std::sync::Arc;

use db::testing::Fixture;
use model::TenantId;
use sqlx::{Executor, Row};

use super::testing::{CLIENT, SECRET, Stub};
use super::*;
use crate::permissions::{Permissions, Principal};
use crate::sealed::Keyring;

pub(super) const ISSUER: &str = "https://idp.test";
pub(super) const SITE: &str = "https://us.test";

pub(super) struct World {
    pub(super) control: Control,
    pub(super) sso: Sso,
    pub(super) stub: Arc<Stub>,
}

pub(super) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// Whoever may do everything within the tenant.
pub(super) fn admin() -> Principal {
    Principal { tenant: tenant(), permissions: Permissions::TENANT, ..Principal::system() }
}

pub(super) async fn world(f: &Fixture) -> World {
    world_at(f, ISSUER).await
}

pub(super) async fn world_at(f: &Fixture, issuer: &str) -> World {
    let keyring = Keyring::ephemeral().unwrap();
    let control = Control::open(f.db.clone(), f.shared_clock(), keyring).await.unwrap();
    run(
        f,
        "INSERT INTO tenants (id, name, state, created_at, updated_at) VALUES ('acme', 'Acme', 'active', 0, 0) \
         ON CONFLICT DO NOTHING",
    )
    .await;
    let stub = Stub::new(f.shared_clock(), issuer);
    let sso = Sso::new(control.clone(), stub.clone(), "https://us.test/").unwrap();
    World { control, sso, stub }
}

pub(super) async fn run(f: &Fixture, statement: &'static str) {
    let mut tx = f.db.control().begin().await.unwrap();
    tx.execute(statement).await.unwrap();
    tx.commit().await.unwrap();
}

pub(super) async fn count(f: &Fixture, statement: &'static str) -> i64 {
    let mut connection = f.db.control().read().await.unwrap();
    sqlx::query(statement).fetch_one(&mut *connection).await.unwrap().get(0)
}

pub(super) fn oidc_config(issuer: &str) -> OidcConfig {
    OidcConfig {
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        scopes: ["openid", "email", "profile"].map(str::to_owned).into(),
        groups_claim: "groups".to_owned(),
        trust_email: false,
        domain_claim: String::new(),
    }
}

pub(super) fn new_oidc(name: &str) -> NewProvider {
    NewProvider {
        name: name.to_owned(),
        enabled: true,
        config: ProviderConfig::Oidc(oidc_config(ISSUER)),
        client_secret: Some(Secret::of(SECRET.to_owned())),
        role_mapping: vec![rule("ops", "admin"), rule("dev", "editor")],
        default_role: Some("viewer".to_owned()),
        domains: vec!["example.com".to_owned()],
    }
}

pub(super) fn rule(group: &str, role: &str) -> RoleRule {
    RoleRule { group: group.to_owned(), role: role.to_owned() }
}

impl World {
    pub(super) async fn provider(&self, new: NewProvider) -> Provider {
        self.control.create_sso_provider(&admin(), &tenant(), &new).await.unwrap()
    }

    /// A whole sign-in by OpenID Connect.
    pub(super) async fn sign_in(&self, provider: &Provider) -> Result<SsoOutcome, ControlError> {
        let begun = self.sso.begin(&tenant(), &provider.id, "/explore", None).await?;
        let (state, code) = self.stub.agree(&begun.url);
        self.finish(provider, &state, &code, &begun.browser).await
    }

    pub(super) async fn finish(
        &self,
        provider: &Provider,
        state: &str,
        code: &str,
        browser: &Secret,
    ) -> Result<SsoOutcome, ControlError> {
        let callback = Callback { state, code: Some(code), ..Callback::default() };
        self.sso.finish_oidc(&provider.id, callback, browser.expose()).await
    }

    #[track_caller]
    pub(super) fn refused(&self, result: Result<SsoOutcome, ControlError>, want: &str) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} does not say {want:?}");
        assert!(!error.contains(SECRET) && !error.contains("access-token"));
    }
}
