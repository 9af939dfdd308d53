mod proto; // the protobuf exposition

use model::MetricType;
use proptest::prelude::*;

use super::*;
use crate::testing::{lines, refusals};

const NOW: i64 = 1_000;

fn import(format: Format, body: &str) -> Decoded {
    decode(body.as_bytes().to_vec(), &Context::import(format, NOW)).expect("imports")
}

#[track_caller]
fn check(format: Format, body: &str, want: &[&str]) {
    let decoded = import(format, body);
    assert_eq!(refusals(&decoded), [] as [&str; 0], "{body}");
    assert_eq!(lines(&decoded), want, "{body}");
}

#[test]
fn a_content_type_names_the_format() {
    for (content_type, want) in [
        ("text/plain; version=0.0.4", Some(Format::Text)),
        ("text/plain", Some(Format::Text)),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            Some(Format::Protobuf),
        ),
        ("application/vnd.google.protobuf; encoding=text", None),
        ("text/html", None),
        ("", None),
    ] {
        assert_eq!(Format::of_content_type(content_type), want, "{content_type}");
    }
}

#[test]
fn lines_of_the_text_format() {
    for (body, want) in [
        ("up 1", &["up 1@1000"][..]),
        ("up 1 5\n", &["up 1@5"]),
        ("up 1 -5\n", &["up 1@-5"]),
        ("  up \t 1  \r\n", &["up 1@1000"]),
        ("up{} 1", &["up 1@1000"]),
        ("up{a=\"b\",} 1", &["up{a=\"b\"} 1@1000"]),
        ("up { a = \"b\" , c=\"d\" } 1 7", &["up{a=\"b\", c=\"d\"} 1@7"]),
        ("a:b_c1{_x9=\"\"} 1", &["a:b_c1 1@1000"]),
        (
            "up 1.5e3\nup NaN\nup +Inf\nup -Inf",
            &["up 1500@1000", "up NaN@1000", "up inf@1000", "up -inf@1000"],
        ),
        ("{\"my.metric\",\"a.b\"=\"c\",d=\"e\"} 1", &["{\"my.metric\", \"a.b\"=\"c\", d=\"e\"} 1@1000"]),
        ("{\"my.metric\"} 1", &["{\"my.metric\"} 1@1000"]),
        ("# a comment\n\n#\n# HELP\tup is it\nup 1", &["up 1@1000"]),
        ("", &[]),
    ] {
        check(Format::Text, body, want);
    }
}

#[test]
fn escapes_are_undone_in_labels_and_help() {
    let decoded = import(Format::Text, "# HELP up a\\\\b\\nc\nup{p=\"C:\\\\x\\\"y\\nz\\q\",r=\"plain\"} 1\n");
    let labels = crate::testing::labels(&decoded.batch, &decoded.batch.series[0]);
    assert_eq!(labels.get("p"), Some("C:\\x\"y\nz\\q"));
    assert_eq!(labels.get("r"), Some("plain"));
    assert_eq!(decoded.batch.metadata[0].help, "a\\b\nc");
}

#[test]
fn a_bad_line_costs_itself_in_an_import_and_all_in_a_scrape() {
    for bad in [
        "up",
        "up x",
        "1up 1",
        "up{a} 1",
        "up{a=b} 1",
        "up{a=\"b} 1",
        "up{a=\"b\" c=\"d\"} 1",
        "up{=\"b\"} 1",
        "up 1 2 3",
        "up 1 x",
        "up 1 # {a=\"b\"} 1",
        "{a=\"b\"} 1",
        "{\"a\",\"b\"} 1",
        "# TYPE up nonsense",
        "\u{7f}",
        "up{a=\"b\\",
    ] {
        let body = format!("good 1\n{bad}\nbetter 2\n");
        let decoded = import(Format::Text, &body);
        assert_eq!(lines(&decoded), ["good 1@1000", "better 2@1000"], "{bad}");
        assert_eq!(refusals(&decoded), ["2 line malformed 1"], "{bad}");
        let scraped = decode(body.into_bytes(), &Context::scrape(Format::Text, NOW));
        let Err(DecodeError::Malformed(text)) = scraped else { panic!("{bad} was scraped") };
        assert!(text.starts_with("line 2: "), "{text}");
    }
}

#[test]
fn stated_times_can_be_ignored() {
    let context = Context { honor_timestamps: false, ..Context::scrape(Format::Text, NOW) };
    let decoded = decode(b"up 1 5".to_vec(), &context).expect("scrapes");
    assert_eq!(lines(&decoded), ["up 1@1000"]);
}

#[test]
fn open_metrics_has_seconds_and_exemplars() {
    let body = "# TYPE foo counter\n\
                foo_total{a=\"b\"} 17 1.5 # {trace_id=\"x\"} 0.67 1.25\n\
                foo_total 3 # {} 9\n\
                # EOF\n";
    check(
        Format::OpenMetrics,
        body,
        &["foo_total{a=\"b\"} 17@1500 # {trace_id=\"x\"} 0.67@1250", "foo_total 3@1000 # {} 9@1000"],
    );
}

#[test]
fn created_lines_are_starts() {
    let body = "# TYPE c counter\n\
                c_total{a=\"1\"} 1\nc_created{a=\"1\"} 0.5\n\
                c_total{a=\"2\"} 1\nc_created{a=\"2\"} 0.7\n\
                # TYPE h histogram\n\
                h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\nh_created 0.9\n\
                # TYPE first counter\n\
                first_created{a=\"1\"} 0.1\nfirst_total{a=\"1\"} 5\n\
                # TYPE g gauge\n\
                g_created 4\n\
                # EOF\n";
    check(
        Format::OpenMetrics,
        body,
        &[
            "c_total{a=\"1\"} 1@1000<500",
            "c_total{a=\"2\"} 1@1000<700",
            "h_bucket{le=\"1.0\"} 1@1000<900",
            "h_bucket{le=\"+Inf\"} 2@1000<900",
            "h_count 2@1000<900",
            "h_sum 3@1000<900",
            "first_total{a=\"1\"} 5@1000<100",
            "g_created 4@1000",
        ],
    );
}

#[test]
fn open_metrics_must_end() {
    let decoded = import(Format::OpenMetrics, "up 1\n");
    assert_eq!((lines(&decoded).len(), refusals(&decoded)), (1, vec!["2 # EOF malformed 0".to_owned()]));
    assert!(decode(b"up 1\n".to_vec(), &Context::scrape(Format::OpenMetrics, NOW)).is_err());
    let decoded = import(Format::OpenMetrics, "up 1\n# EOF\nup 2\n");
    assert_eq!((lines(&decoded).len(), refusals(&decoded)), (1, vec!["3 line malformed 1".to_owned()]));
    check(Format::Text, "up 1\n# EOF\nup 2\n", &["up 1@1000", "up 2@1000"]);
}

#[test]
fn bounds_are_spelled_as_floats_where_the_type_says_so() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1000000\"} 2\nh_bucket{le=\"0.5\"} 1\n\
                # TYPE s summary\ns{quantile=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\",quantile=\"1\"} 1\n";
    check(
        Format::Text,
        body,
        &[
            "h_bucket{le=\"1.0\"} 1@1000",
            "h_bucket{le=\"1e+06\"} 2@1000",
            "h_bucket{le=\"0.5\"} 1@1000",
            "s{quantile=\"1.0\"} 1@1000",
            "g{le=\"1\", quantile=\"1\"} 1@1000",
        ],
    );
}

#[test]
fn metadata_is_one_entry_per_family() {
    let body = "# HELP up Is it up?\n# TYPE up gauge\nup 1\n# TYPE \"my.metric\" counter\n# TYPE x untyped\n";
    let of = |format, body: &str| -> Vec<_> {
        let all = import(format, body).batch.metadata;
        all.into_iter().map(|m| (m.metric, m.kind, m.unit, m.help)).collect()
    };
    let row = |metric: &str, kind, unit: &str, help: &str| {
        (metric.to_owned(), kind, unit.to_owned(), help.to_owned())
    };
    let want = [
        row("up", MetricType::Gauge, "", "Is it up?"),
        row("my.metric", MetricType::Counter, "", ""),
        row("x", MetricType::Unknown, "", ""),
    ];
    assert_eq!(of(Format::Text, body), want);
    let body = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds \\\"H\\\"\na_seconds_total 1\n# EOF\n";
    let want = [row("a_seconds_total", MetricType::Counter, "seconds", "\"H\"")];
    assert_eq!(of(Format::OpenMetrics, body), want);
}

#[test]
fn times_that_do_not_fit_are_refused_and_the_year_9999_is_the_stores_business() {
    let decoded = import(Format::OpenMetrics, "a 1 253402300799\nb 1 1e300\nc 1 NaN\n# EOF");
    assert_eq!(lines(&decoded), ["a 1@253402300799000"]);
    assert_eq!(decoded.refusals.items(), 2);
    let decoded = import(Format::Text, "a 1 253402300799000\nb 1 99999999999999999999\n");
    assert_eq!((lines(&decoded).len(), decoded.refusals.items()), (1, 1));
}

#[test]
fn large_labels_and_foreign_bytes_are_handed_on() {
    let mut body = b"up{a=\"".to_vec();
    body.extend(std::iter::repeat_n(b'x', 10 << 20));
    body.extend_from_slice(b"\",b=\"\xff\"} 1\n");
    let decoded = decode(body, &Context::scrape(Format::Text, NOW)).expect("spans are not judged here");
    let label = decoded.batch.labels[1];
    assert_eq!(label.value.len, 10 << 20);
    assert_eq!(decoded.batch.labels[2].value.of(&decoded.batch.text), b"\xff");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>, strict: bool) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let context = Context { strict, keep_classic: true, ..Context::import(format, NOW) };
            let _ = decode(body.clone(), &context);
        }
    }

    #[test]
    fn no_text_of_the_alphabet_makes_it_panic(body in "[#{}\",=\\\\ \na-c_0-9EOFTYPE.]{0,60}") {
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = decode(body.clone().into_bytes(), &Context::import(format, NOW));
        }
    }

    #[test]
    fn any_label_value_round_trips(value in "\\PC{1,20}", quoted in "[\\\\\"\n]{0,3}", number: f64, t in -1_000_000i64..1_000_000_000_000) {
        let value = value + &quoted;
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let decoded = import(Format::Text, &format!("m{{a=\"{escaped}\"}} {number} {t}\n"));
        prop_assert!(decoded.refusals.is_empty());
        let labels = crate::testing::labels(&decoded.batch, &decoded.batch.series[0]);
        prop_assert_eq!(labels.get("a"), Some(value.as_str()));
        let point = decoded.batch.points[0];
        prop_assert_eq!(point.t_ms, t);
        prop_assert!(point.value == number || (point.value.is_nan() && number.is_nan()));
    }
}
