//! A role with a selector: whoever carries it sees one team's telemetry by no path more than that.

use serde_json::{Value, json};

use super::people::{Person, tenant};
use crate::testing::{Answer, Server};

/// Of one trace both teams have a span, and each has one of its own.
const SHARED_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const ALPHA_TRACE: &str = "0af7651916cd43dd8448eb211c8031aa";
const BRAVO_TRACE: &str = "0af7651916cd43dd8448eb211c8031bb";

/// A tenant in which teams `alpha` and `bravo` have telemetry; everything of the latter has its name in it.
struct Teams {
    server: Server,
    admin: Person,
    /// Somebody whose role sees `alpha` only, and a key of theirs.
    lead: Person,
    key: String,
    now_ms: i64,
}

impl Teams {
    async fn new() -> Self {
        let server = Server::new(false, &[]).await;
        let acme = tenant(&server, "acme").await;
        let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
        let role = json!({
            "name": "alpha-lead", "selector": "{squad=\"alpha\"}",
            "permissions": ["telemetry:read", "objects:read", "objects:write", "settings:read", "audit:read",
                "data:delete", "keys:manage", "members:manage"],
        });
        let made = admin.ask(&server, "POST /api/v1/tenants/current/roles", role.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let lead = Person::new(&server, &acme, "lead@acme.example", "alpha-lead").await;
        let key = json!({ "name": "dashboards", "scopes": ["query"] }).to_string();
        let key = lead.ask(&server, "POST /api/v1/tenants/current/keys", key).await;
        assert_eq!((key.status.as_u16(), &key.json()["selector"]), (201, &json!("{squad=\"alpha\"}")));
        let key = format!("Bearer {}", key.json()["key"].as_str().unwrap());
        let now_ms = server.app.now_ms();
        let teams = Self { server, admin, lead, key, now_ms };
        teams.send().await;
        teams
    }

    async fn send(&self) {
        let t = self.now_ms - 1000;
        let of = |team: &str| {
            format!(
                "# HELP {team}_requests_total Requests of {team}\n# TYPE {team}_requests_total counter\n\
                 {team}_requests_total{{squad=\"{team}\",host=\"{team}-1\"}} 5 {t}\n\
                 shared{{squad=\"{team}\",{team}_label=\"{team}\"}} 1 {t}\n\
                 node_uname_info{{squad=\"{team}\",instance=\"{team}-host\"}} 1 {t}\n"
            )
        };
        let metrics = format!("{}{}bravo_alone 1 {t}\n", of("alpha"), of("bravo"));
        let log = |team: &str| {
            json!({ "message": format!("{team} order paid"), "service": format!("{team}-shop"), "squad": team,
                format!("{team}_field"): team })
        };
        // A row without the label is nobody's.
        let logs = json!([log("alpha"), log("bravo"), { "message": "bravo without a team" }]);
        let event =
            |team: &str| json!({ "name": format!("{team} deployed"), "attributes": { "squad": team } });
        let command =
            |team: &str| json!({ "command": format!("{team} migrate"), "attributes": { "squad": team } });
        let events = json!([event("alpha"), event("bravo"), command("alpha"), command("bravo")]);
        for (line, body) in [
            ("POST /api/v1/import/prometheus", metrics),
            ("POST /api/v1/monitoring/logs", logs.to_string()),
            ("POST /api/v1/monitoring/events", events.to_string()),
            ("POST /v1/traces", self.spans().to_string()),
        ] {
            let sent =
                self.admin.ask_with(&self.server, line, &[("content-type", "application/json")], body).await;
            assert!(
                sent.status.is_success() && !sent.text().contains("\"reason\""),
                "{line}: {}",
                sent.text()
            );
        }
    }

    fn spans(&self) -> Value {
        let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let start_ns = (self.now_ms - 60_000) * 1_000_000;
        let span = |trace: &str, id: &str, parent: &str, team: &str, kind: u32| {
            json!({
                "traceId": trace, "spanId": id, "parentSpanId": parent, "name": format!("{team} step"),
                "kind": kind, "startTimeUnixNano": start_ns.to_string(),
                "endTimeUnixNano": (start_ns + 50_000_000).to_string(),
                "attributes": [text(&format!("{team}.attribute"), team)],
            })
        };
        let of = |team: &str, spans: Value| {
            let attributes = [text("service.name", &format!("{team}-shop")), text("squad", team)];
            json!({ "resource": { "attributes": attributes }, "scopeSpans": [{ "spans": spans }] })
        };
        json!({ "resourceSpans": [
            of("alpha", json!([
                span(SHARED_TRACE, "0000000000000001", "", "alpha", 3),
                span(ALPHA_TRACE, "0000000000000002", "", "alpha", 2),
            ])),
            of("bravo", json!([
                span(SHARED_TRACE, "0000000000000003", "0000000000000001", "bravo", 2),
                span(BRAVO_TRACE, "0000000000000004", "", "bravo", 2),
            ])),
        ]})
    }

    async fn by_key(&self, line: &str, body: Vec<u8>) -> Answer {
        self.server.ask(line, &[("authorization", &self.key)], body).await
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn varint(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    prost::encoding::encode_varint(value, out);
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    prost::encoding::encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// A remote read of all series.
fn remote_read(end_ms: i64) -> Vec<u8> {
    let (mut matcher, mut query, mut request) = (Vec::new(), Vec::new(), Vec::new());
    varint(&mut matcher, 1, 2);
    bytes(&mut matcher, 2, b"__name__");
    bytes(&mut matcher, 3, b".+");
    varint(&mut query, 1, 0);
    varint(&mut query, 2, end_ms as u64);
    bytes(&mut query, 3, &matcher);
    bytes(&mut request, 1, &query);
    snap::raw::Encoder::new().compress_vec(&request).unwrap()
}

/// Requests whose answer has something of team `alpha`.
fn reads(now_ms: i64, log_id: &str) -> Vec<(String, String)> {
    let (start, end) = (now_ms / 1000 - 3600, now_ms / 1000 + 60);
    let range = format!("start={start}&end={end}");
    let (start_text, end_text) =
        (crate::realtime::timestamp(start * 1000), crate::realtime::timestamp(end * 1000));
    let all = encoded(r#"{__name__=~".+"}"#);
    let get = |path: String| (format!("GET {path}"), String::new());
    let mut rows = vec![
        get(format!("/api/v1/query?query={all}")),
        get(format!("/prometheus/api/v1/query?query={all}")),
        get(format!("/api/v1/query?query={all}&format=csv")),
        get(format!("/api/v1/query_range?query=shared&{range}&step=1")),
        get(format!("/api/v1/query?query={}", encoded("count by (squad) ({__name__!=\"\"})"))),
        get("/api/v1/labels".into()),
        get("/api/v1/label/squad/values".into()),
        get("/api/v1/label/host/values".into()),
        get("/api/v1/label/__name__/values".into()),
        get(format!("/api/v1/series?match[]={all}")),
        get("/api/v1/metadata".into()),
        get("/api/v1/status/tsdb".into()),
        get(format!("/federate?match[]={all}")),
        get("/api/v1/monitoring/metrics?name=shared".into()),
        get("/api/v1/monitoring/hosts".into()),
    ];
    for (signal, name) in [("logs", "alpha_field"), ("spans", "alpha.attribute"), ("events", "squad")] {
        let base = format!("/api/v1/monitoring/{signal}");
        rows.push(get(base.clone()));
        rows.push(get(format!("{base}/histogram?by=squad")));
        rows.push(get(format!("{base}/facets?fields=squad,{name}")));
        rows.push(get(format!("{base}/values?field=squad")));
        let search = json!({ "search": "*", "table": signal });
        rows.push(("POST /api/v1/sql".into(), search.to_string()));
    }
    rows.push(get("/api/v1/monitoring/logs/fields".into()));
    rows.push(get("/api/v1/monitoring/spans/fields".into()));
    rows.push(get("/api/v1/monitoring/logs/patterns".into()));
    rows.push(get(format!("/api/v1/monitoring/logs/context?id={}", encoded(log_id))));
    for statement in [
        "SELECT * FROM logs",
        "SELECT * FROM spans",
        "SELECT * FROM events",
        "SELECT * FROM metrics",
        "SELECT * FROM LogEntry",
        "SELECT * FROM command_executions",
        "SELECT squad, count(*) FROM logs GROUP BY squad",
        "SELECT l.body, s.name FROM logs l CROSS JOIN spans s",
        "SELECT body FROM logs UNION ALL SELECT name FROM events",
    ] {
        rows.push(("POST /api/v1/sql".into(), json!({ "query": statement }).to_string()));
    }
    for path in [
        format!("/tempo/api/search?q={}&{range}", encoded("{}")),
        format!("/tempo/api/search/tags?{range}"),
        format!("/tempo/api/v2/search/tags?{range}"),
        format!("/tempo/api/search/tag/service.name/values?{range}"),
        format!("/tempo/api/v2/search/tag/resource.squad/values?{range}"),
        format!(
            "/tempo/api/metrics/query_range?q={}&{range}&step=60s",
            encoded("{} | rate() by (resource.squad)")
        ),
        format!(
            "/tempo/api/metrics/query?q={}&{range}",
            encoded("{} | count_over_time() by (resource.squad)")
        ),
        format!("/tempo/api/traces/{SHARED_TRACE}"),
        format!("/tempo/api/v2/traces/{SHARED_TRACE}"),
        "/jaeger/api/services".into(),
        "/jaeger/api/services/alpha-shop/operations".into(),
        "/jaeger/api/operations?service=alpha-shop".into(),
        "/jaeger/api/traces?service=alpha-shop".into(),
        "/api/traces?service=alpha-shop".into(),
        format!("/jaeger/api/traces/{SHARED_TRACE}"),
        "/jaeger/api/v3/services".into(),
        "/jaeger/api/v3/operations?service=alpha-shop".into(),
        format!(
            "/jaeger/api/v3/traces?query.service_name=alpha-shop&query.start_time_min={start_text}&query.start_time_max={end_text}"
        ),
        format!("/jaeger/api/v3/traces/{SHARED_TRACE}"),
        "/api/v1/monitoring/traces".into(),
        format!("/api/v1/monitoring/traces/{SHARED_TRACE}"),
        "/api/v1/monitoring/services".into(),
        "/api/v1/monitoring/services/alpha-shop".into(),
        "/api/v1/monitoring/topology".into(),
        "/api/v1/monitoring/topology.dot".into(),
    ] {
        rows.push(get(path));
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_shows_what_the_selector_of_the_role_leaves_out() {
    let teams = Teams::new().await;
    let (server, lead) = (&teams.server, &teams.lead);
    let first = lead.ask(server, "GET /api/v1/monitoring/logs", "").await.json();
    assert_eq!(first["rows"].as_array().map(Vec::len), Some(1), "{first}");
    let log_id = first["rows"][0]["id"].as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    for (line, body) in reads(teams.now_ms, &log_id) {
        for (by, answer) in [
            ("session", lead.ask(server, &line, body.clone()).await),
            ("key", teams.by_key(&line, body.clone().into_bytes()).await),
        ] {
            let text = answer.text();
            if answer.status != 200 || text.contains("bravo") || !text.contains("alpha") {
                wrong.push(format!("{by}: {line} {body}: {} {text}", answer.status));
            }
        }
        // Who sees all finds both by the same question, or the question says nothing.
        let all = teams.admin.ask(server, &line, body.clone()).await.text();
        let asks_of_alpha = line.contains("alpha-shop") || line.contains("context");
        if !all.contains("bravo") && !asks_of_alpha {
            wrong.push(format!("administrator: {line} {body}: {all}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let read = lead.ask(server, "POST /api/v1/read", remote_read(teams.now_ms + 1000)).await;
    assert_eq!(read.status, 200, "{}", read.text());
    let plain = snap::raw::Decoder::new().decompress_vec(&read.body).unwrap();
    let plain = String::from_utf8_lossy(&plain);
    assert!(plain.contains("alpha") && !plain.contains("bravo"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_others_find_nothing() {
    let teams = Teams::new().await;
    let (server, lead) = (&teams.server, &teams.lead);
    let one = lead.ask(server, "GET /api/v1/query?query=count(shared)", "").await.json();
    assert_eq!(one["data"]["result"][0]["value"][1], "1", "aggregates are of what is seen");
    for (line, body, path, want) in [
        ("GET /api/v1/query?query=bravo_requests_total", "", "/data/result", json!([])),
        ("GET /api/v1/query?query=shared%7Bsquad%3D%22bravo%22%7D", "", "/data/result", json!([])),
        ("GET /api/v1/query_exemplars?query=bravo_requests_total", "", "/data", json!([])),
        ("GET /api/v1/metadata?metric=bravo_requests_total", "", "/data", json!({})),
        ("GET /api/v1/monitoring/logs?query=bravo", "", "/rows", json!([])),
        ("GET /api/v1/monitoring/events?query=-squad:alpha", "", "/rows", json!([])),
        ("POST /api/v1/sql", r#"{"query":"SELECT count(*) FROM logs"}"#, "/rows", json!([[1]])),
        ("POST /api/v1/sql", r#"{"query":"SELECT count(*) FROM spans"}"#, "/rows", json!([[2]])),
        ("POST /api/v1/sql", r#"{"search":"*","count":true}"#, "/rows", json!([[1]])),
        ("GET /jaeger/api/traces?service=bravo-shop", "", "/data", json!([])),
        ("GET /api/v1/monitoring/hosts", "", "/hosts/1", Value::Null),
    ] {
        let answer = lead.ask(server, line, body).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.text());
        let found = answer.json().pointer(path).cloned().unwrap_or(Value::Null);
        assert_eq!(found, want, "{line} {body}");
    }
    for path in ["/api/v1/monitoring/traces/", "/tempo/api/traces/", "/jaeger/api/traces/"] {
        let answer = lead.ask(server, &format!("GET {path}{BRAVO_TRACE}"), "").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

/// What cannot be narrowed is refused in words that say why.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_the_whole_tenant_is_refused() {
    let teams = Teams::new().await;
    for path in [
        "/metrics",
        "/api/v1/targets",
        "/api/v1/targets/metadata",
        "/api/v1/scrape_pools",
        "/api/v1/tenants/current/usage",
        "/api/v1/monitoring/deletions",
        "/api/v1/monitoring/audit",
        "/api/v1/monitoring/audit/export",
        "/api/v1/monitoring/audit/verify",
    ] {
        let line = format!("GET {path}");
        let refused = teams.lead.ask(&teams.server, &line, "").await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        assert!(refused.text().contains("your role shows only {squad="), "{path}: {}", refused.text());
        // The server's own figures are for those who operate it.
        let want = if path == "/metrics" { 403 } else { 200 };
        assert_eq!(teams.admin.ask(&teams.server, &line, "").await.status, want, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_reach_as_far_as_reads() {
    let teams = Teams::new().await;
    let (server, lead, admin) = (&teams.server, &teams.lead, &teams.admin);
    let delete = json!({ "query": "*", "start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z" });
    let deleted = lead.ask(server, "POST /api/v1/monitoring/logs/delete", delete.to_string()).await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()["rows"]), (202, &json!(1)), "{}", deleted.text());
    let left = admin.ask(server, "GET /api/v1/monitoring/logs", "").await.json();
    assert_eq!(left["rows"].as_array().map(Vec::len), Some(2), "{left}");
    let line = "POST /api/v1/admin/tsdb/delete_series?match[]=shared";
    assert_eq!(lead.ask(server, line, "").await.status, 204);
    let left = admin.ask(server, "GET /api/v1/query?query=shared", "").await.json();
    assert_eq!(left["data"]["result"].as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(left["data"]["result"][0]["metric"]["squad"], "bravo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_is_checked_when_it_is_saved_and_followed_from_then_on() {
    let teams = Teams::new().await;
    let (server, lead, admin) = (&teams.server, &teams.lead, &teams.admin);
    let role = |selector: &str| {
        json!({ "name": "r", "permissions": ["telemetry:read"], "selector": selector }).to_string()
    };
    for (selector, part) in [
        ("{", "write one such as"),
        ("{}", "write one such as"),
        ("{squad=~\"(\"}", "write one such as"),
        ("{level=\"error\"}", "use another label"),
        ("{a_b_c_d_e_f=\"x\"}", "use another label"),
    ] {
        let answer = admin.ask(server, "POST /api/v1/tenants/current/roles", role(selector)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["field"]), (400, &json!("selector")));
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    // Nobody gives a wider view than they have.
    for (line, body) in [
        ("POST /api/v1/tenants/current/roles", role("{squad=~\".+\"}")),
        ("POST /api/v1/tenants/current/roles", role("")),
        ("POST /api/v1/tenants/current/invitations", r#"{"email":"x@y.example","role":"viewer"}"#.into()),
    ] {
        let answer = lead.ask(server, line, body).await;
        assert_eq!(answer.status, 403, "{line}: {}", answer.text());
    }
    // A change of the role holds at once for sessions; the key of before keeps what it was made with.
    let wider = json!({ "permissions": ["telemetry:read"], "selector": "{squad=~\"alpha|bravo\"}" });
    let line = "PUT /api/v1/tenants/current/roles/alpha-lead";
    assert_eq!(admin.ask(server, line, wider.to_string()).await.status, 200);
    let teams_seen = async |answer: Answer| answer.json()["data"].clone();
    let line = "GET /api/v1/label/squad/values";
    assert_eq!(teams_seen(lead.ask(server, line, "").await).await, json!(["alpha", "bravo"]));
    assert_eq!(teams_seen(teams.by_key(line, Vec::new()).await).await, json!(["alpha"]));
}
