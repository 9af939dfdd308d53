use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use probe::check::CheckStatus::{Healthy, Unhealthy, Unknown};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::programs::{Identity, identity};
use crate::{Net, expect, run, run_with};

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// A server that speaks HTTP 1.1 and 2, and gRPC's health protocol; its port.
async fn serve(tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let flaky = Arc::new(AtomicUsize::new(0));
    kit::spawn::spawn("web", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, flaky) = (tls.clone(), Arc::clone(&flaky));
            kit::spawn::spawn("connection", async move {
                let service = service_fn(|request| answer(request, Arc::clone(&flaky)));
                let builder = Builder::new(TokioExecutor::new());
                // A client that goes away is no matter of the server.
                let _ = match tls {
                    None => builder.serve_connection(TokioIo::new(stream), service).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                        Err(_) => return,
                    },
                };
            });
        }
    });
    port
}

pub(crate) fn acceptor(identity: &Identity, alpn: &[&str]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain =
        CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).map(|c| c.expect("valid")).collect();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("valid")
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("valid"))
        .expect("valid");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn answer(request: Request<Incoming>, flaky: Arc<AtomicUsize>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let plain = |status: u16, body: &str| {
        let body = Full::new(Bytes::from(body.to_owned())).boxed();
        Response::builder().status(status).body(body).expect("valid")
    };
    let moved = |status: u16, to: &str| {
        let body = Full::new(Bytes::new()).boxed();
        Response::builder().status(status).header("location", to).body(body).expect("valid")
    };
    Ok(match path.as_str() {
        "/ok" => plain(200, "all is well"),
        "/json" => plain(200, r#"{"status": "ok", "queue": {"depth": 3}, "items": [1, 2]}"#),
        "/redirect" => moved(302, "/ok"),
        "/loop" => moved(302, "/loop"),
        "/temporary" => moved(307, "/echo"),
        "/forbidden" => moved(302, "http://forbidden/"),
        "/metadata" => moved(302, "http://169.254.169.254/latest"),
        "/other" => moved(
            302,
            &format!("http://other:{}/echo", request.uri().port_u16().unwrap_or_else(|| port_of(&request))),
        ),
        "/other-with-body" => moved(307, &format!("http://other:{}/echo", port_of(&request))),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            plain(200, "late")
        }
        "/big" => plain(200, &format!("{}end", "x".repeat(3 << 20))),
        "/flaky" if flaky.fetch_add(1, Ordering::SeqCst) % 3 < 2 => plain(503, "not yet"),
        "/flaky" => plain(200, "now"),
        "/echo" => plain(200, &echo(request).await),
        "/grpc.health.v1.Health/Check" => health(request).await,
        _ => plain(500, "broken"),
    })
}

fn port_of(request: &Request<Incoming>) -> u16 {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    host.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80)
}

/// A request as JSON.
async fn echo(request: Request<Incoming>) -> String {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let headers: serde_json::Map<String, Value> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let version = if head.version == Version::HTTP_2 { "2" } else { "1.1" };
    json!({
        "method": head.method.as_str(),
        "query": head.uri.query(),
        "version": version,
        "authority": head.uri.authority().map(ToString::to_string),
        "body": String::from_utf8_lossy(&body),
        "headers": headers,
    })
    .to_string()
}

/// Knows the services "" and "up", which serve, and "down", which does not.
async fn health(request: Request<Incoming>) -> Answer {
    let token = request.headers().get("x-token").cloned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let service = String::from_utf8_lossy(body.get(7..).unwrap_or_default()).into_owned();
    let (message, status): (&[u8], &str) = match service.as_str() {
        "" | "up" => (&[0, 0, 0, 0, 2, 8, 1], "0"),
        "down" => (&[0, 0, 0, 0, 2, 8, 2], "0"),
        "secret" if token.is_some_and(|token| token == "swordfish") => (&[0, 0, 0, 0, 2, 8, 1], "0"),
        "secret" => (&[], "16"),
        _ => (&[], "5"),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().expect("valid"));
    let body = Full::new(Bytes::copy_from_slice(message)).with_trailers(async { Some(Ok(trailers)) });
    Response::builder().header("content-type", "application/grpc").body(body.boxed()).expect("valid")
}

/// A check with one attempt.
fn http(url: String, config: Value) -> Value {
    json!({"type": "http", "target": url, "interval": 10, "timeout": 2, "retries": 1, "config": config})
}

#[tokio::test]
async fn http_is_judged_by_status_body_and_json() {
    let port = serve(None).await;
    let at = |path: &str| format!("http://localhost:{port}{path}");
    for (path, config, status, message) in [
        ("/ok", json!({}), Healthy, ""),
        ("/nope", json!({}), Unhealthy, "the status is 500, expected: 200-299"),
        ("/nope", json!({"expectedStatus": [500]}), Healthy, ""),
        (
            "/ok",
            json!({"expectedStatus": [204, "3xx"]}),
            Unhealthy,
            "the status is 200, expected: 204, 300-399",
        ),
        (
            "/ok",
            json!({"bodyContains": ["well"], "bodyNotContains": ["error"], "bodyMatches": "^all\\s"}),
            Healthy,
            "",
        ),
        ("/ok", json!({"bodyContains": ["all"]}), Healthy, ""),
        ("/ok", json!({"bodyContains": ["sick"]}), Unhealthy, "the body does not hold \"sick\""),
        ("/ok", json!({"bodyNotContains": ["well"]}), Unhealthy, "the body holds \"well\""),
        ("/ok", json!({"bodyMatches": "^well"}), Unhealthy, "does not match"),
        (
            "/json",
            json!({"json": [{"path": "$.status", "value": "ok"}, {"path": "$.queue.depth", "operator": "<", "value": 5}]}),
            Healthy,
            "",
        ),
        (
            "/json",
            json!({"json": [{"path": "$.items[-1]", "operator": ">", "value": 2}]}),
            Unhealthy,
            "$.items[-1] is 2, expected: > 2",
        ),
        ("/ok", json!({"json": [{"path": "$.a"}]}), Unhealthy, "the body is no JSON"),
        ("/redirect", json!({}), Healthy, ""),
        ("/redirect", json!({"followRedirects": false}), Healthy, ""),
        (
            "/redirect",
            json!({"followRedirects": false, "expectedStatus": [200]}),
            Unhealthy,
            "the status is 302",
        ),
        ("/loop", json!({}), Unhealthy, "it redirects more than 5 times"),
        ("/big", json!({"bodyContains": ["end"]}), Unhealthy, "the first MiB of the body does not hold"),
        ("/slow", json!({}), Unhealthy, "timed out after 2000 ms while waiting for the answer"),
        ("/ok", json!({"version": "2"}), Healthy, ""),
        ("/ok", json!({"minCertificateDays": 5}), Unhealthy, "no certificate"),
        (
            "/echo?a=b",
            json!({"method": "post", "body": "hello", "headers": {"X-Key": "k"},
            "json": [{"path": "method", "value": "POST"}, {"path": "query", "value": "a=b"}, {"path": "body", "value": "hello"},
                     {"path": "headers.x-key", "value": "k"}, {"path": "version", "value": "1.1"}]}),
            Healthy,
            "",
        ),
        (
            "/temporary",
            json!({"method": "POST", "body": "b", "headers": {"x-key": "k"},
            "json": [{"path": "body", "value": "b"}, {"path": "headers.x-key", "value": "k"}]}),
            Healthy,
            "",
        ),
        (
            "/echo",
            json!({"auth": {"type": "basic", "username": "u", "password": "p"},
            "json": [{"path": "headers.authorization", "value": "Basic dTpw"}]}),
            Healthy,
            "",
        ),
    ] {
        let result = run(http(at(path), config.clone())).await;
        assert_eq!(result.status, status, "{path} {config}: {:?}", result.message);
        expect(&result, status, message);
    }
    let result = run(http(at("/ok"), json!({}))).await;
    let timings = result.details.timings;
    assert_eq!(
        (result.details.http_status, result.details.address),
        (Some(200), Some(format!("127.0.0.1:{port}")))
    );
    assert!(
        timings.dns.is_some()
            && timings.connect.is_some()
            && timings.first_byte.is_some()
            && timings.tls.is_none()
    );
    assert!(timings.total > 0.0 && timings.total == result.latency_ms);
}

#[tokio::test]
async fn https_speaks_what_the_server_prefers_and_watches_the_certificate() {
    let own = identity(&["localhost"], 20);
    let port = serve(Some(acceptor(&own, &["h2", "http/1.1"]))).await;
    let url = format!("https://localhost:{port}/echo");
    let tls = json!({"ca": own.ca});
    let version = |version: &str| json!([{"path": "version", "value": version}]);
    for (config, status, message) in [
        (json!({"tls": tls, "json": version("2"), "minCertificateDays": 14}), Healthy, ""),
        (json!({"tls": tls, "version": "1.1", "json": version("1.1")}), Healthy, ""),
        (json!({"tls": tls, "version": "2", "json": version("2")}), Healthy, ""),
        (json!({"tls": tls, "minCertificateDays": 30}), Unhealthy, "ends in 20 days, at least 30 are wanted"),
        (json!({}), Unhealthy, "UnknownIssuer"),
        (json!({"tls": {"insecureSkipVerify": true}}), Healthy, ""),
        (json!({"tls": {"ca": own.ca, "serverName": "other"}}), Unhealthy, "certificate not valid for name"),
    ] {
        let result = run(http(url.clone(), config)).await;
        expect(&result, status, message);
        assert_eq!(result.details.certificate.unwrap().days_left, 20, "also where it is refused");
    }
}

#[tokio::test]
async fn a_target_that_fails_twice_is_healthy_at_the_third_attempt() {
    let port = serve(None).await;
    let spec = |retries: u32| json!({"type": "http", "target": format!("http://localhost:{port}/flaky"), "interval": 10, "retries": retries});
    let result = run(spec(3)).await;
    assert_eq!((result.status, result.attempts), (Healthy, 3));
    let result = run(spec(2)).await;
    assert_eq!((result.status, result.attempts), (Unhealthy, 2));
}

#[tokio::test]
async fn every_redirect_is_judged_and_takes_no_secret_elsewhere() {
    let port = serve(None).await;
    let net = || Arc::new(Net::local(&["localhost", "other"]));
    let at = |path: &str| format!("http://localhost:{port}{path}");
    for path in ["/forbidden", "/metadata"] {
        let net = net();
        let result = run_with(Arc::<Net>::clone(&net), Arc::new(()), http(at(path), json!({}))).await;
        expect(&result, Unknown, "is never reached");
        assert_eq!(net.asked.lock().len(), 2);
    }
    expect(&run(http("http://forbidden/".into(), json!({}))).await, Unknown, "forbidden is never reached");
    expect(&run(http("http://nowhere/".into(), json!({}))).await, Unhealthy, "\"nowhere\" has no address");
    let absent = |path: &str| json!({"path": path, "operator": "absent"});
    let config = json!({"headers": {"x-key": "swordfish"}, "auth": {"type": "bearer", "token": "swordfish"},
        "json": [absent("headers.x-key"), absent("headers.authorization")]});
    expect(&run_with(net(), Arc::new(()), http(at("/other"), config)).await, Healthy, "");
    let config = json!({"method": "POST", "body": "x"});
    let result = run_with(net(), Arc::new(()), http(at("/other-with-body"), config)).await;
    expect(&result, Unhealthy, "redirects a request with a body to another origin");
}

#[tokio::test]
async fn no_message_shows_a_secret() {
    let port = serve(None).await;
    let config = json!({"headers": {"x-key": "swordfish-7"}, "auth": {"type": "bearer", "token": "swordfish-8"},
        "json": [{"path": "headers.authorization", "value": "x"}]});
    let result = run(http(format!("http://localhost:{port}/echo"), config)).await;
    expect(&result, Unhealthy, "headers.authorization is \"Bearer ***\", expected: == \"x\"");
    assert!(!serde_json::to_string(&result).unwrap().contains("swordfish"));
}

#[tokio::test]
async fn timeouts_cover_everything_and_attempts_end_within_the_interval() {
    let port = serve(None).await;
    let spec = json!({"type": "http", "target": format!("http://localhost:{port}/slow"), "interval": 2, "timeout": 1, "retries": 10});
    let began = Instant::now();
    let result = run(spec).await;
    expect(&result, Unhealthy, "timed out after");
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    assert!(result.attempts == 2, "{}", result.attempts);
}

#[tokio::test]
async fn grpc_is_asked_for_the_health_of_a_service() {
    let own = identity(&["localhost"], 90);
    let (plain, secure) = (serve(None).await, serve(Some(acceptor(&own, &["h2"]))).await);
    for (target, config, status, message) in [
        (format!("localhost:{plain}"), json!({}), Healthy, ""),
        (format!("grpc://localhost:{plain}"), json!({"service": "up"}), Healthy, ""),
        (format!("localhost:{plain}"), json!({"service": "down"}), Unhealthy, "NOT_SERVING"),
        (format!("localhost:{plain}"), json!({"service": "what"}), Unhealthy, "NOT_FOUND"),
        (
            format!("localhost:{plain}"),
            json!({"service": "secret"}),
            Unhealthy,
            "the call failed with status 16",
        ),
        (
            format!("localhost:{plain}"),
            json!({"service": "secret", "metadata": {"x-token": "swordfish"}}),
            Healthy,
            "",
        ),
        (format!("grpcs://localhost:{secure}"), json!({"tls": {"ca": own.ca}}), Healthy, ""),
        (format!("grpcs://localhost:{secure}"), json!({}), Unhealthy, "UnknownIssuer"),
    ] {
        let spec = json!({"type": "grpc", "target": target, "retries": 1, "config": config});
        expect(&run(spec).await, status, message);
    }
}

#[tokio::test]
async fn websockets_are_shaken_hands_with_and_talked_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    kit::spawn::spawn("sockets", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
            kit::spawn::spawn("socket", async move {
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let web = serve(None).await;
    for (port, config, status, message) in [
        (address.port(), json!({}), Healthy, ""),
        (address.port(), json!({"send": "hello", "expect": "ell"}), Healthy, ""),
        (
            address.port(),
            json!({"send": "hello", "expect": "bye"}),
            Unhealthy,
            "while waiting for the expected message",
        ),
        (web, json!({}), Unhealthy, "it is no WebSocket: the status is 500"),
    ] {
        let spec = json!({"type": "websocket", "target": format!("ws://localhost:{port}/ws"), "interval": 10, "timeout": 1, "retries": 1, "config": config});
        expect(&run(spec).await, status, message);
    }
}
