use db::{Migration, MigrationSet};

use super::*;

const BROKEN_UP: Migration = Migration {
    version: 2,
    name: "half done",
    up: "CREATE TABLE half (id TEXT PRIMARY KEY); INSERT INTO spoiler VALUES ('x');",
    down: "DROP TABLE half;",
};
const FIRST: Migration = Migration {
    version: 1,
    name: "first",
    up: "CREATE TABLE extra (id TEXT PRIMARY KEY); INSERT INTO extra VALUES ('kept');",
    down: "DROP TABLE extra;",
};
static ONE: MigrationSet = MigrationSet { name: "extra", migrations: &[FIRST] };
static TWO: MigrationSet = MigrationSet { name: "extra", migrations: &[FIRST, BROKEN_UP] };

async fn open_with(f: &Fixture, sets: &[&'static MigrationSet]) -> Control {
    let keyring = Keyring::ephemeral().unwrap();
    Control::open_with(f.db.clone(), f.shared_clock(), keyring, sets).await.unwrap()
}

async fn run(f: &Fixture, id: &TenantId, statement: &'static str) {
    let mut tx = f.db.tenant(id).await.unwrap().begin().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn step_two_keeps_the_rows_of_step_one_and_goes_back_again() {
    each_backend(async |f| {
        let scope = f.db.control();
        let first = MigrationSet { name: "control", migrations: &schema::SHARED.migrations[..1] };
        scope.migrate(&first, &f.clock).await.unwrap();
        let mut tx = scope.begin().await.unwrap();
        sqlx::raw_sql(
            "INSERT INTO users VALUES ('user_1', 'default', 'admin@localhost', 'Administrator', 'admin', 5); \
             INSERT INTO users VALUES ('user_2', 'acme', 'ada@example.com', 'Ada', 'editor', 6); \
             INSERT INTO api_keys (id, tenant_id, name, hash, prefix, scopes, created_at) \
                 VALUES ('key_1', 'keyed', 'k', 'h', 'bw_', '[\"query\"]', 7); \
             INSERT INTO sessions VALUES ('0123456789abcdef0123', 'user_1', 1, 2, 3);",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();

        let c = control(&f).await;
        let ids: Vec<_> = c.tenants(None, 10).await.unwrap().into_iter().map(|t| t.id.to_string()).collect();
        assert_eq!(ids, ["acme", "default", "keyed", "platform"]);
        assert_eq!(c.user(&TenantId::default_tenant(), "user_1").await.unwrap().role, "platform_admin");
        let ada = c.user(&tenant("acme"), "user_2").await.unwrap();
        assert_eq!((ada.role.as_str(), ada.state, ada.last_sign_in_at), ("editor", UserState::Active, None));
        let keys = c.keys(&tenant("keyed"), None, 10).await.unwrap();
        assert_eq!(keys[0].grant, KeyGrant::Scopes(KeyScopes::of(&[KeyScope::Query]).unwrap()));
        c.put_object(&tenant("acme"), ObjectKind::Query, "q", &json!({}), None).await.unwrap();

        c.set_role(&tenant("acme"), &Principal::system(), "user_2", "responder").await.unwrap();
        assert_eq!(scope.rollback(&schema::SHARED, 1).await.unwrap().last(), Some(&2));
        let mut connection = scope.read().await.unwrap();
        let rows =
            sqlx::query("SELECT role FROM users ORDER BY id").fetch_all(&mut *connection).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["admin", "viewer"]);
        drop(connection);
        control(&f).await;
    })
    .await;
}

#[tokio::test]
async fn the_given_tables_of_a_tenant_have_exactly_the_given_columns() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        c.migrate_tenant(&t).await.unwrap();
        let mut connection = f.db.tenant(&t).await.unwrap().read().await.unwrap();
        for (table, want) in [
            ("HealthCheck", "id name type target interval timeout retries config isActive createdAt"),
            (
                "MonitoringAlert",
                "id name type severity condition channels cooldown isActive lastTriggered createdAt updatedAt",
            ),
        ] {
            let statement = match f.db.backend() {
                db::Backend::Sqlite => "SELECT name FROM pragma_table_info($1) ORDER BY cid",
                db::Backend::Postgres => {
                    "SELECT column_name::text FROM information_schema.columns \
                     WHERE table_schema = 'tenant_acme' AND table_name = $1 ORDER BY ordinal_position"
                }
            };
            let rows = sqlx::query(statement).bind(table).fetch_all(&mut *connection).await.unwrap();
            let columns: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(columns.join(" "), want);
        }
    })
    .await;
}

/// The steps of the set are the template of both.
#[tokio::test]
async fn a_new_tenant_has_the_tables_and_columns_of_the_first_one() {
    each_backend(async |f| {
        let (c, made) = control_with(&f, "made").await;
        c.migrate_tenant(&made).await.unwrap();
        let kept = tenant("default");
        c.migrate_tenant(&kept).await.unwrap();
        let mut found = Vec::new();
        for id in [&made, &kept] {
            let mut connection = f.db.tenant(id).await.unwrap().read().await.unwrap();
            let statement = match f.db.backend() {
                db::Backend::Sqlite => {
                    "SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_master t, pragma_table_info(t.name) c \
                     WHERE t.type = 'table' ORDER BY t.name, c.cid"
                        .to_owned()
                }
                db::Backend::Postgres => format!(
                    "SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns \
                     WHERE table_schema = 'tenant_{id}' ORDER BY table_name, ordinal_position"
                ),
            };
            let statement = sqlx::AssertSqlSafe(statement);
            let rows = sqlx::query(statement).fetch_all(&mut *connection).await.unwrap();
            found.push(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>());
        }
        assert!(found[0].len() > 30, "{:?}", found[0]);
        assert_eq!(found[0], found[1]);
    })
    .await;
}

#[tokio::test]
async fn one_tenant_that_fails_to_migrate_stays_as_it_was_and_the_others_go_on() {
    each_backend(async |f| {
        let c = open_with(&f, &[&ONE]).await;
        let ids = ["a", "b", "c"].map(tenant);
        for id in &ids {
            add_tenant(&f, id.as_str()).await;
            c.migrate_tenant(id).await.unwrap();
        }
        // The next step works where this table is.
        for id in [&ids[0], &ids[2], &tenant("default"), &tenant("platform")] {
            c.migrate_tenant(id).await.unwrap();
            run(&f, id, "CREATE TABLE spoiler (id TEXT)").await;
        }
        let later = open_with(&f, &[&TWO]).await;
        let reports = later.migrate_all().await.unwrap();
        let versions = |sets: &Vec<SetStatus>| sets.iter().map(|s| (s.set, s.version())).collect::<Vec<_>>();
        let seen: Vec<_> =
            reports.iter().map(|r| (r.tenant.as_str(), r.result.as_ref().map(versions).ok())).collect();
        let done = Some(vec![("objects", 4), ("extra", 2)]);
        assert_eq!(
            seen,
            [
                ("a", done.clone()),
                ("b", None),
                ("c", done.clone()),
                ("default", done.clone()),
                ("platform", done)
            ]
        );
        let error = reports[1].result.as_ref().unwrap_err();
        assert!(
            error.to_string().contains("migration extra 2 (half done) failed and was rolled back"),
            "{error}"
        );
        assert_eq!(versions(&later.migration_status(&ids[1]).await.unwrap()), [("objects", 4), ("extra", 1)]);
        let mut connection = f.db.tenant(&ids[1]).await.unwrap().read().await.unwrap();
        let kept = sqlx::query("SELECT id FROM extra").fetch_all(&mut *connection).await.unwrap();
        assert_eq!(kept.len(), 1);
        drop(connection);

        run(&f, &ids[1], "CREATE TABLE spoiler (id TEXT)").await;
        assert_eq!(versions(&later.migrate_tenant(&ids[1]).await.unwrap()), [("objects", 4), ("extra", 2)]);
        assert_eq!(later.rollback_tenant(&ids[1], "extra", 0).await.unwrap(), [2, 1]);
        assert_eq!(versions(&later.migration_status(&ids[1]).await.unwrap()), [("objects", 4), ("extra", 0)]);
        let error = later.rollback_tenant(&ids[1], "nope", 0).await.unwrap_err();
        assert_eq!(error.to_string(), "set: \"nope\" is no set of tables; use objects, extra");
        assert!(later.rollback_tenant(&ids[1], "extra", -1).await.is_err());
        assert_missing(later.rollback_tenant(&tenant("ghost"), "extra", 0).await);
    })
    .await;
}
