//! The description of the API.

use std::path::Path;

use serde_json::Value;

use crate::testing::Server;

/// The description as whoever is signed in gets it.
async fn document() -> Value {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    let line = "GET /api/v1/monitoring/openapi.json";
    server.ask(line, &[("authorization", &key)], "").await.json()
}

/// The page's types are generated from the file, so that what the page expects is what the code says.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_repository_is_what_the_server_answers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let answered = serde_json::to_string_pretty(&document().await).expect("a value is writable") + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &answered).expect("docs is writable");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == answered,
        "docs/openapi.json is old: run UPDATE_DOCS=1 cargo nextest run --workspace openapi"
    );
}

/// Making it panics where two operations or two schemas share a name, or a route does not say who may ask.
#[tokio::test(flavor = "multi_thread")]
async fn every_reference_of_the_document_leads_somewhere() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    find_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let place = reference.strip_prefix('#').expect("a place of the document itself");
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
}

fn find_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| find_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find_references(item, found)),
        _ => {}
    }
}
