//! Functions over time.

use crate::control::Control;
use crate::traceql::{FieldRef, Grid, metrics, parse, values};
use crate::traces::testing::{Memory, spans};

const SPANS: &str = "a 1 0 0 100 web server, b 2 1 1000000000 200 api client error, \
                     a 3 1 1500000000 300 api client, b 4 1 2999999999 400 web server, a 5 0 3000000000 1 web";

/// Series as `labels: step=value …`, steps of a second from 0 to 3.
fn check(query: &str, want: &[&str]) {
    let source = Memory { spans: spans(SPANS), slice: 2 };
    let grid = Grid { start_ns: 0, end_ns: 3_000_000_000, step_ns: 1_000_000_000 };
    let found = metrics(&source, &parse(query).unwrap(), grid, &Control::default()).unwrap();
    let got: Vec<String> = found
        .iter()
        .map(|series| {
            let labels: Vec<String> = series
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={}", value.text().unwrap_or("nil".into())))
                .collect();
            let samples: Vec<String> =
                series.samples.iter().map(|(t_ms, value)| format!("{}={value:.3e}", t_ms / 1000)).collect();
            format!("{}: {}", labels.join(","), samples.join(" "))
        })
        .collect();
    assert_eq!(got, want, "{query}");
}

#[test]
fn spans_are_counted_where_they_begin() {
    check("{} | count_over_time()", &["__name__=count_over_time: 0=1.000e0 1=2.000e0 2=1.000e0"]);
    check("{ status=error } | rate()", &["__name__=rate: 0=0.000e0 1=1.000e0 2=0.000e0"]);
    check(
        "{} | rate() by (resource.service.name)",
        &[
            "resource.service.name=api: 0=0.000e0 1=2.000e0 2=0.000e0",
            "resource.service.name=web: 0=1.000e0 1=0.000e0 2=1.000e0",
        ],
    );
    check("{} | rate() by (.missing)", &[".missing=nil: 0=1.000e0 1=2.000e0 2=1.000e0"]);
    check("{ .missing = 1 } | rate()", &[]);
}

#[test]
fn durations_are_seconds() {
    check("{} | max_over_time(duration)", &["__name__=max_over_time: 0=1.000e-7 1=3.000e-7 2=4.000e-7"]);
    check("{} | avg_over_time(duration)", &["__name__=avg_over_time: 0=1.000e-7 1=2.500e-7 2=4.000e-7"]);
    check("{ name=`a` } | quantile_over_time(duration, 1)", &["p=1: 0=1.000e-7 1=3.000e-7"]);
    check(
        "{ name=`b` } | histogram_over_time(duration)",
        &[
            "__bucket=0.000000256: 0=0.000e0 1=1.000e0 2=0.000e0",
            "__bucket=0.000000512: 0=0.000e0 1=0.000e0 2=1.000e0",
        ],
    );
}

#[test]
fn whole_traces_are_looked_at_where_the_query_asks_of_them() {
    check("{ name=`a` } > { status=error } | rate()", &["__name__=rate: 0=0.000e0 1=1.000e0 2=0.000e0"]);
    check(
        "{ rootName = `a` } | count_over_time()",
        &["__name__=count_over_time: 0=1.000e0 1=2.000e0 2=1.000e0"],
    );
}

#[test]
fn few_series_can_be_kept() {
    check(
        "{} | count_over_time() by (name) | topk(1)",
        &["name=a: 0=1.000e0 1=1.000e0", "name=b: 2=1.000e0"],
    );
    check("{} | count_over_time() > 1", &["__name__=count_over_time: 1=2.000e0"]);
}

#[test]
fn values_come_most_frequent_first() {
    let source = Memory { spans: spans(SPANS), slice: 2 };
    for (query, field, limit, want) in [
        ("{}", "name", 10, "a b"),
        ("{}", "resource.service.name", 10, "web api"),
        ("{ status = error }", "service.name", 10, "api"),
        ("{ rootName = `a` && name = `b` }", ".service.name", 1, "api"),
        ("{}", "rootServiceName", 10, "web"),
        ("{}", "span.missing", 10, ""),
        ("{}", "status", 10, "unset ok error"),
    ] {
        let field = FieldRef::parse_tag(field).unwrap();
        let control = Control::default();
        let query = parse(query).unwrap();
        let found = values(&source, &query, &field, (0, i64::MAX), limit, &control).unwrap();
        let found: Vec<String> = found.iter().filter_map(|value| value.text()).collect();
        assert_eq!(found.join(" "), want, "{field:?}");
    }
}
