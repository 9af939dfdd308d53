//! Names and values to complete queries with.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Extension, Path, State};
use query::traceql::{FieldRef, Intrinsic, Query, Value as QueryValue, parse, values as values_of};
use serde_json::{Value, json};
use store::rows::Scope;

use super::{TIMES, TempoFault, answers, parsed};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Routes, choice, count, string};
use crate::prom::params::Params;
use crate::spans;

/// Values of a tag in an answer.
const VALUES_DEFAULT: usize = 1000;
const VALUES_MAX: usize = 10_000;

/// Every route.
pub(super) fn routes() -> Routes {
    let of_names = |id, summary| Op::new(id, summary).params(&TIMES).refuses(&[422]);
    let of_values = |id, summary| {
        of_names(id, summary).params(&[
            string("q", "TraceQL: values of the spans that it finds; of all while it is not complete."),
            count("limit", "Values: 1000 unless given, at most 10000."),
        ])
    };
    let scope = choice("scope", &["resource", "span", "intrinsic", "none"], "Names of this scope only.");
    Routes::new("Tempo")
        .get(
            "/tempo/api/search/tags",
            names,
            of_names("listTempoTags", "Names of tags").gives::<answers::TagNames>(),
        )
        .get(
            "/tempo/api/v2/search/tags",
            names_v2,
            of_names("listTempoTagsV2", "Names of tags by scope")
                .params(&[scope])
                .gives::<answers::TagNamesV2>(),
        )
        .get(
            "/tempo/api/search/tag/{tag}/values",
            values,
            of_values("listTempoTagValues", "Values of a tag").gives::<answers::TagValues>(),
        )
        .get(
            "/tempo/api/v2/search/tag/{tag}/values",
            values_v2,
            of_values("listTempoTagValuesV2", "Values of a tag with their kinds")
                .gives::<answers::TagValuesV2>(),
        )
}

struct Names {
    resource: BTreeSet<String>,
    span: BTreeSet<String>,
}

async fn find(app: &SharedApp, identity: &Identity, params: &Params) -> Result<Names, Fault> {
    let (start_ns, end_ns) = spans::range(params, app.now_ms(), spans::HOUR_NS)?;
    let found =
        spans::ask(app, identity, "tempo tags", move |spans, control| spans.keys(start_ns, end_ns, control));
    let mut names = Names { resource: BTreeSet::new(), span: BTreeSet::new() };
    for info in found.await?.value {
        let scope = match info.scope {
            Scope::Record => &mut names.span,
            Scope::Resource => &mut names.resource,
        };
        scope.insert(info.key.to_string());
    }
    Ok(names)
}

/// Names by scope; only one scope where `scope` names it.
async fn names_v2(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let names = find(&app, &identity, &params).await?;
    let intrinsics: BTreeSet<String> = Intrinsic::ALL.iter().map(|one| one.as_str().to_owned()).collect();
    let asked = params.get("scope").filter(|scope| *scope != "none");
    let scopes: Vec<Value> = [("resource", names.resource), ("span", names.span), ("intrinsic", intrinsics)]
        .into_iter()
        .filter(|(scope, _)| asked.is_none_or(|asked| asked == *scope))
        .map(|(name, tags)| json!({ "name": name, "tags": tags }))
        .collect();
    Ok(Json(json!({ "scopes": scopes, "metrics": {} })))
}

/// All names in one list.
async fn names(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let names = find(&app, &identity, &params).await?;
    let all: BTreeSet<String> = names.resource.into_iter().chain(names.span).collect();
    Ok(Json(json!({ "tagNames": all })))
}

/// Values with their kinds.
async fn values_v2(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tag): Path<String>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let found = find_values(&app, &identity, &tag, &params).await?;
    let values: Vec<Value> = found.iter().map(typed).collect();
    Ok(Json(json!({ "tagValues": values, "metrics": {} })))
}

/// Values as texts.
async fn values(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tag): Path<String>,
    params: Params,
) -> Result<Json<Value>, TempoFault> {
    let found = find_values(&app, &identity, &tag, &params).await?;
    let values: Vec<String> = found.iter().filter_map(QueryValue::text).collect();
    Ok(Json(json!({ "tagValues": values })))
}

fn typed(value: &QueryValue) -> Value {
    let kind = match value {
        QueryValue::Bool(_) => "bool",
        QueryValue::Int(_) => "int",
        QueryValue::Float(_) => "float",
        QueryValue::Duration(_) => "duration",
        QueryValue::Status(_) | QueryValue::Kind(_) => "keyword",
        QueryValue::Text(_) | QueryValue::Nil | QueryValue::Many(_) => "string",
    };
    json!({ "type": kind, "value": value.text().unwrap_or_default() })
}

async fn find_values(
    app: &SharedApp,
    identity: &Identity,
    tag: &str,
    params: &Params,
) -> Result<Vec<QueryValue>, Fault> {
    // Grafana encodes the name twice, so that a slash in it survives proxies.
    let tag = decoded(tag);
    let field = FieldRef::parse_tag(&tag).ok_or_else(|| Fault::invalid("tag", "it is empty"))?;
    let query = filter(params.get("q"))?;
    let range_ns = spans::range(params, app.now_ms(), spans::HOUR_NS)?;
    let limit = spans::count(params, "limit", VALUES_DEFAULT, VALUES_MAX)?;
    let found = spans::ask(app, identity, "tempo values", move |spans, control| {
        values_of(spans, &query, &field, range_ns, limit, control)
    });
    Ok(found.await?.value)
}

/// The query that is being typed; while it is not complete, everything.
fn filter(text: Option<&str>) -> Result<Query, Fault> {
    match text.and_then(|text| parse(text).ok()) {
        Some(query) => Ok(query),
        None => parsed("q", "{}"),
    }
}

/// Decodes percent signs once more; what is none stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.filter(|_| bytes[at] == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_encoding_is_undone_and_what_is_none_stays() {
        for (text, want) in [
            ("resource.service.name", "resource.service.name"),
            ("span.a%2Fb", "span.a/b"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%C3%A4", "ä"),
        ] {
            assert_eq!(decoded(text), want);
        }
    }
}
