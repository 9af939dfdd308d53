use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use probe::check::CheckStatus::{Healthy, Unhealthy, Unknown};
use probe::check::{Exit, Facts, QueryLanguage, Verdict};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::programs::{free_port, identity};
use crate::web::acceptor;
use crate::{Net, expect, run, run_with};

/// A server that greets and repeats what it hears; its port.
async fn parrot() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the stand-in keeps up");
    let port = listener.local_addr().expect("the stand-in keeps up").port();
    kit::spawn::spawn("parrot", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            kit::spawn::spawn("parrot's ear", async move {
                let mut buffer = [0; 1024];
                let _ = stream.write_all(b"220 ready\r\n").await;
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let _ = stream.write_all(&buffer[..length]).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn an_open_port_is_healthy_and_a_closed_one_is_not() {
    let (open, closed) = (parrot().await, free_port());
    for (port, config, status, message) in [
        (open, json!({}), Healthy, ""),
        (closed, json!({}), Unhealthy, "cannot connect to 127.0.0.1"),
        (open, json!({"expect": "220 "}), Healthy, ""),
        (open, json!({"send": "HELO x\r\n", "expect": "HELO x"}), Healthy, ""),
        (
            open,
            json!({"expect": "500"}),
            Unhealthy,
            "timed out after 1000 ms while waiting for the expected text",
        ),
    ] {
        let spec = json!({"type": "tcp", "target": format!("localhost:{port}"), "interval": 10, "timeout": 1, "retries": 1, "config": config});
        expect(&run(spec).await, status, message);
    }
    // The first address refuses, the second accepts.
    let net = Net::default().with("two", &["127.0.0.2:1", &format!("127.0.0.1:{open}")]);
    let result = run_with(Arc::new(net), Arc::new(()), json!({"type": "tcp", "target": "two:1"})).await;
    expect(&result, Healthy, "");
    assert_eq!(result.details.address, Some(format!("127.0.0.1:{open}")));
}

#[tokio::test]
async fn certificates_are_judged_by_age_names_and_chain() {
    let mut ports = Vec::new();
    let identities = [
        identity(&["localhost", "*.a.example"], 40),
        identity(&["localhost"], 5),
        identity(&["localhost"], -3),
        identity(&["elsewhere"], 40),
    ];
    for identity in &identities {
        let acceptor = acceptor(identity, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(listener.local_addr().unwrap().port());
        kit::spawn::spawn("tls", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
    }
    for (which, config, status, message) in [
        (0, json!({}), Healthy, ""),
        (0, json!({"minDays": 41}), Unhealthy, "the certificate ends in 40 days, at least 41 are wanted"),
        (0, json!({"names": ["localhost", "x.a.example", "*.a.example"]}), Healthy, ""),
        (0, json!({"names": ["b.example"]}), Unhealthy, "the certificate is not good for \"b.example\""),
        (1, json!({}), Unhealthy, "the certificate ends in 5 days, at least 14 are wanted"),
        (1, json!({"minDays": 3}), Healthy, ""),
        (2, json!({}), Unhealthy, "the certificate ended 3 days ago"),
        (3, json!({}), Unhealthy, "not valid for name"),
        (3, json!({"verifyChain": false}), Healthy, ""),
    ] {
        let mut config = config;
        config["tls"] = json!({"ca": identities[which].ca});
        let spec = json!({"type": "tls", "target": format!("localhost:{}", ports[which]), "retries": 1, "config": config});
        let result = run(spec).await;
        expect(&result, status, message);
        assert_eq!(
            result.details.certificate.unwrap().subject,
            if which == 3 { "elsewhere" } else { "localhost" }
        );
    }
    let spec = json!({"type": "tls", "target": format!("localhost:{}", ports[0]), "retries": 1});
    expect(&run(spec).await, Unhealthy, "the certificate is not trusted");
}

/// A name server that knows `known.example`, by its UDP and TCP port.
async fn name_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the stand-in keeps up");
    let address = listener.local_addr().expect("the stand-in keeps up");
    let socket = UdpSocket::bind(address).await.expect("the stand-in keeps up");
    kit::spawn::spawn("names", async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let answer = resolve(&buffer[..length], false);
            let _ = socket.send_to(&answer, from).await;
        }
    });
    kit::spawn::spawn("names by TCP", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.expect("the stand-in keeps up");
            let mut question = vec![0; length.into()];
            stream.read_exact(&mut question).await.expect("the stand-in keeps up");
            let answer = resolve(&question, true);
            stream.write_u16(answer.len() as u16).await.expect("the stand-in keeps up");
            stream.write_all(&answer).await.expect("the stand-in keeps up");
        }
    });
    address.port()
}

fn resolve(question: &[u8], by_tcp: bool) -> Vec<u8> {
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let known = question[12..].starts_with(b"\x05known");
    let name = b"\x03www\xc0\x0c";
    let records: Vec<Vec<u8>> = match kind {
        1 => vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]],
        28 => vec![[&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat()],
        5 | 2 => vec![name.to_vec()],
        15 => vec![[&[0, 10][..], name].concat()],
        33 => vec![[&[0, 1, 0, 2, 1, 0xbb][..], name].concat()],
        16 => vec![b"\x05v=spf\x021 ".to_vec()],
        257 => vec![b"\0\x05issueca.example".to_vec()],
        6 => vec![[&name[..], name, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]].concat()],
        _ => Vec::new(),
    };
    let truncated = kind == 16 && !by_tcp;
    let flags: u16 = match (known, truncated) {
        (false, _) => 0x8183,
        (true, true) => 0x8380,
        (true, false) => 0x8180,
    };
    let mut out = question.to_vec();
    out[2..4].copy_from_slice(&flags.to_be_bytes());
    if flags != 0x8180 {
        return out;
    }
    out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for data in records {
        out.extend_from_slice(&[0xc0, 12]);
        for word in [kind, 1, 0, 60, data.len() as u16] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&data);
    }
    out
}

#[tokio::test]
async fn records_are_looked_up_and_compared() {
    let port = name_server().await;
    for (name, kind, expected, matching, status, message) in [
        ("known.example", "A", json!([]), "all", Healthy, ""),
        ("known.example", "A", json!(["192.0.2.1"]), "all", Healthy, ""),
        (
            "known.example",
            "A",
            json!(["192.0.2.1"]),
            "exact",
            Unhealthy,
            "the answer has \"192.0.2.2\" as well",
        ),
        ("known.example", "A", json!(["192.0.2.1", "192.0.2.9"]), "any", Healthy, ""),
        ("known.example", "A", json!(["192.0.2.9"]), "any", Unhealthy, "none of the expected values"),
        ("known.example", "A", json!(["192.0.2.9"]), "all", Unhealthy, "does not have \"192.0.2.9\""),
        ("known.example.", "AAAA", json!(["2001:db8::1"]), "exact", Healthy, ""),
        ("known.example", "CNAME", json!(["WWW.known.example."]), "exact", Healthy, ""),
        ("known.example", "NS", json!(["www.known.example"]), "exact", Healthy, ""),
        ("known.example", "MX", json!(["10 www.known.example"]), "exact", Healthy, ""),
        ("known.example", "SRV", json!(["1 2 443 www.known.example"]), "exact", Healthy, ""),
        ("known.example", "TXT", json!(["v=spf1 "]), "exact", Healthy, ""),
        ("known.example", "CAA", json!(["0 issue \"ca.example\""]), "exact", Healthy, ""),
        (
            "known.example",
            "SOA",
            json!(["www.known.example www.known.example 1 2 3 4 5"]),
            "exact",
            Healthy,
            "",
        ),
        ("known.example", "PTR", json!([]), "all", Unhealthy, "has no records of type Ptr"),
        ("unknown.example", "A", json!([]), "all", Unhealthy, "NXDOMAIN"),
        ("a..b", "A", json!([]), "all", Unknown, "no domain name"),
    ] {
        let config = json!({"recordType": kind, "server": format!("127.0.0.1:{port}"), "expected": expected, "matching": matching});
        let spec = json!({"type": "dns", "target": name, "retries": 1, "config": config});
        let result = run(spec).await;
        assert_eq!(result.status, status, "{name} {kind} {expected}: {:?}", result.message);
        expect(&result, status, message);
    }
    let spec = json!({"type": "dns", "target": "x.example", "config": {"server": "forbidden"}});
    expect(&run(spec).await, Unknown, "forbidden is never reached");
}

#[tokio::test]
async fn echo_requests_are_answered_or_the_sysctl_is_named() {
    let result = run(json!({"type": "icmp", "target": "localhost", "config": {"count": 3}})).await;
    match result.status {
        Healthy => {
            assert_eq!(result.details.values["lossPercent"], 0.0);
            assert!(result.details.values["rttMs"] < 1000.0);
        }
        _ => expect(&result, Unknown, "net.ipv4.ping_group_range"),
    }
}

/// A caller that knows some things.
#[derive(Debug)]
struct Known;

#[async_trait]
impl Facts for Known {
    fn host_root(&self) -> Option<&Path> {
        Some(Path::new("/"))
    }

    async fn query(&self, language: QueryLanguage, query: &str) -> Result<Vec<f64>, String> {
        match (language, query) {
            (QueryLanguage::Promql, "up") => Ok(vec![1.0, 0.5]),
            (QueryLanguage::Sql, "empty") => Ok(Vec::new()),
            _ => Err("unknown function".into()),
        }
    }

    async fn last_report(&self, check: &str) -> Result<Option<probe::check::Report>, String> {
        assert_eq!(check, "test");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the stand-in keeps up");
        Ok(Some(probe::check::Report { at: now.as_millis() as i64 - 90_000, failed: None }))
    }

    async fn command(&self, name: &str, args: &[String]) -> Result<Exit, String> {
        match name {
            "backup-age" => Ok(Exit { code: args.len() as i32, output: "checked\n".into() }),
            _ => Err(format!("{name:?} is not in the list of allowed commands")),
        }
    }

    async fn function(&self, name: &str, arguments: &Map<String, Value>) -> Result<Verdict, String> {
        Ok(Verdict { healthy: arguments["want"] == json!(true), message: Some(format!("{name} says no")) })
    }
}

#[tokio::test]
async fn the_machine_and_what_the_caller_knows_are_judged() {
    let query = |language: &str, query: &str, operator: &str, threshold: f64| json!({"type": "query", "target": query, "config": {"language": language, "operator": operator, "threshold": threshold}});
    for (spec, status, message) in [
        (json!({"type": "disk", "target": "/", "config": {"minFreeBytes": 1}}), Healthy, ""),
        (
            json!({"type": "disk", "target": "/", "config": {"minFreeBytes": 1u64 << 60}}),
            Unhealthy,
            "bytes are free, at least",
        ),
        (
            json!({"type": "disk", "target": "/", "config": {"maxUsedPercent": 0.0}}),
            Unhealthy,
            "of the space is in use",
        ),
        (
            json!({"type": "disk", "target": "/", "config": {"minFreePercent": 100.0}}),
            Unhealthy,
            "of the space is free",
        ),
        (json!({"type": "disk", "target": "/no/such/path"}), Unhealthy, "/no/such/path cannot be looked at"),
        (json!({"type": "memory", "config": {"maxUsedPercent": 100.0}}), Healthy, ""),
        (
            json!({"type": "memory", "config": {"maxUsedPercent": 0.1}}),
            Unhealthy,
            "of the memory is in use, at most 0.1 %",
        ),
        (json!({"type": "heartbeat", "interval": 60, "config": {"grace": 60}}), Healthy, ""),
        (
            json!({"type": "heartbeat", "interval": 60, "config": {"grace": 10}}),
            Unhealthy,
            "the last report is 90 s old",
        ),
        (query("promql", "up", ">=", 0.5), Healthy, ""),
        (query("promql", "up", "==", 1.0), Unhealthy, "the value is 0.5, expected: == 1"),
        (query("sql", "empty", "<", 1.0), Unknown, "the query has no value"),
        (query("search", "x", "<", 1.0), Unknown, "the query failed: unknown function"),
        (json!({"type": "command", "target": "backup-age", "locations": ["a"]}), Healthy, ""),
        (
            json!({"type": "command", "target": "backup-age", "retries": 1, "locations": ["a"], "config": {"args": ["x"]}}),
            Unhealthy,
            "ended with 1, expected: 0; checked",
        ),
        (json!({"type": "command", "target": "rm", "locations": ["a"]}), Unknown, "not in the list"),
        (json!({"type": "custom", "target": "f", "config": {"arguments": {"want": true}}}), Healthy, ""),
        (
            json!({"type": "custom", "target": "f", "retries": 1, "config": {"arguments": {"want": 0}}}),
            Unhealthy,
            "f says no",
        ),
    ] {
        let result = run_with(Arc::new(Net::default()), Arc::new(Known), spec.clone()).await;
        assert_eq!(result.status, status, "{spec}: {:?}", result.message);
        expect(&result, status, message);
    }
    for spec in [
        json!({"type": "disk", "target": "/"}),
        json!({"type": "memory"}),
        json!({"type": "heartbeat"}),
        query("promql", "up", ">", 0.0),
        json!({"type": "command", "target": "x", "locations": ["a"]}),
        json!({"type": "custom", "target": "x"}),
    ] {
        assert_eq!(run(spec.clone()).await.status, Unknown, "{spec}");
    }
}
