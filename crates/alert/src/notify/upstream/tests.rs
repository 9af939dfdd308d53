//! What receivers of a file say, and what is refused.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::routing::{AlertmanagerFile, LoadOptions};

const FILE: &str = r##"
global:
  slack_api_url: https://hooks.slack.com/services/X
route: {receiver: all}
receivers:
- name: all/of them
  slack_configs:
  - channel: '#{{ .GroupLabels.team }}'
    title: '{{ template "head" . }}'
    fields: [{title: A, value: '{{ .CommonLabels.a }}'}]
  webhook_configs:
  - url: https://x.example/hook
    http_config: {basic_auth: {username: u, password_file: pw}}
  pagerduty_configs:
  - routing_key: k
    severity: '{{ .CommonLabels.severity }}'
  email_configs:
  - to: 'Ann <a@x.example>, b@x.example'
    from: bw@x.example
    smarthost: mail.x.example:587
    headers: {Subject: 's {{ .Status }}', X-Team: web}
    html: '<b>{{ .CommonLabels.a }}</b>'
- name: all
"##;

fn load(text: &str) -> Result<Vec<(String, Arc<ChannelSpec>)>, String> {
    let options = LoadOptions { secret_files: true };
    let file = AlertmanagerFile::parse(text, Path::new("f.yml"), options).map_err(|e| e.to_string())?;
    let mut templates = Templates::with_defaults();
    templates.add("own.tmpl", "{{ define \"head\" }}<{{ .Status }}>{{ end }}").expect("a template");
    let read = |path: &Path| match path.to_str() {
        Some("pw") => Ok("secret\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let origin = Origin { file: Path::new("f.yml"), text, templates, own_relay: true, read: &read };
    let all = channels(&file, &origin).map_err(|e| e.to_string())?;
    Ok(all.into_values().flatten().collect())
}

fn message() -> Message {
    let labels = |pairs: &[(&str, &str)]| -> crate::Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut message = load::nothing();
    message.id = "ntf_1".to_owned();
    message.key = "{}:{}".to_owned();
    message.group_labels = labels(&[("team", "web")]);
    message.alerts = vec![crate::notify::AlertView {
        status: crate::notify::Status::Firing,
        severity: crate::severity::Severity::Critical,
        labels: labels(&[("a", "<1>"), ("severity", "critical")]),
        annotations: crate::Labels::new(),
        value: String::new(),
        starts_at: 0,
        ends_at: None,
        generator_url: String::new(),
        fingerprint: String::new(),
    }];
    message
}

fn request(spec: &ChannelSpec) -> (Request, Value) {
    match spec.compose(&message(), 0).expect("composes") {
        Outgoing::Http(request) => {
            let body = serde_json::from_slice(&request.body).expect("JSON");
            (request, body)
        }
        Outgoing::Mail { .. } => panic!("a request"),
    }
}

#[test]
fn each_receiver_says_what_its_file_says() {
    let channels = load(FILE).expect("a good file");
    let of = |key: &str| -> &ChannelSpec {
        let found = channels.iter().find(|(name, _)| name == &format!("all/of them/{key}"));
        &found.expect(key).1
    };
    let (_, slack) = request(of("slack/0"));
    assert_eq!((&slack["channel"], &slack["attachments"][0]["title"]), (&json!("#web"), &json!("<firing>")));
    assert_eq!(slack["attachments"][0]["fields"][0]["value"], "<1>");
    let (hook, body) = request(of("webhook/0"));
    assert_eq!((&body["receiver"], &body["version"]), (&json!("all/of them"), &json!("4")));
    assert!(hook.headers.contains(&("authorization".to_owned(), "Basic dTpzZWNyZXQ=".to_owned())));
    let (_, pager) = request(of("pagerduty/0"));
    assert_eq!(
        (&pager["event_action"], &pager["payload"]["severity"]),
        (&json!("trigger"), &json!("critical"))
    );
    let Outgoing::Mail { to, letter, relay } = of("email/0").compose(&message(), 0).expect("composes") else {
        panic!("a letter")
    };
    assert_eq!(to, ["a@x.example", "b@x.example"]);
    assert_eq!((letter.subject.as_str(), letter.html.as_str()), ("s firing", "<b>&lt;1&gt;</b>"));
    assert_eq!(letter.headers, [("X-Team".to_owned(), "web".to_owned())]);
    assert_eq!(relay.map(|relay| (relay.host.clone(), relay.port)), Some(("mail.x.example".to_owned(), 587)));
}

#[test]
fn what_is_lacking_is_refused_with_its_line() {
    let rows = [
        ("password_file: pw", "password_file: nope", "f.yml:12:"),
        ("'{{ template \"head\" . }}'", "'{{ nope }}'", "f.yml:9: receivers[0].slack_configs[0].title"),
        ("{basic_auth: {username: u, password_file: pw}}", "{proxy_url: 'http://p'}", "proxy_url"),
        ("severity: '{{ .CommonLabels.severity }}'", "severity: '{{ end }}'", "f.yml:16:"),
    ];
    for (old, new, want) in rows {
        let said = load(&FILE.replace(old, new)).expect_err(new);
        assert!(said.contains(want), "{new}: {said}");
    }
}
