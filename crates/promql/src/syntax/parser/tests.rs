use super::*;

/// The query prints back as given: the tree is what was meant.
#[track_caller]
fn same(query: &str) {
    prints(query, query);
}

#[track_caller]
fn prints(query: &str, want: &str) {
    let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert_eq!(expr.to_string(), want, "{query}");
    assert_eq!(parse(want).expect("parses back").to_string(), want, "{query}");
}

#[track_caller]
fn fails(query: &str, want: &str) {
    assert_eq!(parse(query).map(|e| e.to_string()).expect_err(query).to_string(), want, "{query}");
}

#[test]
fn queries_print_as_upstream_prints_them() {
    for query in [
        "1",
        "-1",
        "+Inf",
        "NaN",
        "5m",
        "\"a\\nb\"",
        "foo",
        "foo:bar",
        "{__name__=~\"x.*\"}",
        "foo{a!=\"b\",c!~\"d\"}",
        "foo offset 5m",
        "foo offset -1h30m",
        "foo @ 1.500",
        "foo @ -1.500 offset 5m",
        "foo[5m] @ start() offset 5m",
        "foo[5m] anchored",
        "foo smoothed",
        "sum(foo)",
        "sum by (a, b) (foo)",
        "sum without () (foo)",
        "topk by (a) (5, foo)",
        "rate(foo[5m])",
        "rate(foo[5m])[1h:1m] @ end() offset 1d",
        "min_over_time(foo[1h:])[2h:1m]",
        "a + b",
        "a == bool 1",
        "a / on (x) group_left (y) b",
        "a / ignoring (x) group_right () b",
        "a + on () b",
        "a and b or c unless d",
        "a + fill (0) b",
        "a + fill_left (-1) fill_right (1e+06) b",
        "a </ 5",
        "a >/ 5",
        "-foo",
        "(a + b) * c",
        "foo[step() + 1m]",
        "foo[min_of(step(), 5m)]",
        "foo offset (step() * 2)",
        "foo offset -step()",
        "sum by (\"a.b\") (foo)",
        "info(foo, {x=\"y\"})",
        "start() + end() + step() + range()",
        "min_of(1, 2)",
        "and + or",
        "fill + fill_left",
        "step + start",
    ] {
        same(query);
    }
}

#[test]
fn queries_print_in_normal_form() {
    for (query, want) in [
        ("sum(foo) by (a)", "sum by (a) (foo)"),
        ("SUM BY (a,) (foo)", "sum by (a) (foo)"),
        ("sum(foo) without (by, on)", "sum without (by, on) (foo)"),
        ("{\"foo\"}", "{__name__=\"foo\"}"),
        ("{\"my.metric\", \"a.b\"=\"c\",}", "{\"a.b\"=\"c\",__name__=\"my.metric\"}"),
        ("foo{b=\"1\", a='2'}", "foo{a=\"2\",b=\"1\"}"),
        ("0x1F + 1_000 + 017", "31 + 1000 + 15"),
        ("-1 ^ 2", "-1 ^ 2"),
        ("1 # comment\n + # other\n 2", "1 + 2"),
        ("foo[300]", "foo[5m]"),
        ("foo offset 0", "foo"),
        ("foo[5m] smoothed offset 1m @ 5", "foo[5m] smoothed @ 5.000 offset 1m"),
        ("foo[(2 + 3) * 60s]", "foo[(2 + 3) * 1m]"),
        ("foo offset 2 ^ 2", "foo offset 2s ^ 2"),
        ("foo offset STEP()*2", "foo offset step() * 2"),
        ("foo offset (1m) * 2", "foo offset (1m) * 2"),
        ("foo offset -(1m + 1m) * 2", "foo offset -(1m + 1m) * 2"),
        ("a + fill(Inf) b", "a + fill (+Inf) b"),
        ("rate(foo[5m:])", "rate(foo[5m:])"),
        ("`a\\n` ", "\"a\\\\n\""),
    ] {
        prints(query, want);
    }
}

#[test]
fn operators_bind_as_upstream_binds_them() {
    // Every operation in parentheses.
    fn shape(expr: &Expr) -> String {
        use crate::syntax::ast::ExprKind;
        match &expr.kind {
            ExprKind::Binary(b) => format!("({} {} {})", shape(&b.lhs), b.op, shape(&b.rhs)),
            ExprKind::Unary(u) => format!("-{}", shape(&u.expr)),
            _ => expr.to_string(),
        }
    }
    for (query, want) in [
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ b", "-(a ^ b)"),
        ("-a * b", "(-a * b)"),
        ("- - a + b", "(--a + b)"),
        ("a or b and c", "(a or (b and c))"),
        ("a unless b and c", "((a unless b) and c)"),
        ("a < b + c", "(a < (b + c))"),
        ("a </ b + c", "(a </ (b + c))"),
        ("a atan2 b * c", "((a atan2 b) * c)"),
        ("a == b or c", "((a == b) or c)"),
        ("foo offset -2 * 2", "(foo offset -2s * 2)"),
    ] {
        assert_eq!(shape(&parse(query).expect("parses")), want, "{query}");
    }
}

#[test]
fn errors_say_what_upstream_says() {
    for (query, want) in [
        ("", "1:1: parse error: no expression found in input"),
        ("# only", "1:1: parse error: no expression found in input"),
        ("1+", "1:3: parse error: unexpected end of input"),
        (".", "1:1: parse error: unexpected character: '.'"),
        ("2.5.", "1:1: parse error: bad number or duration syntax: \"2.5.\""),
        ("100..4", "1:1: parse error: bad number or duration syntax: \"100..\""),
        ("0deadbeef", "1:1: parse error: bad number or duration syntax: \"0de\""),
        ("1 /", "1:4: parse error: unexpected end of input"),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("(1))", "1:5: parse error: unexpected right parenthesis ')'"),
        ("((1)", "1:5: parse error: unclosed left parenthesis"),
        ("(", "1:2: parse error: unclosed left parenthesis"),
        ("1 and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("1 + bool 2", "1:3: parse error: bool modifier can only be used on comparison operators"),
        (
            "-\"string\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        (
            "-test[5m]",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"",
        ),
        ("1 !~ 1", "1:3: parse error: unexpected character after '!': '~'"),
        ("1 =~ 1", "1:3: parse error: unexpected character after '=': '~'"),
        ("foo or on(bar) group_left(baz) foo", "1:1: parse error: no grouping allowed for \"or\" operation"),
        (
            "foo + on(bar) group_left(bar) baz",
            "1:5: parse error: label \"bar\" must not occur in ON and GROUP clause at once",
        ),
        (
            "http_requests{group=\"p\"} + on(i) 1",
            "1:1: parse error: vector matching only allowed between instant vectors",
        ),
        ("foo and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("foo and fill(0) bar", "1:1: parse error: filling in missing series not allowed for set operators"),
        (
            "foo + fill(0) 1",
            "1:1: parse error: filling in missing series only allowed between instant vectors",
        ),
        ("{", "1:2: parse error: unexpected end of input inside braces"),
        ("}", "1:1: parse error: unexpected character: '}'"),
        ("some{", "1:6: parse error: unexpected end of input inside braces"),
        ("some}", "1:5: parse error: unexpected character: '}'"),
        (
            "some_metric{a=b}",
            "1:15: parse error: unexpected identifier \"b\" in label matching, expected string",
        ),
        ("some_metric{a:b=\"b\"}", "1:14: parse error: unexpected character inside braces: ':'"),
        ("foo{a*\"b\"}", "1:6: parse error: unexpected character inside braces: '*'"),
        (
            "foo{gibberish}",
            "1:14: parse error: unexpected \"}\" in label matching, expected label matching operator",
        ),
        ("foo{1}", "1:5: parse error: unexpected character inside braces: '1'"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{x=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""),
        (
            "foo{a=\"b\" c=\"d\"}",
            "1:11: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\"",
        ),
        ("foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5mm\""),
        ("foo[0m]", "1:5: parse error: duration must be greater than 0"),
        ("foo[\"5m\"]", "1:5: parse error: unexpected character in duration expression: '\"'"),
        (
            "foo[]",
            "1:5: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("foo[5m", "1:7: parse error: unclosed left bracket"),
        (
            "foo[5m] OFFSET",
            "1:15: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        ("foo offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times"),
        ("foo offset 5m [5m]", "1:15: parse error: no offset modifiers allowed before range"),
        ("foo @ 5 [5m]", "1:9: parse error: no @ modifiers allowed before range"),
        ("(foo + bar)[5m]", "1:12: parse error: ranges only allowed for vector selectors"),
        ("foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        ("foo @", "1:6: parse error: unexpected end of input in @, expected timestamp"),
        ("foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        (
            "sum(foo) offset 5m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        (
            "foo[5m] anchored smoothed",
            "1:1: parse error: anchored and smoothed modifiers cannot be used together",
        ),
        ("foo[10m:1m] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"),
        ("foo[10m:1m][5m]", "1:12: parse error: ranges only allowed for vector selectors"),
        ("1[10m:1m]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        ("foo[5m / 0]", "1:8: parse error: division by zero"),
        ("sum without(, b) (foo)", "1:13: parse error: unexpected \",\" in grouping opts, expected label"),
        (
            "sum by foo (bar)",
            "1:8: parse error: unexpected identifier \"foo\" in grouping opts, expected \"(\"",
        ),
        ("sum (foo) without (x) by (y)", "1:23: parse error: unexpected <by>"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "sum(1, 2)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
        ),
        ("sum(1 1)", "1:7: parse error: unexpected number \"1\" in aggregation"),
        (
            "topk(foo, bar)",
            "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
        ),
        (
            "count_values(5, bar)",
            "1:14: parse error: expected type string in aggregation parameter, got scalar",
        ),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("floor()", "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0"),
        (
            "floor(1)",
            "1:7: parse error: expected type instant vector in call to function \"floor\", got scalar",
        ),
        ("hour(a, b)", "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2"),
        (
            "label_join(a)",
            "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1",
        ),
        (
            "rate(foo)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        ("nope(foo)", "1:1: parse error: unknown function with name \"nope\""),
        ("rate(foo[5m],)", "1:13: parse error: trailing commas not allowed in function call args"),
        (
            "info(foo, bar{x=\"y\"})",
            "1:11: parse error: expected label selectors only, got vector selector instead",
        ),
        ("\"abc", "1:1: parse error: unterminated quoted string"),
        ("`abc", "1:1: parse error: unterminated raw string"),
        ("\"\\z\"", "1:1: parse error: unknown escape sequence U+007A 'z'"),
        ("foo bar", "1:5: parse error: unexpected identifier \"bar\""),
        ("foo\n  bar", "2:3: parse error: unexpected identifier \"bar\""),
        ("foo + group_left bar", "1:7: parse error: unexpected <group_left>"),
        (
            "foo{a=\"b\" or c=\"d\"}",
            "1:11: parse error: unexpected identifier \"or\" in label matching, expected \",\" or \"}\"",
        ),
    ] {
        fails(query, want);
    }
}

#[test]
fn depth_and_length_are_bounded() {
    for query in [
        format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        "-".repeat(100_000) + "a",
        "a + ".repeat(100_000) + "a",
        "a ^ ".repeat(100_000) + "a",
        format!("a[{}1]", "(".repeat(100_000)),
        format!("a[{}1]", "1 + ".repeat(100_000)),
        format!("a{}", "[1m:1m]".repeat(1000)),
    ] {
        let error = parse(&query).expect_err("too deep");
        assert!(error.message.contains("nested more than 250 deep"), "{error}");
    }
    assert!(parse(&" ".repeat(QUERY_BYTES_MAX + 1)).is_err());
    assert!(parse(&("a + ".repeat(200) + "a")).is_ok());
}

#[test]
fn long_queries_are_split_over_lines() {
    let long = "a".repeat(60);
    for (query, want) in [
        ("sum(foo)".to_owned(), "sum(foo)".to_owned()),
        (format!("{long} + {long}"), format!("  {long}\n+\n  {long}")),
        (
            format!("topk by (x) (5, rate({long}{{b=\"{long}\"}}[5m]))"),
            format!("topk by (x) (\n  5,\n  rate(\n    {long}{{b=\"{long}\"}}[5m]\n  )\n)"),
        ),
        (format!("-({long} * {long})"), format!("-(\n    {long}\n  *\n    {long}\n)")),
    ] {
        assert_eq!(parse(&query).expect("parses").prettify(), want);
    }
}

#[test]
fn selectors_parse_alone() {
    assert_eq!(parse_selector("up{a=\"b\"}").expect("parses").len(), 2);
    for bad in ["", "sum(up)", "up[5m]", "{}", "up offset 5m", "1"] {
        assert!(parse_selector(bad).is_err(), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9 (){}\\[\\]\"'`,:=~!<>@+*/^.#\\\\é-]{0,60}") {
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            let again = parse(&printed);
            proptest::prop_assert!(again.is_ok_and(|e| e.to_string() == printed), "{text:?} prints {printed:?}");
        }
    }
}
