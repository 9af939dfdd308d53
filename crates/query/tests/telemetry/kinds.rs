//! SQL over keys of several kinds, many keys, and keys with odd names.

use std::sync::Arc;

use model::record::log;
use model::{Labels, MetricBatch, MetricLimits, Point, Records, Signal, TenantId, Value as Stored};
use query::rows::Slices;
use query::sql::{SqlEngine, SqlLimits, SqlRequest, SqlResult, Tables};
use query::{Control, QueryFault};
use serde_json::{Value, json};
use store::Settings;
use store::disk::memory::MemoryDisk;
use store::rows::Slice;

/// Log records with these attributes; `body` is the message.
fn slice(rows: &[Value]) -> Slice {
    let mut records = Records::new(Signal::Logs);
    for (at, row) in rows.iter().enumerate() {
        let mut fields = [Stored::Null; 7];
        fields[log::TIMESTAMP] = Stored::Int(at as i64);
        let first = records.attrs.len() as u32;
        for (key, value) in row.as_object().expect("an object") {
            let value = match value {
                Value::Bool(value) => Stored::Bool(*value),
                Value::Number(n) => n.as_i64().map_or(Stored::Double(n.as_f64().unwrap_or(0.0)), Stored::Int),
                Value::String(text) => Stored::Text(records.push_text(text)),
                other => panic!("{other} is no attribute here"),
            };
            match key.as_str() {
                "body" => fields[log::BODY] = value,
                key => records.push_attr(key, value),
            }
        }
        records.push_row(at as u32, u32::MAX, first, &fields);
    }
    Slice::of_records(&records)
}

/// Each list of rows is a slice of its own.
fn run(slices: &[&[Value]], limits: SqlLimits, query: &str) -> Result<SqlResult, QueryFault> {
    let settings = Settings { retention_ms: None, wal_file_bytes: 1 << 20, ..Settings::default() };
    let store = store::Engine::open(Arc::new(MemoryDisk::new()), settings).expect("an empty disk opens");
    store.replay_all().expect("nothing to replay");
    let mut batch = MetricBatch::default();
    for n in 0..1100 {
        let label = format!("l{n:04}");
        let labels = Labels::from_pairs([("__name__", "m"), (label.as_str(), "x")]).expect("labels");
        let row = batch.begin_series(labels.iter());
        batch.points.push(Point { t_ms: 1, value: 1.0 });
        batch.starts_ms.push(0);
        batch.end_series(row);
    }
    let tenant = TenantId::default_tenant();
    store.append(&tenant, &batch, &MetricLimits::default(), 0).expect("staged");
    store.commit_once();
    let empty = |signal| Arc::new(Slices::new(signal, Vec::new()));
    let slices = slices.iter().map(|rows| slice(rows)).collect();
    let tables = Tables {
        metrics: store.snapshot(&tenant),
        tenant,
        logs: Arc::new(Slices::new(Signal::Logs, slices)),
        spans: empty(Signal::Traces),
        events: empty(Signal::Events),
        checks: empty(Signal::Checks),
    };
    let engine = SqlEngine::new(limits).expect("threads");
    let request = SqlRequest { query: query.into(), start_ns: 0, end_ns: i64::MAX, limit: None };
    engine.run(&request, &tables, &Control::default())
}

/// How many rows a statement counts.
#[track_caller]
fn check(slices: &[&[Value]], condition: &str, want: usize) {
    let query = format!("SELECT count(*) FROM logs WHERE {condition}");
    let result = run(slices, SqlLimits::default(), &query).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert_eq!(result.json_rows(), [json!([want])], "{condition}");
}

#[test]
fn a_key_of_several_kinds_shows_all_its_values_and_fails_no_comparison() {
    let numbers = [json!({"code": 500, "n": 1, "b": true}), json!({"code": 200, "n": 2, "b": false})];
    let texts = [json!({"code": "abc"}), json!({"code": "503"}), json!({"code": true})];
    for slices in [[&numbers[..], &texts[..]], [&texts[..], &numbers[..]]] {
        for (condition, want) in [
            ("code = 'abc'", 1),
            ("code IS NOT NULL", 5),
            ("code >= 500", 2),
            ("code < 500.5", 2),
            ("NOT (code >= 500)", 1),
            ("500 <= code", 2),
            ("code <> 200", 2),
            ("code BETWEEN 100 AND 300", 1),
            ("code BETWEEN '100' AND 300", 1),
            ("code BETWEEN 100 AND 'x'", 0),
            ("code IN (200, 503)", 2),
            ("code IN ('abc', 'true')", 2),
            ("CASE WHEN code > 400 THEN TRUE ELSE FALSE END", 2),
            ("n = 'abc'", 0),
            ("n = '2'", 1),
            ("n >= '1.5'", 1),
            ("n BETWEEN '2' AND 'x'", 0),
            ("n IN ('1', 'x')", 1),
            ("n IS DISTINCT FROM 'x'", 2),
            ("b = 'true'", 1),
            ("b = 'perhaps'", 0),
            ("code = b", 0),
            ("code > \"timestamp\"", 0),
        ] {
            check(&slices, condition, want);
        }
    }
    let result = run(&[&numbers, &texts], SqlLimits::default(), "SELECT code FROM logs ORDER BY code");
    let want = ["200", "500", "503", "abc", "true"].map(|text| json!([text]));
    assert_eq!(result.expect("rows").json_rows(), want);
}

#[test]
fn a_time_that_is_written_wrong_is_told() {
    let query = "SELECT count(*) FROM logs WHERE \"timestamp\" > 'yesterday-ish'";
    run(&[&[json!({})]], SqlLimits::default(), query).expect_err("no time");
}

#[test]
fn every_key_and_label_can_be_named_however_many_there_are() {
    let mut common = serde_json::Map::new();
    (0..1100).for_each(|n| drop(common.insert(format!("k{n:04}"), n.into())));
    let common = Value::Object(common);
    let rows = [common.clone(), common, json!({"rare": 1, "RareToo": "x", "rare.too": 2})];
    check(&[&rows], "rare = 1", 1);
    check(&[&rows], "RareToo = 'x'", 1);
    check(&[&rows], "rare.too = 2", 1);
    check(&[&rows], "\"rare.too\" = 2", 1);
    for label in ["l0003", "l1099"] {
        let query = format!("SELECT count({label}) FROM metrics");
        let result = run(&[&rows], SqlLimits::default(), &query).expect("counted");
        assert_eq!(result.json_rows(), [json!([1])], "{label}");
    }
}

#[test]
fn a_key_that_begins_like_a_scope_is_itself() {
    let rows = [json!({"resource.host": "a", "attr.n": 7, "n": 8}), json!({"host": "b"})];
    check(&[&rows], "\"resource.host\" = 'a'", 1);
    check(&[&rows], "\"attr.n\" = 7", 1);
    check(&[&rows], "attr.\"host\" = 'b'", 1);
}

#[test]
fn letters_that_are_the_same_in_another_case_are_found() {
    let bodies = ["\u{17f}top", "Stop", "\u{212a}ey", "key", "top"];
    let rows: Vec<Value> = bodies.iter().map(|body| json!({ "body": body })).collect();
    for pattern in ["STOP", "s%", "%K%", "%y", "t_p", "%s%p"] {
        let counted = |column: &str| {
            let query = format!("SELECT count(*) FROM logs WHERE {column} ILIKE '{pattern}'");
            run(&[&rows], SqlLimits::default(), &query).expect("counted").json_rows()
        };
        assert_eq!(counted("body"), counted("concat(body, '')"), "{pattern}");
    }
}

#[test]
fn an_expression_that_is_too_large_for_the_scan_is_left_to_the_engine() {
    let rows = [json!({"body": "x".repeat(150)}), json!({"body": "x"})];
    check(&[&rows], r"body ~ '^\w{150}$'", 1);
    let many: Vec<String> = (149..152).map(|n| format!(r"body ~ '^\w{{{n}}}$'")).collect();
    check(&[&rows], &many.join(" OR "), 1);
}

#[test]
fn an_answer_is_measured_by_its_own_rows() {
    let rows: Vec<Value> = (0..20_000).map(|n| json!({ "body": format!("{n:0100}") })).collect();
    let limits = SqlLimits { result_bytes_max: 4 << 20, ..SqlLimits::default() };
    let result = run(&[&rows], limits, "SELECT body FROM logs").expect("rows");
    assert_eq!((result.rows(), result.truncated), (20_000, false));
    let limits = SqlLimits { result_bytes_max: 1 << 20, ..SqlLimits::default() };
    assert!(run(&[&rows], limits, "SELECT body FROM logs").expect("rows").truncated);
}
