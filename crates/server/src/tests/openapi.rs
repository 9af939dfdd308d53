//! The description of the API.

use serde_json::Value;

use crate::testing::Server;

/// Making it panics where two operations or two schemas share a name, or a route does not say who may ask.
#[tokio::test(flavor = "multi_thread")]
async fn every_reference_of_the_document_leads_somewhere() {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    let line = "GET /api/v1/monitoring/openapi.json";
    let document = server.ask(line, &[("authorization", &key)], "").await.json();
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
