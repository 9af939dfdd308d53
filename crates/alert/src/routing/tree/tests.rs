use std::path::Path;

use super::super::config::{AlertmanagerFile, LoadOptions};
use super::*;

const FILE: &str = r#"
route:
  receiver: default
  group_by: [alertname]
  routes:
    - matchers: [severity="critical"]
      receiver: pager
      group_wait: 10s
      repeat_interval: 1h
      continue: true
    - match: {team: db}
      receiver: db
      group_by: ['...']
      mute_time_intervals: [night]
      routes:
        - match_re: {service: "postgres|mysql"}
          receiver: sql
        - matchers: ['env=~"test.*"']
          active_time_intervals: [office]
    - matchers: [team="db"]
      receiver: never
    - matchers: [team=""]
receivers: [{name: default}, {name: pager}, {name: db}, {name: sql}, {name: never}]
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]}]
  - name: office
    time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}]}]
"#;

fn routing(text: &str) -> Routing {
    let file =
        AlertmanagerFile::parse(text, Path::new("alertmanager.yml"), LoadOptions { secret_files: false });
    file.expect("valid").routing
}

fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn an_alert_takes_the_routes_that_alertmanager_gives_it() {
    let routing = routing(FILE);
    let rows = [
        ("team=web", vec!["default"]),
        ("severity=critical team=web", vec!["pager"]),
        ("severity=critical team=db", vec!["pager", "db"]),
        ("team=db service=postgres", vec!["sql"]),
        ("team=db service=postgres2", vec!["db"]),
        ("team=db service=mysql env=test1", vec!["sql"]),
        ("team=db env=test1", vec!["db"]),
        ("", vec!["default"]),
        ("severity=critical", vec!["pager", "default"]),
    ];
    for (text, want) in rows {
        let taken = routing.matching(&labels(text));
        let got: Vec<&str> =
            taken.iter().flat_map(|i| &routing.routes()[*i].options.receivers).map(String::as_str).collect();
        assert_eq!(got, want, "{text}");
    }
}

#[test]
fn options_are_inherited_but_for_times_and_continue() {
    let routing = routing(FILE);
    let of = |text| &routing.routes()[routing.matching(&labels(text))[0]];
    let pager = of("severity=critical");
    assert_eq!(pager.options.group_wait, Duration::from_secs(10));
    assert_eq!(pager.options.group_interval, Duration::from_secs(300));
    assert_eq!(pager.options.repeat_interval, Duration::from_secs(3600));
    assert_eq!(pager.options.group_by, GroupBy::Labels(["alertname".to_owned()].into()));
    assert!(pager.proceed);
    let sql = of("team=db service=mysql");
    assert_eq!(sql.options.group_by, GroupBy::All);
    assert_eq!(sql.options.mute, Vec::<String>::new());
    assert_eq!(sql.options.repeat_interval, Duration::from_secs(4 * 3600));
    assert_eq!(sql.key, r#"{}/{team="db"}/{service=~"postgres|mysql"}"#);
    let keys: Vec<&str> = routing.routes().iter().map(|route| route.key.as_str()).collect();
    assert!(keys.contains(&r#"{}/{team="db"}#2"#), "two routes never share a key: {keys:?}");
}

#[test]
fn groups_are_made_by_the_labels_that_are_there() {
    let routing = routing(FILE);
    let alert = labels("alertname=A host=x team=web");
    assert_eq!(routing.group_labels(0, &alert), labels("alertname=A"));
    assert_eq!(routing.group_labels(0, &labels("host=x")), Labels::new());
    let db = routing.matching(&labels("team=db"))[0];
    assert_eq!(routing.group_labels(db, &alert), alert);
}

#[test]
fn who_would_get_this_is_explained() {
    let routing = routing(FILE);
    let visits = routing.explain(&labels("team=db service=redis"));
    let shown: Vec<String> = visits
        .iter()
        .map(|v| {
            let failed = v.failed.as_deref().unwrap_or("-");
            format!(
                "{}{} {failed} {:?} takes={} ends={}",
                " ".repeat(v.depth),
                v.key,
                v.value,
                v.takes,
                v.ends
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"{} - None takes=false ends=false"#,
            r#" {}/{severity="critical"} severity="critical" Some("") takes=false ends=false"#,
            r#" {}/{team="db"} - None takes=true ends=true"#,
            r#"  {}/{team="db"}/{service=~"postgres|mysql"} service=~"postgres|mysql" Some("redis") takes=false ends=false"#,
            r#"  {}/{team="db"}/{env=~"test.*"} env=~"test.*" Some("") takes=false ends=false"#,
        ]
    );
}

#[test]
fn routes_are_mute_inside_mute_times_and_outside_active_ones() {
    let routing = routing(FILE);
    let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let db = routing.matching(&labels("team=db"))[0];
    let test = routing.matching(&labels("team=db env=test"))[0];
    let rows = [
        (0, "2026-03-02T23:00:00Z", None, None),
        (db, "2026-03-02T12:00:00Z", None, Some("2026-03-02T22:00:00Z")),
        (db, "2026-03-02T23:00:00Z", Some(Muted::By("night".into())), Some("2026-03-03T06:00:00Z")),
        (db, "2026-03-03T05:59:00Z", Some(Muted::By("night".into())), Some("2026-03-03T06:00:00Z")),
        (test, "2026-03-02T12:00:00Z", None, Some("2026-03-02T17:00:00Z")),
        (
            test,
            "2026-03-07T12:00:00Z",
            Some(Muted::Outside(vec!["office".into()])),
            Some("2026-03-09T09:00:00Z"),
        ),
    ];
    for (route, moment, muted, until) in rows {
        assert_eq!(routing.muted(route, at(moment)), muted, "{route} at {moment}");
        assert_eq!(routing.muted_until(route, at(moment)), until.map(at), "{route} at {moment}");
    }
}
