//! One suite for both kinds of database.

use std::sync::Arc;
use std::time::Duration;

use kit::Clock;
use model::TenantId;
use sqlx::Row;

use crate::testing::{Fixture, each_backend};
use crate::{Backend, Database, DatabaseSettings, DbError, Migration, MigrationSet, Remedy, Scope};

const ONE: Migration = Migration {
    version: 1,
    name: "notes",
    up: "CREATE TABLE notes (id TEXT PRIMARY KEY, size BIGINT NOT NULL, ratio DOUBLE PRECISION, body {blob});
         CREATE INDEX notes_size ON notes (size);",
    down: "DROP TABLE notes;",
};
const TWO: Migration = Migration {
    version: 2,
    name: "colours",
    up: "ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';",
    down: "ALTER TABLE notes DROP COLUMN colour;",
};
const BROKEN: Migration = Migration {
    version: 2,
    name: "half done",
    up: "CREATE TABLE half (id TEXT PRIMARY KEY); INSERT INTO missing VALUES (1);",
    down: "",
};

const LATER: Migration =
    Migration { version: 1, name: "later", up: "CREATE TABLE later (id TEXT)", down: "DROP TABLE later" };

const FIRST: MigrationSet = MigrationSet { name: "notes", migrations: &[ONE] };
const BOTH: MigrationSet = MigrationSet { name: "notes", migrations: &[ONE, TWO] };
const FAILING: MigrationSet = MigrationSet { name: "notes", migrations: &[ONE, BROKEN] };
const EDITED: MigrationSet =
    MigrationSet { name: "notes", migrations: &[Migration { up: "CREATE TABLE other (id TEXT)", ..ONE }] };

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

async fn put(scope: &Scope, id: &str, size: i64) -> Result<(), DbError> {
    let mut tx = scope.begin().await?;
    sqlx::query("INSERT INTO notes (id, size, ratio, body) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(size)
        .bind(0.5)
        .bind(vec![0u8, 255])
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

async fn sizes(scope: &Scope) -> Vec<i64> {
    let mut connection = scope.read().await.unwrap();
    let rows = sqlx::query("SELECT size, ratio, body FROM notes ORDER BY size")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    for row in &rows {
        assert_eq!((row.get::<f64, _>(1), row.get::<Vec<u8>, _>(2)), (0.5, vec![0, 255]));
    }
    rows.iter().map(|row| row.get(0)).collect()
}

async fn migrated(f: &Fixture, id: &str) -> Scope {
    let scope = f.db.create_tenant(&tenant(id), &[]).await.unwrap();
    scope.migrate(&FIRST, &f.clock).await.unwrap();
    scope
}

#[tokio::test]
async fn tenants_and_the_shared_part_see_only_their_own_rows() {
    each_backend(async |f| {
        let (a, b, control) = (migrated(&f, "acme").await, migrated(&f, "acme-2").await, f.db.control());
        control.migrate(&FIRST, &f.clock).await.unwrap();
        for (scope, size) in [(&a, 1), (&b, 2), (&control, 3)] {
            put(scope, "same", size).await.unwrap();
        }
        for _ in 0..5 {
            assert_eq!(
                (sizes(&a).await, sizes(&b).await, sizes(&control).await),
                (vec![1], vec![2], vec![3])
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_given_back_without_its_tenant() {
    each_backend(async |f| {
        let scope = migrated(&f, "acme").await;
        put(&scope, "same", 1).await.unwrap();
        assert_eq!(sizes(&scope).await, [1]);
        // A file of SQLite holds one tenant.
        let crate::scope::Inner::Postgres { pool, .. } = &*scope.inner else { return };
        let mut all = Vec::new();
        for _ in 0..f.settings.pool_size {
            all.push(pool.acquire().await.unwrap());
        }
        for connection in &mut all {
            let row = sqlx::query("SHOW search_path").fetch_one(&mut **connection).await.unwrap();
            assert_eq!(row.get::<String, _>(0), "\"$user\", public");
        }
    })
    .await;
}

#[tokio::test]
async fn migrations_run_once_in_order_and_are_recorded() {
    each_backend(async |f| {
        let scope = f.db.create_tenant(&tenant("t"), &[]).await.unwrap();
        assert_eq!(scope.migrate(&FIRST, &f.clock).await.unwrap(), [1]);
        f.clock.advance(Duration::from_secs(1));
        assert_eq!(scope.migrate(&BOTH, &f.clock).await.unwrap(), [2]);
        assert_eq!(scope.migrate(&BOTH, &f.clock).await.unwrap(), Vec::<i64>::new());
        let status = scope.migrations(&BOTH).await.unwrap();
        let seen: Vec<_> = status.iter().map(|s| (s.version, s.name.as_str(), s.applied_at)).collect();
        assert_eq!(seen, [(1, "notes", Some(1_700_000_000_000)), (2, "colours", Some(1_700_000_001_000))]);
        assert_eq!(scope.rollback(&BOTH, 0).await.unwrap(), [2, 1]);
        assert!(scope.migrations(&BOTH).await.unwrap().iter().all(|s| s.applied_at.is_none()));
        assert_eq!(scope.migrate(&BOTH, &f.clock).await.unwrap(), [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_failing_migration_leaves_no_trace() {
    each_backend(async |f| {
        let scope = f.db.create_tenant(&tenant("t"), &[]).await.unwrap();
        let error = scope.migrate(&FAILING, &f.clock).await.unwrap_err();
        assert!(
            error.to_string().starts_with("migration notes 2 (half done) failed and was rolled back: "),
            "{error}"
        );
        assert_eq!(error.remedy(), Remedy::CallOperator);
        let mut connection = scope.read().await.unwrap();
        assert!(sqlx::query("SELECT id FROM half").fetch_all(&mut *connection).await.is_err());
        drop(connection);
        assert_eq!(scope.migrate(&BOTH, &f.clock).await.unwrap(), [2]);
    })
    .await;
}

#[tokio::test]
async fn a_history_that_is_not_ours_is_refused() {
    each_backend(async |f| {
        let scope = migrated(&f, "t").await;
        let changed = scope.migrate(&EDITED, &f.clock).await.unwrap_err();
        assert!(matches!(changed, DbError::MigrationChanged { version: 1, .. }), "{changed}");
        scope.migrate(&BOTH, &f.clock).await.unwrap();
        let newer = scope.migrate(&FIRST, &f.clock).await.unwrap_err();
        assert_eq!(
            newer.to_string(),
            "notes is at migration 2, this program knows up to 1; start a newer version"
        );
    })
    .await;
}

#[tokio::test]
async fn nodes_that_start_together_migrate_once() {
    each_backend(async |f| {
        let second = Database::open(f.settings.clone(), f.shared_clock()).await.unwrap();
        let t = tenant("t");
        let (a, b) = tokio::join!(f.db.create_tenant(&t, &[]), second.create_tenant(&t, &[]));
        let (a, b) = (a.unwrap(), b.unwrap());
        let (x, y) = tokio::join!(a.migrate(&BOTH, &f.clock), b.migrate(&BOTH, &f.clock));
        let mut versions = [x.unwrap(), y.unwrap()].concat();
        versions.sort();
        assert_eq!(versions, [1, 2]);
        second.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_a_repeated_key_is_a_conflict() {
    each_backend(async |f| {
        let scope = migrated(&f, "t").await;
        let mut tx = scope.begin().await.unwrap();
        sqlx::query("INSERT INTO notes (id, size) VALUES ('x', 1)").execute(&mut *tx).await.unwrap();
        drop(tx);
        assert_eq!(sizes(&scope).await, Vec::<i64>::new());
        put(&scope, "x", 1).await.unwrap();
        let error = put(&scope, "x", 2).await.unwrap_err();
        assert!(error.is_conflict() && error.remedy() == Remedy::FixRequest, "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_queue_and_readers_run_beside_them() {
    each_backend(async |f| {
        let scope = migrated(&f, "t").await;
        let writes: Vec<_> = (0..50)
            .map(|n| {
                let scope = scope.clone();
                kit::spawn::spawn("write", async move { put(&scope, &n.to_string(), n).await })
            })
            .collect();
        while sizes(&scope).await.len() < 50 {
            tokio::task::yield_now().await;
        }
        for write in writes {
            write.await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    each_backend(async |f| {
        put(&migrated(&f, "t").await, "x", 7).await.unwrap();
        f.db.close().await;
        assert!(matches!(f.db.tenant(&tenant("t")).await, Err(DbError::Closed)));
        let again = Database::open(f.settings.clone(), f.shared_clock()).await.unwrap();
        assert_eq!(sizes(&again.tenant(&tenant("t")).await.unwrap()).await, [7]);
        again.close().await;
    })
    .await;
}

#[tokio::test]
async fn files_of_tenants_are_closed_when_idle_and_above_the_limit() {
    each_backend(async |f| {
        for n in 0..80 {
            f.db.create_tenant(&tenant(&format!("t{n}")), &[]).await.unwrap();
        }
        assert_eq!(f.db.tenants_open(), 64);
        let held = f.db.create_tenant(&tenant("held"), &[]).await.unwrap();
        f.clock.advance(Duration::from_secs(301));
        f.db.close_idle().await;
        assert_eq!(f.db.tenants_open(), 1, "one is in use");
        held.migrate(&FIRST, &f.clock).await.unwrap();
        assert!(f.clock.now_ms() > 0);
    })
    .await;
}

#[tokio::test]
async fn urls_that_are_not_ours_are_refused_without_their_secrets() {
    let clock: kit::SharedClock = Arc::new(kit::ManualClock::at(0));
    for url in ["", "mysql://u:s3cret@h/d", "sqlite://", "sqlite:///x?mode=memory", "postgres://u:s3cret@[/d"]
    {
        let settings = DatabaseSettings {
            url: url.to_owned(),
            pool_size: 1,
            timeout: Duration::from_millis(200),
            tls_required: false,
        };
        let error = Database::open(settings.clone(), clock.clone()).await.unwrap_err();
        assert_eq!(error.remedy(), Remedy::FixConfig, "{url}");
        assert!(!format!("{error} {error:?} {settings:?}").contains("s3cret"), "{url}");
    }
}

#[tokio::test]
async fn a_folder_with_any_name_works_and_its_files_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", parent.path().join("a b%20é").display());
    let settings =
        DatabaseSettings { url, pool_size: 1, timeout: Duration::from_secs(5), tls_required: false };
    let db = Database::open(settings, Arc::new(kit::ManualClock::at(0))).await.unwrap();
    assert_eq!(db.backend(), Backend::Sqlite);
    let file = parent.path().join("a b%20é").join("control.db");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    db.close().await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_tls_is_required() {
    each_backend(async |f| {
        let settings = DatabaseSettings { tls_required: true, ..f.settings.clone() };
        let opened = Database::open(settings, f.shared_clock()).await.map(|db| db.backend());
        if f.db.backend() == Backend::Sqlite {
            return assert!(opened.is_ok(), "a file needs no transport");
        }
        let mut connection = f.db.control().read().await.unwrap();
        let offered = sqlx::query("SHOW ssl").fetch_one(&mut *connection).await.unwrap();
        match offered.get::<String, _>(0).as_str() {
            "on" => assert!(opened.is_ok()),
            _ => assert_eq!(opened.unwrap_err().remedy(), Remedy::FixConfig),
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_statement_is_cancelled_and_connections_stay_within_the_pool() {
    each_backend(async |f| {
        if f.db.backend() == Backend::Sqlite {
            return;
        }
        let settings =
            DatabaseSettings { pool_size: 2, timeout: Duration::from_millis(300), ..f.settings.clone() };
        let db = Database::open(settings, f.shared_clock()).await.unwrap();
        let scope = db.control();
        let mut first = scope.read().await.unwrap();
        let slow = sqlx::query("SELECT 1::bigint FROM (SELECT pg_sleep(30)) AS s").execute(&mut *first).await;
        assert_eq!(DbError::from(slow.unwrap_err()).remedy(), Remedy::RetryLater);
        let _second = scope.read().await.unwrap();
        let third = scope.read().await.unwrap_err();
        assert_eq!(third.remedy(), Remedy::RetryLater, "{third}");
        drop(first);
        scope.read().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_tenants_part_is_made_up_to_date_kept_and_dropped_with_all_that_is_in_it() {
    each_backend(async |f| {
        let (a, b) = (tenant("a-1"), tenant("b"));
        assert!(matches!(f.db.tenant(&a).await, Err(DbError::NoTenant { .. })));
        assert!(!f.db.has_tenant(&a).await.unwrap());
        let scope = f.db.create_tenant(&a, &[&FIRST]).await.unwrap();
        put(&scope, "x", 1).await.unwrap();
        let other = f.db.create_tenant(&b, &[&FIRST]).await.unwrap();
        put(&other, "x", 2).await.unwrap();
        let again = f.db.create_tenant(&a, &[&BOTH]).await.unwrap();
        assert_eq!(sizes(&again).await, [1], "what is there stays");
        assert!(again.migrations(&BOTH).await.unwrap().iter().all(|step| step.applied_at.is_some()));
        drop(again);

        f.db.drop_tenant(&a).await.unwrap();
        f.db.drop_tenant(&a).await.unwrap();
        assert!(!f.db.has_tenant(&a).await.unwrap() && f.db.has_tenant(&b).await.unwrap());
        assert!(put(&scope, "y", 1).await.is_err(), "whoever held it fails");
        assert!(matches!(f.db.tenant(&a).await, Err(DbError::NoTenant { .. })));
        let fresh = f.db.create_tenant(&a, &[&FIRST]).await.unwrap();
        assert_eq!((sizes(&fresh).await, sizes(&other).await), (vec![], vec![2]));
    })
    .await;
}

#[tokio::test]
async fn many_made_at_once_from_one_template_are_whole() {
    each_backend(async |f| {
        let making: Vec<_> = (0..12)
            .map(|n| {
                let db = f.db.clone();
                // Each twice at once.
                let id = tenant(&format!("t{}", n / 2));
                kit::spawn::spawn("make", async move { db.create_tenant(&id, &[&BOTH]).await })
            })
            .collect();
        let part = f.db.create_part(&tenant("part"), &[&BOTH]).await.unwrap();
        let tables = part.migrations(&BOTH).await.unwrap();
        let there = tables.iter().all(|step| step.applied_at.is_some());
        assert_eq!(there, f.db.backend() == Backend::Sqlite, "a new file has its tables from the template");
        for scope in making {
            let scope = scope.await.unwrap().unwrap();
            assert!(scope.migrations(&BOTH).await.unwrap().iter().all(|step| step.applied_at.is_some()));
        }
        if f.db.backend() == Backend::Sqlite {
            let folder = f.settings.url.strip_prefix("sqlite://").unwrap();
            let names =
                std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            let strange: Vec<_> = names.filter(|name| name.contains("unfinished")).collect();
            assert_eq!(strange, Vec::<String>::new());
        }
    })
    .await;
}

#[tokio::test]
async fn the_app_role_may_use_a_tenants_tables_and_no_other_role_may() {
    each_backend(async |f| {
        if f.db.backend() == Backend::Sqlite {
            return;
        }
        let scope = f.db.create_tenant(&tenant("grants"), &[&FIRST]).await.unwrap();
        scope.migrate(&MigrationSet { name: "later", migrations: &[LATER] }, &f.clock).await.unwrap();
        let mut connection = scope.read().await.unwrap();
        let other = format!("other_{}", std::process::id());
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP ROLE IF EXISTS {other}; CREATE ROLE {other}")))
            .execute(&mut *connection)
            .await
            .unwrap();
        for (role, want) in [("app_role", 1), (other.as_str(), 0)] {
            let row = sqlx::query(
                "SELECT has_schema_privilege($1, 'tenant_grants', 'USAGE')::int::bigint, \
                 has_table_privilege($1, 'tenant_grants.notes', 'SELECT, INSERT')::int::bigint, \
                 has_table_privilege($1, 'tenant_grants.later', 'DELETE')::int::bigint",
            )
            .bind(role)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
            assert_eq!([0, 1, 2].map(|n| row.get::<i64, _>(n)), [want; 3], "{role}");
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP ROLE {other}")))
            .execute(&mut *connection)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_character_that_a_database_cannot_store_is_the_requests_fault() {
    each_backend(async |f| {
        let mut connection = f.db.control().read().await.unwrap();
        // SQLite stores it.
        if let Err(error) = sqlx::query("SELECT $1").bind("a\0b").fetch_one(&mut *connection).await {
            assert_eq!(DbError::from(error).remedy(), Remedy::FixRequest);
        }
    })
    .await;
}
