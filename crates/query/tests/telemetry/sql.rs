//! Statements over made-up telemetry.

use std::sync::Arc;
use std::time::Instant;

use model::{Labels, MetricBatch, MetricLimits, Point, TenantId};
use query::sql::{SqlEngine, SqlLimits, SqlRequest, SqlResult, Tables};
use query::{Control, QueryFault};
use serde_json::{Value, json};
use store::Settings;
use store::disk::memory::MemoryDisk;

use super::data::{Log, START_NS, STEP_NS, events, logs, source, spans};

struct Fixture {
    engine: SqlEngine,
    tables: Tables,
    logs: Vec<Log>,
}

fn fixture() -> Fixture {
    let logs = logs(1000);
    let settings = Settings { retention_ms: None, wal_file_bytes: 1 << 20, ..Settings::default() };
    let store = store::Engine::open(Arc::new(MemoryDisk::new()), settings).expect("an empty disk opens");
    store.replay_all().expect("nothing to replay");
    let mut batch = MetricBatch::default();
    for (job, offset) in [("api", 0.0), ("web", 100.0)] {
        let labels = Labels::from_pairs([("__name__", "hits"), ("job", job)]).expect("labels");
        let row = batch.begin_series(labels.iter());
        for i in 0..5_i64 {
            batch.points.push(Point { t_ms: START_NS / 1_000_000 + i * 1000, value: offset + i as f64 });
            batch.starts_ms.push(0);
        }
        batch.end_series(row);
    }
    let limits = MetricLimits { future_ms_max: i64::MAX / 2, ..MetricLimits::default() };
    store.append(&TenantId::default_tenant(), &batch, &limits, 0).expect("staged");
    store.commit_once();
    let tables = Tables {
        tenant: TenantId::default_tenant(),
        logs: source(&logs, 64, 2),
        spans: spans(),
        events: events(),
        checks: Arc::new(query::rows::Slices::new(model::Signal::Checks, Vec::new())),
        metrics: store.snapshot(&TenantId::default_tenant()),
    };
    let limits = SqlLimits { memory_bytes_max: 64 << 20, rows_max: 5000, ..SqlLimits::default() };
    Fixture { engine: SqlEngine::new(limits).expect("threads"), tables, logs }
}

impl Fixture {
    fn run(&self, query: &str) -> Result<SqlResult, QueryFault> {
        let end_ns = START_NS + 1_000_000 * STEP_NS;
        let request = SqlRequest { query: query.into(), start_ns: 0, end_ns, limit: None };
        self.engine.run(&request, &self.tables, &Control::default())
    }

    fn rows(&self, query: &str) -> Value {
        let result = self.run(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        Value::Array(result.json_rows())
    }

    fn count(&self, test: impl Fn(&Log) -> bool) -> usize {
        self.logs.iter().filter(|log| test(log)).count()
    }
}

#[test]
fn statements_answer_what_plain_code_answers() {
    let f = fixture();
    let time = "TIMESTAMP '2023-11-14T22:13:20.100Z'";
    let after = START_NS + 100 * STEP_NS;
    for (condition, want) in [
        ("TRUE".to_owned(), f.count(|_| true)),
        ("severity_number >= 17".to_owned(), f.count(|log| log.severity >= 17)),
        ("\"http.status\" = 404".to_owned(), f.count(|log| log.status == Some(404))),
        ("http.status <> 404".to_owned(), f.count(|log| log.status.is_some_and(|s| s != 404))),
        ("NOT (\"http.status\" > 200)".to_owned(), f.count(|log| log.status == Some(200))),
        ("\"http.status\" IS NULL".to_owned(), f.count(|log| log.status.is_none())),
        ("\"http.status\" IN (200, 500)".to_owned(), f.count(|l| matches!(l.status, Some(200 | 500)))),
        ("\"http.status\" NOT IN (200, 500)".to_owned(), f.count(|l| l.status == Some(404))),
        ("\"http.status\" BETWEEN 300 AND 450".to_owned(), f.count(|l| l.status == Some(404))),
        ("\"http.status\" / 100 = 4".to_owned(), f.count(|log| log.status == Some(404))),
        ("\"service.name\" = 'api'".to_owned(), f.count(|log| log.service == "api")),
        ("resource.\"service.name\" = 'api'".to_owned(), f.count(|log| log.service == "api")),
        ("attr.\"service.name\" = 'api'".to_owned(), 0),
        ("attr.\"service.name\" IS NULL".to_owned(), 1000),
        ("\"urlPath\" LIKE '/v1/%'".to_owned(), f.count(|log| log.path.is_some())),
        (
            "\"urlPath\" NOT LIKE '%/3'".to_owned(),
            f.count(|l| l.path.as_ref().is_some_and(|p| !p.ends_with('3'))),
        ),
        ("urlPath = '/v1/item/3'".to_owned(), f.count(|l| l.path.as_deref() == Some("/v1/item/3"))),
        ("\"urlPath\" LIKE '_v1%m/3'".to_owned(), f.count(|l| l.path.as_deref() == Some("/v1/item/3"))),
        ("body LIKE '%warm%'".to_owned(), f.count(|log| log.body.contains("warm"))),
        ("body ILIKE '%WARM%'".to_owned(), f.count(|log| log.body.contains("warm"))),
        ("body ~ 'user-[0-9]+5 '".to_owned(), f.count(|l| l.body.contains("5 logged"))),
        ("body !~ 'user'".to_owned(), f.count(|log| !log.body.contains("user"))),
        ("starts_with(body, 'cache')".to_owned(), f.count(|log| log.body.starts_with("cache"))),
        ("contains(body, 'cache')".to_owned(), f.count(|log| log.body.contains("cache"))),
        (format!("\"timestamp\" >= {time}"), f.count(|log| log.time_ns >= after)),
        (
            format!("\"timestamp\" < {time} OR severity_number = 17"),
            f.count(|l| l.time_ns < after || l.severity == 17),
        ),
        (
            "trace_id = '00000000000000000000000000000003'".to_owned(),
            f.count(|l| l.trace.is_some_and(|t| t[15] == 3 && t[14] == 0)),
        ),
        ("trace_id <> 'x'".to_owned(), f.count(|log| log.trace.is_some())),
        ("trace_id = 'x'".to_owned(), 0),
        ("\"never seen\" = 'x'".to_owned(), 0),
        ("\"never seen\" IS NULL".to_owned(), 1000),
        ("severity_number = 17 AND length(body) > 5".to_owned(), f.count(|log| log.severity == 17)),
    ] {
        let got = f.rows(&format!("SELECT count(*) FROM logs WHERE {condition}"));
        assert_eq!(got, json!([[want]]), "{condition}");
    }
}

#[test]
fn conditions_and_projections_reach_the_scan() {
    let f = fixture();
    let plan = |query: &str| f.rows(&format!("EXPLAIN {query}")).to_string();
    let text = plan("SELECT body FROM logs WHERE severity_number >= 17 AND \"http.status\" = 404");
    assert!(text.contains("predicate=") && text.contains("Int(404)") && text.contains("Int(17)"), "{text}");
    assert!(text.contains("columns=[body"), "{text}");
    let text = plan("SELECT body FROM logs WHERE severity_number >= 17");
    assert!(!text.contains("FilterExec"), "{text}");
    let text = plan("SELECT body FROM logs ORDER BY \"timestamp\" DESC LIMIT 5");
    assert!(text.contains("order=newest first, fetch=5") && !text.contains("SortExec"), "{text}");
    let text = plan("SELECT body FROM logs ORDER BY \"timestamp\" LIMIT 5");
    assert!(text.contains("order=oldest first"), "{text}");
}

#[test]
fn the_newest_rows_come_first_without_reading_all() {
    let f = fixture();
    for (query, newest) in [
        ("SELECT \"timestamp\", body FROM logs ORDER BY \"timestamp\" DESC LIMIT 10", true),
        ("SELECT \"timestamp\", body FROM logs ORDER BY \"timestamp\" LIMIT 10", false),
    ] {
        let result = f.run(query).expect(query);
        let times: Vec<String> =
            result.json_rows().iter().map(|row| row[0].as_str().expect("a time").to_owned()).collect();
        let mut want: Vec<i64> = f.logs.iter().map(|log| log.time_ns).collect();
        want.sort_unstable();
        if newest {
            want.reverse();
        }
        let want: Vec<String> = want.iter().take(10).map(|t| query::rows::time_text(*t)).collect();
        assert_eq!(times, want, "{query}");
        assert!(result.cost.slices <= 4, "{:?}", result.cost);
    }
    let all = f.rows("SELECT \"timestamp\" FROM logs ORDER BY \"timestamp\" DESC");
    let times: Vec<_> =
        all.as_array().expect("rows").iter().map(|row| row[0].as_str().expect("time")).collect();
    assert_eq!(times.len(), 1000);
    assert!(times.is_sorted_by(|a, b| a >= b));
    let offset = f.rows("SELECT body FROM logs ORDER BY \"timestamp\" DESC LIMIT 3 OFFSET 5");
    assert_eq!(offset.as_array().map(Vec::len), Some(3));
}

#[test]
fn groups_joins_and_subqueries_work() {
    let f = fixture();
    let api = f.count(|log| log.service == "api");
    let rows = f.rows(
        "SELECT \"service.name\" AS s, count(*) AS n FROM logs GROUP BY s HAVING count(*) > 0 ORDER BY s LIMIT 1",
    );
    assert_eq!(rows, json!([["api", api]]));
    let rows = f.rows(
        "WITH e AS (SELECT body AS text FROM logs WHERE severity_number = 17) SELECT count(text) FROM e",
    );
    assert_eq!(rows, json!([[f.count(|log| log.severity == 17)]]));
    let rows = f.rows(
        "SELECT s.name FROM spans s JOIN events e ON e.user_id = 'ann' WHERE s.n = 3 AND e.kind = 'deploy'",
    );
    assert_eq!(rows, json!([["GET /item/3"]]));
    // The second record is the first with a path: it has no status, and no name.
    let rows = f.rows(
        "SELECT l.http.status, l.urlPath, l.name FROM logs l WHERE l.attr.\"urlPath\" = '/v1/item/1' AND body LIKE 'user%' \
         ORDER BY l.timestamp LIMIT 1",
    );
    assert_eq!(rows, json!([[null, "/v1/item/1", null]]));
    let rows = f.rows("SELECT approx_distinct(\"urlPath\") > 5, max(duration) FROM logs, spans");
    assert_eq!(rows, json!([[true, 9_000_000]]));
    let rows =
        f.rows("SELECT date_trunc('second', \"timestamp\") AS t, count(*) FROM logs GROUP BY t ORDER BY t");
    assert_eq!(rows, json!([["2023-11-14T22:13:20.000000000Z", 1000]]));
}

#[test]
fn samples_are_rows() {
    let f = fixture();
    let rows = f.rows("SELECT name, job, value, labels FROM metrics WHERE name = 'hits' AND job = 'web' ORDER BY value DESC LIMIT 1");
    assert_eq!(rows, json!([["hits", "web", 104.0, "{\"job\":\"web\"}"]]));
    let rows = f.rows("SELECT count(*), sum(value), count(histogram) FROM metrics WHERE \"timestamp\" < TIMESTAMP '2023-11-14T22:13:22Z'");
    assert_eq!(rows, json!([[4, 202.0, 0]]));
    assert_eq!(f.rows("SELECT count(*) FROM metrics WHERE job <> 'web'"), json!([[5]]));
    assert_eq!(f.rows("SELECT count(*) FROM metrics WHERE job LIKE 'w%'"), json!([[5]]));
    assert_eq!(f.rows("SELECT count(*) FROM metrics WHERE job IN ('web', 'x')"), json!([[5]]));
    assert_eq!(f.rows("SELECT count(*) FROM metrics WHERE job ~ '^a'"), json!([[5]]));
}

#[test]
fn views_have_exactly_the_documented_columns() {
    let f = fixture();
    for (view, columns) in [
        ("LogEntry", vec!["id", "level", "message", "timestamp", "service", "metadata", "trace"]),
        ("SystemMetric", vec!["id", "timestamp", "cpu", "memory", "disk", "network", "process"]),
        (
            "ApplicationMetric",
            vec!["id", "timestamp", "requests", "response", "errors", "activeUsers", "activeSessions"],
        ),
        (
            "command_executions",
            vec![
                "id",
                "organization_id",
                "user_id",
                "team_id",
                "project_id",
                "session_id",
                "command",
                "started_at",
                "duration_ms",
                "success",
                "error",
                "metadata",
            ],
        ),
    ] {
        let result =
            f.run(&format!("SELECT * FROM {view} LIMIT 1")).unwrap_or_else(|e| panic!("{view}: {e}"));
        assert_eq!(result.columns(), columns, "{view}");
    }
    let rows =
        f.rows("SELECT level, message, service, metadata FROM LogEntry ORDER BY \"timestamp\" LIMIT 1");
    assert_eq!(rows[0][0], "info");
    let rows = f.rows("SELECT count(*) FROM \"LogEntry\" WHERE level = 'error' AND trace IS NOT NULL");
    assert_eq!(rows, json!([[f.count(|log| log.severity == 17 && log.trace.is_some())]]));
    let rows =
        f.rows("SELECT organization_id, user_id, command, duration_ms, success FROM command_executions");
    assert_eq!(rows, json!([["default", "ann", "ls -l", 12.5, true]]));
    assert_eq!(f.rows("SELECT activeUsers FROM ApplicationMetric"), json!([]));
}

#[test]
fn tables_describe_themselves() {
    let f = fixture();
    let tables = f.rows("SHOW TABLES").to_string();
    for table in ["logs", "spans", "events", "metrics", "LogEntry", "command_executions"] {
        assert!(tables.contains(&format!("\"{table}\"")), "{tables}");
    }
    assert!(!tables.contains("_with_id"), "{tables}");
    assert!(f.rows("DESCRIBE logs").to_string().contains("http.status"));
    assert!(f.rows("SHOW COLUMNS FROM spans").to_string().contains("duration"));
}

#[test]
fn nothing_but_questions_is_possible() {
    let f = fixture();
    for query in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "COPY logs TO '/tmp/x.csv'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "SELECT * INTO t FROM logs",
        "DROP TABLE logs",
        "DELETE FROM logs",
        "UPDATE logs SET body = ''",
        "INSERT INTO logs SELECT * FROM logs",
        "WITH x AS (SELECT 1) INSERT INTO logs SELECT * FROM x",
        "EXPLAIN ANALYZE COPY logs TO '/tmp/x.csv'",
        "EXPLAIN INSERT INTO logs SELECT * FROM logs",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SELECT 1; SELECT 2",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "SHOW ALL",
        "",
        ";",
        "SELECT * FROM other_tenant.public.logs",
        "SELECT * FROM logs_with_id",
        "CALL x()",
        "BEGIN",
    ] {
        match f.run(query) {
            Err(QueryFault::Invalid(message)) => assert!(!message.is_empty(), "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn wrong_statements_say_what_is_wrong() {
    let f = fixture();
    for (query, part) in [
        ("SELEC 1", "SELEC"),
        ("SELECT body FROM nothing", "nothing"),
        ("SELECT nofunction(body) FROM logs", "nofunction"),
        ("SELECT body FROM logs WHERE", "Expected"),
    ] {
        let error = f.run(query).expect_err(query).to_string();
        assert!(error.contains(part), "{query}: {error}");
        assert!(error.len() < 800, "{query}: {error}");
    }
}

#[test]
fn limits_hold() {
    let f = fixture();
    let result = f.run("SELECT a.body FROM logs a, logs b").expect("cut");
    assert_eq!((result.rows(), result.truncated), (5000, true));
    let request =
        |query: &str, limit| SqlRequest { query: query.into(), start_ns: 0, end_ns: i64::MAX, limit };
    let few = f.engine.run(&request("SELECT body FROM logs", Some(3)), &f.tables, &Control::default());
    assert_eq!(few.map(|result| (result.rows(), result.truncated)).ok(), Some((3, true)));
    let range = SqlRequest { end_ns: START_NS + STEP_NS, ..request("SELECT count(*) FROM logs", None) };
    let range = f.engine.run(&range, &f.tables, &Control::default()).expect("a range");
    assert_eq!(range.json_rows(), [json!([2])]);
    let heavy = "SELECT count(DISTINCT concat(a.body, b.body, c.body)) FROM logs a, logs b, logs c";
    let late = Control::until(Instant::now() + std::time::Duration::from_millis(300));
    match f.engine.run(&request(heavy, None), &f.tables, &late) {
        Err(QueryFault::Timeout | QueryFault::Limit(_)) => {}
        other => panic!("{other:?}"),
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(matches!(f.run(&deep), Err(QueryFault::Invalid(_))));
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    assert!(matches!(f.run(&long), Err(QueryFault::Invalid(_))));
}

#[test]
fn results_are_written_as_csv_and_arrow() {
    let f = fixture();
    let result = f
        .run("SELECT '=1+1' AS \"a,b\", '-5' AS n, -5 AS m, 'x\"y' AS q, CAST('NaN' AS DOUBLE) AS nan, NULL AS z, 'a\nb' AS l, '@x' AS at")
        .expect("values");
    assert_eq!(result.csv(), "\"a,b\",n,m,q,nan,z,l,at\r\n'=1+1,-5,-5,\"x\"\"y\",NaN,,\"a\nb\",'@x\r\n");
    assert_eq!(result.json_rows(), [json!(["=1+1", "-5", -5, "x\"y", null, null, "a\nb", "@x"])]);
    assert_eq!(&result.types()[..3], ["varchar", "varchar", "bigint"]);
    let bytes = f
        .run("SELECT body, \"timestamp\" FROM logs")
        .and_then(|result| result.arrow_stream())
        .expect("a stream");
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).expect("reads back");
    assert_eq!(reader.map(|batch| batch.expect("a batch").num_rows()).sum::<usize>(), 1000);
}
