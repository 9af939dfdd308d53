//! `/api/v1/format_query` and `/api/v1/parse_query`.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::params::Params;
use super::success;
use crate::error::{Fault, PromFault};

/// The query, laid out over lines where it is long.
pub(crate) async fn format(params: Params) -> Result<Response, PromFault> {
    let expr = parse(&params)?;
    Ok(success(&json!(expr.prettify())))
}

/// The query's tree.
pub(crate) async fn parse_query(params: Params) -> Result<Response, PromFault> {
    let expr = parse(&params)?;
    let body = format!("{{\"status\":\"success\",\"data\":{}}}", expr.to_json());
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn parse(params: &Params) -> Result<promql::syntax::ast::Expr, Fault> {
    promql::syntax::parse(params.required("query")?)
        .map_err(|error| Fault::invalid("query", error.to_string()))
}
