use serde_json::json;

use super::*;

fn check(spec: Value) -> Result<(Check, Vec<Warning>), SpecError> {
    Check::new("web", CheckSpec::parse(&spec)?)
}

#[test]
fn a_check_needs_a_type_and_a_target_only() {
    let (check, warnings) = check(json!({"type": "http", "target": "https://example.com"})).unwrap();
    let spec = check.spec();
    assert_eq!((spec.interval, spec.timeout, spec.retries, spec.is_active), (60, 10, 3, true));
    assert!(spec.critical && spec.config.is_none() && warnings.is_empty());
    let again = CheckSpec::parse(&serde_json::to_value(spec).unwrap()).unwrap();
    assert_eq!(&again, spec);
}

#[test]
fn every_type_is_read_and_written_alike() {
    let any_agent = json!(["a"]);
    for kind in CheckType::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
        let target = match kind {
            CheckType::Http | CheckType::ExternalApi => "http://h/",
            CheckType::WebSocket => "ws://h/",
            CheckType::Database => "mysql://h/db",
            CheckType::Disk => "/",
            _ => "h:1",
        };
        let config =
            if kind == CheckType::Query { json!({"operator": "<", "threshold": 1}) } else { json!(null) };
        let spec = json!({"type": kind, "target": target, "config": config, "locations": any_agent});
        check(spec).unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn errors_name_the_field_its_value_and_the_remedy() {
    for (spec, want) in [
        (json!({"type": "htp", "target": "x"}), "type is \"htp\": write one of http, external_api, tcp"),
        (
            json!({"type": "http", "target": "example.com"}),
            "target is \"example.com\": write a URL like https://",
        ),
        (
            json!({"type": "http", "target": "http://u:pw@h"}),
            "target is \"an address\": take user and password",
        ),
        (
            json!({"type": "http", "target": "http://h", "interval": 0}),
            "interval is 0: write a whole number of seconds",
        ),
        (json!({"type": "http", "target": "http://h", "interval": 86401}), "interval is 86401: "),
        (
            json!({"type": "http", "target": "http://h", "interval": 5}),
            "timeout is 10: write at most the interval",
        ),
        (json!({"type": "http", "target": "http://h", "retries": 11}), "retries is 11: "),
        (
            json!({"type": "http", "target": "http://h", "colour": 1}),
            "colour is \"not known\": unknown field `colour`",
        ),
        (json!({"type": "tcp", "target": "h"}), "target is \"h\": name the port"),
        (
            json!({"type": "tcp", "target": "h:1", "dependsOn": ["web"]}),
            "dependsOn is [\"web\"]: a check cannot",
        ),
        (json!({"type": "tcp", "target": "h:1", "quorum": 2}), "quorum is 2: "),
        (json!({"type": "command", "target": "x"}), "locations is []: name the agents"),
        (json!({"type": "disk", "target": "var"}), "target is \"var\": write an absolute path"),
        (json!({"type": "database", "target": "h:1"}), "target is \"h:1\": begin it with postgres://"),
        (json!({"target": "h:1"}), "the check is \"not as it should be\": missing field `type`"),
    ] {
        let error = check(spec).expect_err(want).to_string();
        assert!(error.starts_with(want), "{error} instead of {want}");
    }
    for (config, want) in [
        (json!({"expectedStatus": ["2yy"]}), "config.expectedStatus[0] is \"2yy\": write statuses like 200"),
        (json!({"method": "BREW"}), "config.method is \"BREW\": write one of GET"),
        (json!({"metod": "GET"}), "config.metod is \"not known\": unknown field `metod`"),
        (json!({"json": [{"path": "$..a"}]}), "config.json[0].path is \"$..a\": "),
        (json!({"bodyMatches": "("}), "config.bodyMatches is \"(\": regex parse error"),
        (json!({"auth": {"type": "bearer", "token": 71077}}), "config.auth"),
        (json!({"headers": {"x-key": 71077}}), "config.headers.x-key is a secret: write a text"),
        (json!({"headers": {"x-key": "a\n71077"}}), "config.headers.x-key is a secret: write one line"),
        (json!({"tls": {"ca": "x"}}), "config.tls.ca is "),
    ] {
        let spec = json!({"type": "http", "target": "http://h", "config": config});
        let error = check(spec).expect_err(want).to_string();
        assert!(error.starts_with(want), "{error} instead of {want}");
        assert!(!error.contains("71077"), "{error}");
    }
}

#[test]
fn unusual_intervals_are_warned_about_except_where_they_are_usual() {
    for (kind, interval, warned) in [
        ("http", 5, true),
        ("http", 10, false),
        ("http", 300, false),
        ("http", 600, true),
        ("tls", 86_400, false),
    ] {
        let target = if kind == "http" { "http://h" } else { "h" };
        let spec = json!({"type": kind, "target": target, "interval": interval, "timeout": 1});
        let (_, warnings) = check(spec).unwrap();
        assert_eq!(!warnings.is_empty(), warned, "{kind} {interval}");
    }
}

#[test]
fn secrets_are_found_and_never_printed() {
    let config =
        json!({"headers": {"x-key": "s1"}, "auth": {"type": "basic", "username": "u", "password": "s2"}});
    let mut spec =
        CheckSpec::parse(&json!({"type": "http", "target": "http://h", "config": config})).unwrap();
    let (check, _) = Check::new("web", spec.clone()).unwrap();
    let Config::Http(plan) = &check.config else { panic!("an HTTP check") };
    let printed = format!("{plan:?}");
    assert!(!printed.contains("s1") && !printed.contains("s2"), "{printed}");
    let mut found = Vec::new();
    spec.each_secret(|secret| found.push(std::mem::replace(secret, "***".into())));
    assert_eq!(found, ["s1", "s2"]);
    assert_eq!(spec.config.unwrap()["auth"]["password"], "***");
}

#[test]
fn the_schema_knows_every_part() {
    let schema = serde_json::to_value(schemars::schema_for!(CheckSpec)).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for name in
        ["type", "target", "interval", "timeout", "retries", "config", "isActive", "dependsOn", "quorum"]
    {
        assert!(properties.contains_key(name), "{name}");
    }
    assert_eq!(schema["additionalProperties"], json!(false));
    assert!(schema.to_string().contains("maxResponseTimeMs"));
}
