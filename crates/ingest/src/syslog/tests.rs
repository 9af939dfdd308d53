use proptest::prelude::*;

use super::*;
use crate::testing_rows::rows;

/// 2003-10-11T22:14:20Z.
const RECEIVED: Context = Context { received_at_ns: 1_065_910_460_000_000_000 };

/// What the parser makes of one message: priority, seconds from the arrival, host, app, process, id, body.
#[track_caller]
fn reads(message: &str, want: &str) {
    let m = message::parse(message.as_bytes(), RECEIVED.received_at_ns);
    let text = |field: Option<&[u8]>| field.map_or("-".into(), |f| String::from_utf8_lossy(f).into_owned());
    let seconds = m.time_ns.map(|t| (t - RECEIVED.received_at_ns) as f64 / 1e9);
    let got = format!(
        "{} {} {} {} {} {} {:?}",
        m.priority.map_or("-".into(), |p| p.to_string()),
        seconds.map_or("-".into(), |s| s.to_string()),
        text(m.host),
        text(m.app),
        text(m.process),
        text(m.id),
        String::from_utf8_lossy(m.body)
    );
    assert_eq!(got, want, "{message}");
}

#[test]
fn messages_of_rfc_5424_are_read() {
    reads(
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed on /dev/pts/8",
        r#"34 -4.997 mymachine.example.com su - ID47 "'su root' failed on /dev/pts/8""#,
    );
    reads(
        "<165>1 2003-10-11T15:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.",
        r#"165 -4.999997 192.0.2.1 myproc 8710 - "%% It's time.""#,
    );
    reads("<0>1 - - - - - -", r#"0 - - - - - """#);
    reads("<0>1 - h a p i", r#"0 - h a p i """#);
}

#[test]
fn messages_of_rfc_3164_are_read() {
    reads(
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        r#"34 -5 mymachine su - - "'su root' failed for lonvick on /dev/pts/8""#,
    );
    reads("<13>Oct 11 22:14:15 host tag[42]: hello", r#"13 -5 host tag 42 - "hello""#);
    reads("<13>Oct  1 22:14:15 host tag[42]: hello", r#"13 -864005 host tag 42 - "hello""#);
    reads("<13>Oct 11 22:14:15 tag[42]: local", r#"13 -5 - tag 42 - "local""#);
    reads("<13>Oct 11 22:14:15.250 host tag: fraction", r#"13 -4.75 host tag - - "fraction""#);
    reads("<13>Oct 11 2002 22:14:15: %ASA-6-1: cisco", r#"13 -31536005 - - - - "%ASA-6-1: cisco""#);
    reads("<13>2003-10-11T22:14:15.5+00:00 host tag: rsyslog", r#"13 -4.5 host tag - - "rsyslog""#);
    reads("<13>Oct 11 22:14:15 host no tag here", r#"13 -5 host - - - "no tag here""#);
    reads("<13>Oct 11 22:14:15 host http://x/: up", r#"13 -5 host - - - "http://x/: up""#);
    reads("<13>tag[1]: no time", r#"13 - - tag 1 - "no time""#);
}

#[test]
fn whatever_else_comes_is_a_body() {
    for (message, body) in [
        ("hello", "hello"),
        ("<13>hello world", "hello world"),
        ("<192>too high", "<192>too high"),
        ("<>x", "<>x"),
        ("<1234>x", "<1234>x"),
        ("<13", "<13"),
        ("12:30 lunch", "12:30 lunch"),
        ("Feb 31 12:00:00 host x", "Feb 31 12:00:00 host x"),
        ("<13>2 - - - - - - later version", "2 - - - - - - later version"),
        ("<13>1 yesterday h a p i - x", "1 yesterday h a p i - x"),
    ] {
        let parsed = message::parse(message.as_bytes(), RECEIVED.received_at_ns);
        assert_eq!(String::from_utf8_lossy(parsed.body), body);
        assert_eq!((parsed.time_ns, parsed.host, parsed.app), (None, None, None), "{message}");
    }
}

#[test]
fn structured_data_becomes_attributes() {
    for (data, want, body) in [
        (r#"[a@1 x="1" y="two"] m"#, &["a@1.x=1", "a@1.y=two"][..], "m"),
        (r#"[a x="1"][b]"#, &["a.x=1"], ""),
        (r#"[a x="q\"b\\c\]d\n"] m"#, &[r#"a.x=q"b\c]d\n"#], "m"),
        (r#"[a x="ü"] m"#, &["a.x=ü"], "m"),
        (r#"[a x="1"][b y=] m"#, &["a.x=1"], "[b y=] m"),
        (r#"[a x="open"#, &[], r#"[a x="open"#),
        ("[] m", &[], "[] m"),
        ("neither", &[], "neither"),
    ] {
        let message = format!("<13>1 - h a p i {data}");
        let parsed = message::parse(message.as_bytes(), 0);
        let parameters: Vec<_> = parsed.parameters.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            (parameters.as_slice(), String::from_utf8_lossy(parsed.body)),
            (&want.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..], body.into())
        );
    }
}

#[test]
fn years_and_zones_are_guessed_from_the_arrival() {
    for (received, message, want) in [
        ("2024-01-01T00:00:30Z", "Dec 31 23:59:59", "2023-12-31T23:59:59Z"),
        ("2023-12-31T23:59:59Z", "Jan  1 00:00:01", "2024-01-01T00:00:01Z"),
        ("2024-03-01T12:00:00Z", "Feb 29 11:47:00", "2024-02-29T11:47:00Z"),
        ("2024-06-01T12:00:05Z", "Jun  1 14:00:00", "2024-06-01T12:00:00Z"),
        ("2024-06-01T12:00:05Z", "Jun  1 05:00:04", "2024-06-01T12:00:04Z"),
        ("2024-06-01T12:00:05Z", "Jun  1 17:30:04", "2024-06-01T12:00:04Z"),
        ("2024-06-01T12:00:05Z", "Jun  1 11:47:00", "2024-06-01T11:47:00Z"),
        ("2024-06-01T23:00:00Z", "Jun  2 01:00:00", "2024-06-01T23:00:00Z"),
    ] {
        let ns = |text: &str| text.parse::<jiff::Timestamp>().expect("time").as_nanosecond() as i64;
        let parsed = message::parse(message.as_bytes(), ns(received)).time_ns;
        assert_eq!(parsed, Some(ns(want)), "{message} at {received}");
    }
}

#[test]
fn rows_share_the_resource_of_their_host_and_application() {
    let body = b"<11>1 2003-10-11T22:14:20Z h a 7 m1 [s k=\"v\"] one\n\n<191>1 - h a x - - two\nplain \xff\n";
    let decoded = decode(body, &RECEIVED);
    let want = [
        "timestamp=1065910460000000000 severity_number=17 severity_text=\"err\" body=\"one\" | \
         syslog.facility=\"user\" process.pid=7 syslog.msgid=\"m1\" s.k=\"v\" | service.name=\"a\" host.name=\"h\"",
        "timestamp=1065910460000000000 severity_number=5 severity_text=\"debug\" body=\"two\" | \
         syslog.facility=\"local7\" process.pid=\"x\" | service.name=\"a\" host.name=\"h\"",
        "timestamp=1065910460000000000 body=\"plain \u{fffd}\"",
    ];
    assert_eq!(rows(&decoded), want);
    assert_eq!(decoded.records.resources.len(), 2);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>, received_at_ns: i64) {
        decode(&body, &Context { received_at_ns });
    }

    #[test]
    fn every_line_is_one_row(lines in proptest::collection::vec(
        "(<[0-9]{0,4}>)?(1 )?([A-Z][a-z]{2} [ 0-9]{2} [0-9:]{5,8} |[0-9T:-]{20}Z )?[-a-z\\[\\]:=\" ]{0,30}x", 0..20
    )) {
        let decoded = decode(lines.join("\n").as_bytes(), &RECEIVED);
        prop_assert_eq!(rows(&decoded).len(), lines.len());
    }

    #[test]
    fn messages_of_rfc_5424_round_trip(
        priority in 0u8..192, host in "[!-~]{1,20}", app in "[!-~]{1,20}", value in "\\PC{0,20}", body in "[a-z][ -~]{0,20}[a-z]"
    ) {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let message = format!("<{priority}>1 2003-10-11T22:14:15Z {host} {app} 1 - [s v=\"{quoted}\"] {body}");
        let parsed = message::parse(message.as_bytes(), 0);
        let given = |text: &str| Some(text.as_bytes().to_vec()).filter(|t| t != b"-");
        prop_assert_eq!(parsed.priority, Some(priority));
        prop_assert_eq!(parsed.host.map(<[u8]>::to_vec), given(&host));
        prop_assert_eq!(parsed.app.map(<[u8]>::to_vec), given(&app));
        prop_assert_eq!(&parsed.parameters, &[("s.v".to_owned(), value)]);
        prop_assert_eq!(parsed.body, body.as_bytes());
    }
}
