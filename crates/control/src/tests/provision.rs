use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::provision::{Fault, Step};

use super::*;

const STEPS: [Step; 5] = [
    Step::CreateSchema,
    Step::ApplyMigrations,
    Step::ConfigureSettings,
    Step::CreateAdmin,
    Step::DefaultDashboards,
];

fn new_tenant(id: &str) -> NewTenant {
    NewTenant {
        id: tenant(id),
        name: format!("{id} Ltd"),
        settings: json!({"theme": "dark"}),
        limits: json!({"series": 1000}),
        admin_email: "Boss@Example.com".to_owned(),
        admin_name: "Boss".to_owned(),
        key_name: Some("first".to_owned()),
    }
}

fn defaults() -> Defaults {
    Defaults {
        dashboards: vec![
            ("Overview".to_owned(), json!({"charts": []})),
            ("Services".to_owned(), json!({"charts": [1]})),
        ],
        rules: vec![("Disk full".to_owned(), json!({"expr": "disk > 0.9"}))],
    }
}

pub(super) async fn create(c: &Control, id: &str) -> TenantResult {
    try_create(c, id).await.unwrap()
}

pub(super) async fn try_create(c: &Control, id: &str) -> Result<TenantResult, ControlError> {
    c.create_tenant(new_tenant(id), defaults()).await
}

/// Nothing at all is left of a tenant.
async fn assert_gone(f: &Fixture, c: &Control, id: &TenantId) {
    assert_missing(c.tenant(id).await);
    assert!(!f.db.has_tenant(id).await.unwrap());
    for table in ["users", "api_keys", "sign_in_links"] {
        assert_eq!(rows(f, table).await, 0, "{table}");
    }
    if f.db.backend() == db::Backend::Sqlite {
        let folder = f.settings.url.strip_prefix("sqlite://").unwrap();
        let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let left: Vec<_> = files.filter(|name| name.contains(id.as_str())).collect();
        assert_eq!(left, Vec::<String>::new());
    }
}

#[tokio::test]
async fn one_call_gives_a_tenant_that_is_ready_to_be_used() {
    each_backend(async |f| {
        let c = control(&f).await;
        let made = create(&c, "acme").await;
        let names: Vec<_> = made.steps.iter().map(|step| step.name).collect();
        assert_eq!(
            names,
            ["create_schema", "apply_migrations", "configure_settings", "create_admin", "default_dashboards"]
        );
        assert!(made.steps.iter().all(|step| step.done_at_ms == NOW));
        let t = made.tenant.id.clone();
        assert_eq!(
            (made.tenant.state, &made.tenant.settings),
            (TenantState::Active, &json!({"theme": "dark"}))
        );
        assert_eq!((&made.tenant.limits, made.tenant.name.as_str()), (&json!({"series": 1000}), "acme Ltd"));
        assert_eq!(*c.tenant(&t).await.unwrap(), made.tenant);

        let principal = c.authenticate_key(made.key.as_ref().unwrap().expose()).await.unwrap();
        assert_eq!((&principal.tenant, principal.permissions), (&t, Permissions::TENANT));
        f.clock.advance(6 * DAY);
        let session = c.redeem_link(made.link.token.expose(), CLIENT).await.unwrap();
        assert_eq!((session.user.email.as_str(), session.user.role.as_str()), ("boss@example.com", "admin"));
        let seen = c.authenticate_session(session.token.expose()).await.unwrap();
        assert!(
            !seen.principal.may(Permission::PlatformManage) && seen.principal.may(Permission::DataDelete)
        );

        let dashboards = c.objects(&t, ObjectKind::Dashboard, None, 10).await.unwrap().items;
        assert_eq!(dashboards.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["Overview", "Services"]);
        assert_eq!(c.objects(&t, ObjectKind::Rule, None, 10).await.unwrap().items.len(), 1);
        let status = c.migration_status(&t).await.unwrap();
        assert_eq!(status.iter().map(SetStatus::version).collect::<Vec<_>>(), [4]);

        assert_taken(c.create_tenant(new_tenant("acme"), defaults()).await);
        assert_taken(c.create_tenant(new_tenant("default"), defaults()).await);
        c.authenticate_key(made.key.unwrap().expose()).await.unwrap();
    })
    .await;
}

/// The part of the database that the first step made: its tables by name, none where there is no such part. The name is
/// looked for by the server's own catalogue, or by the name of the file.
async fn part(f: &Fixture, id: &str) -> Vec<String> {
    let mut connection = match f.db.backend() {
        db::Backend::Sqlite => {
            let file = format!("{}/tenant-{id}.db", f.settings.url.strip_prefix("sqlite://").unwrap());
            if !std::fs::exists(&file).unwrap() {
                return Vec::new();
            }
            f.db.tenant(&tenant(id)).await.unwrap().read().await.unwrap()
        }
        db::Backend::Postgres => f.db.control().read().await.unwrap(),
    };
    let statement = match f.db.backend() {
        db::Backend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name".to_owned(),
        db::Backend::Postgres => format!(
            "SELECT t.table_name::text FROM information_schema.schemata s JOIN information_schema.tables t \
             ON t.table_schema = s.schema_name WHERE s.schema_name = 'tenant_{id}' ORDER BY t.table_name"
        ),
    };
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_first_step_makes_a_schema_that_is_named_after_the_tenant() {
    each_backend(async |f| {
        let c = control(&f).await;
        assert_eq!(part(&f, "acme").await, Vec::<String>::new());
        create(&c, "acme").await;
        let made = part(&f, "acme").await;
        for table in ["objects", "HealthCheck", "MonitoringAlert"] {
            assert!(made.iter().any(|name| name == table), "{table}: {made:?}");
        }
        assert_eq!(part(&f, "globex").await, Vec::<String>::new(), "of nobody else");
        create(&c, "globex").await;
        assert_eq!(part(&f, "globex").await, made);
        c.begin_delete(&tenant("acme")).await.unwrap();
        c.finish_delete(&tenant("acme")).await.unwrap();
        assert_eq!((part(&f, "acme").await, part(&f, "globex").await), (Vec::new(), made));
    })
    .await;
}

/// Who the fourth step made signs in, and the token that they exchange their session for says so.
#[tokio::test]
async fn the_first_administrator_has_a_token_of_an_administrator_of_that_tenant() {
    each_backend(async |f| {
        let c = control(&f).await;
        let tokens = Tokens::open(c.clone(), TokenSettings::default()).await.unwrap();
        for id in ["acme", "globex"] {
            let made = create(&c, id).await;
            let session = c.redeem_link(made.link.token.expose(), CLIENT).await.unwrap();
            let seen = c.authenticate_session(session.token.expose()).await.unwrap();
            let binding = Binding { address: CLIENT.address, agent: CLIENT.user_agent };
            let pair = tokens.issue_to(&session.id, &session.user.id, binding).await.unwrap();
            let found = tokens.authenticate_access(pair.access.expose(), binding).await.unwrap();
            assert_eq!((&found.principal.tenant, &found.principal.who), (&tenant(id), &seen.principal.who));
            let body = pair.access.expose().split('.').nth(1).unwrap();
            let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
            assert_eq!((&claims["org"], &claims["role"]), (&json!(id), &json!("admin")));
        }
    })
    .await;
}

#[tokio::test]
async fn a_step_that_fails_undoes_all_of_them_and_a_retry_works() {
    each_backend(async |f| {
        let c = control(&f).await;
        let t = tenant("acme");
        for step in STEPS {
            *c.shared.creations.fault.lock() = Some(Fault::Fails(step));
            let error = c.create_tenant(new_tenant("acme"), defaults()).await.unwrap_err();
            assert_eq!(error.to_string(), format!("test stopped: {}", step.as_str()));
            assert_gone(&f, &c, &t).await;
        }
        *c.shared.creations.fault.lock() = None;
        create(&c, "acme").await;
    })
    .await;
}

#[tokio::test]
async fn a_creation_that_a_crash_cut_short_is_undone_once_by_whoever_looks_first() {
    each_backend(async |f| {
        let (c, there) = (control(&f).await, control(&f).await);
        let t = tenant("acme");
        for step in STEPS {
            *c.shared.creations.fault.lock() = Some(Fault::Crashes(step));
            c.create_tenant(new_tenant("acme"), defaults()).await.unwrap_err();
            *c.shared.creations.fault.lock() = None;
            assert_eq!(c.tenant(&t).await.unwrap().state, TenantState::Creating);
            assert!(c.active_tenant(&t).await.is_err());
            assert_eq!(
                c.resume_sagas().await.unwrap(),
                Resumed::default(),
                "it may still be running elsewhere"
            );
            assert_taken(c.create_tenant(new_tenant("acme"), defaults()).await);
            f.clock.advance(Duration::from_secs(61));
            let (x, y) = tokio::join!(c.resume_sagas(), there.resume_sagas());
            let undone = [x.unwrap().undone, y.unwrap().undone].concat();
            assert_eq!(undone, std::slice::from_ref(&t), "{step:?}");
            assert_gone(&f, &c, &t).await;
        }
        create(&c, "acme").await;
    })
    .await;
}

/// A creation that lasted so long that another process undid it makes nothing that nobody knows of.
#[tokio::test]
async fn a_creation_that_was_overtaken_leaves_nothing() {
    each_backend(async |f| {
        let (c, there) = (control(&f).await, control(&f).await);
        for step in STEPS {
            *c.shared.creations.fault.lock() = Some(Fault::Overtaken(step));
            let creating = c.create_tenant(new_tenant("acme"), defaults());
            let (created, ()) = tokio::join!(creating, async {
                while !c.shared.creations.waiting.load(std::sync::atomic::Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                f.clock.advance(Duration::from_secs(61));
                assert_eq!(there.resume_sagas().await.unwrap().undone.len(), 1, "{step:?}");
                *c.shared.creations.fault.lock() = None;
            });
            assert!(created.is_err(), "{step:?}");
            c.shared.creations.waiting.store(false, std::sync::atomic::Ordering::Relaxed);
            assert_gone(&f, &c, &tenant("acme")).await;
        }
        create(&c, "acme").await;
    })
    .await;
}

#[tokio::test]
async fn of_two_that_create_one_tenant_at_once_one_succeeds() {
    each_backend(async |f| {
        let (here, there) = (control(&f).await, control(&f).await);
        for (a, b) in [(&here, &here), (&here, &there)] {
            let id = if std::ptr::eq(a, b) { "same" } else { "nodes" };
            let (x, y) = tokio::join!(
                a.create_tenant(new_tenant(id), defaults()),
                b.create_tenant(new_tenant(id), defaults())
            );
            let (won, lost) = if x.is_ok() { (x, y) } else { (y, x) };
            assert_taken(lost);
            let key = won.unwrap().key.unwrap();
            assert_eq!(here.authenticate_key(key.expose()).await.unwrap().tenant, tenant(id));
            assert_eq!(
                here.objects(&tenant(id), ObjectKind::Dashboard, None, 9).await.unwrap().items.len(),
                2
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_creation_goes_on_when_nobody_waits_for_it() {
    each_backend(async |f| {
        let c = control(&f).await;
        let t = tenant("acme");
        let waiting = c.create_tenant(new_tenant("acme"), defaults());
        // Polled once, then dropped, as when a client hangs up.
        assert!(futures_poll_once(waiting).await.is_none());
        for _ in 0..2_000 {
            c.shared.tenants.forget(&t);
            if c.active_tenant(&t).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the tenant never became active");
    })
    .await;
}

async fn futures_poll_once<F: Future>(work: F) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn data_that_lies_there_without_a_tenant_is_not_touched() {
    each_backend(async |f| {
        let c = control(&f).await;
        f.db.create_tenant(&tenant("acme"), &[]).await.unwrap();
        let error = c.create_tenant(new_tenant("acme"), defaults()).await.unwrap_err();
        assert_eq!(error.to_string(), "data of tenant \"acme\" exists already");
        assert!(f.db.has_tenant(&tenant("acme")).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_before_anything_is_made() {
    each_backend(async |f| {
        let c = control(&f).await;
        let good = new_tenant("acme");
        for (new, want) in [
            (NewTenant { name: " ".into(), ..good.clone() }, "name: must not be empty"),
            (NewTenant { settings: json!(1), ..good.clone() }, "settings: must be a JSON object"),
            (NewTenant { limits: json!(null), ..good.clone() }, "limits: must be a JSON object"),
            (
                NewTenant { admin_email: "boss".into(), ..good.clone() },
                "email: must be an address such as ada@example.com",
            ),
            (
                NewTenant { key_name: Some("a\0".into()), ..good.clone() },
                "key_name: must not hold control characters",
            ),
        ] {
            assert_eq!(c.create_tenant(new, defaults()).await.unwrap_err().to_string(), want);
            assert_gone(&f, &c, &tenant("acme")).await;
        }
        // Not so easily seen: it fails in the last step.
        let bad = Defaults { dashboards: vec![(String::new(), json!({}))], rules: vec![] };
        assert!(c.create_tenant(good, bad).await.is_err());
        assert_gone(&f, &c, &tenant("acme")).await;
    })
    .await;
}
