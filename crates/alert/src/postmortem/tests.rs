//! What others wrote stays text, and documents are kept by version.

use std::sync::Arc;

use db::testing::{Fixture, each_backend};
use model::TenantId;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Map;

use super::*;
use crate::incident::{EntryKind, Incident, NewIncident, Operation, Origin, TimelineEntry};
use crate::severity::Severity;
use crate::tables::Tables;
use crate::{Labels, incident::IncidentError};

fn incident(title: &str, value: &str) -> Incident {
    let incident = serde_json::json!({
        "id": "inc_1", "number": 7, "title": title, "severity": "critical", "status": "resolved",
        "origin": {"kind": "person", "name": "ann@x"}, "labels": {value: value}, "autoResolve": false,
        "roles": {"commander": "bob@x"}, "runbooks": [], "createdAt": 1_893_456_000_000_i64,
        "firstAcknowledgedAt": 1_893_456_090_000_i64, "resolvedAt": 1_893_460_560_000_i64,
        "reopened": 0, "entries": 2, "events": 1, "eventsLeftOut": 0, "updatedAt": 0,
    });
    serde_json::from_value(incident).expect("reads")
}

fn entry(n: i64, kind: EntryKind, text: &str) -> TimelineEntry {
    let at = 1_893_456_000_000 + n * 1_000;
    TimelineEntry { n, at, kind, who: Some("ann@x".to_owned()), text: text.to_owned(), data: Map::new() }
}

/// Kinds of blocks and links of a document, in order, as a reader of GitHub's Markdown sees them.
fn shape(text: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let name = |event: Event<'_>| match event {
        Event::Start(Tag::Heading { level, .. }) => Some(format!("{level:?}")),
        Event::Start(Tag::Paragraph | Tag::Strong | Tag::Emphasis) => None,
        Event::Start(tag) => Some(format!("{tag:?}").split(['(', ' ']).next().unwrap_or("").to_owned()),
        Event::Html(_) | Event::InlineHtml(_) => Some("html".to_owned()),
        Event::Code(_) => Some("code".to_owned()),
        Event::Rule => Some("rule".to_owned()),
        _ => None,
    };
    Parser::new_ext(text, options).filter_map(name).collect()
}

#[test]
fn a_draft_says_what_is_known() {
    let timeline =
        [entry(1, EntryKind::Opened, "disk full"), entry(2, EntryKind::Note, "looked\n- at *logs*")];
    let text = draft(&incident("disk full", "web-1"), &timeline);
    for part in [
        "# Post-mortem of incident 7: disk full\n",
        "| Began | 2030-01-01 00:00:00 UTC |",
        "| Acknowledged | 2030-01-01 00:01:30 UTC (after 1 min 30 s) |",
        "| Resolved | 2030-01-01 01:16:00 UTC (after 1 h 16 min) |",
        "| commander | bob\\@x |",
        "- 2030-01-01 00:00:01 UTC **opened** ann\\@x: disk full\n",
        "**note** ann\\@x: looked\\\n  \\- at \\*logs\\*\n",
        "## Impact\n",
        "## Causes\n",
        "## Follow-ups\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

proptest! {
    #[test]
    fn no_label_title_or_note_breaks_the_document(
        title in "\\PC{0,20}", text in "([\\n\\r\\t #*_`<>|\\[\\]()!&~=+:.1a-]|https://x|<b>|www\\.a|\\PC){0,40}",
    ) {
        let plain = draft(&incident("t", "l"), &[entry(1, EntryKind::Note, "n"), entry(2, EntryKind::Note, "n")]);
        let odd = draft(&incident(&format!("t{title}"), &format!("l{text}")), &[
            entry(1, EntryKind::Note, &format!("n{text}")),
            entry(2, EntryKind::Note, &text),
        ]);
        prop_assert_eq!(shape(&odd), shape(&plain), "{}", odd);
    }
}

#[tokio::test]
async fn of_two_who_edit_one_document_the_second_is_told() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tenant = TenantId::default_tenant();
        let scope =
            fixture.db.create_tenant(&tenant, &[&crate::schema::TENANT]).await.expect("a tenant's part");
        let tables = Tables::new(scope);
        let new = NewIncident {
            title: "disk".to_owned(),
            severity: Severity::Error,
            key: None,
            origin: Origin::Person("ann@x".to_owned()),
            events: Vec::new(),
            labels: Labels::new(),
            escalation: None,
            auto_resolve: false,
        };
        let id = tables.open_incident(&new, 1).await.expect("opens").incident.id;
        assert_eq!(tables.postmortem(&id).await.expect("answers"), None);
        assert_eq!(tables.put_postmortem(&id, "one", "ann@x", 0, 2).await.expect("kept"), 1);
        assert_eq!(tables.put_postmortem(&id, "two", "bob@x", 1, 3).await.expect("kept"), 2);
        for expected in [0, 1, 3] {
            let late = tables.put_postmortem(&id, "three", "ann@x", expected, 4).await;
            assert!(matches!(late, Err(IncidentError::Table(_))), "{expected}: {late:?}");
        }
        let kept = tables.postmortem(&id).await.expect("answers").expect("there");
        assert_eq!((kept.text.as_str(), kept.version, kept.updated_by.as_str()), ("two", 2, "bob@x"));
        assert!(tables.put_postmortem("inc_0", "x", "ann@x", 0, 4).await.is_err());
        let end = Operation::Resolve { note: None };
        tables.change_incident(&id, &end, None, 5).await.expect("ends");
        tables.sweep_incidents(6).await.expect("swept");
        assert_eq!(tables.postmortem(&id).await.expect("answers"), None);
    })
    .await;
}
