use std::path::PathBuf;

use super::{amtool, ours};

/// What we say of a file: that it is fine, or the line and a part of the message.
enum Says {
    Fine,
    No(usize, &'static str),
    /// We refuse what Alertmanager takes: the receiver or the option is not there.
    Lacks(usize, &'static str),
    /// We take what the installed Alertmanager is too old for.
    Newer,
}
use Says::{Fine, Lacks, Newer, No};

/// The text before `|` is put before the receivers; where there is none, it is the whole file.
const ROWS: &[(&str, Says)] = &[
    ("route: {receiver: a}|", Fine),
    ("route:\n  receiver: a\n  group_by: ['...']|", Fine),
    (
        "route:\n  receiver: a\n  routes:\n  - receiver: b|",
        No(4, "\"b\" is not known; add it under receivers"),
    ),
    (
        "route:\n  receiver: a\n  routes:\n  - {}\n  - routes:\n    - receiver: b|",
        No(6, "\"b\" is not known"),
    ),
    ("route:\n  group_by: [x]|", No(1, "receiver is missing")),
    ("route:\n  receiver: a\n  continue: true|", No(3, "continue: means nothing at the root")),
    ("route:\n  receiver: a\n  matchers: [a=b]|", No(1, "the root cannot have matchers")),
    ("route:\n  receiver: a\n  match: {a: b}|", No(1, "the root cannot have matchers")),
    ("route:\n  receiver: a\n  match_re: {a: b}|", No(1, "the root cannot have matchers")),
    ("route:\n  receiver: a\n  mute_time_intervals: [x]|", No(3, "the root takes every alert")),
    ("route:\n  receiver: a\n  active_time_intervals: [x]|", No(3, "the root takes every alert")),
    ("route:\n  receiver: a\n  group_by:\n  - x\n  - x|", No(5, "\"x\" is there twice")),
    ("route:\n  receiver: a\n  group_by: ['...', x]|", No(3, "stands for all labels")),
    ("route:\n  receiver: a\n  group_interval: 0s|", No(3, "group_interval: cannot be zero")),
    ("route:\n  receiver: a\n  repeat_interval: 0s|", No(3, "repeat_interval: cannot be zero")),
    ("route:\n  receiver: a\n  group_wait: 0s|", Fine),
    ("route:\n  receiver: a\n  group_wait: 5|", No(3, "\"5\" is not a duration")),
    ("route:\n  receiver: a\n  group_wait: 1h30m|", Fine),
    ("route:\n  receiver: a\n  groupby: [x]|", No(3, "unknown field `groupby`")),
    ("route:\n  receiver: a\n  routes:\n  - matchers:\n    - a=b\n    - a~b|", No(6, "one of = != =~ !~")),
    ("route:\n  receiver: a\n  routes:\n  - matchers: ['a=~(']|", No(4, "regular expression")),
    (
        "route:\n  receiver: a\n  routes:\n  - match_re:\n      x: a\n      y: '['|",
        No(6, "regular expression"),
    ),
    ("route:\n  receiver: a\n  routes:\n  - matchers: ['{a=\"b\",c=~\"d|e\"}', f!=g]|", Fine),
    ("route:\n  receiver: a\n  routes:\n  - match: {severity: 1}|", Fine),
    ("route:\n  receiver: a\n  routes:\n  - matchers: ['\"service.name\"=\"x\"']|", Newer),
    (
        "route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [x]|",
        No(4, "time interval \"x\" is not defined"),
    ),
    (
        "route:\n  receiver: a\n  routes:\n  - active_time_intervals: [x]|",
        No(4, "time interval \"x\" is not defined"),
    ),
    ("", No(0, "route is missing")),
    ("# nothing\n", No(0, "route is missing")),
    ("receivers: [{name: a}]", No(1, "route is missing")),
    ("route: {receiver: a", No(1, "")),
    ("route: {receiver: a}\nrules: []|", No(2, "unknown field `rules`")),
    ("route: {receiver: a}\nreceivers:\n- name: a\n- name: a", No(4, "\"a\" is there twice")),
    ("route: {receiver: a}\nreceivers:\n- name: a\n- webhook_configs: []", No(4, "name: is missing")),
    ("route: {receiver: a}\ntemplates: ['x/*.tmpl']|", Fine),
    ("route: {receiver: a}\nglobal: {resolve_timeout: 1m}|", Fine),
    ("route: {receiver: a}\nglobal:\n  smtp_smarthost: localhost|", No(3, "has no port")),
    ("route: {receiver: a}\nglobal:\n  slack_api_url: x|", No(3, "is not an address")),
    (
        "route: {receiver: a}\nglobal:\n  slack_api_url: http://x/\n  slack_api_url_file: /y|",
        No(3, "at most one"),
    ),
    ("route: {receiver: a}\nglobal: {http_config: {follow_redirects: false}}|", Fine),
    ("route: {receiver: a}\nglobal: {opsgenie_api_key: x}|", Fine),
    // Time intervals.
    ("route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals: []|", Fine),
    (
        "route: {receiver: a}\nmute_time_intervals:\n- name: x\ntime_intervals:\n- name: x|",
        No(5, "\"x\" is there twice"),
    ),
    ("route: {receiver: a}\ntime_intervals:\n- name: x\n- name: x|", No(4, "\"x\" is there twice")),
    ("route: {receiver: a}\ntime_intervals:\n- time_intervals: []|", No(3, "name: is missing")),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - weekdays: [funday]|",
        No(5, "\"funday\" is not one of"),
    ),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - {}\n  - months: ['may:april']|",
        No(6, "before its start"),
    ),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - times:\n    - start_time: 10:00\n      end_time: 09:00|",
        No(5, "is not before"),
    ),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - days_of_month: ['-1:1']|",
        No(5, "must be negative"),
    ),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - days_of_month: ['0']|",
        No(5, "is not one of"),
    ),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - years: ['2022:2020']|",
        No(5, "before its start"),
    ),
    (
        "route: {receiver: a}\ntime_intervals:\n- name: x\n  time_intervals:\n  - location: Mars/X|",
        No(5, "is not a time zone"),
    ),
    (
        "route: {receiver: a, routes: [{mute_time_intervals: [x]}]}\ntime_intervals:\n- name: x\n  time_intervals:\n  - times: [{start_time: 22:00, end_time: 24:00}]\n    weekdays: ['monday:friday', Sunday]\n    days_of_month: ['1:5', '-3:-1']\n    months: ['january:march', '5']\n    years: ['2020:2030']\n    location: Australia/Sydney|",
        Fine,
    ),
    // Inhibition.
    (
        "route: {receiver: a}\ninhibit_rules:\n- source_match: {severity: critical}\n  target_match_re: {severity: 'warn.*'}\n  equal: [alertname]|",
        Fine,
    ),
    ("route: {receiver: a}\ninhibit_rules:\n- source_matchers: [a=b]\n  target_matchers: [c=d, e!~f]|", Fine),
    (
        "route: {receiver: a}\ninhibit_rules:\n- source_matchers:\n  - a=b\n  - 'a=~*'|",
        No(5, "regular expression"),
    ),
    ("route: {receiver: a}\ninhibit_rules:\n- equals: [a]|", No(3, "unknown field `equals`")),
    // Receivers.
    ("route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x/y", Fine),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - max_alerts: 1",
        No(5, "url is missing"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: ftp://x",
        No(5, "is not an address"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - to: b@x",
        No(5, "no mail server is named"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - {to: b@x, smarthost: 'x:25'}",
        No(5, "nobody is named as the sender"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - {to: b@x, smarthost: 'x:25', from: c@x}",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - {smarthost: 'x:25', from: c@x}",
        No(5, "to: is missing"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - {to: b@x, smarthost: 'x:25', from: c@x, headers: {subject: a, Subject: b}}",
        No(5, "is there twice"),
    ),
    (
        "route: {receiver: a}\nglobal: {smtp_smarthost: 'x:25', smtp_from: c@x, smtp_auth_password_file: /x}\nreceivers:\n- name: a\n  email_configs: [{to: b@x}]",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs:\n  - channel: '#x'",
        No(5, "Slack's address is missing"),
    ),
    (
        "route: {receiver: a}\nglobal: {slack_api_url: 'https://x/y'}\nreceivers:\n- name: a\n  slack_configs:\n  - channel: '#x'\n    fields: [{title: a, value: b, short: true}]\n    actions: [{type: button, text: t, url: u}]",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs:\n  - api_url: http://x/\n    fields:\n    - title: a",
        No(7, "value: is missing"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs:\n  - api_url: http://x/\n    actions:\n    - {type: button, text: a}",
        No(7, "url and name are missing"),
    ),
    ("route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs:\n  - api_url_file: /run/slack", Fine),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  pagerduty_configs:\n  - description: x",
        No(5, "routing_key is missing"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  pagerduty_configs:\n  - {routing_key: x, details: {a: b}, images: [{src: a}], links: [{href: b}]}",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  telegram_configs:\n  - {bot_token: x, chat_id: -12, parse_mode: HTML}",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  telegram_configs:\n  - {bot_token: x}",
        No(5, "chat_id is missing"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  telegram_configs:\n  - {bot_token: x, chat_id: 1, parse_mode: Plain}",
        No(5, "is not one of Markdown"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  discord_configs:\n  - {webhook_url: 'https://x/y'}",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  discord_configs:\n  - {title: x}",
        No(5, "webhook_url is missing"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - {url: 'http://x/', nope: 1}",
        No(5, "unknown field `nope`"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x/\n    http_config: {basic_auth: {username: a, password: b}, tls_config: {insecure_skip_verify: true}, proxy_url: 'http://p:1'}",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x/\n    http_config:\n      basic_auth: {username: a}\n      bearer_token: x",
        No(6, "at most one of basic_auth"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x/\n    http_config:\n      authorization: {type: Basic, credentials: x}",
        No(7, "Basic is written as basic_auth"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  msteams_configs: [{webhook_url: 'https://x/'}]\n  msteamsv2_configs: [{webhook_url: 'https://x/'}]",
        Newer,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  mattermost_configs: [{webhook_url: 'https://x/'}]\n  googlechat_configs: [{webhook_url: 'https://x/'}]\n  ntfy_configs: [{topic: x}]\n  sms_configs: [{provider: twilio, account: x, token: y, from: '1', to: ['2']}]",
        Newer,
    ),
    (
        "x-defaults: &d {url: 'http://x/'}\nroute: {receiver: a}\nreceivers: [{name: a}]",
        No(1, "unknown field `x-defaults`"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - &d {url: 'http://x/', max_alerts: 3}\n  - <<: *d\n    max_alerts: 4",
        Fine,
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - &d {url: 'http://x/', max_alerts: 3}\n  - <<: *d\n    max_alert: 4",
        No(7, "unknown field `max_alert`"),
    ),
    // What we lack.
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  opsgenie_configs:\n  - api_key: x",
        Lacks(4, "there are email_configs, slack_configs"),
    ),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  pushover_configs:\n  - {token: x, user_key: y}",
        Lacks(4, "is not available"),
    ),
    ("route: {receiver: a}\nreceivers:\n- name: a\n  victorops_configs: []", Fine),
    (
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x/\n    http_config:\n      oauth2: {client_id: a, client_secret: b, token_url: 'http://x/'}",
        Lacks(7, "oauth2: is not available"),
    ),
];

fn text(row: &str) -> String {
    match row.strip_suffix('|') {
        Some(head) => format!("{head}\nreceivers:\n- name: a\n"),
        None => format!("{row}\n"),
    }
}

#[test]
fn a_refusal_names_line_and_remedy() {
    for (row, says) in ROWS {
        let got = ours(&text(row));
        match says {
            Fine | Newer => assert!(got.is_ok(), "{row}\n{}", got.expect_err("refused")),
            No(line, part) | Lacks(line, part) => {
                let error = got.expect_err(row);
                assert!(error.to_string().contains(part), "{row}\n{error}");
                assert_eq!(error.line.unwrap_or(0), *line, "{row}\n{error}");
            }
        }
    }
}

#[test]
fn amtool_agrees_which_files_are_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut differ = Vec::new();
    for (i, (row, says)) in ROWS.iter().enumerate() {
        let file: PathBuf = folder.path().join(format!("{i}.yml"));
        std::fs::write(&file, text(row)).expect("written");
        let output = amtool(&["check-config", file.to_str().expect("a plain path")]);
        let valid = matches!(says, Fine | Lacks(..));
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if output.status.success() != valid {
            differ.push(format!("{row}\n{said}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
}
