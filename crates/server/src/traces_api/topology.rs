//! Who calls whom.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::Predicate;
use query::traces::{
    Edge, Health, Impact, Keys, Latency, Node, Reached, Scan, SpanSource, Topology, TopologyBuilder, Want,
};
use query::{Control, QueryFault};
use schemars::JsonSchema;
use serde::Serialize;

use super::{TIMES, rounded};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::openapi::{Op, Routes, string, text};
use crate::prom::params::Params;
use crate::rows_api::QueryCost;
use crate::spans::{self, Answered};

/// Every route.
pub(super) fn routes() -> Routes {
    let op = |id, summary| Op::new(id, summary).params(&TIMES).refuses(&[422]);
    let of_impact = op("getImpact", "Who is affected when a service fails, and whose failure affects it")
        .params(&[string("service", "The service's name.").required()])
        .gives::<ServiceImpact>()
        .refuses(&[404]);
    Routes::new("Services")
        .get(
            "/api/v1/monitoring/topology",
            map,
            op("getTopology", "Services and who of them calls whom").gives::<ServiceMap>(),
        )
        .get("/api/v1/monitoring/topology/impact", impact, of_impact)
        .get(
            "/api/v1/monitoring/topology.dot",
            dot,
            op("getTopologyDot", "The same map for Graphviz").gives_content(text("text/vnd.graphviz")),
        )
}

/// Services and who of them calls whom.
#[derive(Serialize, JsonSchema)]
struct ServiceMap {
    nodes: Vec<ServiceNode>,
    edges: Vec<ServiceEdge>,
    cost: QueryCost,
}

/// A service of a map.
#[derive(Serialize, JsonSchema)]
struct ServiceNode {
    name: String,
    /// Calls that it answers, per second.
    rate: f64,
    /// Part of them that fails, 0 to 1.
    error_rate: f64,
    #[schemars(extend("enum" = ["ok", "warn", "error"]))]
    health: &'static str,
    #[serde(flatten)]
    durations: Durations,
}

/// Calls from one service to another.
#[derive(Serialize, JsonSchema)]
struct ServiceEdge {
    from: String,
    to: String,
    /// Calls per second.
    rate: f64,
    /// Part of them that fails, 0 to 1.
    error_rate: f64,
    /// Half of them take no longer, milliseconds.
    p50_ms: Option<f64>,
    /// Of twenty, 19 take no longer, milliseconds.
    p95_ms: Option<f64>,
    #[schemars(extend("enum" = ["call", "messaging", "database"]))]
    kind: &'static str,
}

/// How long something takes, in milliseconds; `null` where nothing is known.
#[derive(Serialize, JsonSchema)]
pub(super) struct Durations {
    /// Half take no longer.
    p50_ms: Option<f64>,
    /// Of twenty, 19 take no longer.
    p95_ms: Option<f64>,
    /// Of a hundred, 99 take no longer.
    p99_ms: Option<f64>,
}

impl Durations {
    /// The three quantiles that tables show.
    pub(super) fn of(latency: &Latency) -> Self {
        Self {
            p50_ms: latency.quantile_ms(0.5),
            p95_ms: latency.quantile_ms(0.95),
            p99_ms: latency.quantile_ms(0.99),
        }
    }
}

/// Services that calls lead to and from.
#[derive(Serialize, JsonSchema)]
struct ServiceImpact {
    service: String,
    /// Who is affected when it fails.
    upstream: Vec<ServiceReached>,
    /// Whose failure affects it.
    downstream: Vec<ServiceReached>,
}

/// A service that calls lead to.
#[derive(Serialize, JsonSchema)]
struct ServiceReached {
    name: String,
    /// Over how many calls.
    distance: u32,
}

/// Spans of which a map is made, the newest; 40 bytes each.
const SPANS_MAX: usize = 1_000_000;

/// The map of a range of time, of its newest spans where there are very many.
pub(crate) fn topology(
    source: &dyn SpanSource,
    (start_ns, end_ns): (i64, i64),
    want: &Want,
    control: &Control,
) -> Result<Topology, QueryFault> {
    let mut builder = TopologyBuilder::default();
    let scan = Scan { predicate: &Predicate::TRUE, start_ns, end_ns, want, control };
    source.scan(&scan, &mut |batch| {
        batch.spans.iter().for_each(|span| builder.add(span));
        Ok(if builder.len() < SPANS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(builder.finish())
}

/// What a map needs of spans.
pub(super) fn wanted() -> Want {
    Want { attributes: Keys::Some(TopologyBuilder::keys()), ..Want::default() }
}

async fn find(
    app: &SharedApp,
    identity: &Identity,
    params: &Params,
) -> Result<(Answered<Topology>, f64), Fault> {
    let range_ns = spans::range(params, app.now_ms(), spans::HOUR_NS)?;
    let found = spans::ask(app, identity, "topology", move |spans, control| {
        topology(spans, range_ns, &wanted(), control)
    });
    Ok((found.await?, (range_ns.1 - range_ns.0) as f64 / 1e9))
}

async fn map(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<ServiceMap>, ApiFault> {
    let (found, seconds) = find(&app, &identity, &params).await?;
    let nodes = found.value.nodes.iter().map(|node| shown_node(node, seconds)).collect();
    let edges = found.value.edges.iter().map(|edge| shown_edge(edge, seconds)).collect();
    Ok(Json(ServiceMap { nodes, edges, cost: found.cost() }))
}

/// Who is affected when a service fails, and whose failure affects it.
async fn impact(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<ServiceImpact>, ApiFault> {
    let service = params.required("service")?;
    let (found, _) = find(&app, &identity, &params).await?;
    if !found.value.nodes.iter().any(|node| &*node.name == service) {
        let shown: String = service.chars().take(100).collect();
        return Err(Fault::NotFound(format!("no span of {shown:?} began in this range of time")).into());
    }
    let Impact { upstream, downstream } = query::traces::impact(&found.value, service);
    Ok(Json(ServiceImpact {
        service: service.to_owned(),
        upstream: shown_reached(&upstream),
        downstream: shown_reached(&downstream),
    }))
}

async fn dot(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let (found, seconds) = find(&app, &identity, &params).await?;
    let text = query::traces::dot(&found.value, seconds);
    Ok(([(header::CONTENT_TYPE, "text/vnd.graphviz; charset=utf-8")], text).into_response())
}

fn shown_reached(reached: &[Reached]) -> Vec<ServiceReached> {
    reached.iter().map(|one| ServiceReached { name: one.name.to_string(), distance: one.distance }).collect()
}

fn shown_node(node: &Node, seconds: f64) -> ServiceNode {
    ServiceNode {
        name: node.name.to_string(),
        rate: rounded(node.calls as f64 / seconds),
        error_rate: rounded(node.error_rate()),
        health: Health::of(node.error_rate()).as_str(),
        durations: Durations::of(&node.latency),
    }
}

fn shown_edge(edge: &Edge, seconds: f64) -> ServiceEdge {
    ServiceEdge {
        from: edge.from.to_string(),
        to: edge.to.to_string(),
        rate: rounded(edge.calls as f64 / seconds),
        error_rate: rounded(edge.error_rate()),
        p50_ms: edge.latency.quantile_ms(0.5),
        p95_ms: edge.latency.quantile_ms(0.95),
        kind: edge.kind.as_str(),
    }
}
