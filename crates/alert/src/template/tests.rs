//! What the tables of `tests/compatibility` do not show: bounds, the templates that are always there, odd inputs.

use proptest::prelude::*;

use super::*;
use crate::Labels;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn alert(status: &str, instance: &str, severity: &str) -> NotifiedAlert {
    NotifiedAlert {
        status: status.to_owned(),
        labels: labels(&[
            ("alertname", "Down"),
            ("instance", instance),
            ("job", "api"),
            ("severity", severity),
        ]),
        annotations: labels(&[("summary", "<it> is down")]),
        starts_at_ms: 1_772_600_767_089,
        ends_at_ms: (status == "resolved").then_some(1_772_604_000_000),
        generator_url: "https://prom.example.com/graph".to_owned(),
        fingerprint: "a1b2".to_owned(),
    }
}

fn notification() -> Notification {
    let alerts = vec![
        alert("firing", "web-1", "warning"),
        alert("firing", "web-2", "critical"),
        alert("resolved", "web-3", "info"),
    ];
    Notification::new("team a", "https://b.example.com", labels(&[("alertname", "Down")]), alerts)
}

fn env() -> Env<'static> {
    Env { now_ms: 1_772_604_000_000, external_url: "https://b.example.com", queries: &NoQueries }
}

fn render(text: &str, escape: Escape) -> Result<String, TemplateError> {
    Templates::with_defaults().parse("", text)?.render(&(&notification()).into(), &env(), escape)
}

#[test]
fn templates_that_are_always_there_render() {
    for (name, expected) in [
        ("__subject", "[FIRING:2] Down (api)"),
        ("slack.default.title", "[FIRING:2] Down (api)"),
        ("email.default.subject", "[FIRING:2] Down (api)"),
        ("__alertmanagerURL", "https://b.example.com/#/alerts?receiver=team+a"),
        ("slack.default.text", ""),
        ("jira.default.priority", "High"),
        (
            "__text_alert_list",
            "Labels:\n - alertname = Down\n - instance = web-3\n - job = api\n - severity = info\nAnnotations:\n - \
             summary = <it> is down\nSource: https://prom.example.com/graph\n",
        ),
    ] {
        let data = if name == "__text_alert_list" { ".Alerts.Resolved" } else { "." };
        let text = format!("{{{{ template {name:?} {data} }}}}");
        assert_eq!(render(&text, Escape::Text).expect(name), expected, "{name}");
    }
}

#[test]
fn each_template_that_is_always_there_renders_in_either_way() {
    let templates = Templates::with_defaults();
    let names: Vec<&str> = templates.names().filter(|name| !name.ends_with(".tmpl")).collect();
    assert!(names.len() > 60, "{names:?}");
    for name in names {
        let data = match name {
            "__text_alert_list"
            | "__text_alert_list_markdown"
            | "__email_alerts"
            | "pagerduty.default.instances" => ".Alerts.Firing",
            _ => ".",
        };
        for escape in [Escape::Text, Escape::Html] {
            render(&format!("{{{{ template {name:?} {data} }}}}"), escape).expect(name);
        }
    }
}

#[test]
fn a_letter_escapes_what_alerts_say() {
    let letter = render("{{ template \"email.default.html\" . }}", Escape::Html).expect("a letter");
    assert!(letter.contains("<em>&lt;it&gt; is down</em>"), "{letter}");
    assert!(letter.contains("Firing: 2") && letter.contains("Resolved: 1"), "{letter}");
    assert!(!letter.contains("<it>"), "{letter}");
}

#[test]
fn a_file_of_ones_own_replaces_a_template() {
    let mut templates = Templates::with_defaults();
    templates
        .add("own.tmpl", "{{ define \"slack.default.title\" }}own {{ template \"__subject\" . }}{{ end }}")
        .expect("a file");
    templates.add("empty.tmpl", "{{ define \"slack.default.title\" }} {{ end }}").expect("a file");
    let text = templates.parse("", "{{ template \"slack.default.title\" . }}").expect("a text");
    let shown = text.render(&(&notification()).into(), &env(), Escape::Text).expect("a title");
    assert_eq!(shown, "own [FIRING:2] Down (api)");
}

#[test]
fn an_error_names_the_file_it_is_in() {
    let mut templates = Templates::with_defaults();
    templates.add("team.tmpl", "\n{{ define \"x\" }}\n  {{ .Nope }}{{ end }}").expect("a file");
    let text = templates.parse("title", "{{ template \"x\" . }}").expect("a text");
    let error = text.render(&(&notification()).into(), &env(), Escape::Text).expect_err("no such field");
    assert_eq!(
        error.to_string(),
        "template \"team.tmpl\":3:6: can't evaluate field Nope in type template.Data"
    );
}

#[test]
fn hostile_templates_end() {
    let many = "{{ range . }}".repeat(100) + &"{{ end }}".repeat(100);
    for (text, what) in [
        ("{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}", "within each other"),
        ("{{ range 1000000000 }}{{ end }}", "steps"),
        ("{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}", "steps"),
        (
            "{{ $x := \"xxxxxxxxxxxxxxxx\" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}",
            "bytes in one text",
        ),
        ("{{ $x := \"x\" }}{{ range 100000 }}{{ $x = printf \"%1000d\" 1 }}{{ end }}", "bytes of values"),
        ("{{ $x := list 1 }}{{ range 100 }}{{ $x = list $x }}{{ end }}", "lists within each other"),
        ("{{ $x := list 1 2 }}{{ range 28 }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "bytes of output"),
        (
            "{{ $x := list 1 2 }}{{ range 28 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}",
            "bytes in one text",
        ),
        ("{{ printf \"%999999d%999999d%999999d\" 1 2 3 }}", "bytes in one text"),
        ("{{ range 2000 }}{{ printf \"%999d\" 1 }}{{ end }}", "bytes of output"),
        ("{{ reReplaceAll \"\" (printf \"%9999d\" 1) (printf \"%9999d\" 1) }}", "bytes in one text"),
        ("{{ match (printf \"%9999d\" 1) \"x\" }}", "bytes in a pattern"),
        ("{{ match \"(((a{100}){100}){100}){100}\" \"x\" }}", "not a regular expression"),
        ("{{ range $i := 500 }}{{ match (printf \"a%d\" $i) \"x\" }}{{ end }}", "different patterns"),
        ("{{ $x := printf \"%999999d\" 1 }}{{ range 1000 }}{{ eq $x $x }}{{ end }}", "bytes of values"),
        (&many, "levels of nesting"),
        (&("{{ ".to_owned() + &"(".repeat(1000) + "1" + &")".repeat(1000) + " }}"), "levels of nesting"),
        (&"x".repeat(SOURCE_BYTES_MAX + 1), "bytes in a template"),
    ] {
        let error = render(text, Escape::Text).expect_err(what).to_string();
        assert!(error.contains(what), "{text:.80} fails with {error}");
    }
}

#[test]
fn html_is_escaped_by_where_it_stands() {
    for (text, expected) in [
        (
            "<script>var x = {{ \"</script>'\" }};</script>{{ \"<\" }}",
            "<script>var x = \"\\u003C/script\\u003E\\'\";</script>&lt;",
        ),
        ("<style>a { color: {{ \"red\" }} }</style>", "<style>a { color: ZgotmplZ }</style>"),
        ("<a onclick=\"{{ \"x\" }}\">", "<a onclick=\"ZgotmplZ\">"),
        ("<{{ \"script\" }}>", "<ZgotmplZ>"),
        ("<a {{ \"onclick\" }}=x>", "<a ZgotmplZ=x>"),
        ("<a href=\"{{ safeUrl \"data:x\" }}\">", "<a href=\"data:x\">"),
        ("<a href='{{ \" javascript:x\" }}'>", "<a href='#ZgotmplZ'>"),
    ] {
        assert_eq!(render(text, Escape::Html).expect(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", dialect in prop_oneof![Just(Dialect::Prometheus), Just(Dialect::Alertmanager)]) {
        let _ = Templates::new(dialect).parse("", &text);
    }

    #[test]
    fn no_action_makes_the_parser_or_a_rendering_panic(
        parts in prop::collection::vec(prop_oneof![
            Just("{{"), Just("}}"), Just("{{- "), Just(" -}}"), Just(" "), Just("|"), Just("("), Just(")"), Just("."),
            Just(".Alerts"), Just(".Status"), Just("$"), Just("$x"), Just(":="), Just("="), Just(","), Just("if"),
            Just("else"), Just("end"), Just("range"), Just("with"), Just("define"), Just("template"), Just("block"),
            Just("break"), Just("\"a\""), Just("'a'"), Just("`b`"), Just("1"), Just("-2.5e3"), Just("0x"), Just("nil"),
            Just("true"), Just("printf"), Just("\"%[1]*.[2]*v\""), Just("index"), Just("slice"), Just("len"), Just("eq"),
            Just("lt"), Just("join"), Just("stringSlice"), Just("reReplaceAll"), Just("toJson"), Just("list"),
            Just("date"), Just("/*"), Just("*/"), Just("<a href=\""), Just("<script>"), Just("é"), Just("\n"),
        ], 0..40),
        html in any::<bool>(),
    ) {
        let escape = if html { Escape::Html } else { Escape::Text };
        let _ = render(&parts.concat(), escape);
        let _ = render(&format!("{{{{ {} }}}}", parts.join(" ")), escape);
    }

    #[test]
    fn any_bytes_are_a_template_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = render(&text, Escape::Html);
    }

    #[test]
    fn printf_takes_anything(format in "[%0-9#+ .*\\[\\]a-zA-Z-]{0,30}", number in any::<f64>(), whole in any::<i64>(), text in "\\PC{0,10}") {
        let mut out = format::Sink::new(1 << 16);
        let values = [Value::Float(number), Value::Int(whole), Value::from(text), Value::Nil, Value::Bool(true)];
        format::printf(&mut out, &format, &values);
    }

    #[test]
    fn patterns_do_not_panic(pattern in "\\PC{0,40}", replacement in "[${}a-z0-9_]{0,12}", text in "\\PC{0,20}") {
        if let Ok(pattern) = pattern::compile(&pattern) {
            pattern::replace_all(&mut format::Sink::new(1 << 16), &pattern, &text, &replacement);
        }
    }

    #[test]
    fn layouts_do_not_panic(layout in "[0-9A-Za-z_.,: +-]{0,40}", seconds in -62_135_596_800i64..253_402_300_799) {
        let at = jiff::Timestamp::from_second(seconds).expect("in range").to_zoned(jiff::tz::TimeZone::UTC);
        format::time(&at, &layout);
    }
}
