use kit::{Registration, ServiceRegistry};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn keys_are_listed_revoked_and_expire() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        let expires_at = Some(NOW + 5_000);
        let (short, short_secret) =
            c.create_key(&t, &by, NewKey { expires_at, ..key("short") }).await.unwrap();
        f.clock.advance(Duration::from_millis(1));
        let (long, long_secret) = c.create_key(&t, &by, key("long")).await.unwrap();
        assert_eq!(c.keys(&t, None, 10).await.unwrap(), [short.clone(), long.clone()]);
        assert_eq!(c.keys(&t, None, 1).await.unwrap(), std::slice::from_ref(&short));
        assert_eq!(c.keys(&t, Some(&short.id), 10).await.unwrap(), std::slice::from_ref(&long));
        assert_eq!(c.keys(&tenant("default"), None, 10).await.unwrap(), []);
        assert!(short_secret.expose().starts_with(&short.prefix));
        assert_eq!(short.created_by, "system");

        assert_eq!(c.authenticate_key(short_secret.expose()).await.unwrap().key_id, Some(short.id));
        f.clock.advance(5 * SECOND);
        let expired = c.authenticate_key(short_secret.expose()).await.unwrap_err();
        assert_eq!(expired.remedy(), Remedy::Authenticate);

        let principal = c.authenticate_key(long_secret.expose()).await.unwrap();
        assert_eq!((&principal.tenant, principal.who.kind), (&t, ActorKind::Key));
        assert_eq!(principal.permissions, Permissions::of(&[Permission::TelemetryWrite]));
        assert_missing(c.revoke_key(&tenant("default"), &by, &long.id).await);
        assert!(c.authenticate_key(long_secret.expose()).await.is_ok());
        c.revoke_key(&t, &by, &long.id).await.unwrap();
        assert!(c.authenticate_key(long_secret.expose()).await.is_err(), "at once");
        let revoked_at = c.keys(&t, None, 10).await.unwrap()[1].revoked_at;
        f.clock.advance(SECOND);
        c.revoke_key(&t, &by, &long.id).await.unwrap();
        assert_eq!(c.keys(&t, None, 10).await.unwrap()[1].revoked_at, revoked_at);
        assert_missing(c.rotate_key(&t, &by, &long.id, 0).await);

        f.clock.advance(91 * DAY);
        c.remove_ended().await.unwrap();
        assert_eq!(rows(&f, "api_keys").await, 0, "after three months nobody asks any more");
    })
    .await;
}

#[tokio::test]
async fn texts_that_are_no_keys_are_refused_alike() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let (_, secret) = c.create_key(&t, &Principal::system(), key("k")).await.unwrap();
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
        let (here, t) = control_with(&f, "t").await;
        let there = control(&f).await;
        let (k, secret) = here.create_key(&t, &Principal::system(), key("k")).await.unwrap();
        assert!(there.authenticate_key(secret.expose()).await.is_ok());
        here.revoke_key(&t, &Principal::system(), &k.id).await.unwrap();
        f.clock.advance(10 * SECOND);
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
        let may = |permission| set.permissions().has(permission);
        let seen = (
            may(Permission::TelemetryWrite),
            may(Permission::TelemetryRead) && may(Permission::ObjectsRead) && may(Permission::SettingsRead),
            may(Permission::MembersManage),
        );
        assert_eq!(seen, (ingest, query, admin), "{scopes:?}");
        assert!(!may(Permission::PlatformManage));
    }
    assert_eq!(KeyScopes::of(&[]), None);
}

#[tokio::test]
async fn uses_of_keys_are_written_down_in_the_background() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let registry = ServiceRegistry::new(f.shared_clock());
        registry.register(Registration::instance("control", Arc::new(c.clone()))).unwrap();
        registry.start_all().await.unwrap();
        let (_, secret) = c.create_key(&t, &Principal::system(), key("k")).await.unwrap();
        f.clock.advance(3 * SECOND);
        c.authenticate_key(secret.expose()).await.unwrap();
        assert_eq!(c.keys(&t, None, 1).await.unwrap()[0].last_used_at, None);
        assert!(registry.shutdown(5 * SECOND).await.is_clean());
        assert_eq!(c.keys(&t, None, 1).await.unwrap()[0].last_used_at, Some(NOW + 3_000));
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_works_with_both_secrets_until_the_overlap_ends() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let by = Principal::system();
        let (k, first) = c.create_key(&t, &by, key("k")).await.unwrap();
        c.authenticate_key(first.expose()).await.unwrap();
        let (rotated, second) = c.rotate_key(&t, &by, &k.id, 60_000).await.unwrap();
        assert_eq!((rotated.id.as_str(), rotated.rotated_at), (k.id.as_str(), Some(NOW)));
        assert!(second.expose().starts_with(&rotated.prefix) && rotated.prefix != k.prefix);
        for secret in [&first, &second] {
            assert_eq!(c.authenticate_key(secret.expose()).await.unwrap().key_id, Some(k.id.clone()));
        }
        f.clock.advance(60 * SECOND);
        assert!(c.authenticate_key(first.expose()).await.is_err());
        assert!(c.authenticate_key(second.expose()).await.is_ok());

        let (_, third) = c.rotate_key(&t, &by, &k.id, 60_000).await.unwrap();
        let (_, fourth) = c.rotate_key(&t, &by, &k.id, 0).await.unwrap();
        for (secret, works) in [(&second, false), (&third, false), (&fourth, true)] {
            assert_eq!(c.authenticate_key(secret.expose()).await.is_ok(), works);
        }
        c.revoke_key(&t, &Principal::system(), &k.id).await.unwrap();
        assert!(c.authenticate_key(fourth.expose()).await.is_err());
        f.clock.advance(SECOND);
        c.remove_ended().await.unwrap();
        assert_eq!(c.keys(&t, None, 1).await.unwrap()[0].old_expires_at, None);
    })
    .await;
}

#[tokio::test]
async fn name_scopes_and_end_of_a_key_change_at_once() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let by = Principal::system();
        let (k, secret) = c.create_key(&t, &by, key("k")).await.unwrap();
        c.authenticate_key(secret.expose()).await.unwrap();
        let query = KeyScopes::of(&[KeyScope::Query]).unwrap();
        let change =
            KeyChange { name: Some("reader"), scopes: Some(query), expires_at: Some(Some(NOW + 9_000)) };
        let changed = c.change_key(&t, &by, &k.id, change).await.unwrap();
        assert_eq!((changed.name.as_str(), &changed.grant), ("reader", &KeyGrant::Scopes(query)));
        assert_eq!(c.authenticate_key(secret.expose()).await.unwrap().permissions, query.permissions());
        let kept = c.change_key(&t, &by, &k.id, KeyChange::default()).await.unwrap();
        assert_eq!(kept, changed);
        f.clock.advance(9 * SECOND);
        assert!(c.authenticate_key(secret.expose()).await.is_err());
        c.change_key(&t, &by, &k.id, KeyChange { expires_at: Some(None), ..KeyChange::default() })
            .await
            .unwrap();
        assert!(c.authenticate_key(secret.expose()).await.is_ok());
        assert_missing(c.change_key(&tenant("default"), &by, &k.id, KeyChange::default()).await);
    })
    .await;
}

#[tokio::test]
async fn nobody_makes_or_renews_a_key_that_may_do_more_than_they_may() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let system = Principal::system();
        let keys_only = NewRole {
            name: "keymaster",
            description: "",
            permissions: Permissions::of(&[Permission::KeysManage, Permission::TelemetryWrite]),
            selector: None,
        };
        c.create_role(&t, &system, keys_only).await.unwrap();
        let by = asking(&c, &t, "k@example.com", "keymaster").await;
        let admin = NewKey { grant: KeyGrant::Scopes(KeyScopes::ALL), ..key("admin") };
        c.create_key(&t, &by, key("ingest")).await.unwrap();
        assert_forbidden(c.create_key(&t, &by, admin.clone()).await);
        let (strong, _) = c.create_key(&t, &system, admin).await.unwrap();
        assert_forbidden(c.rotate_key(&t, &by, &strong.id, 0).await);
        assert_forbidden(c.change_key(&t, &by, &strong.id, KeyChange::default()).await);
        assert_forbidden(c.create_service_account(&t, &by, "robot", "admin").await);
        let editor = asking(&c, &t, "e@example.com", "editor").await;
        assert_forbidden(c.create_key(&t, &editor, key("ingest")).await);
        let elsewhere = asking(&c, &tenant("default"), "a@example.com", "admin").await;
        assert_forbidden(c.create_key(&t, &elsewhere, key("ingest")).await);
    })
    .await;
}

#[tokio::test]
async fn keys_of_a_service_account_do_what_its_role_permits_now() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let by = asking(&c, &t, "admin@example.com", "admin").await;
        let robot = c.create_service_account(&t, &by, "robot", "viewer").await.unwrap();
        assert_taken(c.create_service_account(&t, &by, "robot", "viewer").await);
        let grant = KeyGrant::ServiceAccount(robot.id.clone());
        let (k, secret) = c.create_key(&t, &by, NewKey { grant, ..key("k") }).await.unwrap();
        let seen = async || c.authenticate_key(secret.expose()).await.map(|p| p.permissions);
        let principal = c.authenticate_key(secret.expose()).await.unwrap();
        assert_eq!((principal.who.kind, principal.who.name.as_str()), (ActorKind::ServiceAccount, "robot"));
        assert_eq!(principal.permissions, Role::Viewer.permissions());

        let change = ServiceAccountChange { role: Some("editor"), ..Default::default() };
        c.change_service_account(&t, &by, &robot.id, change).await.unwrap();
        assert_eq!(seen().await.unwrap(), Role::Editor.permissions());
        let change = ServiceAccountChange { state: Some(UserState::Disabled), ..Default::default() };
        c.change_service_account(&t, &by, &robot.id, change).await.unwrap();
        assert!(seen().await.is_err());
        let change = ServiceAccountChange { state: Some(UserState::Active), ..Default::default() };
        c.change_service_account(&t, &by, &robot.id, change).await.unwrap();
        assert!(seen().await.is_ok());

        let scopes = KeyChange { scopes: Some(KeyScopes::ALL), ..KeyChange::default() };
        assert!(matches!(
            c.change_key(&t, &by, &k.id, scopes).await,
            Err(ControlError::Invalid { field: "scopes", .. })
        ));
        let other = c.create_service_account(&t, &by, "other", "viewer").await.unwrap();
        let rename = ServiceAccountChange { name: Some("robot"), ..Default::default() };
        assert_taken(c.change_service_account(&t, &by, &other.id, rename).await);
        let grant = KeyGrant::ServiceAccount("sa_none".to_owned());
        assert_missing(c.create_key(&t, &by, NewKey { grant, ..key("k") }).await);

        let names = c.service_accounts(&t, None, 10).await.unwrap().into_iter().map(|a| a.name);
        assert_eq!(names.collect::<Vec<_>>(), ["other", "robot"]);
        c.delete_service_account(&t, &by, &robot.id).await.unwrap();
        assert!(seen().await.is_err());
        assert_missing(c.service_account(&t, &robot.id).await);
    })
    .await;
}

#[tokio::test]
async fn nobody_revokes_a_key_that_may_do_more_than_they() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let keeper = Role::Viewer.permissions().and(Permissions::of(&[Permission::KeysManage]));
        let keeper = NewRole { name: "keeper", description: "", permissions: keeper, selector: None };
        c.create_role(&t, &Principal::system(), keeper).await.unwrap();
        let by = asking(&c, &t, "keys@example.com", "keeper").await;
        let admin = KeyGrant::Scopes(KeyScopes::of(&[KeyScope::Admin]).unwrap());
        let admin = NewKey { name: "admin", grant: admin, expires_at: None };
        let (admin, secret) = c.create_key(&t, &Principal::system(), admin).await.unwrap();
        assert_forbidden(c.revoke_key(&t, &by, &admin.id).await);
        assert!(c.authenticate_key(secret.expose()).await.is_ok());
        let query = KeyGrant::Scopes(KeyScopes::of(&[KeyScope::Query]).unwrap());
        let query = NewKey { name: "query", grant: query, expires_at: None };
        let (query, _) = c.create_key(&t, &Principal::system(), query).await.unwrap();
        c.revoke_key(&t, &by, &query.id).await.unwrap();
    })
    .await;
}
