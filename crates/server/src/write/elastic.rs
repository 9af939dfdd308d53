//! Elasticsearch's `_bulk`, and as much of its API as shippers ask for before they send: Filebeat, Logstash,
//! Fluent Bit and Vector look at version, license, templates and policies, and refuse a server that is no
//! Elasticsearch by its `X-Elastic-Product` header.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use ingest::bulk;
use serde_json::{Map, Value, json};

use super::bodies::ElasticBulk;
use super::rows::{append, context};
use crate::app::SharedApp;
use crate::chain::{self, Asked, Need};
use crate::error::Fault;
use crate::openapi::{Op, Routes, text};

/// The version that shippers of the last years accept.
const VERSION: &str = "8.9.0";

/// Where what shippers set up before they send is kept.
const SET_UP: [(&str, [&str; 3]); 6] = [
    ("/_ilm/policy/{name}", ["getElasticPolicy", "putElasticPolicy", "deleteElasticPolicy"]),
    (
        "/_index_template/{name}",
        ["getElasticIndexTemplate", "putElasticIndexTemplate", "deleteElasticIndexTemplate"],
    ),
    (
        "/_component_template/{name}",
        ["getElasticComponentTemplate", "putElasticComponentTemplate", "deleteElasticComponentTemplate"],
    ),
    ("/_template/{name}", ["getElasticTemplate", "putElasticTemplate", "deleteElasticTemplate"]),
    ("/_ingest/pipeline/{name}", ["getElasticPipeline", "putElasticPipeline", "deleteElasticPipeline"]),
    ("/_data_stream/{name}", ["getElasticDataStream", "putElasticDataStream", "deleteElasticDataStream"]),
];

/// Under `/elasticsearch`, and at the root, where most shippers can only be pointed.
pub(super) fn routes() -> Routes {
    let op = |id| Op::new(id, "Version and name, as Elasticsearch tells them").gives::<Object>();
    Routes::new("Intake")
        .get("/elasticsearch", version, op("getElastic"))
        .get("/elasticsearch/", version, op("getElasticBySlash"))
        .public()
        .merge(api())
        .nest("/elasticsearch", "BelowElasticsearch", api())
        .map(|router| router.layer(middleware::from_fn(product)))
}

/// What Elasticsearch answers is of many shapes.
type Object = Map<String, Value>;

fn api() -> Routes {
    let of_bulk = |id| {
        Op::new(id, "Stores logs of a bulk of Elasticsearch's")
            .takes_content(text("application/x-ndjson"))
            .gives::<ElasticBulk>()
            .refuses(&[415])
    };
    let bulks = Routes::new("Intake")
        .post("/_bulk", bulk_of_all, of_bulk("postElasticBulk"))
        .put("/_bulk", bulk_of_all, of_bulk("putElasticBulk"))
        .post("/{index}/_bulk", bulk_of_index, of_bulk("postElasticBulkOfIndex"))
        .put("/{index}/_bulk", bulk_of_index, of_bulk("putElasticBulkOfIndex"));
    let told = |id, summary| Op::new(id, summary).gives::<Object>();
    let about = Routes::new("Intake")
        .get("/_license", license, told("getElasticLicense", "The license that shippers ask for"))
        .get("/_xpack", xpack, told("getElasticFeatures", "The features that shippers ask for"))
        .get("/_cluster/health", cluster_health, told("getElasticHealth", "How the cluster is: always well"))
        .get("/_nodes/http", nodes, told("getElasticNodes", "Other servers: always none"));
    let kept = SET_UP.into_iter().fold(about, |routes, (path, [get, put, delete])| {
        let op = |id| told(id, "Acknowledged, and of no meaning: every field is searchable as it comes");
        routes
            .get(path, acknowledged, op(get))
            .put(path, acknowledged, op(put).takes::<Object>().body_is_optional())
            .delete(path, acknowledged, op(delete))
    });
    bulks.merge(kept)
}

/// Every answer says what it is.
async fn product(request: Request<Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response
}

/// `GET /`, for whoever does not ask for a page.
pub(crate) async fn version() -> Response {
    let answer = json!({
        "name": "bellwether",
        "cluster_name": "bellwether",
        "cluster_uuid": "bellwether",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    let mut response = axum::Json(answer).into_response();
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response
}

/// Whoever may store telemetry: shippers show their key when they look around and set up, too. The chain refuses in
/// Elasticsearch's words.
struct Sender;

impl FromRequestParts<SharedApp> for Sender {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Response> {
        match chain::pass(app, Asked::from(&*parts), Need::INGEST).await {
            Ok(_) => Ok(Self),
            Err(fault) => Err(refuse(&fault)),
        }
    }
}

async fn license(_: Sender) -> axum::Json<Value> {
    axum::Json(json!({ "license": { "status": "active", "type": "basic", "uid": "bellwether" } }))
}

async fn xpack(_: Sender) -> axum::Json<Value> {
    let license = json!({ "status": "active", "type": "basic", "mode": "basic", "uid": "bellwether" });
    axum::Json(json!({ "license": license, "features": {} }))
}

async fn cluster_health(_: Sender) -> axum::Json<Value> {
    axum::Json(json!({ "cluster_name": "bellwether", "status": "green", "number_of_nodes": 1 }))
}

async fn nodes(_: Sender) -> axum::Json<Value> {
    axum::Json(json!({ "cluster_name": "bellwether", "nodes": {} }))
}

/// Templates, policies and pipelines have no meaning here: every field is searchable as it comes.
async fn acknowledged(_: Sender) -> axum::Json<Value> {
    axum::Json(json!({ "acknowledged": true }))
}

async fn bulk_of_all(app: State<SharedApp>, request: Request<Body>) -> Response {
    take(app, None, request).await
}

async fn bulk_of_index(app: State<SharedApp>, Path(index): Path<String>, request: Request<Body>) -> Response {
    take(app, Some(index), request).await
}

async fn take(State(app): State<SharedApp>, index: Option<String>, request: Request<Body>) -> Response {
    let started = app.now_ms();
    let taken = async {
        let (head, body) = request.into_parts();
        let encoding = crate::body::encoding(&head.headers);
        let (identity, plain, _admission) = super::intakes::admitted(&app, &head, encoding, body).await?;
        let bulk = bulk::decode(&plain, index.as_deref(), &context(&app)).map_err(super::fault)?;
        let written = append(&app, &identity.tenant, "elasticsearch", bulk.decoded).await?;
        let took_ms = u64::try_from(app.now_ms() - started).unwrap_or(0);
        Ok(bulk::answer(bulk.items, &written.refusals, took_ms))
    };
    let taken: Result<String, Fault> = taken.await;
    match taken {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(fault) => refuse(&fault),
    }
}

/// An error as Elasticsearch words it.
fn refuse(fault: &Fault) -> Response {
    let kind = match fault.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable_shards_exception",
        _ => "illegal_argument_exception",
    };
    let error = json!({ "type": kind, "reason": fault.message() });
    let body = json!({ "error": error, "status": fault.status().as_u16() });
    fault.finish((fault.status(), axum::Json(body)).into_response())
}
