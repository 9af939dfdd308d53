//! Intakes as their clients meet them.

use axum::body::Body;
use control::KeyScope;
use ingest::compress::decompress;

use crate::routes;
use crate::testing::{Answer, Server, request, send};

fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

/// Remote write 1.0 with one series of one sample for each name.
fn series(names: &[&str], t_ms: i64) -> Vec<u8> {
    let one = |name: &&str| {
        let label = [field(1, b"__name__"), field(2, name.as_bytes())].concat();
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&1f64.to_le_bytes());
        sample.push(2 << 3);
        prost::encoding::encode_varint(t_ms as u64, &mut sample);
        field(1, &[field(1, &label), field(2, &sample)].concat())
    };
    names.iter().flat_map(one).collect()
}

fn snappy(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

/// An OTLP request with one gauge point.
fn gauge(name: &str, t_ms: i64) -> Vec<u8> {
    let mut point = vec![3 << 3 | 1];
    point.extend_from_slice(&(t_ms as u64 * 1_000_000).to_le_bytes());
    point.push(4 << 3 | 1);
    point.extend_from_slice(&2f64.to_le_bytes());
    let metric = [field(1, name.as_bytes()), field(5, &field(1, &point))].concat();
    field(1, &field(2, &field(2, &metric)))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(body).unwrap();
    writer.finish().unwrap()
}

/// A body whose size is not declared.
fn streamed(bytes: Vec<u8>) -> Body {
    let parts: Vec<Result<Vec<u8>, std::convert::Infallible>> =
        bytes.chunks(1000).map(|part| Ok(part.to_vec())).collect();
    Body::from_stream(futures::stream::iter(parts))
}

async fn count(server: &Server, query: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(format!("count({query})").as_bytes()).collect();
    let answer = server.ask(&format!("GET /api/v1/query?query={query}"), &[], "").await.json();
    answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
}

const V1: (&str, &str) = ("content-type", "application/x-protobuf");
const V2: (&str, &str) = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

#[tokio::test(flavor = "multi_thread")]
async fn remote_write_says_what_was_written_whatever_happens() {
    let server = Server::new(true, &["limits.body_bytes=64KiB"]).await;
    let now = server.app.now_ms();
    let good = snappy(&series(&["a", "b"], now));
    let mixed = snappy(&[series(&["c"], now), series(&["d"], now + 10 * 86_400_000)].concat());
    let long = snappy(&vec![0; 1 << 20]);
    let rows = vec![
        ("good", vec![V1], Body::from(good.clone()), 204, "2"),
        ("no declared size", vec![V1], streamed(good.clone()), 204, "2"),
        ("one too far ahead", vec![V1], mixed.into(), 400, "1"),
        ("empty 2.0", vec![V2], snappy(&[]).into(), 204, "0"),
        ("not snappy", vec![V2], "xx".into(), 400, "0"),
        ("not protobuf", vec![V2], snappy(b"\xff\xff").into(), 400, "0"),
        ("a bomb", vec![V1], long.into(), 413, "0"),
        ("too long as it comes", vec![V1], streamed(vec![0; 100_000]), 413, "0"),
        ("a type we do not read", vec![("content-type", "text/plain")], "".into(), 415, "0"),
        ("an encoding we do not read", vec![V1, ("content-encoding", "gzip")], "".into(), 415, "0"),
        ("a bad key", vec![V1, ("authorization", "Bearer bw_x")], good.into(), 401, "0"),
    ];
    for (name, headers, body, status, written) in rows {
        let answer = server.ask("POST /api/v1/write", &headers, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        for (kind, want) in [("samples", written), ("histograms", "0"), ("exemplars", "0")] {
            assert_eq!(answer.header(&format!("x-prometheus-remote-write-{kind}-written")), want, "{name}");
        }
    }
    assert_eq!(count(&server, r#"{__name__=~"[a-d]"}"#).await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_429_but_503_where_429_loses_data() {
    let server = Server::new(true, &["limits.requests=1", "performance.rate_limit_window_ms=3600000"]).await;
    assert_eq!(server.ask("POST /api/metrics", &[], "[]").await.status, 200);
    for (line, body, want) in [
        ("POST /api/metrics", b"[]".to_vec(), 429),
        ("POST /api/v1/write", snappy(&[]), 503),
        ("POST /v1/metrics", Vec::new(), 429),
    ] {
        let answer = server.ask(line, &[V1], body).await;
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert_eq!(answer.status, want, "{line}");
        assert!((1..=3_600).contains(&wait), "until the window ends: {wait}");
    }
    let grpc = grpc(&server, &[], frame(0, b"")).await;
    assert_eq!(grpc.header("grpc-status"), "8");
    assert!(!grpc.header("grpc-status-details-bin").is_empty(), "says when to try again");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_refuses_in_the_senders_encoding() {
    let server = Server::new(false, &[]).await;
    let key = format!("Bearer {}", server.key(&[KeyScope::Query]).await);
    let json = ("content-type", "application/json");
    for (headers, body, status, kind, starts) in [
        (vec![json], "{}", 401, "application/json", &br#"{"code":16"#[..]),
        (vec![V1], "", 401, "application/x-protobuf", &[8, 16]),
        (vec![V1, ("authorization", &key)], "", 403, "application/x-protobuf", &[8, 7]),
        (vec![("content-type", "text/plain")], "", 415, "application/json", br#"{"code":12"#),
        (vec![], "", 415, "application/json", br#"{"code":12"#),
    ] {
        for router in [routes::router(&server.app), routes::otlp_http(&server.app)] {
            let answer = send(router, request("POST /v1/metrics", &headers, body)).await;
            assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
            assert_eq!(answer.header("content-type"), kind);
            assert!(answer.body.starts_with(starts), "{}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_stores_and_states_partial_success() {
    let server = Server::new(true, &[]).await;
    let now = server.app.now_ms();
    let stored = server.ask("POST /v1/metrics", &[V1], gauge("g", now)).await;
    assert_eq!((stored.status.as_u16(), stored.body.len()), (200, 0));
    let far = server.ask("POST /v1/metrics", &[V1], gauge("g", now + 10 * 86_400_000)).await;
    assert_eq!((far.status.as_u16(), far.body[0]), (200, 1 << 3 | 2), "{}", far.text());
    let packed = [V1, ("content-encoding", "gzip")];
    assert_eq!(server.ask("POST /v1/metrics", &packed, gzip(&gauge("z", now))).await.status, 200);
    assert_eq!(server.ask("POST /v1/metrics", &packed, gauge("z", now)).await.status, 400);
    assert_eq!(server.ask("POST /v1/metrics", &[V1, ("content-encoding", "br")], "").await.status, 415);
    assert_eq!(count(&server, r#"{__name__=~"g|z"}"#).await, "2");
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

async fn grpc(server: &Server, more: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
    headers.extend_from_slice(more);
    let line = "POST /opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    send(routes::otlp_grpc(&server.app), request(line, &headers, streamed(body))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_is_bounded_and_accounted_like_http() {
    let server = Server::new(true, &["limits.body_bytes=64KiB"]).await;
    let now = server.app.now_ms();
    let good = grpc(&server, &[], frame(0, &gauge("g", now))).await;
    assert_eq!(good.status, 200);
    assert_eq!(good.body, [0; 5], "an empty message");
    assert_eq!(good.trailers.get("grpc-status").unwrap(), "0");
    let packed = grpc(&server, &[("grpc-encoding", "gzip")], frame(1, &gzip(&gauge("z", now)))).await;
    assert_eq!(packed.trailers.get("grpc-status").unwrap(), "0");
    let bomb = gzip(&vec![0; 10 << 20]);
    assert!(bomb.len() < 64 << 10 && decompress("gzip", bomb.clone(), 1 << 10).is_err());
    for (name, more, body, want) in [
        ("a bomb", &[("grpc-encoding", "gzip")][..], frame(1, &bomb), "3"),
        ("too long", &[], frame(0, &vec![0; 100_000]), "3"),
        ("no frame", &[], vec![0, 0], "3"),
        ("compressed without a word", &[], frame(1, b""), "3"),
        ("an encoding of another kind", &[("grpc-encoding", "snappy")], frame(1, b""), "12"),
        ("not protobuf", &[], frame(0, b"\xff\xff"), "3"),
        ("a bad key", &[("authorization", "Bearer bw_x")], frame(0, b""), "16"),
        ("another site's name", &[("host", "evil.example")], frame(0, b""), "7"),
    ] {
        let answer = grpc(&server, more, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, want), "{name}");
    }
    let line = "POST /opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let wrong = send(routes::otlp_grpc(&server.app), request(line, &[V1], "")).await;
    assert_eq!(wrong.status, 415);
    assert_eq!(count(&server, r#"{__name__=~"g|z"}"#).await, "2");
    assert_eq!(server.app.own_metrics().lines().filter(|l| l.contains("class=\"request\"} 0")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_can_never_fit_is_not_asked_for_again() {
    let server = Server::new(true, &["limits.body_bytes=1GiB"]).await;
    let huge = [V1, ("content-length", "1000000000")];
    assert_eq!(server.ask("POST /api/v1/write", &huge, "").await.status, 413);
    let server = Server::new(true, &["limits.in_flight_bytes=64KiB"]).await;
    let waiting = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::convert::Infallible>>());
    let first = server.ask("POST /api/metrics", &[("content-length", "60000")], waiting);
    let second = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        server.ask("POST /api/metrics", &[("content-length", "60000")], "[]").await
    };
    tokio::select! {
        answer = first => panic!("answered before its body came: {answer:?}"),
        answer = second => assert_eq!(answer.status, 429),
    }
    assert_eq!(server.ask("POST /api/metrics", &[("content-length", "2")], "[]").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_json_names_what_it_refuses() {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[KeyScope::Ingest]).await);
    let mixed = r#"[{"name":"ok","value":1},{"name":"","value":1},{"name":"x","value":"no"}]"#;
    let answer = server.ask("POST /api/metrics", &[], mixed).await.json();
    assert_eq!((&answer["accepted"], &answer["refused"][0]["index"]), (&1.into(), &1.into()), "{answer}");
    let all = format!(r#"{{"metrics":{mixed},"transaction":true}}"#);
    assert_eq!(server.ask("POST /api/metrics", &[], all).await.json()["accepted"], 0);
    let deep = "[".repeat(100_000);
    for (body, want) in [
        (r#"{"name":"one","value":1}"#, 201),
        (r#"{"name":"one"}"#, 400),
        ("[]", 400),
        ("", 400),
        (deep.as_str(), 400),
        ("\u{0}\u{ff}", 400),
    ] {
        let line = "POST /api/v1/monitoring/metrics/custom";
        let answer = server.ask(line, &[("authorization", &key)], body.to_owned()).await;
        assert_eq!(answer.status, want, "{:.40}: {}", body, answer.text());
    }
    let increments = r#"[{"name":"hits","type":"counter","value":2}]"#;
    for _ in 0..3 {
        assert_eq!(server.ask("POST /api/metrics", &[], increments).await.json()["accepted"], 1);
    }
    let total = server.ask("GET /api/v1/query?query=hits", &[], "").await.json();
    assert_eq!(total["data"]["result"][0]["value"][1], "6", "{total}");
}

/// What a statement answers, without a key.
async fn sql(server: &Server, statement: &str) -> serde_json::Value {
    let body = serde_json::json!({ "query": statement }).to_string();
    let answer = server.ask("POST /api/v1/sql", &[("content-type", "application/json")], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loki_push_is_snappy_protobuf_without_saying_so() {
    let server = Server::new(true, &[]).await;
    let mut time = vec![1 << 3];
    prost::encoding::encode_varint(server.app.now_ms() as u64 / 1000, &mut time);
    let entry = [field(1, &time), field(2, b"hello")].concat();
    let push = field(1, &[field(1, b"{app=\"shop\"}"), field(2, &entry)].concat());
    let snap = ("content-encoding", "snappy");
    for (name, headers, body, status) in [
        ("as Promtail sends it", vec![V1], snappy(&push), 204),
        ("with a word", vec![V1, snap], snappy(&push), 204),
        ("without a type", vec![], snappy(&push), 204),
        ("gzip, as it says", vec![V1, ("content-encoding", "gzip")], gzip(&push), 204),
        ("not snappy", vec![V1], b"\xff\xff\xff\xff\xff".to_vec(), 400),
        ("JSON in the clear", vec![("content-type", "application/json")], b"{\"streams\":[]}".to_vec(), 204),
    ] {
        let answer = server.ask("POST /loki/api/v1/push", &headers, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    let found = sql(&server, "SELECT body, count(*) FROM logs GROUP BY body").await;
    assert_eq!(found, serde_json::json!([["hello", 4]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_spans_are_as_redacted_as_the_spans() {
    let server = Server::new(true, &[]).await;
    let key = format!("Bearer {}", server.key(&[KeyScope::Admin]).await);
    let spec = r#"{"processors": [
        {"type": "drop", "if": {"field": "name", "op": "exists"}},
        {"type": "set", "field": "name", "value": "redacted"}]}"#;
    let put = "PUT /api/v1/monitoring/objects/pipeline/traces";
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    assert_eq!(server.ask(put, &headers, spec).await.status, 200);
    let span = format!(
        r#"[{{"traceId":"{}","id":"0000000000000001","name":"alice@example.com","timestamp":{}000,"duration":5,
            "localEndpoint":{{"serviceName":"shop"}}}}]"#,
        "1".repeat(32),
        server.app.now_ms(),
    );
    let json = ("content-type", "application/json");
    assert_eq!(server.ask("POST /api/v2/spans", &[json], span).await.status, 202);
    server.app.record_span_metrics().await;
    assert_eq!(count(&server, r#"traces_spanmetrics_calls_total{span_name="redacted"}"#).await, "1");
    assert_eq!(count(&server, r#"{span_name=~"alice.*"}"#).await, "0");
}
