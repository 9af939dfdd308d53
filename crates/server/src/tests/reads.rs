//! Questions, their parameters and extremes.

use crate::testing::Server;

async fn with_sample() -> Server {
    let server = Server::new(true, &[]).await;
    let now = server.app.now_ms();
    let lines = format!("m{{a=\"1\"}} 1 {now}\nm{{a=\"2\"}} 2 {now}\nm{{a=\"3\"}} 3 {now}\n");
    let stored = server.ask("POST /api/v1/import/prometheus", &[], lines).await;
    assert_eq!(stored.json()["accepted"], 3, "{}", stored.text());
    server
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread")]
async fn parameters_come_by_query_string_and_form() {
    let server = with_sample().await;
    for (line, headers, body, want) in [
        ("GET /api/v1/query?query=m", &[][..], "", 200),
        ("HEAD /api/v1/query?query=m", &[], "", 200),
        ("GET /api/v1/query", &[FORM], "query=m", 400),
        ("POST /api/v1/query", &[FORM], "query=m", 200),
        ("POST /api/v1/query?query=m", &[FORM], "time=1", 200),
        ("POST /api/v1/query", &[], "query=m", 400),
        ("PUT /api/v1/query", &[FORM], "query=m", 405),
        ("OPTIONS /api/v1/query", &[], "", 405),
        ("GET /api/v1/query?query=m&timeout=5s", &[], "", 200),
        ("GET /api/v1/query?query=m&timeout=0", &[], "", 503),
        ("GET /api/v1/query?query=m&timeout=-1", &[], "", 503),
        ("GET /api/v1/query?query=m&timeout=1x", &[], "", 400),
        ("GET /api/v1/query?query=m&timeout=1e15", &[], "", 200),
        ("GET /api/v1/query?query=m&lookback_delta=x", &[], "", 400),
        ("GET /api/v1/query?query=m%20%2B", &[], "", 400),
        ("GET /api/v1/query?query=m&format=xml", &[], "", 400),
        ("GET /api/v1/query?query=m&format=csv", &[], "", 200),
        ("GET /api/v1/labels?limit=-1", &[], "", 400),
        ("GET /api/v1/labels?limit=0", &[], "", 200),
        ("GET /api/v1/series", &[], "", 400),
        ("GET /api/v1/series?match[]=m&start=2&end=1", &[], "", 400),
        ("GET /api/v1/label/%ff/values", &[], "", 400),
    ] {
        let answer = server.ask(line, headers, body).await;
        assert_eq!(answer.status, want, "{line}: {}", answer.text());
    }
    let answer = server.ask("GET /api/v1/series?match[]=m&limit=2", &[], "").await.json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    assert_eq!(answer["warnings"][0], "results truncated due to limit");
}

/// Whatever the times are, the answer is a result or a refusal, never a fault of ours.
#[tokio::test(flavor = "multi_thread")]
async fn no_time_is_too_far() {
    let server = with_sample().await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    let times = [
        "-9223372036854775",
        "9223372036854775",
        "-9.2e15",
        "9.2e15",
        "9999-12-30T23:59:59Z",
        "-292273086-05-16T16:47:06Z",
        "292277025-08-18T07:12:54.999999999Z",
        "-1",
        "0",
        "1e300",
        "NaN",
    ];
    for a in times {
        for query in ["m", "rate(m[5m])", "m%20offset%201d", "m%20@%200", "time()", "m[10y]"] {
            let answer = server.ask(&format!("GET /api/v1/query?query={query}&time={a}"), &[], "").await;
            assert!(answer.status != 500, "{query} at {a}: {}", answer.text());
        }
        for b in times {
            let pair = format!("start={a}&end={b}");
            for path in [
                "/api/v1/query_range?query=rate(m[5m])&step=9.2e15&",
                "/api/v1/query_range?query=m&step=1e12&",
                "/api/v1/series?match[]=m&",
                "/api/v1/labels?",
                "/api/v1/query_exemplars?query=m&",
                "/api/v1/monitoring/metrics?limit=3&",
                "/api/v1/monitoring/metrics?name=m&",
            ] {
                let line = format!("GET {path}{pair}");
                let answer = server.ask(&line, &[("authorization", &key)], "").await;
                assert!(answer.status != 500, "{line}: {}", answer.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_by_name_are_paged_through_without_repeating_any() {
    let server = with_sample().await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Query]).await);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let line = format!("GET /api/v1/monitoring/metrics?name=m&limit=1{cursor}");
        let page = server.ask(&line, &[("authorization", &key)], "").await.json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["labels"]["a"].clone()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn system_rows_have_exactly_their_columns() {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    let line = "POST /api/v1/monitoring/metrics/collect";
    let answer = server.ask(line, &[("authorization", &key)], "").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = answer.json();
    let mut columns: Vec<&String> = answer["data"].as_object().unwrap().keys().collect();
    columns.sort_unstable();
    assert_eq!(columns, ["cpu", "disk", "id", "memory", "network", "process", "timestamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_applies_limits_and_retention() {
    let server = Server::new(true, &[]).await;
    let file = server.path("bellwether.toml");
    std::fs::write(&file, "[limits]\nbody_bytes = \"1KiB\"\n[retention]\nmetrics = \"2h\"\n").unwrap();
    server.app.reload().await.unwrap();
    let large = "m 1\n".repeat(1000);
    assert_eq!(server.ask("POST /api/v1/import/prometheus", &[], large).await.status, 413);
    let old = format!("m 1 {}\n", server.app.now_ms() - 3 * 3_600_000);
    let answer = server.ask("POST /api/v1/import/prometheus", &[], old).await.json();
    assert_eq!(answer["accepted"], 0, "{answer}");
    std::fs::write(&file, "[limits]\nbody_bytes = \"nonsense\"\n").unwrap();
    assert!(server.app.reload().await.is_err());
    assert_eq!(server.app.limits().body_bytes, 1024, "a bad file changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_answered_in_the_form_that_its_content_type_says() {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Ingest]).await);
    let line = r#"{"message":"a, \"b\"","level":"info","k":1}"#;
    let stored = server.ask("POST /api/v1/monitoring/logs", &[("authorization", &key)], line).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let json = ("content-type", "application/json");
    for (accept, count, kind, starts) in [
        ("text/csv", false, "text/csv; charset=utf-8", "attributes,body,"),
        ("text/csv", true, "text/csv; charset=utf-8", "count\r\n1\r\n"),
        ("application/x-ndjson", true, "application/x-ndjson", "{\"count\":1}\n"),
        ("application/vnd.apache.arrow.stream", false, "application/json", "{\"columns\":"),
        ("application/json", false, "application/json", "{\"columns\":"),
    ] {
        let body = format!(r#"{{"search": "", "count": {count}}}"#);
        let answer = server.ask("POST /api/v1/sql", &[json, ("accept", accept)], body).await;
        assert_eq!(answer.header("content-type"), kind, "{accept}: {}", answer.text());
        assert!(answer.text().starts_with(starts), "{accept}: {}", answer.text());
        if accept == "text/csv" && !count {
            assert!(answer.text().contains(r#""a, ""b""""#), "{}", answer.text());
            assert_eq!(answer.text().lines().count(), 2);
        }
    }
}

/// Grafana shows what a data source says; each refuses in its own shape.
#[tokio::test(flavor = "multi_thread")]
async fn jaeger_and_tempo_refuse_in_their_own_words() {
    let server = Server::new(false, &[]).await;
    let ingest = format!("Bearer {}", server.key(&[control::KeyScope::Ingest]).await);
    for (headers, status) in [(vec![], 401), (vec![("authorization", ingest.as_str())], 403)] {
        for line in ["GET /jaeger/api/services", "GET /api/traces?service=a"] {
            let answer = server.ask(line, &headers, "").await;
            assert_eq!(answer.status, status, "{line}");
            assert_eq!(answer.json()["errors"][0]["code"], status, "{line}: {}", answer.text());
        }
        let answer = server.ask("GET /tempo/api/search", &headers, "").await;
        assert_eq!((answer.status.as_u16(), &answer.header("content-type")[..10]), (status, "text/plain"));
    }
    let query = format!("Bearer {}", server.key(&[control::KeyScope::Query]).await);
    let found = server.ask("GET /api/traces?service=a", &[("authorization", &query)], "").await;
    assert_eq!((found.status.as_u16(), found.json()["data"].clone()), (200, serde_json::json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_stays_on_record_when_it_is_finished() {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    let lines = "{\"message\":\"doomed\"}\n{\"message\":\"doomed\"}\n{\"message\":\"kept\"}\n";
    assert_eq!(server.ask("POST /api/v1/monitoring/logs", &headers, lines).await.status, 200);
    let now_ms = server.app.now_ms();
    let body = format!(r#"{{"query": "doomed", "start": 0, "end": {}}}"#, now_ms / 1000 + 60);
    let deleted = server.ask("POST /api/v1/monitoring/logs/delete", &headers, body).await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()["rows"]), (202, &2.into()), "{}", deleted.text());
    let store = server.app.store().expect("a store");
    for (later_ms, state, removed) in [(0, "hidden", None), (2 * 86_400_000, "done", Some(2))] {
        while store.engine().compact_once(now_ms + later_ms).expect("compacted") {}
        let list = server.ask("GET /api/v1/monitoring/deletions", &headers, "").await.json();
        let one = &list["deletions"][0];
        assert_eq!(list["deletions"].as_array().map(Vec::len), Some(1), "{list}");
        assert_eq!((&one["state"], &one["query"]), (&state.into(), &"doomed".into()), "{list}");
        assert_eq!(one["rows_removed"], serde_json::json!(removed), "{list}");
        assert_eq!(one["finished_at"].is_string(), removed.is_some(), "{list}");
    }
}
