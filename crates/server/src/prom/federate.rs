//! `/federate`: the latest value of every series that any `match[]` selects, as text.

use std::collections::HashMap;

use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::METRIC_NAME;
use promql::{SampleValue, Value};

use super::export::push_line;
use super::params::Params;
use super::query::fault;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{Fault, PromFault};
use crate::openapi::{Op, Routes, string, text};

/// The one route.
pub(super) fn routes() -> Routes {
    let op = Op::new("federate", "The latest value of every series that any selector finds, as text")
        .params(&[string("match[]", "A selector of series.").repeated().required()])
        .gives_content(text("text/plain"))
        .refuses(&[422]);
    Routes::new("Prometheus").get("/federate", federate, op)
}

/// Series grouped by name, each group under its type.
async fn federate(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let selectors: Vec<String> = params.all("match[]").map(str::to_owned).collect();
    if selectors.is_empty() {
        return Err(Fault::invalid("match[]", "no match[] parameter provided").into());
    }
    super::metadata::selectors(&params)?;
    let deadline = app.query_deadline(&identity.tenant);
    let mut context = app.query_context();
    context.deadline = Some(deadline);
    let source = app.source(&identity.reach(), deadline).await?;
    let reader = app.reader(&identity.reach()).await?;
    let (engine, now) = (app.engine(), app.now_ms());
    let work = move || {
        let mut samples = Vec::new();
        for selector in &selectors {
            let result = engine.instant(&source, selector, now, &context).map_err(fault)?;
            if let Value::Vector(vector) = result.value {
                samples.extend(vector);
            }
        }
        samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        samples.dedup_by(|a, b| a.labels == b.labels);
        let known = reader.metadata(None).map_err(|error| Fault::Internal(error.to_string()))?;
        let known: HashMap<&str, &str> =
            known.iter().map(|one| (one.metric.as_str(), one.kind.as_str())).collect();
        let mut out = Vec::new();
        let mut last = "";
        for sample in &samples {
            let SampleValue::Float(value) = sample.value else { continue };
            let name = sample.labels.get(METRIC_NAME).unwrap_or("");
            if name != last {
                let kind = known.get(name).copied().filter(|kind| *kind != "unknown").unwrap_or("untyped");
                out.extend_from_slice(format!("# TYPE {name} {kind}\n").as_bytes());
                last = name;
            }
            push_line(&mut out, &sample.labels, sample.t_ms, value);
        }
        Ok::<_, Fault>(out)
    };
    let body = app.in_slot(&identity.tenant, "federate", deadline, work).await?;
    let mut response = body.into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(response)
}
