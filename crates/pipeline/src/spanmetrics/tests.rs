use super::*;
use crate::testing::spans;

/// Series as `name{label="value"} value`, buckets only where asked for.
fn lines(batch: &MetricBatch, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    assert_eq!(batch.points.len(), batch.starts_ms.len());
    let line = |row: &model::SeriesRow| {
        let text = |span: model::Span| std::str::from_utf8(span.of(&batch.text)).expect("UTF-8");
        let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
        let name = text(labels[0].value);
        let labels: Vec<_> =
            labels[1..].iter().map(|l| format!("{}={:?}", text(l.name), text(l.value))).collect();
        let exemplars = &batch.exemplars[row.exemplars.start as usize..row.exemplars.end as usize];
        let exemplars: String = exemplars.iter().map(|e| format!(" # {} {}", e.labels, e.value)).collect();
        format!("{name}{{{}}} {}{exemplars}", labels.join(","), batch.points[row.points.start as usize].value)
    };
    batch.series.iter().map(line).filter(|line| wanted(line)).collect()
}

fn observed(rows: &[&str]) -> SpanMetrics {
    let mut metrics = SpanMetrics::new(SpanMetricsSettings { bounds: vec![0.1, 1.0], ..Default::default() });
    metrics.observe(&spans(rows));
    metrics
}

#[test]
fn calls_and_latency_are_counted_by_operation() {
    let mut metrics = observed(&[
        "1 1 0 api GET server unset 0 50",
        "2 2 0 api GET server unset 0 100",
        "3 3 0 api GET server error 0 2000",
        "4 4 0 db query internal ok 0 500",
    ]);
    let batch = metrics.drain(5000);
    let labels = |service: &str, name: &str, kind: &str, status: &str| {
        format!(
            "service=\"{service}\",span_name=\"{name}\",span_kind=\"SPAN_KIND_{kind}\",status_code=\"STATUS_CODE_{status}\""
        )
    };
    let (failed, fine) = (labels("api", "GET", "SERVER", "ERROR"), labels("api", "GET", "SERVER", "UNSET"));
    let query = labels("db", "query", "INTERNAL", "OK");
    assert_eq!(
        lines(&batch, |line| line.contains("calls_total")),
        [
            format!("traces_spanmetrics_calls_total{{{failed}}} 1"),
            format!("traces_spanmetrics_calls_total{{{fine}}} 2"),
            format!("traces_spanmetrics_calls_total{{{query}}} 1"),
        ]
    );
    let exemplar =
        |id: u64, value: &str| format!(" # {{span_id=\"{id:016x}\", trace_id=\"{id:032x}\"}} {value}");
    assert_eq!(
        lines(&batch, |line| line.contains("latency") && line.contains(&fine)),
        [
            format!("traces_spanmetrics_latency_bucket{{{fine},le=\"0.1\"}} 2{}", exemplar(2, "0.1")),
            format!("traces_spanmetrics_latency_bucket{{{fine},le=\"1\"}} 2"),
            format!("traces_spanmetrics_latency_bucket{{{fine},le=\"+Inf\"}} 2"),
            format!("traces_spanmetrics_latency_sum{{{fine}}} 0.15000000000000002"),
            format!("traces_spanmetrics_latency_count{{{fine}}} 2"),
        ]
    );
    assert!(batch.points.iter().all(|point| point.t_ms == 5000));
    // Each series began when its first span ended.
    assert_eq!((batch.starts_ms.iter().min(), batch.starts_ms.iter().max()), (Some(&50), Some(&2000)));
    assert!(batch.metadata.iter().any(|m| m.metric == "traces_spanmetrics_latency" && m.unit == "seconds"));
}

#[test]
fn counts_go_on_and_exemplars_are_given_once() {
    let mut metrics = observed(&["1 1 0 a op internal unset 0 50"]);
    assert_eq!(metrics.drain(2000).exemplars.len(), 1);
    metrics.observe(&spans(&["2 2 0 a op internal unset 0 5000"]));
    let batch = metrics.drain(4000);
    assert_eq!(batch.exemplars.len(), 1);
    let count = lines(&batch, |line| line.starts_with("traces_spanmetrics_latency_count"));
    assert!(count[0].ends_with(" 2"), "{count:?}");
}

#[test]
fn idle_series_end() {
    let mut metrics = observed(&["1 1 0 a op internal unset 0 50"]);
    assert!(!metrics.drain(1000).series.is_empty());
    assert!(!metrics.drain(1000 + 15 * 60_000).series.is_empty());
    assert!(metrics.drain(1001 + 15 * 60_000).series.is_empty());
}

#[test]
fn too_many_operations_share_one_series() {
    let settings = SpanMetricsSettings { series_max: 2, ..Default::default() };
    let mut metrics = SpanMetrics::new(settings);
    let rows: Vec<_> = (1..=5).map(|i| format!("{i} {i} 0 a op{i} internal unset 0 1")).collect();
    metrics.observe(&spans(&rows.iter().map(String::as_str).collect::<Vec<_>>()));
    let calls = lines(&metrics.drain(1), |line| line.contains("calls_total"));
    let names: Vec<_> = calls
        .iter()
        .map(|l| (l.contains("service=\"overflow\",span_name=\"overflow\""), l.ends_with(" 3")))
        .collect();
    assert_eq!(names, [(false, false), (false, false), (true, true)]);
}

/// Edges as `client>server type requests failed`.
fn edges(batch: &MetricBatch) -> Vec<String> {
    let totals = lines(batch, |line| line.starts_with("traces_service_graph_request_total"));
    let failed = lines(batch, |line| line.starts_with("traces_service_graph_request_failed_total"));
    let value = |line: &str| line.rsplit(' ').next().expect("a value").to_owned();
    let part = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let edge = |(total, failed): (&String, &String)| {
        let [client, server, connection] =
            ["client", "server", "connection_type"].map(|name| part(total, name));
        format!("{client}>{server} {connection} {} {}", value(total), value(failed))
    };
    totals.iter().zip(&failed).map(edge).collect()
}

#[test]
fn both_sides_of_a_request_make_an_edge_in_any_order() {
    let client = "1 2 1 shop call client unset 0 200";
    let server = "1 3 2 pay POST server error 0 100";
    for rows in [[client, server], [server, client]] {
        let mut metrics = observed(&rows);
        let batch = metrics.drain(2000);
        assert_eq!(edges(&batch), ["shop>pay  1 1"]);
        let sums = lines(&batch, |line| line.contains("seconds_sum"));
        assert_eq!(
            sums,
            [
                "traces_service_graph_request_server_seconds_sum{client=\"shop\",server=\"pay\"} 0.1",
                "traces_service_graph_request_client_seconds_sum{client=\"shop\",server=\"pay\"} 0.2",
            ]
        );
    }
}

#[test]
fn unanswered_requests_go_to_what_they_name_once_their_time_is_up() {
    let mut metrics = observed(&[
        r#"1 2 1 shop query client unset 0 5 db.system="postgresql" db.name="orders""#,
        r#"2 3 1 shop get client error 0 5 server.address="cdn.example""#,
        r#"3 4 1 shop send producer unset 0 5 messaging.destination.name="mails""#,
        "4 5 1 shop lost client unset 0 5",
        "5 6 9 pay waits server unset 0 5",
    ]);
    for early_ms in [1000, 10_999] {
        assert_eq!(edges(&metrics.drain(early_ms)), [] as [&str; 0]);
    }
    let want =
        ["shop>cdn.example virtual_node 1 1", "shop>mails messaging_system 1 0", "shop>orders database 1 0"];
    assert_eq!(edges(&metrics.drain(11_000)), want);
    assert_eq!(edges(&metrics.drain(30_000)), want, "counted once");
}

#[test]
fn a_root_server_span_is_asked_by_a_user() {
    assert_eq!(
        edges(&observed(&["1 2 0 shop GET server unset 0 5"]).drain(1000)),
        ["user>shop virtual_node 1 0"]
    );
}

#[test]
fn a_span_that_comes_twice_does_not_meet_itself() {
    let client = "1 2 1 a call client unset 0 1";
    let mut metrics = observed(&[client, client, "1 3 2 b op server unset 0 1"]);
    assert_eq!(edges(&metrics.drain(1000)), ["a>b  1 0"]);
}

#[test]
fn those_that_wait_are_bounded() {
    let mut metrics = SpanMetrics::new(SpanMetricsSettings { waiting_max: 3, ..Default::default() });
    let rows: Vec<_> = (1..=5).map(|i| format!("{i} {i} 0 a op client unset 0 1")).collect();
    metrics.observe(&spans(&rows.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(metrics.unpaired(), 2);
}
