use serde_json::{Value, json};

use super::*;
use crate::Labels;
use crate::severity::{Priority, Severity};

fn message() -> Message {
    let labels = Labels::from([
        ("alertname".to_owned(), "High <cpu>".to_owned()),
        ("host".to_owned(), "a".to_owned()),
    ]);
    Message {
        id: "msg_1".to_owned(),
        key: "default/high-cpu".to_owned(),
        event: Event::Alert,
        status: Status::Firing,
        severity: Severity::Critical,
        priority: Priority::Critical,
        title: "High <cpu> on a\r\nBcc: all@example.com".to_owned(),
        text: "cpu is 97 & rising".to_owned(),
        alerts: vec![AlertView {
            status: Status::Firing,
            severity: Severity::Critical,
            labels: labels.clone(),
            annotations: Labels::new(),
            value: "97".to_owned(),
            starts_at: 1_700_000_000_000,
            ends_at: None,
            generator_url: "https://bw.example/alerts/1".to_owned(),
            fingerprint: "00".to_owned(),
        }],
        alerts_left_out: 2,
        group_labels: Labels::new(),
        common_labels: labels,
        common_annotations: Labels::new(),
        receiver: "ops".to_owned(),
        runbook: Some("https://bw.example/runbooks/cpu".to_owned()),
        links: vec![Link { label: "Open".to_owned(), url: "https://bw.example/alerts/1".to_owned() }],
        external_url: "https://bw.example".to_owned(),
        at: 1_700_000_000_000,
    }
}

fn channel(kind: &str, config: Value) -> Result<ChannelSpec, ChannelFault> {
    ChannelSpec::inline(kind, config.as_object().expect("an object").clone())
}

/// The least that each kind works with, and where its requests go.
fn good() -> Vec<(&'static str, Value, &'static str)> {
    let url = "https://hooks.example/T/1";
    vec![
        ("slack", json!({"url": url}), url),
        ("mattermost", json!({"url": url}), url),
        ("discord", json!({"url": url}), url),
        ("msteams", json!({"url": url}), url),
        (
            "googlechat",
            json!({"url": url}),
            "https://hooks.example/T/1?messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
        ),
        ("webhook", json!({"url": url}), url),
        ("pagerduty", json!({"routingKey": "k"}), "https://events.pagerduty.com/v2/enqueue"),
        ("telegram", json!({"token": "1:A", "chat": "-5"}), "https://api.telegram.org/bot1:A/sendMessage"),
        ("ntfy", json!({"topic": "t"}), "https://ntfy.sh"),
        (
            "sms",
            json!({"provider": "twilio", "account": "AC1", "token": "s", "from": "+15550100", "to": "+15550101"}),
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json",
        ),
        (
            "sms",
            json!({"provider": "vonage", "account": "k", "token": "s", "from": "Bell", "to": ["+15550101"]}),
            "https://rest.nexmo.com/sms/json",
        ),
    ]
}

fn request(kind: &str, config: Value, message: &Message) -> Request {
    let spec = channel(kind, config).unwrap_or_else(|fault| panic!("{kind}: {fault}"));
    match spec.compose(message, 1_700_000_000).expect("composes") {
        Outgoing::Http(request) => request,
        Outgoing::Mail { .. } => panic!("{kind} is no letter"),
    }
}

fn body(kind: &str, config: Value, message: &Message) -> Value {
    serde_json::from_slice(&request(kind, config, message).body).expect("JSON")
}

#[test]
fn each_kind_sends_to_its_provider_and_names_what_fires() {
    for (kind, config, url) in good() {
        let request = request(kind, config, &message());
        assert_eq!(request.url, url, "{kind}");
        let text = String::from_utf8(request.body.clone()).expect("UTF-8");
        assert!(text.contains("High"), "{kind}: {text}");
        assert!(!format!("{request:?}").contains("/T/1"), "{kind}: an address is a secret");
    }
}

#[test]
fn every_kind_but_mail_is_in_the_table_of_this_test() {
    let tested: Vec<&str> = good().into_iter().map(|(kind, ..)| kind).collect();
    for kind in Kind::ALL {
        assert!(kind == Kind::Email || tested.contains(&kind.as_str()), "{kind:?}");
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        assert_eq!(serde_json::to_value(kind).expect("a text"), kind.as_str());
    }
}

#[test]
fn bodies_have_their_providers_shape() {
    let of = |kind: &str| {
        let (_, config, _) = good().into_iter().find(|(name, ..)| *name == kind).expect("in the table");
        body(kind, config, &message())
    };
    let slack = of("slack");
    assert_eq!(slack["attachments"][0]["color"], "#c62828");
    assert!(slack["text"].as_str().expect("a text").contains("High &lt;cpu&gt;"));
    assert_eq!(of("discord")["allowed_mentions"]["parse"], json!([]));
    let card = &of("msteams")["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["type"], "AdaptiveCard");
    assert_eq!(of("googlechat")["thread"]["threadKey"], "default/high-cpu");
    let page = of("pagerduty");
    assert_eq!((&page["event_action"], &page["dedup_key"]), (&json!("trigger"), &json!("default/high-cpu")));
    assert_eq!(page["payload"]["severity"], "critical");
    assert!(of("telegram")["text"].as_str().expect("a text").contains("High &lt;cpu&gt;"));
    assert_eq!(of("ntfy")["priority"], 5);
    let hook = of("webhook");
    assert_eq!((&hook["version"], &hook["status"]), (&json!("4"), &json!("firing")));
    assert_eq!(hook["alerts"][0]["startsAt"], "2023-11-14T22:13:20Z");
    assert_eq!(hook["truncatedAlerts"], 2);
    let over = Message { status: Status::Resolved, ..message() };
    let page = body("pagerduty", json!({"routingKey": "k"}), &over);
    assert_eq!(page["event_action"], "resolve");
    assert!(page.get("payload").is_none());
}

#[test]
fn a_webhook_is_signed_over_the_bytes_that_are_sent() {
    let config =
        json!({"url": "https://a.example", "secret": "whsec_c2VjcmV0", "headers": {"X-Team": "ops"}});
    let request = request("webhook", config, &message());
    let header = |name: &str| {
        let found = request.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("{name} is missing"))
    };
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    assert!(verify("whsec_c2VjcmV0", &signed, &request.body, 1_700_000_000));
    assert_eq!((header("idempotency-key").as_str(), header("x-team").as_str()), ("msg_1", "ops"));
}

#[test]
fn long_messages_are_cut_to_what_providers_take() {
    let long = Message { title: "t".repeat(5_000), text: "ä".repeat(100_000), ..message() };
    for (kind, config, _) in good() {
        let request = request(kind, config, &long);
        let most = match kind {
            "ntfy" | "msteams" => 28 << 10,
            "webhook" | "pagerduty" => 512 << 10,
            _ => 64 << 10,
        };
        assert!(request.body.len() <= most, "{kind}: {} bytes", request.body.len());
    }
    let of = |kind: &str| {
        let (_, config, _) = good().into_iter().find(|(name, ..)| *name == kind).expect("in the table");
        body(kind, config, &long)
    };
    let length = |value: &Value| value.as_str().expect("a text").chars().count();
    assert!(length(&of("telegram")["text"]) <= 4_096);
    assert!(length(&of("googlechat")["text"]) <= 4_096);
    assert!(length(&of("discord")["embeds"][0]["description"]) <= 4_096);
    assert!(length(&of("pagerduty")["payload"]["summary"]) <= 1_024);
    assert!(of("ntfy")["message"].as_str().expect("a text").len() <= 4_096);
}

#[test]
fn a_letter_cannot_be_given_a_head_or_html_by_labels() {
    let spec = channel("email", json!({"to": "ops@example.com, on-call@example.com"})).expect("good");
    let Outgoing::Mail { to, letter, .. } = spec.compose(&message(), 0).expect("composes") else {
        panic!("a letter")
    };
    assert_eq!(to, ["ops@example.com", "on-call@example.com"]);
    assert!(!letter.subject.contains(['\r', '\n']) && letter.subject.starts_with("[CRITICAL] High"));
    assert!(!letter.html.contains("<cpu>") && letter.html.contains("High &lt;cpu&gt;"));
    assert!(letter.text.contains("97") && letter.text.contains("Runbook: https://bw.example/runbooks/cpu"));
    assert!(letter.urgent);
}

#[test]
fn what_is_wrong_with_a_channel_is_named() {
    for (kind, config, field) in [
        ("carrier pigeon", json!({}), "type"),
        ("slack", json!({}), "config.url"),
        ("slack", json!({"url": "ftp://a"}), "config.url"),
        ("slack", json!({"url": "https://a", "colour": "red"}), "config.colour"),
        ("email", json!({"to": ["nobody"]}), "config.to"),
        ("email", json!({"to": "a@b.example\r\nBcc: c@d.example"}), "config.to"),
        ("webhook", json!({"url": "https://a", "headers": {"Host": "b"}}), "config.headers"),
        ("webhook", json!({"url": "https://a", "headers": {"X": "a\r\nb: c"}}), "config.headers"),
        ("telegram", json!({"token": "a/../b", "chat": "1"}), "config.token"),
        (
            "sms",
            json!({"provider": "x", "account": "a", "token": "t", "from": "f", "to": "+15550100"}),
            "config.provider",
        ),
        (
            "sms",
            json!({"provider": "twilio", "account": "a", "token": "t", "from": "f", "to": "call me"}),
            "config.to",
        ),
    ] {
        let fault = channel(kind, config.clone()).expect_err("refused");
        assert_eq!(fault.field, field, "{kind} {config}: {fault}");
        assert!(!fault.message.contains("hooks.example"), "addresses are secrets");
    }
}

#[test]
fn a_channel_leaves_out_what_it_does_not_want() {
    let mut spec = channel("ntfy", json!({"topic": "t"})).expect("good");
    let over = Message { status: Status::Resolved, ..message() };
    assert!(spec.takes(&message()) && spec.takes(&over));
    spec.send_resolved = false;
    assert!(spec.takes(&message()) && !spec.takes(&over));
    spec.min_severity = Some(Severity::Critical);
    assert!(spec.takes(&message()));
    assert!(!spec.takes(&Message { severity: Severity::Error, ..message() }));
    spec.is_active = false;
    assert!(!spec.takes(&message()));
}
