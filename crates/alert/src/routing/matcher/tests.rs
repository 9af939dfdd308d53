use super::*;
use crate::routing::fingerprint::label_text;

#[test]
fn both_notations_are_read_and_written_back() {
    let rows = [
        (r#"a="b""#, Some(r#"{a="b"}"#)),
        (r#"{a="b",c=~"d"}"#, Some(r#"{a="b",c=~"d"}"#)),
        (r#"{ a != "b" , c !~ "d.*" , }"#, Some(r#"{a!="b",c!~"d.*"}"#)),
        ("a=b", Some(r#"{a="b"}"#)),
        ("a=b c", Some(r#"{a="b c"}"#)),
        ("a=", Some(r#"{a=""}"#)),
        ("a =~ b|c", Some(r#"{a=~"b|c"}"#)),
        (r#"a="x\"y\\z\n""#, Some(r#"{a="x\"y\\z\n"}"#)),
        (r#"a="x\dy""#, Some(r#"{a="x\\dy"}"#)),
        (r#"a="b,c",d="e""#, Some(r#"{a="b,c",d="e"}"#)),
        ("a=b,c=d", Some(r#"{a="b",c="d"}"#)),
        ("ns:name=x", Some(r#"{ns:name="x"}"#)),
        ("", Some("{}")),
        ("{}", Some("{}")),
        (r#""service.name"="api""#, Some(r#"{service.name="api"}"#)),
        (r#"{"a b"=~"x"}"#, Some(r#"{"a b"=~"x"}"#)),
        (r#"service.name="api""#, Some(r#"{service.name="api"}"#)),
        ("ключ=значение", Some(r#"{ключ="значение"}"#)),
        (r#"{"ü"="\u00fc\x41"}"#, Some(r#"{ü="üA"}"#)),
        (r#"a="b"#, None),
        (r#"a=b""#, None),
        (r#"="b""#, None),
        ("a", None),
        ("a==~b", Some(r#"{a="=~b"}"#)),
        ("a=~(", None),
        (r#""a"="b"#, None),
        (r#"{"a"="b""#, None),
        (r#""a"="b" "c"="d""#, None),
        (r#"{"a"="\xff"}"#, None),
    ];
    for (text, want) in rows {
        let got = Matcher::parse_list(text).ok().map(|list| Matchers(list).to_string());
        assert_eq!(got.as_deref(), want, "{text}");
        if let Some(shown) = got {
            let again = Matcher::parse_list(&shown).expect("what we write we read");
            assert_eq!(Matchers(again).to_string(), shown, "{text}");
        }
    }
}

#[test]
fn a_missing_label_is_the_empty_text() {
    let rows = [
        ("a=b", Some("b"), true),
        ("a=b", Some("bb"), false),
        ("a=b", None, false),
        ("a!=b", None, true),
        (r#"a="""#, None, true),
        (r#"a="""#, Some("x"), false),
        (r#"a!="""#, None, false),
        ("a=~b|c", Some("c"), true),
        ("a=~b|c", Some("bc"), false),
        ("a=~.*", None, true),
        ("a=~.+", None, false),
        ("a!~b", None, true),
    ];
    for (text, value, want) in rows {
        let labels: Labels = value.map(|value| ("a".to_owned(), String::from(value))).into_iter().collect();
        assert_eq!(Matcher::parse(text).unwrap().matches(&labels), want, "{text} on {}", label_text(&labels));
    }
}

#[test]
fn refusals_name_the_matcher_and_what_would_do() {
    let text = |text: &str| Matcher::parse(text).expect_err(text).to_string();
    assert!(text("a~b").contains("one of = != =~ !~"), "{}", text("a~b"));
    assert!(text("a=~[").contains("regular expression"), "{}", text("a=~["));
    assert!(text("a=b,c=d").contains("several"));
    assert!(text("").contains("empty"));
    let many = vec!["a=b"; 200].join(",");
    assert!(Matcher::parse_list(&many).is_err());
}

#[test]
fn conditions_are_sorted_as_alertmanager_sorts_them() {
    let list = Matcher::parse_list(r#"b="x",a!="y",a="y",a="b""#).unwrap();
    assert_eq!(Matchers::new(list).to_string(), r#"{a="b",a="y",a!="y",b="x"}"#);
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read_again(name in "\\PC{1,8}|[\\x01-\\x7f]{1,4}", value in "(?s).{0,12}", negated: bool) {
        let op = if negated { MatchOp::NotEqual } else { MatchOp::Equal };
        let matcher = Matcher::new(&name, op, &value).expect("plain");
        proptest::prop_assert_eq!(&Matcher::parse(&matcher.to_string()).expect("read"), &matcher);
        let list = Matchers::new(vec![matcher.clone(), matcher]);
        let again = Matcher::parse_list(&list.to_string()).expect("read");
        proptest::prop_assert_eq!(Matchers::new(again), list);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "(?s).{0,40}|[ab=~!\"\\\\{},x]{0,20}") {
        let _ = Matcher::parse_list(&text);
    }
}
