//! The dashboards, and with them the rules, that tenants begin with. They are ordinary objects from then on: people change and delete them,
//! and nothing brings them back.

mod schema; // the content of a dashboard

use control::{Control, ControlError, Defaults, PLATFORM_TENANT};
use model::TenantId;
use serde_json::Value;

pub(crate) use schema::check;

/// What every tenant begins with, by name.
const OF_TENANTS: [(&str, &str); 3] = [
    ("hosts", include_str!("dashboards/hosts.json")),
    ("services", include_str!("dashboards/services.json")),
    ("logs", include_str!("dashboards/logs.json")),
];

/// What those with the server's own telemetry begin with, too.
const OF_PLATFORM: (&str, &str) = ("platform", include_str!("dashboards/platform.json"));

fn read((name, text): (&str, &str)) -> (String, Value) {
    (name.to_owned(), serde_json::from_str(text).expect("a test parses every default dashboard"))
}

/// What every new tenant begins with.
pub fn defaults() -> Defaults {
    let rules = crate::response::defaults::of_tenants();
    Defaults { dashboards: OF_TENANTS.into_iter().map(read).collect(), rules }
}

/// Gives the tenants that always exist what they begin with, once; what people changed or deleted since stays so.
pub(crate) async fn give(control: &Control) -> Result<(), ControlError> {
    let mut defaults = defaults();
    defaults.dashboards.push(read(OF_PLATFORM));
    defaults.rules.extend(crate::response::defaults::of_platform());
    let platform = TenantId::new(PLATFORM_TENANT).expect("a valid name of ours");
    for tenant in [TenantId::default_tenant(), platform] {
        control.give_defaults(&tenant, &defaults).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::Signal;
    use query::search::Search;

    use super::schema::{Dashboard, Query, Widget, WidgetKind};
    use super::*;
    use crate::testing::Server;

    fn all() -> Vec<(&'static str, Dashboard)> {
        let parse = |(name, text)| (name, serde_json::from_str(text).expect(name));
        OF_TENANTS.into_iter().chain([OF_PLATFORM]).map(parse).collect()
    }

    #[test]
    fn default_dashboards_are_few_widgets_that_say_what_they_show_and_do_not_overlap() {
        for (name, dashboard) in all() {
            assert_eq!(dashboard.schema, 1);
            assert!((1..=12).contains(&dashboard.widgets.len()), "{name}");
            assert!(dashboard.refresh_seconds >= 5 && !dashboard.public, "{name}");
            let mut cells = BTreeSet::new();
            let mut ids = BTreeSet::new();
            for Widget { id, title, description, position, unit, kind, thresholds, .. } in &dashboard.widgets
            {
                assert!(
                    ids.insert(id.clone()) && !title.is_empty() && !description.is_empty(),
                    "{name}/{id}"
                );
                assert!(unit.is_some() || *kind == WidgetKind::Logs, "{name}/{id}");
                assert!(thresholds.is_sorted_by(|a, b| a.value < b.value), "{name}/{id}");
                assert!(position.x + position.width <= 12, "{name}/{id}");
                for x in position.x..position.x + position.width {
                    for y in position.y..position.y + position.height {
                        assert!(cells.insert((x, y)), "{name}/{id} overlaps at {x}, {y}");
                    }
                }
            }
            let json = serde_json::to_value(&dashboard).expect("JSON");
            let again: Dashboard = serde_json::from_value(json).expect("reads back");
            assert_eq!(again, dashboard);
        }
    }

    #[test]
    fn every_query_of_a_default_dashboard_can_be_read() {
        for (name, dashboard) in all() {
            for widget in dashboard.widgets {
                match widget.query {
                    Query::Promql { text, .. } => {
                        promql::syntax::parse(&text)
                            .unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
                    }
                    Query::Search { table, text, .. } => {
                        assert_eq!(table, "logs");
                        Search::parse(&text, Signal::Logs)
                            .unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
                    }
                    Query::Sql { text } => panic!("{name}: {text} is not asked in a test"),
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_platform_dashboard_asks_for_metrics_that_there_are() {
        let server = Server::new(true, &[]).await;
        // A family is declared from its first sample on.
        let body = r#"[{"name":"good","value":1},{"name":"","value":1}]"#;
        assert_eq!(server.ask("POST /api/metrics", &[], body).await.status, 200);
        assert_eq!(server.ask("GET /api/v1/query?query=1", &[], "").await.status, 200);
        let declared = server.app.own_metrics();
        for (_, dashboard) in all().into_iter().filter(|(name, _)| *name == OF_PLATFORM.0) {
            for widget in dashboard.widgets {
                let Query::Promql { text, .. } = widget.query else { continue };
                let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                for name in names.filter(|name| name.starts_with("bellwether_")) {
                    let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
                    assert!(declared.contains(&format!("# TYPE {family} ")), "{name}");
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_tenants_get_theirs_once() {
        let server = Server::new(true, &[]).await;
        let control = server.app.control().expect("control");
        let kind = control::ObjectKind::Dashboard;
        let names = async |tenant: &TenantId| -> Vec<String> {
            let found = control.objects(tenant, kind, None, 100).await.expect("dashboards").items;
            found.into_iter().map(|object| object.name).collect()
        };
        let tenant = TenantId::default_tenant();
        control
            .put_object(&tenant, kind, "logs", &serde_json::json!({"mine": 1}), None)
            .await
            .expect("saved");
        give(&control).await.expect("given");
        assert_eq!(names(&tenant).await, ["hosts", "logs", "platform", "services"]);
        let kept = control.object(&tenant, kind, "logs").await.expect("there");
        assert_eq!(kept.spec, serde_json::json!({"mine": 1}), "what people made stays");
        control.delete_object(&tenant, kind, "hosts").await.expect("deleted");
        give(&control).await.expect("given");
        assert_eq!(names(&tenant).await, ["logs", "platform", "services"], "what people deleted stays away");
        let platform = TenantId::new(PLATFORM_TENANT).expect("valid");
        assert_eq!(names(&platform).await.len(), 4);
    }
}
