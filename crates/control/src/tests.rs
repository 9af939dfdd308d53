use std::sync::Arc;
use std::time::Duration;

use db::testing::{Fixture, each_backend};
use kit::{Registration, ServiceRegistry};
use model::TenantId;
use serde_json::{Value, json};
use sqlx::Row;

use super::*;

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

async fn control(f: &Fixture) -> Control {
    Control::open(f.db.clone(), f.shared_clock(), Keyring::ephemeral().unwrap()).await.unwrap()
}

fn key(name: &str) -> NewKey<'_> {
    NewKey { name, scopes: KeyScopes::of(&[KeyScope::Ingest]).unwrap(), expires_at: None }
}

/// Every text in every table of the shared part.
async fn stored_texts(f: &Fixture) -> String {
    let mut connection = f.db.control().read().await.unwrap();
    let mut texts = String::new();
    for statement in [
        "SELECT id || tenant_id || name || hash || prefix || scopes FROM api_keys",
        "SELECT hash || user_id FROM sign_in_links",
        "SELECT hash || user_id FROM sessions",
        "SELECT name || value FROM control_facts",
    ] {
        for row in sqlx::query(statement).fetch_all(&mut *connection).await.unwrap() {
            texts.push_str(&row.get::<String, _>(0));
        }
    }
    texts
}

#[tokio::test]
async fn the_first_start_hands_out_a_key_and_a_link_once_and_stores_only_hashes() {
    each_backend(async |f| {
        let (a, b) = (control(&f).await, control(&f).await);
        let (x, y) = tokio::join!(a.bootstrap(), b.bootstrap());
        let mut first: Vec<First> = [x.unwrap(), y.unwrap()].into_iter().flatten().collect();
        assert_eq!(first.len(), 1, "two starts at once agree on which is first");
        let first = first.remove(0);
        assert!(control(&f).await.bootstrap().await.unwrap().is_none());

        assert!(first.key.expose().starts_with("bw_"));
        let principal = a.authenticate_key(first.key.expose()).await.unwrap();
        assert_eq!(principal.tenant, TenantId::default_tenant());
        assert_eq!(principal.permissions, Permissions::TENANT);
        let session = a.redeem_link(first.link_token.expose()).await.unwrap();
        assert_eq!(session.user.role, "platform_admin");

        let texts = stored_texts(&f).await;
        for secret in [&first.key, &first.link_token, &session.token, &session.csrf] {
            assert!(!texts.contains(&secret.expose()[4..20]));
            assert!(!format!("{first:?} {session:?} {principal:?} {a:?}").contains(&secret.expose()[4..20]));
        }
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_revoked_and_expire() {
    each_backend(async |f| {
        let c = control(&f).await;
        let t = tenant("acme");
        let expires_at = Some(1_700_000_005_000);
        let (short, short_secret) = c.create_key(&t, NewKey { expires_at, ..key("short") }).await.unwrap();
        f.clock.advance(Duration::from_millis(1));
        let (long, long_secret) = c.create_key(&t, key("long")).await.unwrap();
        assert_eq!(c.keys(&t).await.unwrap(), [short.clone(), long.clone()]);
        assert_eq!(c.keys(&tenant("other")).await.unwrap(), []);
        assert!(short_secret.expose().starts_with(&short.prefix));

        assert_eq!(c.authenticate_key(short_secret.expose()).await.unwrap().key_id, Some(short.id));
        f.clock.advance(Duration::from_secs(5));
        let expired = c.authenticate_key(short_secret.expose()).await.unwrap_err();
        assert_eq!(expired.remedy(), Remedy::Authenticate);

        assert_eq!(c.authenticate_key(long_secret.expose()).await.unwrap().tenant, t);
        assert!(matches!(c.revoke_key(&tenant("other"), &long.id).await, Err(ControlError::NotFound { .. })));
        assert!(c.authenticate_key(long_secret.expose()).await.is_ok());
        c.revoke_key(&t, &long.id).await.unwrap();
        assert!(c.authenticate_key(long_secret.expose()).await.is_err(), "at once");
        let revoked_at = c.keys(&t).await.unwrap()[1].revoked_at;
        f.clock.advance(Duration::from_secs(1));
        c.revoke_key(&t, &long.id).await.unwrap();
        assert_eq!(c.keys(&t).await.unwrap()[1].revoked_at, revoked_at);
    })
    .await;
}

#[tokio::test]
async fn texts_that_are_no_keys_are_refused_alike() {
    each_backend(async |f| {
        let c = control(&f).await;
        let (_, secret) = c.create_key(&tenant("t"), key("k")).await.unwrap();
        let mut wrong = secret.expose().to_owned();
        wrong.pop();
        for text in ["", "bw_", "'; DROP TABLE api_keys; --", &wrong, &"x".repeat(1 << 20), "\0", "é"] {
            for _ in 0..2 {
                assert!(
                    matches!(c.authenticate_key(text).await, Err(ControlError::InvalidKey)),
                    "{text:.20}"
                );
            }
        }
        assert!(c.authenticate_key(secret.expose()).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn another_process_sees_a_revocation_within_ten_seconds() {
    each_backend(async |f| {
        let (here, there) = (control(&f).await, control(&f).await);
        let t = tenant("t");
        let (k, secret) = here.create_key(&t, key("k")).await.unwrap();
        assert!(there.authenticate_key(secret.expose()).await.is_ok());
        here.revoke_key(&t, &k.id).await.unwrap();
        f.clock.advance(Duration::from_secs(10));
        assert!(there.authenticate_key(secret.expose()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn scopes_permit_what_they_say_and_admin_everything() {
    for (scopes, ingest, query, admin) in [
        (vec![KeyScope::Ingest], true, false, false),
        (vec![KeyScope::Query, KeyScope::Ingest], true, true, false),
        (vec![KeyScope::Admin], true, true, true),
    ] {
        let set = KeyScopes::of(&scopes).unwrap();
        let seen = (set.allow(KeyScope::Ingest), set.allow(KeyScope::Query), set.allow(KeyScope::Admin));
        assert_eq!(seen, (ingest, query, admin), "{scopes:?}");
        assert_eq!(set.iter().count(), scopes.len());
    }
    assert_eq!(KeyScopes::of(&[]), None);
}

#[tokio::test]
async fn uses_of_keys_are_written_down_in_the_background() {
    each_backend(async |f| {
        let c = control(&f).await;
        let registry = ServiceRegistry::new(f.shared_clock());
        registry.register(Registration::instance("control", Arc::new(c.clone()))).unwrap();
        registry.start_all().await.unwrap();
        let t = tenant("t");
        let (_, secret) = c.create_key(&t, key("k")).await.unwrap();
        f.clock.advance(Duration::from_secs(3));
        c.authenticate_key(secret.expose()).await.unwrap();
        assert_eq!(c.keys(&t).await.unwrap()[0].last_used_at, None);
        assert!(registry.shutdown(Duration::from_secs(5)).await.is_clean());
        assert_eq!(c.keys(&t).await.unwrap()[0].last_used_at, Some(1_700_000_003_000));
    })
    .await;
}

#[tokio::test]
async fn a_link_opens_one_session_within_its_hour() {
    each_backend(async |f| {
        let c = control(&f).await;
        let t = tenant("acme");
        let new = NewUser { email: "Ada@Example.com", name: "Ada", role: "editor" };
        let ada = c.create_user(&t, new.clone()).await.unwrap();
        assert_eq!(ada.email, "ada@example.com");
        assert!(matches!(c.create_user(&t, new.clone()).await, Err(ControlError::Exists { .. })));
        assert!(c.create_user(&tenant("other"), new).await.is_ok());
        assert!(matches!(
            c.new_sign_in_link(&t, "eve@example.com").await,
            Err(ControlError::NotFound { .. })
        ));

        let link = c.new_sign_in_link(&t, "ADA@example.com").await.unwrap();
        let token = link.token.expose();
        let (x, y) = tokio::join!(c.redeem_link(token), c.redeem_link(token));
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1);
        let session = x.or(y).unwrap();
        assert_eq!(session.user, ada);

        let late = c.new_sign_in_link(&t, &ada.id).await.unwrap();
        f.clock.advance(Duration::from_secs(3600));
        let error = c.redeem_link(late.token.expose()).await.unwrap_err();
        assert!(matches!(error, ControlError::InvalidLink) && error.remedy() == Remedy::Authenticate);
    })
    .await;
}

#[tokio::test]
async fn sessions_last_while_they_are_used_and_end_when_asked() {
    each_backend(async |f| {
        let c = control(&f).await;
        let first = c.bootstrap().await.unwrap().unwrap();
        let session = c.redeem_link(first.link_token.expose()).await.unwrap();
        let token = session.token.expose();
        let day = Duration::from_secs(86_400);
        for _ in 0..4 {
            f.clock.advance(6 * day);
            let principal = c.authenticate_session(token).await.unwrap();
            assert_eq!(principal.user, session.user);
            assert!(principal.csrf.matches(session.csrf.expose()) && !principal.csrf.matches("x"));
        }
        f.clock.advance(6 * day);
        let ended = c.authenticate_session(token).await.unwrap_err();
        assert!(matches!(ended, ControlError::InvalidSession), "thirty days are the most");

        let link = c.new_sign_in_link(&TenantId::default_tenant(), "admin@localhost").await.unwrap();
        let session = c.redeem_link(link.token.expose()).await.unwrap();
        c.end_session(session.token.expose()).await.unwrap();
        c.end_session(session.token.expose()).await.unwrap();
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        assert!(c.authenticate_session(link.token.expose()).await.is_err(), "a link is no session");

        let link = c.new_sign_in_link(&TenantId::default_tenant(), "admin@localhost").await.unwrap();
        let session = c.redeem_link(link.token.expose()).await.unwrap();
        f.clock.advance(7 * day);
        assert!(c.authenticate_session(session.token.expose()).await.is_err(), "a week unused");
        c.remove_ended().await.unwrap();
        let mut connection = f.db.control().read().await.unwrap();
        let left = sqlx::query("SELECT hash FROM sessions").fetch_all(&mut *connection).await.unwrap();
        assert_eq!(left.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn objects_have_versions_and_belong_to_their_tenant() {
    each_backend(async |f| {
        let c = control(&f).await;
        let (a, b) = (tenant("a"), tenant("b"));
        let kind = ObjectKind::Dashboard;
        let put = async |tenant: &TenantId, name: &str, n: i64, expected| {
            c.put_object(tenant, kind, name, &json!({"n": n}), expected).await
        };
        assert_eq!(put(&a, "home", 1, Some(0)).await.unwrap().version, 1);
        f.clock.advance(Duration::from_secs(1));
        let second = put(&a, "home", 2, Some(1)).await.unwrap();
        assert_eq!((second.version, second.updated_at - second.created_at), (2, 1000));
        let stale = put(&a, "home", 3, Some(1)).await.unwrap_err();
        assert_eq!(
            stale.to_string(),
            "dashboard \"home\" is at version 2, not 1; read it again and repeat the change"
        );
        assert!(put(&a, "home", 3, Some(0)).await.is_err());
        assert_eq!(c.object(&a, kind, "home").await.unwrap(), second);
        assert_eq!(put(&a, "home", 3, None).await.unwrap().version, 3);

        assert!(matches!(c.object(&b, kind, "home").await, Err(ControlError::NotFound { .. })));
        assert!(matches!(c.object(&a, ObjectKind::Rule, "home").await, Err(ControlError::NotFound { .. })));
        for name in ["c", "a", "b"] {
            put(&b, name, 1, None).await.unwrap();
        }
        let names = |objects: Vec<Object>| objects.into_iter().map(|o| o.name).collect::<Vec<_>>();
        assert_eq!(names(c.objects(&b, kind, None, 2).await.unwrap()), ["a", "b"]);
        assert_eq!(names(c.objects(&b, kind, Some("b"), 2).await.unwrap()), ["c"]);
        c.delete_object(&b, kind, "a").await.unwrap();
        assert!(matches!(c.delete_object(&b, kind, "a").await, Err(ControlError::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn bad_fields_are_named() {
    each_backend(async |f| {
        let c = control(&f).await;
        let t = tenant("t");
        for (result, want) in [
            (c.create_key(&t, key(" ")).await.map(drop), "name: must not be empty"),
            (c.create_key(&t, key("a\nb")).await.map(drop), "name: must not hold control characters"),
            (
                c.create_key(&t, NewKey { expires_at: Some(5), ..key("k") }).await.map(drop),
                "expires_at: lies in the past; give a later time or none",
            ),
            (
                c.create_user(&t, NewUser { email: "ada", name: "Ada", role: "viewer" }).await.map(drop),
                "email: must be an address such as ada@example.com",
            ),
            (
                c.put_object(&t, ObjectKind::Query, &"x".repeat(201), &Value::Null, None).await.map(drop),
                "name: has 201 bytes; at most 200 are allowed",
            ),
            (
                c.put_object(&t, ObjectKind::Query, "q", &json!("x".repeat(1 << 20)), None).await.map(drop),
                "spec: has 1048578 bytes; at most 1048576 are allowed",
            ),
            (
                c.put_object(&t, ObjectKind::Query, "q", &json!("\0"), None).await.map(drop),
                "spec: must not hold the character U+0000",
            ),
        ] {
            let error = result.unwrap_err();
            assert_eq!((error.to_string().as_str(), error.remedy()), (want, Remedy::FixRequest));
        }
    })
    .await;
}

#[test]
fn spellings_read_back() {
    assert!(ObjectKind::ALL.into_iter().all(|kind| ObjectKind::parse(kind.as_str()) == Some(kind)));
    assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
    assert!(KeyScope::ALL.into_iter().all(|scope| KeyScope::parse(scope.as_str()) == Some(scope)));
    assert_eq!((ObjectKind::parse("x"), Role::parse(""), KeyScope::parse("Admin")), (None, None, None));
}
