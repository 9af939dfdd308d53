//! One suite for both kinds of database, by topic.

mod apply; // sets of objects from files
mod deletions; // what was asked to go
mod fields; // bad fields and spellings
mod first_start; // what the first start hands out
mod invitations; // how people join
mod keys; // API keys and service accounts
mod migrations; // tables, up and down
mod objects; // what people saved
mod provision; // a tenant in one call
mod roles; // roles of a tenant's own
mod second_factor; // authenticators and recovery codes
mod sessions; // links and sessions
mod sign_in; // passwords and resets
mod teams; // teams and projects
mod tenants; // states, settings, deletion
mod throttle; // guessing is slow
mod users; // people

use std::sync::Arc;
use std::time::Duration;

use db::testing::{Fixture, each_backend};
use model::TenantId;
use serde_json::{Value, json};
use sqlx::Row;

use crate::*;

const NOW: i64 = 1_700_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);
const PASSWORD: &str = "a good long sentence";

/// From where people sign in here.
const CLIENT: Client<'static> = Client { address: "192.0.2.1", user_agent: "Firefox" };

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

async fn control(f: &Fixture) -> Control {
    Control::open(f.db.clone(), f.shared_clock(), Keyring::ephemeral().unwrap()).await.unwrap()
}

/// A control plane and an active tenant without anyone in it.
async fn control_with(f: &Fixture, id: &str) -> (Control, TenantId) {
    let control = control(f).await;
    add_tenant(f, id).await;
    (control, tenant(id))
}

/// A tenant that is there without having been provisioned.
async fn add_tenant(f: &Fixture, id: &str) {
    let mut tx = f.db.control().begin().await.unwrap();
    let insert =
        "INSERT INTO tenants (id, name, state, created_at, updated_at) VALUES ($1, $1, 'active', $2, $2)";
    sqlx::query(insert).bind(id).bind(NOW).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Someone of the tenant who carries the role.
async fn someone(c: &Control, t: &TenantId, email: &str, role: &str) -> User {
    c.create_user(t, &Principal::system(), NewUser { email, name: "Someone", role }).await.unwrap()
}

/// The same, as who asks.
async fn asking(c: &Control, t: &TenantId, email: &str, role: &str) -> Principal {
    let user = someone(c, t, email, role).await;
    (*c.principal(&user).await.unwrap()).clone()
}

/// Someone with [`PASSWORD`].
async fn with_password(c: &Control, t: &TenantId, email: &str, role: &str) -> User {
    let user = someone(c, t, email, role).await;
    c.change_password(t, &user.id, None, PASSWORD, None).await.unwrap();
    user
}

/// A session of theirs.
async fn session_of(c: &Control, user: &User) -> Session {
    let link = c.new_sign_in_link(&user.tenant, &user.id).await.unwrap();
    c.redeem_link(link.token.expose(), CLIENT).await.unwrap()
}

fn key(name: &str) -> NewKey<'_> {
    let grant = KeyGrant::Scopes(KeyScopes::of(&[KeyScope::Ingest]).unwrap());
    NewKey { name, grant, expires_at: None }
}

/// How many rows a table of the shared part has.
async fn rows(f: &Fixture, table: &str) -> i64 {
    let mut connection = f.db.control().read().await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query(statement).fetch_one(&mut *connection).await.unwrap().get(0)
}

/// Every text in every column that holds something of a secret.
async fn stored_texts(f: &Fixture) -> String {
    let mut connection = f.db.control().read().await.unwrap();
    let mut texts = String::new();
    for statement in [
        "SELECT id || tenant_id || name || hash || COALESCE(old_hash, '') || prefix || scopes FROM api_keys",
        "SELECT hash || user_id FROM sign_in_links",
        "SELECT hash || id || user_id FROM sessions",
        "SELECT name || value FROM control_facts",
        "SELECT id || hash || email FROM invitations",
        "SELECT hash FROM passwords",
        "SELECT hash FROM password_resets",
        "SELECT secret FROM second_factors",
        "SELECT hash FROM recovery_codes",
        "SELECT subject FROM sign_in_failures",
    ] {
        for row in sqlx::query(statement).fetch_all(&mut *connection).await.unwrap() {
            texts.push_str(&row.get::<String, _>(0));
        }
    }
    texts
}

#[track_caller]
fn assert_forbidden<T: std::fmt::Debug>(result: Result<T, ControlError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, ControlError::Forbidden { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::GetPermission);
}

#[track_caller]
fn assert_missing<T: std::fmt::Debug>(result: Result<T, ControlError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, ControlError::NotFound { .. }), "{error}");
}

#[track_caller]
fn assert_taken<T: std::fmt::Debug>(result: Result<T, ControlError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, ControlError::Exists { .. }), "{error}");
}

#[track_caller]
fn assert_wrong<T: std::fmt::Debug>(result: Result<T, ControlError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, ControlError::WrongCredentials), "{error}");
    assert_eq!(error.remedy(), Remedy::Authenticate);
}
