//! `/api/v1/format_query` and `/api/v1/parse_query`.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answers::{FormattedQuery, QueryTree, Success};
use super::params::Params;
use super::success;
use crate::error::{Fault, PromFault};
use crate::openapi::{Op, Routes, string};

/// Queries as text and tree.
pub(super) fn routes() -> Routes {
    let op = |id, summary| Op::new(id, summary).params(&[string("query", "An expression.").required()]);
    Routes::new("Prometheus")
        .get_or_form(
            "/api/v1/format_query",
            format,
            op("formatQuery", "A query, laid out").gives::<Success<FormattedQuery>>(),
        )
        .get_or_form(
            "/api/v1/parse_query",
            parse_query,
            op("parseQuery", "A query's tree").gives::<Success<QueryTree>>(),
        )
}

/// The query, laid out over lines where it is long.
async fn format(params: Params) -> Result<Response, PromFault> {
    let expr = parse(&params)?;
    Ok(success(&json!(expr.prettify())))
}

/// The query's tree.
async fn parse_query(params: Params) -> Result<Response, PromFault> {
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
