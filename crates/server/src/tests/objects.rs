//! Single objects: versions that a change names, lists page by page.

use model::TenantId;
use serde_json::{Value, json};

use super::people::{Person, code};
use crate::testing::{Answer, Server};

const OBJECT: &str = "/api/v1/monitoring/objects/dashboard/d";

async fn editor(server: &Server) -> Person {
    Person::new(server, &TenantId::default_tenant(), "ed@a.example", "editor").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_names_a_version_replaces_that_one_or_nothing() {
    let server = Server::new(false, &[]).await;
    let editor = editor(&server).await;
    let put = async |tag: &[(&str, &str)], n: i64| -> Answer {
        editor.ask_with(&server, &format!("PUT {OBJECT}"), tag, json!({ "n": n }).to_string()).await
    };
    let if_match = |tag| [("if-match", tag)];
    for (tag, want) in [("*", 412), ("\"1\"", 412)] {
        let answer = put(&if_match(tag), 0).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (want, "PRECONDITION_FAILED"), "{tag}");
    }
    assert_eq!(put(&[], 1).await.header("etag"), "\"1\"");
    assert_eq!(put(&[], 2).await.header("etag"), "\"2\"");
    let read = editor.ask(&server, &format!("GET {OBJECT}"), "").await;
    assert_eq!((read.header("etag"), &read.json()["version"]), ("\"2\"", &json!(2)));
    // As it was read, one of several, any; never a weak one, nor what is no tag of ours.
    let mut version = 2;
    for (tag, is_taken) in [
        ("\"1\"", false),
        ("\"3\"", false),
        ("2", false),
        ("W/\"2\"", false),
        ("", false),
        ("\"2\"", true),
        ("\"9\", \"3\"", true),
        ("*", true),
        ("\"4\"", false),
    ] {
        let answer = put(&if_match(tag), version).await;
        if is_taken {
            version += 1;
            assert_eq!(answer.header("etag"), format!("\"{version}\""), "{tag}: {}", answer.text());
        } else {
            assert_eq!(answer.status, 412, "{tag}");
            assert!(answer.text().contains(&format!("at version {version}")), "{}", answer.text());
        }
        let kept = editor.ask(&server, &format!("GET {OBJECT}"), "").await.json();
        assert_eq!(kept["version"], version, "{tag}");
    }
}

/// Of those who change what they read at the same moment, one succeeds and the others are told.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_change_one_version_one_succeeds() {
    let server = Server::new(false, &[]).await;
    let editor = editor(&server).await;
    assert_eq!(editor.ask(&server, &format!("PUT {OBJECT}"), "{}").await.status, 200);
    let puts = (0..8).map(async |n: i64| {
        let body = json!({ "n": n }).to_string();
        editor
            .ask_with(&server, &format!("PUT {OBJECT}"), &[("if-match", "\"1\"")], body)
            .await
            .status
            .as_u16()
    });
    let mut statuses = futures::future::join_all(puts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[412; 7]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_of_as_many_and_of_as_many_bytes() {
    let server = Server::new(false, &[]).await;
    let editor = editor(&server).await;
    let base = "/api/v1/monitoring/objects/saved_query";
    let text = "x".repeat(900_000);
    for n in 0..12 {
        let body = json!({ "text": text }).to_string();
        assert_eq!(editor.ask(&server, &format!("PUT {base}/{n:02}"), body).await.status, 200);
    }
    for (query, pages) in
        [("", &[9, 3][..]), ("limit=5&", &[5, 5, 2]), ("limit=6&", &[6, 6]), ("limit=0&", &[1; 12])]
    {
        let (mut found, mut counts, mut after) = (Vec::new(), Vec::new(), String::new());
        loop {
            let answer = editor.ask(&server, &format!("GET {base}?{query}after={after}"), "").await;
            assert!(answer.status == 200 && answer.body.len() <= 9 << 20, "{}", answer.body.len());
            let page = answer.json();
            let items = page["items"].as_array().unwrap();
            counts.push(items.len());
            found.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            match &page["next"] {
                Value::String(next) => after = next.clone(),
                next => break assert_eq!(next, &Value::Null),
            }
        }
        assert_eq!((found.len(), counts.as_slice()), (12, pages), "{query}");
        assert!(found.is_sorted());
    }
}
