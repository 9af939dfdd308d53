//! Tokens on both kinds of database.

mod claims; // what access tokens say, and what is refused
mod keys; // rotation
mod refresh; // families
mod revoke; // ending early

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::testing::{Fixture, each_backend};
use kit::Clock;
use model::TenantId;
use serde_json::{Map, Value, json};
use sqlx::Row;

use super::*;
use crate::error::Remedy;
use crate::permissions::{Permission, Role};
use crate::sealed::Keyring;
use crate::sessions::{Client, SignInMethod};
use crate::users::{NewUser, UserState, lock_active};

pub(super) const HOME: Binding<'static> = Binding { address: "192.0.2.1", agent: "Firefox" };
pub(super) const AWAY: Binding<'static> = Binding { address: "198.51.100.7", agent: "curl" };

pub(super) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// A control plane with an active tenant; processes that share a keyring share their keys.
pub(super) async fn control(f: &Fixture, keyring: &Keyring) -> Control {
    let control = Control::open(f.db.clone(), f.shared_clock(), keyring.clone()).await.unwrap();
    let insert = sqlx::query(
        "INSERT INTO tenants (id, name, state, created_at, updated_at) VALUES ('acme', 'Acme', 'active', 0, 0) \
         ON CONFLICT DO NOTHING",
    );
    let mut tx = control.begin().await.unwrap();
    tx.execute(insert).await.unwrap();
    tx.commit().await.unwrap();
    control
}

pub(super) async fn user(c: &Control, email: &str, role: Role) -> User {
    let new = NewUser { email, name: "Ada", role: role.as_str() };
    c.create_user(&tenant(), &Principal::system(), new).await.unwrap()
}

pub(super) async fn run(f: &Fixture, statement: &'static str) {
    let mut tx = f.db.control().begin().await.unwrap();
    tx.execute(statement).await.unwrap();
    tx.commit().await.unwrap();
}

impl Tokens {
    /// For somebody who has just begun a session.
    pub(crate) async fn issue(&self, user: &User, binding: Binding<'_>) -> Result<TokenPair, ControlError> {
        let control = &self.shared.control;
        let mut tx = control.begin().await?;
        let user = lock_active(&mut tx, &user.id).await?.ok_or(ControlError::InvalidToken)?;
        let id = user.id.clone();
        let session = control.begin_session(&mut tx, user, SignInMethod::Link, Client::default()).await?;
        tx.commit().await?;
        self.issue_to(&session.id, &id, binding).await
    }
}

pub(super) struct World {
    pub(super) control: Control,
    pub(super) tokens: Tokens,
    pub(super) ada: User,
    pub(super) keyring: Keyring,
}

pub(super) async fn world(f: &Fixture, settings: TokenSettings) -> World {
    let keyring = Keyring::ephemeral().unwrap();
    let control = control(f, &keyring).await;
    let tokens = Tokens::open(control.clone(), settings).await.unwrap();
    let ada = user(&control, "ada@example.com", Role::Editor).await;
    World { control, tokens, ada, keyring }
}

impl World {
    pub(super) async fn good(&self, token: &Secret) -> bool {
        self.good_from(token, HOME).await
    }

    pub(super) async fn good_from(&self, token: &Secret, binding: Binding<'_>) -> bool {
        good(&self.tokens, token.expose(), binding).await
    }
}

/// Whether a token is accepted; every refusal is the same.
pub(super) async fn good(tokens: &Tokens, token: &str, binding: Binding<'_>) -> bool {
    match tokens.authenticate_access(token, binding).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.to_string(), "the token is not valid; sign in again");
            assert_eq!(error.remedy(), Remedy::Authenticate);
            false
        }
    }
}

pub(super) fn part(token: &str, n: usize) -> Map<String, Value> {
    let text = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// Signs what we would never sign, with our own key.
pub(super) async fn forged(tokens: &Tokens, header: Value, claims: &Map<String, Value>) -> String {
    let key = tokens.signing_key().await.unwrap();
    let parts = [header.to_string(), Value::from(claims.clone()).to_string()];
    let message = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap()))
}

/// The same person in the same database.
pub(super) async fn world_again(f: &Fixture) -> World {
    let keyring = Keyring::ephemeral().unwrap();
    let control = control(f, &keyring).await;
    let ada = match control.user(&tenant(), "ada@example.com").await {
        Ok(ada) => ada,
        Err(_) => user(&control, "ada@example.com", Role::Editor).await,
    };
    let tokens = Tokens::open(control.clone(), TokenSettings::default()).await.unwrap();
    World { control, tokens, ada, keyring }
}
