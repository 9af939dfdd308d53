//! What explorers ask, against the same question asked of each record in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use model::Signal;
use query::rows::{Ask, Cursor, RowReader, RowValue, Sort, log_json, span_json};
use query::search::Search;
use query::{Control, QueryFault};

use super::data::{Log, START_NS, STEP_NS, logs, source, spans};

fn ask(text: &str) -> Ask {
    let predicate = Search::parse(text, Signal::Logs).expect(text).into_predicate();
    Ask { predicate, start_ns: i64::MIN, end_ns: i64::MAX }
}

fn reader(logs: &[Log], size: usize, stripes: usize) -> RowReader {
    RowReader::new(source(logs, size, stripes), Control::default())
}

/// A search and the same test in plain code.
type Case = (&'static str, fn(&Log) -> bool);

const CASES: [Case; 14] = [
    ("", |_| true),
    ("level:error", |log| (17..=20).contains(&log.severity)),
    ("level:>=warn service:api", |log| log.severity >= 13 && log.service == "api"),
    ("warm", |log| log.body.contains("warm")),
    ("\"logged in\" -service:web", |log| log.body.contains("logged in") && log.service != "web"),
    ("logg*", |log| log.body.contains("logged")),
    ("http.status:>=404", |log| log.status.is_some_and(|status| status >= 404)),
    ("-http.status:*", |log| log.status.is_none()),
    ("http.status:(200 OR 500)", |log| matches!(log.status, Some(200 | 500))),
    ("urlPath:/v1/item/3", |log| log.path.as_deref() == Some("/v1/item/3")),
    ("urlPath:/v1/*", |log| log.path.is_some()),
    ("resource.service.name:web OR attributes.urlPath:*item/6", |log| {
        log.service == "web" || log.path.as_deref() == Some("/v1/item/6")
    }),
    ("trace_id:00000000000000000000000000000003", |log| {
        log.trace.is_some_and(|trace| u64::from_be_bytes(trace[8..].try_into().expect("eight")) == 3)
    }),
    ("nowhere", |_| false),
];

#[test]
fn searches_find_what_plain_code_finds() {
    let logs = logs(2000);
    for (size, stripes) in [(2000, 1), (100, 1), (70, 3)] {
        let reader = reader(&logs, size, stripes);
        for (text, test) in CASES {
            let want = logs.iter().filter(|log| test(log)).count() as u64;
            let (count, cost) = reader.count(&ask(text)).expect(text);
            assert_eq!(count, want, "{text}");
            assert!(cost.slices > 0, "{text}");
        }
    }
}

/// All pages of a search.
fn pages(reader: &RowReader, text: &str, sort: Sort, limit: usize) -> Vec<(i64, String, String)> {
    let mut found = Vec::new();
    let mut cursor: Option<Cursor> = None;
    for _ in 0..10_000 {
        let page = reader.page(&ask(text), sort, limit, cursor.as_ref()).expect("page");
        assert!(page.rows.len() <= limit);
        found.extend(page.rows.into_iter().map(|row| {
            let body = row.fixed[4].as_text().unwrap_or_default().to_owned();
            (row.time_ns, row.id, body)
        }));
        match page.next {
            Some(next) => cursor = Some(Cursor::parse(&next.to_string()).expect("reads back")),
            None => return found,
        }
    }
    panic!("pages without end");
}

#[test]
fn pages_hold_every_row_once_in_order_of_time() {
    let logs = logs(1000);
    for (text, test) in CASES {
        for (sort, limit) in [(Sort::Newest, 7), (Sort::Oldest, 33), (Sort::Newest, 1000)] {
            let want: Vec<_> = logs.iter().filter(|log| test(log)).collect();
            let found = pages(&reader(&logs, 64, 2), text, sort, limit);
            let mut times: Vec<i64> = want.iter().map(|log| log.time_ns).collect();
            times.sort_unstable();
            if sort == Sort::Newest {
                times.reverse();
            }
            assert_eq!(found.iter().map(|row| row.0).collect::<Vec<_>>(), times, "{text} by {limit}");
            let mut bodies: Vec<_> = found.iter().map(|row| row.2.as_str()).collect();
            let mut wanted: Vec<_> = want.iter().map(|log| log.body.as_str()).collect();
            bodies.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(bodies, wanted, "{text} by {limit}");
        }
    }
}

#[test]
fn pages_do_not_depend_on_slices() {
    let logs = logs(600);
    let one = pages(&reader(&logs, 600, 1), "", Sort::Newest, 50);
    let many = pages(&reader(&logs, 10, 3), "", Sort::Newest, 11);
    assert_eq!(one, many);
}

#[test]
fn rows_of_one_time_are_paged_too() {
    let mut logs = logs(300);
    logs.iter_mut().for_each(|log| log.time_ns = START_NS);
    let found = pages(&reader(&logs, 50, 2), "", Sort::Newest, 9);
    assert_eq!(found.len(), 300);
    let ids: BTreeSet<_> = found.iter().map(|row| &row.1).collect();
    // Of the records that say the same as another, three repeat the one before them.
    let distinct: BTreeSet<_> = logs
        .iter()
        .map(|log| (log.severity, &log.body, log.service, log.status, &log.path, log.trace))
        .collect();
    assert_eq!(ids.len(), distinct.len());
}

#[test]
fn the_newest_rows_are_found_without_reading_all() {
    let logs = logs(5000);
    let page = reader(&logs, 100, 1).page(&ask(""), Sort::Newest, 10, None).expect("page");
    assert!(page.cost.slices <= 4, "{:?}", page.cost);
    assert!(page.next.is_some());
}

#[test]
fn histograms_add_up() {
    let logs = logs(1000);
    let end_ns = START_NS + 500 * STEP_NS;
    let ask = Ask { start_ns: START_NS, end_ns, ..ask("") };
    let histogram = reader(&logs, 64, 2).histogram(&ask, 50, Some("level")).expect("histogram");
    assert_eq!((histogram.buckets, histogram.step_ms, histogram.total), (50, 10, 1000));
    let mut want: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for log in &logs {
        let name = match log.severity {
            17 => "error",
            13 => "warn",
            _ => "info",
        };
        let bucket = ((log.time_ns - START_NS) / (10 * STEP_NS)) as usize;
        want.entry(name).or_insert_with(|| vec![0; 50])[bucket] += 1;
    }
    let got: BTreeMap<&str, Vec<u64>> =
        histogram.series.iter().map(|series| (series.name.as_str(), series.counts.clone())).collect();
    assert_eq!(got, want);
    let plain = reader(&logs, 64, 2).histogram(&ask, 50, None).expect("histogram");
    assert_eq!((plain.series.len(), plain.total), (1, 1000));
}

#[test]
fn facets_count_values_and_rows_without() {
    let logs = logs(1000);
    let fields = ["service", "http.status", "level", "nothing"].map(str::to_owned);
    let facets = reader(&logs, 64, 2).facets(&ask(""), &fields, 2).expect("facets");
    assert_eq!(facets.total, 1000);
    let count = |test: &dyn Fn(&Log) -> bool| logs.iter().filter(|log| test(log)).count() as u64;
    let [service, status, level, nothing] = facets.facets.as_slice() else { panic!("four facets") };
    assert_eq!((service.distinct, service.missing, service.values.len()), (3, 0, 2));
    assert_eq!(service.values[0].1, count(&|log| log.service == service.values[0].0));
    assert_eq!((status.distinct, status.missing), (3, count(&|log| log.status.is_none())));
    assert_eq!(level.values[0], ("info".to_owned(), count(&|log| log.severity == 9)));
    assert_eq!((nothing.distinct, nothing.missing), (0, 1000));
    let twice = ["service", "level", "service"].map(str::to_owned);
    let twice = reader(&logs, 64, 2).facets(&ask(""), &twice, 2).expect("facets").facets;
    assert_eq!((&twice[0], &twice[2], twice[1].other), (service, service, 0));
    let (values, _) = reader(&logs, 64, 2).values(&ask(""), "urlPath", "/v1/item/", 3).expect("values");
    assert_eq!(values.len(), 3);
    let (values, _) = reader(&logs, 64, 2).values(&ask(""), "level", "e", 3).expect("values");
    assert_eq!(values[0].0, "error");
    let names: Vec<_> = reader(&logs, 64, 2)
        .fields(i64::MIN, i64::MAX)
        .expect("fields")
        .into_iter()
        .map(|f| f.name)
        .collect();
    assert_eq!(&names[7..], ["http.status", "service.name", "urlPath"]);
}

#[test]
fn messages_that_are_alike_become_one_pattern() {
    let logs = logs(900);
    let ask = Ask { start_ns: START_NS, end_ns: START_NS + 450 * STEP_NS, ..ask("") };
    let patterns = reader(&logs, 64, 2).patterns(&ask, 10).expect("patterns");
    let mut templates: Vec<_> = patterns.patterns.iter().map(|p| p.template.as_str()).collect();
    templates.sort_unstable();
    let want = ["cache is warm, nothing to do", "request <*> from <*> took <*>", "user <*> logged in"];
    assert_eq!(templates, want);
    assert_eq!((patterns.total, patterns.sampled), (900, false));
    assert_eq!(patterns.patterns.iter().map(|p| p.count).sum::<u64>(), 900);
    assert!(patterns.patterns.iter().all(|p| !p.examples.is_empty() && p.level == Some("info")));
    assert!((patterns.patterns.iter().map(|p| p.share).sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn a_row_is_found_again_with_what_stood_around_it() {
    let logs = logs(400);
    let reader = reader(&logs, 64, 2);
    let page = reader.page(&ask("service:api http.status:*"), Sort::Newest, 20, None).expect("page");
    let wanted = &page.rows[10];
    let around = reader.around(&wanted.id, 3, 2).expect("around").expect("there");
    assert_eq!(&around.record, wanted);
    assert_eq!((around.before.len(), around.after.len()), (3, 2));
    let times: Vec<i64> =
        around.before.iter().chain([&around.record]).chain(&around.after).map(|row| row.time_ns).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(around.before.iter().chain(&around.after).all(|row| row.service.as_deref() == Some("api")));
    assert!(reader.around(&"0".repeat(32), 1, 1).expect("asked").is_none());
    assert!(matches!(reader.around("x", 1, 1), Err(QueryFault::Invalid(_))));
}

#[test]
fn rows_that_repeat_one_are_behind_it_and_hide_none_before_it() {
    let mut logs = logs(60);
    let same = vec![logs[30].clone(); 5];
    logs.splice(31..31, same);
    let reader = reader(&logs, 16, 2);
    let page = reader.page(&ask(""), Sort::Oldest, 100, None).expect("page");
    let copies = |rows: &[query::rows::Row], id: &str| rows.iter().filter(|row| row.id == id).count();
    let wanted = page.rows.iter().find(|row| copies(&page.rows, &row.id) == 6).expect("repeated");
    let around = reader.around(&wanted.id, 3, 10).expect("around").expect("there");
    assert_eq!((around.before.len(), copies(&around.before, &wanted.id)), (3, 0));
    assert_eq!((around.after.len(), copies(&around.after, &wanted.id)), (10, 5));
}

#[test]
fn rows_as_json_have_the_documented_members() {
    let logs = logs(2);
    let page = reader(&logs, 10, 1).page(&ask(""), Sort::Oldest, 1, None).expect("page");
    let json = log_json(&page.rows[0]);
    assert_eq!(json["timestamp"], "2023-11-14T22:13:20.000000000Z");
    assert_eq!(json["level"], "info");
    assert_eq!(json["service"].as_str(), page.rows[0].service.as_deref());
    assert_eq!(json["resource"]["service.name"], json["service"]);
    let reader = RowReader::new(spans(), Control::default());
    let rows = reader.page(&ask(""), Sort::Oldest, 10, None).expect("page").rows;
    let json = span_json(&rows[1]);
    assert_eq!(json["trace_id"], "07".repeat(16));
    assert_eq!(json["parent_span_id"], "01".repeat(8));
    assert_eq!(json["duration_ns"], 1_000_000);
    assert_eq!(json["events"], serde_json::json!([]));
    assert_eq!(rows[0].fixed[4], RowValue::Null);
}

#[test]
fn a_question_ends_when_it_must() {
    let logs = logs(500);
    let late = RowReader::new(source(&logs, 50, 1), Control::until(Instant::now()));
    assert!(matches!(late.count(&ask("")), Err(QueryFault::Timeout)));
    let control = Control::default();
    control.cancelled.store(true, Ordering::Relaxed);
    let gone = RowReader::new(source(&logs, 50, 1), control);
    assert!(matches!(gone.page(&ask(""), Sort::Newest, 5, None), Err(QueryFault::Cancelled)));
    assert!(Arc::strong_count(&source(&logs, 50, 1)) == 1);
}
