//! What parses, and what it means on one trace.

use crate::traceql::{evaluate, parse};
use crate::traces::Trace;
use crate::traces::testing::spans;

/// Queries of Grafana's Tempo data source (`public/app/plugins/datasource/tempo`: search builder, service
/// graph, traces drilldown) and of Tempo's documentation.
const SENT: [&str; 34] = [
    "{}",
    "{ }",
    r#"{resource.service.name="api"}"#,
    r#"{resource.service.name="api" && name="GET /" && duration>100ms && duration<1s}"#,
    r#"{name=~"GET|POST" && span.http.status_code>=500}"#,
    r#"{.service.name="a b" && status=error} | select(status, resource.service.name)"#,
    "{nestedSetParent<0 && true} | rate() by(resource.service.name)",
    "{nestedSetParent<0 && true} | histogram_over_time(duration)",
    "{nestedSetParent<0} | quantile_over_time(duration, .5, .9, 0.95) by (span.http.route)",
    "{true} | rate() with(exemplars=true)",
    "{nestedSetParent<0 && status=error} | rate()",
    "{nestedSetParent<0} &>> { status = error } | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)",
    r#"{ kind=server } >> { kind=client && span."peer service" != nil }"#,
    "{ .a } !>> { .b }",
    "{ .a } &< { .b } || { .c } !~ { .d }",
    "({ .a } | count() > 2) && ({ .b })",
    "{ .a } | count() > 1 | avg(duration) > 1s",
    "{ .a } | by(resource.service.name) | count() > 2 | coalesce()",
    "{ .a } | max(duration) - min(duration) > 10ms * 2",
    "{ .a } | (min(duration) + 1ms) * 2 > 10",
    "{ -1 < .x && .y = -2.5e3 && !(.z || .w = true) }",
    "{ (.a = 1 || .b = 2) && .c =~ `\\d+` }",
    "{ .a + 1 ^ 2 * 3 > duration / 2 }",
    r#"{ event:name = "exception" && event.exception.message =~ ".*x.*" }"#,
    r#"{ span:id = "00f067aa0ba902b7" || trace:id="4bf92f3577b34da6a3ce929d0e0e4736" }"#,
    "{ trace:duration > 1s && traceDuration < 2h && rootName = `a` && rootServiceName != `b` }",
    "{ statusMessage = `x` || span:statusMessage = `y` }",
    "{ link:traceID != nil }",
    "{ instrumentation:name = `lib` && instrumentation.x = 1 }",
    "{ status = unset || kind = unspecified }",
    "{} | min_over_time(duration) by (name, kind)",
    "{} | sum_over_time(span.bytes) by (.x) | topk(10)",
    "{} | count_over_time() > 5",
    "{ `a` = .x }",
];

#[test]
fn what_grafana_sends_is_understood() {
    for query in SENT {
        parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn what_means_nothing_is_refused_with_its_position() {
    for (query, position, message) in [
        ("", 0, "the query ends where `{`"),
        ("{", 1, "the query ends where a field"),
        ("{ status = }", 11, "`}` stands where a field"),
        ("{ status = bad }", 11, "\"bad\" is no field: write .bad"),
        ("{ .a = \"x }", 7, "no closing quote"),
        ("{ .a =~ .b }", 5, "a regular expression in quotes"),
        ("{ .a =~ \"(\" }", 5, "unclosed group"),
        ("{ .a =~ \"(a{1000}){1000}\" }", 5, "size"),
        ("{ .a } | count()", 16, "a comparison"),
        ("{ .a } { .b }", 7, "`{` stands where the end"),
        ("{ .a } | rate() | { .b }", 18, "topk"),
        ("{ 3 }", 2, "a value, not a condition"),
        ("{ .a = 1x }", 7, "no number or duration"),
        ("{ foo.bar = 1 }", 2, "no scope"),
        ("{} | quantile_over_time(duration)", 32, "a comma"),
        ("{} | quantile_over_time(duration, 2)", 35, "from 0 to 1"),
        ("{} | compare({ .a })", 5, "not supported"),
        ("{} | nonsense()", 5, "`nonsense` stands"),
        ("{ .a = 'x' }", 7, "in quotes"),
    ] {
        let error = parse(query).expect_err(query);
        assert_eq!(error.position, position, "{query}: {error}");
        assert!(error.message.contains(message), "{query}: {error}");
    }
}

#[test]
fn nesting_is_bounded_and_length_is_not_nesting() {
    let nested = |n: usize| format!("{{ {}.a{} }}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(40)).is_ok());
    assert!(parse(&nested(10_000)).unwrap_err().message.contains("levels deep"));
    assert!(parse(&format!("{{ {} .a }}", "!".repeat(20_000))).is_err());
    assert!(parse(&format!("{{ {} .a }}", "- ".repeat(20_000))).is_err());
    assert!(parse(&format!("{{ .a {} }}", "^ 2 ".repeat(10_000))).is_err());
    assert!(parse(&format!("{}{{}}{}", "(".repeat(20_000), ")".repeat(20_000))).is_err());
    assert!(parse(&format!("{{}} {}", ">> {} ".repeat(5_000))).is_err());
    assert!(parse(&format!("{{ .a {} }}", "|| .a ".repeat(9_000))).is_ok());
    assert!(parse(&format!("{{ .a {} }}", "|| .a && .b ".repeat(4_000))).is_err());
    assert!(parse(&format!("{{}} {}", "&& {} ".repeat(9_000))).is_ok());
    assert!(parse(&"{".repeat(100_000)).unwrap_err().message.contains("bytes"));
}

/// Names of the spans of every list that comes out.
fn check(trace: &str, query: &str, want: &str) {
    let trace = Trace::assemble(spans(trace));
    let query = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let sets = evaluate(&query.stages, &trace);
    let names =
        |spans: &[u32]| spans.iter().map(|at| &*trace.spans[*at as usize].name).collect::<Vec<_>>().join(" ");
    let got: Vec<String> = sets.iter().map(|set| names(&set.spans)).collect();
    assert_eq!(got.join(" | "), want, "{query:?}");
}

/// a ── b ── d
///  └── c ── e, f
const TREE: &str = "a 1 0 0 100 web server, b 2 1 1 50 api client, d 4 2 2 40 api internal error, \
                    c 3 1 60 30 api client, e 5 3 61 5 db server, f 6 3 70 6 db server ok";

#[test]
fn selectors_look_at_one_span() {
    for (query, want) in [
        ("{}", "a b d c e f"),
        ("{ status = error }", "d"),
        ("{ status != error }", "a b c e f"),
        ("{ kind = client || status = ok }", "b c f"),
        // && and || bind alike, to the left.
        ("{ name = `a` || name = `b` && kind = client }", "b"),
        ("{ resource.service.name = `db` }", "e f"),
        ("{ .service.name =~ `a|d.` }", "e f"),
        ("{ .service.name =~ `.*p.*` }", "b d c"),
        ("{ .service.name !~ `a.*` }", "a e f"),
        ("{ .missing != `x` }", ""),
        ("{ .missing = nil }", "a b d c e f"),
        ("{ !(.missing = `x`) }", "a b d c e f"),
        ("{ duration > 40ns }", "a b"),
        ("{ duration >= 40 && duration <= 50 }", "b d"),
        ("{ duration * 2 = 80ns }", "d"),
        ("{ nestedSetParent < 0 }", "a"),
        ("{ nestedSetParent = 1 }", "b c"),
        ("{ span:childCount = 2 }", "a c"),
        ("{ rootName = `a` && rootServiceName = `web` && name = `f` }", "f"),
        ("{ traceDuration = 100ns && kind = internal }", "d"),
        ("{ span:id = `0000000000000004` }", "d"),
        ("{ span:parentID = `0000000000000003` }", "e f"),
        ("{ nestedSetLeft = 1 && nestedSetRight = 12 }", "a"),
        ("{ nestedSetLeft = 7 && nestedSetRight = 8 }", "e"),
        ("{ false }", ""),
    ] {
        check(TREE, query, want);
    }
}

#[test]
fn relations_look_at_the_tree() {
    for (query, want) in [
        ("{ name=`a` } > {}", "b c"),
        ("{ name=`a` } >> {}", "b d c e f"),
        ("{ name=`a` } >> { kind=server }", "e f"),
        ("{ kind=server } < {}", "c"),
        ("{ name=`e` } < {}", "c"),
        ("{ name=`e` } << {}", "a c"),
        ("{ name=`e` } ~ {}", "f"),
        ("{ kind=server } ~ { kind=server }", "e f"),
        ("{ name=`a` } ~ {}", ""),
        ("{ name=`a` } !> {}", "a d e f"),
        ("{ name=`c` } !>> {}", "a b d c"),
        ("{ name=`none` } !> { status=error }", "d"),
        ("{ kind=client } &> { status=error }", "b d"),
        ("{ kind=client } &>> { status=ok }", "c f"),
        ("{ status=error } && { status=ok }", "d f"),
        ("{ status=error } && { name=`none` }", ""),
        ("{ status=error } || { name=`none` }", "d"),
        // Relations bind more strongly than && and ||.
        ("{ name=`b` } || { name=`a` } > { name=`c` }", "b c"),
        ("{ name=`a` } > { kind=client } > { kind=server }", "e f"),
    ] {
        check(TREE, query, want);
    }
}

#[test]
fn pipelines_go_on_with_lists_of_spans() {
    for (query, want) in [
        ("{ kind=server } | count() > 2", "a e f"),
        ("{ kind=server } | count() > 3", ""),
        ("{} | avg(duration) > 38ns", "a b d c e f"),
        ("{} | max(duration) - min(duration) = 95ns", "a b d c e f"),
        ("{} | sum(.missing) > 0", ""),
        ("{} | by(resource.service.name)", "a | b d c | e f"),
        ("{} | by(resource.service.name) | count() > 1", "b d c | e f"),
        ("{} | by(resource.service.name) | count() > 1 | coalesce()", "b d c e f"),
        ("{} | by(resource.service.name) | { kind = server }", "a | e f"),
        ("({ kind=client } | count() = 2) > { kind=server }", "e f"),
        ("({ kind=client } | count() = 1) > { kind=server }", ""),
        ("{ kind=client } | select(name)", "b c"),
    ] {
        check(TREE, query, want);
    }
}
