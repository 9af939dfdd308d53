use super::super::tree::GroupBy;
use super::*;

const DISK: LoadOptions = LoadOptions { secret_files: true };

fn parse(text: &str, options: LoadOptions) -> Result<AlertmanagerFile, String> {
    AlertmanagerFile::parse(text, Path::new("am.yml"), options).map_err(|e| e.to_string())
}

const FILE: &str = "
global:
  smtp_smarthost: 'mail:587'
  smtp_from: alerts@example.org
  smtp_auth_username: us
  smtp_auth_password: hunter2
  slack_api_url: 'https://hooks.example.org/hunter2'
  victorops_api_key: hunter2
  http_config: {authorization: {credentials: hunter2}}
route: {receiver: all, group_by: [a, b]}
templates: ['*.tmpl']
receivers:
- name: all
  email_configs: [{to: 'x@example.org'}, {to: 'y@example.org', require_tls: false, send_resolved: true}]
  slack_configs: [{channel: '#x', title: mine}]
  pagerduty_configs: [{routing_key: hunter2, details: {firing: mine}}]
  webhook_configs: [{url_file: /run/url, http_config: {basic_auth: {username: u, password: hunter2}}}]
";

#[test]
fn receivers_inherit_from_global_and_have_alertmanagers_defaults() {
    let file = parse(FILE, DISK).unwrap();
    let all = file.receiver("all").expect("there");
    let keys: Vec<(&str, bool)> =
        all.integrations.iter().map(|i| (i.key.as_str(), i.send_resolved)).collect();
    let want = [
        ("email/0", false),
        ("email/1", true),
        ("slack/0", false),
        ("webhook/0", true),
        ("pagerduty/0", true),
    ];
    assert_eq!(keys, want);
    let [
        Integration { kind: IntegrationKind::Email(x), .. },
        Integration { kind: IntegrationKind::Email(y), .. },
        Integration { kind: IntegrationKind::Slack(slack), http, .. },
        Integration { kind: IntegrationKind::Webhook(webhook), http: own, .. },
        Integration { kind: IntegrationKind::Pagerduty(pager), .. },
    ] = all.integrations.as_slice()
    else {
        panic!("{all:?}")
    };
    assert_eq!(
        (x.smarthost.as_str(), x.hello.as_str(), x.needs_tls, y.needs_tls),
        ("mail:587", "localhost", true, false)
    );
    assert_eq!(x.html, "{{ template \"email.default.html\" . }}");
    assert_eq!(x.password, Some(SecretSource::Inline(Secret::of("hunter2"))));
    assert_eq!(
        (slack.title.as_str(), slack.footer.as_str()),
        ("mine", "{{ template \"slack.default.footer\" . }}")
    );
    assert_eq!(slack.url, SecretSource::Inline(Secret::of("https://hooks.example.org/hunter2")));
    assert!(http.authorization.is_some() && own.authorization.is_none() && own.basic_auth.is_some());
    assert_eq!(webhook.target, SecretSource::File("/run/url".into()));
    assert_eq!(pager.url, "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(
        (pager.severity.as_str(), pager.details.len(), pager.details["firing"].as_str()),
        ("error", 4, "mine")
    );
    assert_eq!(pager.source, pager.client);
    assert_eq!(file.unused, ["global.victorops_api_key"]);
    assert_eq!(file.templates, ["*.tmpl"]);
    let group_by = &file.routing.routes()[0].options.group_by;
    assert_eq!(*group_by, GroupBy::Labels(["a".into(), "b".into()].into()));
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", parse(FILE, DISK).unwrap());
    assert!(shown.contains("<secret>") && !shown.contains("hunter2"), "{shown}");
    let error =
        parse("route: {receiver: a}\nglobal: {slack_api_url: hunter2}", DISK).expect_err("no address");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_file_of_the_server_is_named_only_by_what_lies_on_it() {
    let api = LoadOptions { secret_files: false };
    let error = parse(FILE, api).expect_err("url_file");
    assert!(
        error.starts_with("am.yml:17: receivers[0].webhook_configs[0].url_file: files of the server"),
        "{error}"
    );
    for key in ["ca_file: /x", "cert_file: /x", "key_file: /x"] {
        let text = format!("route: {{receiver: a}}\nglobal: {{http_config: {{tls_config: {{{key}}}}}}}");
        assert!(parse(&text, api).expect_err(key).contains("files of the server"), "{key}");
    }
}

#[test]
fn hostile_files_are_refused_and_not_waited_for() {
    let deep = format!("route: {}", "{routes: [".repeat(500));
    assert!(parse(&deep, DISK).is_err());
    let nested = (0..40).fold(String::from("{}"), |inner, _| format!("{{routes: [{inner}]}}"));
    let text = format!("route: {{receiver: a, routes: [{nested}]}}\nreceivers: [{{name: a}}]");
    assert!(parse(&text, DISK).expect_err("deep").contains("flatten the tree"));
    let laughs = (1..20).fold(String::from("a0: &a0 [x]\n"), |text, i| {
        let below = vec![format!("*a{}", i - 1); 9].join(",");
        format!("{text}a{i}: &a{i} [{below}]\n")
    });
    assert!(parse(&laughs, DISK).is_err());
    assert!(parse(&" ".repeat(TEXT_BYTES_MAX + 1), DISK).expect_err("large").contains("at most"));
}
