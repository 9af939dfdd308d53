//! Secrets inside saved objects: headers of exporters, passwords of scrape targets and the like. Whoever is no
//! administrator sees a marker in their place, and may send it back to keep what is there.
//!
//! A marker keeps a secret only where nothing beside it changed: an exporter with the same headers but another
//! endpoint would send them to whoever changed it.

use control::ObjectKind;
use probe::check::CheckSpec;
use serde_json::Value;

use crate::error::Fault;

/// What stands for a secret.
pub(super) const MARKER: &str = "<masked secret>";

/// Names of members that hold secrets; those that end in `_file` hold paths and are shown.
const NAMES: [&str; 16] = [
    "access_key",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "bearer_token",
    "client_secret",
    "credentials",
    "headers",
    "http_headers",
    "passwd",
    "password",
    "private_key",
    "secret",
    "secret_key",
    "token",
];

/// The YAML text of an agent's scraping.
const SCRAPE: &str = "scrape";

/// Puts the marker in place of every secret.
pub(crate) fn mask(kind: ObjectKind, spec: &mut Value) {
    if kind == ObjectKind::Check {
        return mask_check(spec);
    }
    mask_value(spec, false);
    if kind == ObjectKind::Channel {
        mask_channel(spec);
    }
    // Addresses and keys stand all over it, also in templates of its own.
    if kind == ObjectKind::Alertmanager
        && let Some(text) = spec.get_mut("text")
    {
        mask_value(text, true);
    }
    if kind == ObjectKind::Agent
        && let Some(Value::String(yaml)) = spec.get_mut(SCRAPE)
    {
        *yaml = masked_yaml(yaml);
    }
}

/// What a check says is secret; the rest of it is what editors work with.
fn mask_check(spec: &mut Value) {
    match CheckSpec::parse(spec) {
        Ok(mut check) => {
            check.each_secret(|secret| MARKER.clone_into(secret));
            if has_password(&check.target) {
                MARKER.clone_into(&mut check.target);
            }
            *spec = serde_json::to_value(check).unwrap_or_else(|_| MARKER.into());
        }
        // What cannot be read may hold anything.
        Err(_) => mask_value(spec, true),
    }
}

/// Secrets of a check that still looks at the same, in the same way.
fn restore_check(new: &mut Value, old: &Value, masked: &Value) {
    let same = |name: &str| masked.get(name) == new.get(name);
    if ["type", "target", "config"].into_iter().all(same) {
        for name in ["target", "config"] {
            if let Some(value) = old.get(name) {
                new[name] = value.clone();
            }
        }
    }
}

/// What the kind of a channel says is secret, such as the address of a chat's webhook.
fn mask_channel(spec: &mut Value) {
    let kind = spec.get("type").and_then(Value::as_str).and_then(alert::notify::Kind::parse);
    let fields = kind.map_or(&[][..], alert::notify::Kind::fields);
    for field in fields.iter().filter(|field| field.secret) {
        if let Some(value) = spec.get_mut("config").and_then(|config| config.get_mut(field.name)) {
            mask_value(value, true);
        }
    }
}

fn mask_value(value: &mut Value, secret: bool) {
    match value {
        Value::String(text) if secret && !text.is_empty() || has_password(text) => MARKER.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_value(item, secret)),
        Value::Object(members) => {
            for (name, value) in members {
                mask_value(value, secret || NAMES.contains(&name.to_ascii_lowercase().as_str()));
            }
        }
        _ => {}
    }
}

/// Whether a text is a URL with a password.
fn has_password(text: &str) -> bool {
    text.contains("://") && url::Url::parse(text).is_ok_and(|url| url.password().is_some())
}

fn masked_yaml(yaml: &str) -> String {
    let Ok(plain) = serde_yaml_ng::from_str::<Value>(yaml) else {
        // What cannot be read may hold anything.
        return if yaml.trim().is_empty() { yaml.to_owned() } else { MARKER.to_owned() };
    };
    let mut masked = plain.clone();
    mask_value(&mut masked, false);
    if masked == plain {
        return yaml.to_owned();
    }
    serde_yaml_ng::to_string(&masked).unwrap_or_else(|_| MARKER.to_owned())
}

/// Puts the secrets of the object as it is in place of the markers that came back.
pub(crate) fn restore(kind: ObjectKind, spec: &mut Value, old: Option<&Value>) -> Result<(), Fault> {
    if !has_marker(spec) {
        return Ok(());
    }
    let empty = Value::Null;
    let old = old.unwrap_or(&empty);
    let mut masked = old.clone();
    mask(kind, &mut masked);
    if masked == *spec {
        // Nothing changed: what is stored stays as it was written, comments included.
        spec.clone_from(old);
        return Ok(());
    }
    match kind {
        ObjectKind::Pipeline => restore_list(spec.get_mut("exporters"), old.get("exporters")),
        ObjectKind::Agent => restore_yaml(spec, old),
        ObjectKind::Check => restore_check(spec, old, &masked),
        _ => restore_one(spec, std::slice::from_ref(old)),
    }
    if has_marker(spec) {
        let text =
            format!("{MARKER:?} stands for a secret of something that was changed: give the secret again");
        return Err(Fault::invalid("spec", text));
    }
    Ok(())
}

fn restore_yaml(spec: &mut Value, old: &Value) {
    let read = |spec: &Value| serde_yaml_ng::from_str::<Value>(spec.get(SCRAPE)?.as_str()?).ok();
    let (Some(mut new), Some(old)) = (read(spec), read(old)) else { return };
    restore_list(new.get_mut("scrape_configs"), old.get("scrape_configs"));
    if let Ok(yaml) = serde_yaml_ng::to_string(&new) {
        spec[SCRAPE] = yaml.into();
    }
}

fn restore_list(new: Option<&mut Value>, old: Option<&Value>) {
    let (Some(Value::Array(new)), Some(Value::Array(old))) = (new, old) else { return };
    new.iter_mut().for_each(|one| restore_one(one, old));
}

/// Puts back the one of these that looks like this when it is masked.
fn restore_one(new: &mut Value, olds: &[Value]) {
    let same = olds.iter().find(|old| {
        let mut masked = (*old).clone();
        mask_value(&mut masked, false);
        masked == *new
    });
    if let Some(old) = same {
        new.clone_from(old);
    }
}

fn has_marker(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MARKER),
        Value::Array(items) => items.iter().any(has_marker),
        Value::Object(members) => members.values().any(has_marker),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exporter(endpoint: &str, key: &str) -> Value {
        json!({"type": "otlp_http", "endpoint": endpoint, "headers": {"x-key": key}})
    }

    fn agent(scrape: &str) -> Value {
        json!({ "host": true, "scrape": scrape })
    }

    const SCRAPE_ONE: &str = "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hunter2}\n  \
                              static_configs: [{targets: ['h:1']}]\n";

    #[test]
    fn secrets_are_masked_and_the_rest_is_not() {
        for (kind, mut spec, want) in [
            (
                ObjectKind::Pipeline,
                json!({"exporters": [exporter("http://c", "k")], "processors": [{"type": "set", "field": "token"}]}),
                json!({"exporters": [exporter("http://c", MARKER)], "processors": [{"type": "set", "field": "token"}]}),
            ),
            (
                ObjectKind::Channel,
                json!({"url": "https://u:p@h/x", "password_file": "/p", "token": "t", "n": 1}),
                json!({"url": MARKER, "password_file": "/p", "token": MARKER, "n": 1}),
            ),
            (ObjectKind::Agent, agent("scrape_configs: []  # mine"), agent("scrape_configs: []  # mine")),
            (ObjectKind::Agent, agent("{"), agent(MARKER)),
        ] {
            mask(kind, &mut spec);
            assert_eq!(spec, want);
        }
        let mut spec = agent(SCRAPE_ONE);
        mask(ObjectKind::Agent, &mut spec);
        let yaml = spec["scrape"].as_str().expect("a text");
        assert!(!yaml.contains("hunter2") && yaml.contains(MARKER) && yaml.contains("h:1"), "{yaml}");
    }

    #[test]
    fn a_marker_keeps_a_secret_while_nothing_beside_it_changes() {
        let old = json!({"exporters": [exporter("http://a", "1"), exporter("http://b", "2")]});
        for (exporters, want) in [
            (vec![exporter("http://b", MARKER)], Some(vec![exporter("http://b", "2")])),
            (vec![exporter("http://c", "3")], Some(vec![exporter("http://c", "3")])),
            (vec![exporter("http://evil", MARKER)], None),
        ] {
            let mut spec = json!({ "exporters": exporters });
            let restored = restore(ObjectKind::Pipeline, &mut spec, Some(&old));
            assert_eq!(restored.is_ok().then_some(spec), want.map(|want| json!({ "exporters": want })));
        }
        let mut spec = json!({ "exporters": [exporter("http://a", MARKER)] });
        assert!(restore(ObjectKind::Pipeline, &mut spec, None).is_err(), "there is nothing to keep");
    }

    #[test]
    fn a_marker_in_a_check_keeps_its_secret_while_it_looks_at_the_same() {
        let old = json!({"type": "http", "target": "https://h/", "interval": 60,
            "config": {"headers": {"x-key": "k1"}, "auth": {"type": "basic", "username": "u", "password": "hunter2"}}});
        let mut masked = old.clone();
        mask(ObjectKind::Check, &mut masked);
        assert_eq!(masked["config"]["auth"]["username"], "u");
        assert_eq!(masked["config"]["auth"]["password"], MARKER);
        assert_eq!(masked["config"]["headers"]["x-key"], MARKER);
        for (field, value, want) in [
            ("interval", json!(30), true),
            ("target", json!("https://evil/"), false),
            ("type", json!("tcp"), false),
        ] {
            let mut spec = masked.clone();
            spec[field] = value;
            assert_eq!(restore(ObjectKind::Check, &mut spec, Some(&old)).is_ok(), want, "{field}");
            assert_eq!(spec["config"]["auth"]["password"] == "hunter2", want, "{field}");
        }
    }

    #[test]
    fn a_marker_in_yaml_keeps_the_secret_of_an_unchanged_job() {
        let old = agent(SCRAPE_ONE);
        let mut masked = old.clone();
        mask(ObjectKind::Agent, &mut masked);
        let yaml = masked["scrape"].as_str().expect("a text").to_owned();
        for (yaml, want) in [
            (format!("{yaml}- job_name: b\n"), true),
            (yaml.replace("h:1", "evil:1"), false),
            (MARKER.to_owned(), false),
        ] {
            let mut spec = agent(&yaml);
            let restored = restore(ObjectKind::Agent, &mut spec, Some(&old));
            assert_eq!(restored.is_ok(), want, "{yaml}");
            assert_eq!(spec["scrape"].as_str().is_some_and(|yaml| yaml.contains("hunter2")), want);
        }
    }
}
