use super::super::tree::GroupBy;
use super::*;
use crate::Labels;

fn spec(yaml: &str) -> RouteSpec {
    serde_yaml_ng::from_str(yaml).expect(yaml)
}

fn objects(routes: &[(&str, &str)]) -> ObjectsSpec {
    let named = routes.iter().map(|(name, yaml)| NamedRoute { name: (*name).into(), spec: spec(yaml) });
    let names = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
    let night = TimeIntervalSpec { weekdays: Some(vec!["sunday".into()]), ..TimeIntervalSpec::default() };
    ObjectsSpec {
        default_channels: vec!["inbox".into()],
        routes: named.collect(),
        inhibitions: BTreeMap::new(),
        intervals: [("sundays".to_owned(), vec![night])].into(),
        channels: names(&["inbox", "pager", "mail", "chat"]),
        escalations: names(&["night-shift"]),
    }
}

fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn critical_goes_to_the_pager_and_info_to_the_inbox() {
    let routing = objects(&[
        ("grave", "{severity: {at_least: error}, channels: [pager, chat], escalation: night-shift, incident: true}"),
        ("shop", "{matchers: ['service=~\"shop|cart\"'], channels: [mail], group_by: [service, alertname], digest: 5m}"),
        ("mild", "{severity: [info], channels: [mail], routes: [{matchers: [team=web], channels: [chat]}]}"),
    ])
    .routing()
    .expect("valid");
    let rows = [
        ("severity=critical service=shop", "pager,chat"),
        ("severity=error", "pager,chat"),
        ("severity=Page", "pager,chat"),
        ("severity=warning service=cart", "mail"),
        ("severity=info", "mail"),
        ("severity=info team=web", "chat"),
        ("severity=warning", "inbox"),
        ("", "inbox"),
    ];
    for (text, want) in rows {
        let taken = routing.matching(&labels(text));
        assert_eq!(taken.len(), 1, "{text}");
        assert_eq!(routing.routes()[taken[0]].options.receivers.join(","), want, "{text}");
    }
    let grave = &routing.routes()[routing.matching(&labels("severity=error"))[0]];
    assert_eq!(grave.name.as_deref(), Some("grave"));
    assert_eq!((grave.options.escalation.as_deref(), grave.options.incident), (Some("night-shift"), true));
    let shop = &routing.routes()[routing.matching(&labels("service=shop"))[0]].options;
    assert_eq!(shop.digest.map(|d| d.as_secs()), Some(300));
    assert_eq!(shop.group_by, GroupBy::Labels(["alertname".into(), "service".into()].into()));
}

#[test]
fn refusals_name_object_and_key() {
    let rows = [
        ("{channels: [nobody]}", "r: channels[0]: \"nobody\" is not known; make a channel"),
        ("{routes: [{routes: [{channels: [mail, x]}]}]}", "r: routes[0].routes[0].channels[1]: \"x\""),
        ("{matchers: ['a~b']}", "r: matchers[0]: matcher \"a~b\""),
        ("{routes: [{matchers: ['']}]}", "r: routes[0].matchers[0]: is empty"),
        ("{severity: []}", "r: severity: is empty"),
        ("{group_by: [a, a]}", "r: group_by[1]: \"a\" is there twice"),
        ("{group_by: [a, '...']}", "stands for all labels"),
        ("{repeat_interval: 0s}", "r: repeat_interval: cannot be zero"),
        ("{digest: 0}", "r: digest: cannot be zero"),
        ("{mute: [nights]}", "r: mute[0]: time interval \"nights\" is not defined"),
        ("{active: [sundays, x]}", "r: active[1]"),
        ("{escalation: x}", "r: escalation: \"x\" is not an escalation policy"),
    ];
    for (yaml, want) in rows {
        let error = objects(&[("ok", "{}"), ("r", yaml)]).routing().expect_err(yaml).to_string();
        assert!(error.contains(want), "{yaml}: {error}");
    }
    let none = ObjectsSpec { default_channels: vec!["x".into()], ..objects(&[]) };
    assert!(none.routing().expect_err("x").to_string().contains("default_channels"));
    assert!(spec("{channels: [later], mute: [later], escalation: later}").check("r").is_ok());
    assert!(spec("{group_by: [a, a]}").check("r").is_err());
    assert!(serde_yaml_ng::from_str::<RouteSpec>("{chanels: [a]}").is_err());
    assert!(serde_yaml_ng::from_str::<RouteSpec>("{severity: {atleast: error}}").is_err());
}

#[test]
fn inhibitions_of_objects_have_two_sides() {
    let rule: InhibitSpec =
        serde_yaml_ng::from_str("{source: [severity=critical], target: [severity=warning], equal: [host]}")
            .unwrap();
    assert!(rule.check("quiet").is_ok());
    let open = InhibitSpec { target: Vec::new(), ..rule };
    assert!(open.check("quiet").expect_err("open").to_string().contains("every alert"));
}

#[test]
fn a_spec_survives_a_round_trip_and_has_a_schema() {
    let route = spec(
        "{matchers: [a=b], severity: {atLeast: error}, group_wait: 1m30s, continue: true, routes: [{}]}",
    );
    let json = serde_json::to_string(&route).unwrap();
    assert!(json.contains(r#""at_least":"error""#) && json.contains(r#""group_wait":"1m30s""#), "{json}");
    assert_eq!(serde_json::from_str::<RouteSpec>(&json).unwrap(), route);
    let schema = serde_json::to_string(&schemars::schema_for!(RouteSpec)).unwrap();
    assert!(schema.contains("\"continue\"") && schema.contains("additionalProperties"), "{schema}");
}

#[test]
fn a_tree_too_deep_is_refused() {
    let mut route = RouteSpec::default();
    for _ in 0..100 {
        route = RouteSpec { routes: vec![route], ..RouteSpec::default() };
    }
    assert!(route.check("deep").expect_err("deep").to_string().contains("flatten"));
}
