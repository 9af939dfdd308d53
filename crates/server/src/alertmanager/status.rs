//! What is in force: routes and receivers as an `alertmanager.yml`, without secrets.

use alert::routing::{GroupBy, Routing};
use axum::Json;
use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Refusal;
use super::alerts::Receiver;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::moment::Moment;
use crate::openapi::{Op, Routes};

/// The version of Alertmanager whose API this is.
const ALERTMANAGER_VERSION: &str = "0.28.0";
/// What stands for a secret, which `amtool` knows.
const SECRET: &str = "<secret>";
/// The receiver of routes that tell nobody.
const NOBODY: &str = "nobody";

/// Keys whose values are secrets, wherever they stand.
const SECRETS: [&str; 17] = [
    "api_key",
    "api_secret",
    "api_url",
    "auth_password",
    "auth_secret",
    "bearer_token",
    "bot_token",
    "credentials",
    "opsgenie_api_key",
    "password",
    "routing_key",
    "secret",
    "service_key",
    "slack_api_url",
    "smtp_auth_password",
    "smtp_auth_secret",
    "token",
];

pub(super) fn routes() -> Routes {
    Routes::new("Alertmanager")
        .get(
            "/api/v2/status",
            status,
            Op::new("getAlertmanagerStatus", "Routes and receivers in force, and versions").gives::<Status>(),
        )
        .get(
            "/api/v2/receivers",
            receivers,
            Op::new("listAlertmanagerReceivers", "Who can be told").gives::<Vec<Receiver>>(),
        )
}

/// What is in force.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertmanagerStatus")]
struct Status {
    #[schemars(with = "Map<String, Value>")]
    cluster: Value,
    config: Config,
    uptime: Moment,
    #[schemars(with = "Map<String, Value>")]
    version_info: Value,
}

/// The configuration as YAML.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlertmanagerConfig")]
struct Config {
    original: String,
}

async fn status(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Status>, Refusal> {
    let original = match app.alertmanager_text(&identity.tenant).await? {
        Some(text) => masked(&text),
        None => {
            let routing = app.engine_of(&identity.tenant).await?.desk().routing().await;
            written(&routing)
        }
    };
    Ok(Json(Status {
        cluster: json!({ "name": "", "peers": [], "status": "disabled" }),
        config: Config { original },
        uptime: Moment(app.started_ms()),
        version_info: json!({
            "version": ALERTMANAGER_VERSION,
            "revision": option_env!("BELLWETHER_REVISION").unwrap_or(""),
            "branch": "main",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }),
    }))
}

async fn receivers(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Vec<Receiver>>, Refusal> {
    let names = app.engine_of(&identity.tenant).await?.desk().receivers().await;
    Ok(Json(names.into_iter().map(|name| Receiver { name }).collect()))
}

/// A file without its secrets. What does not read shows nothing.
fn masked(text: &str) -> String {
    let Ok(mut value) = serde_yaml_ng::from_str::<Value>(text) else { return String::new() };
    hide(&mut value);
    serde_yaml_ng::to_string(&value).unwrap_or_default()
}

fn hide(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), &mut *value) {
                    // An address keeps its host, so that people tell receivers apart.
                    ("url" | "webhook_url", Value::String(text)) => *text = hide_url(text),
                    (name, Value::String(text)) if SECRETS.contains(&name) => SECRET.clone_into(text),
                    ("http_headers", value) => *value = json!({}),
                    (_, value) => hide(value),
                }
            }
        }
        _ => {}
    }
}

fn hide_url(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(url) if url.path() == "/" && url.query().is_none() && url.password().is_none() => text.to_owned(),
        Ok(url) => format!("{}://{}/{SECRET}", url.scheme(), url.host_str().unwrap_or_default()),
        Err(_) => SECRET.to_owned(),
    }
}

/// Our own routes as Alertmanager would write them.
fn written(routing: &Routing) -> String {
    let mut names = std::collections::BTreeSet::new();
    let route = route(routing, 0, &mut names);
    let receivers: Vec<Value> = names.into_iter().map(|name| json!({ "name": name })).collect();
    serde_yaml_ng::to_string(&json!({ "route": route, "receivers": receivers })).unwrap_or_default()
}

fn route(routing: &Routing, index: usize, names: &mut std::collections::BTreeSet<String>) -> Value {
    let route = &routing.routes()[index];
    let options = &route.options;
    // A route there tells one receiver; ours may tell several channels, which then stand together.
    let receiver =
        if options.receivers.is_empty() { NOBODY.to_owned() } else { options.receivers.join(", ") };
    names.insert(receiver.clone());
    let group_by: Vec<String> = match &options.group_by {
        GroupBy::All => vec!["...".to_owned()],
        GroupBy::Labels(names) => names.iter().cloned().collect(),
    };
    let span = |span: std::time::Duration| alert::prom::format_duration(span);
    let mut out = json!({
        "receiver": receiver,
        "group_by": group_by,
        "group_wait": span(options.group_wait),
        "group_interval": span(options.group_interval),
        "repeat_interval": span(options.repeat_interval),
    });
    if index > 0 {
        let matchers: Vec<String> = route.matchers.as_slice().iter().map(ToString::to_string).collect();
        out["matchers"] = json!(matchers);
        out["continue"] = json!(route.proceed);
    }
    if !route.children.is_empty() {
        let children = route.children.iter().map(|child| self::route(routing, *child, names));
        out["routes"] = children.collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shown_without_its_secrets() {
        let text = "global:\n  slack_api_url: https://hooks.slack.com/services/T/B/X\n  smtp_auth_password: pw\n\
                    receivers:\n- name: a\n  webhook_configs:\n  - url: http://h:8080/tok?x=y\n    http_config:\n      \
                    authorization:\n        credentials: abc\n  pagerduty_configs:\n  - routing_key: k\n\
                    route:\n  receiver: a\n";
        let shown = masked(text);
        for secret in ["T/B/X", "pw", "tok", "abc", "routing_key: k"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        assert!(shown.contains("receiver: a") && shown.contains("http://h/<secret>"), "{shown}");
    }
}
