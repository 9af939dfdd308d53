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
use serde_json::{Value, json};

use super::rounded;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::spans::{self, Answered};

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

pub(super) async fn map(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
    let (found, seconds) = find(&app, &identity, &params).await?;
    let nodes: Vec<Value> = found.value.nodes.iter().map(|node| node_json(node, seconds)).collect();
    let edges: Vec<Value> = found.value.edges.iter().map(|edge| edge_json(edge, seconds)).collect();
    Ok(Json(json!({ "nodes": nodes, "edges": edges, "cost": found.cost_json() })))
}

/// Who is affected when a service fails, and whose failure affects it.
pub(super) async fn impact(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
    let service = params.required("service")?;
    let (found, _) = find(&app, &identity, &params).await?;
    if !found.value.nodes.iter().any(|node| &*node.name == service) {
        let shown: String = service.chars().take(100).collect();
        return Err(Fault::NotFound(format!("no span of {shown:?} began in this range of time")).into());
    }
    let Impact { upstream, downstream } = query::traces::impact(&found.value, service);
    Ok(Json(json!({
        "service": service,
        "upstream": reached_json(&upstream),
        "downstream": reached_json(&downstream),
    })))
}

pub(super) async fn dot(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let (found, seconds) = find(&app, &identity, &params).await?;
    let text = query::traces::dot(&found.value, seconds);
    Ok(([(header::CONTENT_TYPE, "text/vnd.graphviz; charset=utf-8")], text).into_response())
}

fn reached_json(reached: &[Reached]) -> Vec<Value> {
    reached.iter().map(|one| json!({ "name": &*one.name, "distance": one.distance })).collect()
}

fn node_json(node: &Node, seconds: f64) -> Value {
    let mut object = quantiles_json(&node.latency);
    object["name"] = (*node.name).into();
    object["rate"] = rounded(node.calls as f64 / seconds).into();
    object["error_rate"] = rounded(node.error_rate()).into();
    object["health"] = Health::of(node.error_rate()).as_str().into();
    object
}

fn edge_json(edge: &Edge, seconds: f64) -> Value {
    json!({
        "from": &*edge.from,
        "to": &*edge.to,
        "rate": rounded(edge.calls as f64 / seconds),
        "error_rate": rounded(edge.error_rate()),
        "p50_ms": edge.latency.quantile_ms(0.5),
        "p95_ms": edge.latency.quantile_ms(0.95),
        "kind": edge.kind.as_str(),
    })
}

/// The three quantiles that tables show.
pub(super) fn quantiles_json(latency: &Latency) -> Value {
    json!({
        "p50_ms": latency.quantile_ms(0.5),
        "p95_ms": latency.quantile_ms(0.95),
        "p99_ms": latency.quantile_ms(0.99),
    })
}
