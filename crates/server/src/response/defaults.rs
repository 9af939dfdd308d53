//! The rules that tenants begin with: few, and silent while all is well. They are ordinary objects from then on: people
//! change and delete them, and nothing brings them back.

use serde::Deserialize;
use serde_json::{Map, Value};

/// For every tenant.
const OF_TENANTS: &str = include_str!("defaults.json");

/// For those with the server's own telemetry, too.
const OF_PLATFORM: &str = include_str!("defaults_platform.json");

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(flatten)]
    spec: Map<String, Value>,
}

fn read(text: &str) -> Vec<(String, Value)> {
    let all: Vec<Named> = serde_json::from_str(text).expect("a test parses every default rule");
    all.into_iter().map(|named| (named.name, Value::Object(named.spec))).collect()
}

/// What every new tenant begins with.
pub(crate) fn of_tenants() -> Vec<(String, Value)> {
    read(OF_TENANTS)
}

/// What comes with the server's own telemetry.
pub(crate) fn of_platform() -> Vec<(String, Value)> {
    read(OF_PLATFORM)
}

#[cfg(test)]
mod tests {
    use alert::engine::Rule;
    use alert::rule::{Question, RuleSpec};

    use super::*;
    use crate::testing::Server;

    fn all() -> Vec<(String, RuleSpec)> {
        let read = |(name, spec): (String, Value)| {
            let spec = serde_json::from_value(spec).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, spec)
        };
        of_tenants().into_iter().chain(of_platform()).map(read).collect()
    }

    #[test]
    fn default_rules_compile_say_what_to_do_and_are_not_hasty() {
        for (name, spec) in all() {
            let rule = Rule::of(&name, &spec, "").unwrap_or_else(|error| panic!("{name}: {error:?}"));
            for asked in &rule.compiled.questions {
                let Question::PromQl(text) = &asked.question else { panic!("{name} asks no PromQL") };
                promql::syntax::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            assert!(spec.description.is_some() && spec.annotations.contains_key("summary"), "{name}");
            assert_eq!(spec.warnings(), [], "{name}");
            assert!(spec.cooldown_seconds() > 0, "{name}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn default_rules_ask_for_metrics_of_ours_that_there_are() {
        let server = Server::new(true, &[]).await;
        // A family is declared from its first sample on.
        let part = kit::Registration::task("part", |stop| async move {
            stop.requested().await;
            Ok(())
        });
        server.app.registry().register(part).expect("it is the only one");
        server.app.telemetry().notification("webhook", "sent");
        let declared = server.app.own_metrics();
        for (name, spec) in all() {
            let text = serde_json::to_string(&spec.condition).expect("JSON");
            let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for metric in names.filter(|word| word.starts_with("bellwether_")) {
                let family = metric.trim_end_matches("_total");
                assert!(declared.contains(&format!("# TYPE {family} ")), "{name}: {metric}");
            }
        }
    }
}
