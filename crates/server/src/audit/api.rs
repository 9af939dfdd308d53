//! `/api/v1/monitoring/audit`: searched, exported, verified.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use control::audit::{AuditRow, Start, StoredRow, verify};
use model::record::audit;
use model::{Field, Order, Predicate, Scalar, Signal, Test, TextMatch};
use query::rows::{Ask, Cursor, Row, Sort};
use query::sql::push_csv_record;
use serde_json::{Value, json};

use super::rows;
use crate::app::SharedApp;
use crate::chain::{Identity, Need};
use crate::error::{ApiFault, Fault};
use crate::openapi::Routes;
use crate::prom::params::Params;
use crate::realtime::timestamp;
use crate::rows_api::read;
use crate::spans;
use control::Permission;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// Rows that one export or one verification reads; a span of time makes them fewer.
const ROWS_MAX: usize = 500_000;
/// Rows read at once for those.
const PIECE: usize = 10_000;
/// By default the last thirty days.
const RANGE_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Every route, by what it needs.
pub(crate) fn routes() -> Vec<(Need, Routes)> {
    let router = Router::new()
        .route("/api/v1/monitoring/audit", get(list))
        .route("/api/v1/monitoring/audit/export", get(export))
        .route("/api/v1/monitoring/audit/verify", get(verified));
    vec![(Need::always(Permission::AuditRead), router.into())]
}

/// What is asked for: every parameter narrows.
fn ask(app: &SharedApp, params: &Params) -> Result<Ask, Fault> {
    let (start_ns, end_ns) = spans::range(params, app.now_ms(), RANGE_NS)?;
    let mut predicate = Predicate::TRUE;
    let field = |at: usize| Field::Fixed(at as u8);
    let contains = |at: usize, text: &str| {
        let test = Test::Text { how: TextMatch::Contains, text: text.into(), ignore_case: true };
        Predicate::Test(field(at), test)
    };
    for (name, at) in [("action", audit::ACTION), ("result", audit::RESULT), ("node", audit::NODE)] {
        if let Some(text) = params.get(name) {
            let equal = Test::Compare(Order::Equal, Scalar::Text(text.into()));
            predicate = predicate.and(Predicate::Test(field(at), equal));
        }
    }
    if let Some(text) = params.get("target") {
        predicate = predicate.and(contains(audit::TARGET, text));
    }
    if let Some(text) = params.get("actor") {
        predicate = predicate.and(contains(audit::ACTOR_NAME, text).or(contains(audit::ACTOR_ID, text)));
    }
    if let Some(text) = params.get("q") {
        let anywhere =
            [audit::ACTOR_NAME, audit::ACTION, audit::ROUTE, audit::TARGET, audit::ADDRESS, audit::DETAIL];
        let any = anywhere.into_iter().map(|at| contains(at, text)).reduce(Predicate::or);
        predicate = predicate.and(any.unwrap_or(Predicate::TRUE));
    }
    Ok(Ask { predicate, start_ns, end_ns })
}

fn to_json(stored: &StoredRow, node: &str) -> Value {
    let StoredRow { seq, row, hash } = stored;
    let actor = row
        .actor
        .as_ref()
        .map(|actor| json!({ "kind": actor.kind.as_str(), "id": actor.id, "name": actor.name }));
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or(Value::Null);
    json!({
        "seq": seq, "node": node, "at": timestamp(row.at), "actor": actor, "action": row.action,
        "method": row.method, "route": row.route, "target": row.target, "result": row.result.as_str(),
        "status": row.status, "address": row.address, "count": row.count, "detail": detail, "hash": hash.hex(),
    })
}

fn node_of(row: &Row) -> &str {
    row.fixed.get(audit::NODE).and_then(|value| value.as_text()).unwrap_or_default()
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let ask = ask(&app, &params)?;
    let limit = params.count("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let cursor = params.get("cursor").map(Cursor::parse).transpose().map_err(Fault::from)?;
    let page = read(&app, &identity, Signal::Audit, move |reader| {
        reader.page(&ask, Sort::Newest, limit, cursor.as_ref())
    })
    .await?;
    let items: Vec<Value> = page
        .rows
        .iter()
        .filter_map(|row| Some(to_json(&rows::stored(&identity.tenant, row)?, node_of(row))))
        .collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(axum::Json(json!({ "items": items, "next": next })).into_response())
}

/// All rows of a question, oldest first, as far as one answer goes.
async fn all(app: &SharedApp, identity: &Identity, ask: Ask) -> Result<Vec<Row>, Fault> {
    read(app, identity, Signal::Audit, move |reader| {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = reader.page(&ask, Sort::Oldest, PIECE, cursor.as_ref())?;
            found.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(found);
            }
            if found.len() >= ROWS_MAX {
                return Err(query::QueryFault::Limit(format!(
                    "over {ROWS_MAX} audit rows: give a shorter span of time with start and end"
                )));
            }
        }
    })
    .await
}

async fn export(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let format = params.get("format").unwrap_or("jsonl");
    if !matches!(format, "jsonl" | "csv") {
        let shown: String = format.chars().take(40).collect();
        return Err(Fault::invalid("format", format!("{shown:?} is none of jsonl, csv")).into());
    }
    let rows = all(&app, &identity, ask(&app, &params)?).await?;
    let mut text = String::new();
    if format == "csv" {
        text.push_str("seq,node,at,actor_kind,actor_id,actor_name,action,method,route,target,result,status,address,count,detail,hash\r\n");
    }
    for row in &rows {
        let Some(stored) = rows::stored(&identity.tenant, row) else { continue };
        match format {
            "csv" => csv_line(&mut text, &stored, node_of(row)),
            _ => {
                text.push_str(&to_json(&stored, node_of(row)).to_string());
                text.push('\n');
            }
        }
    }
    crate::audited::audited(
        &app,
        &identity,
        &identity.tenant,
        "audit:export",
        format,
        &json!({ "rows": rows.len() }),
    );
    let content_type = if format == "csv" { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    let name = format!("attachment; filename=\"audit.{format}\"");
    let mut response = (StatusCode::OK, text).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn csv_line(out: &mut String, stored: &StoredRow, node: &str) {
    let StoredRow { seq, row, hash } = stored;
    let AuditRow { actor, action, route, method, target, result, status, address, count, detail, .. } = row;
    let (kind, id, name) = actor
        .as_ref()
        .map_or(("", "", ""), |actor| (actor.kind.as_str(), actor.id.as_str(), actor.name.as_str()));
    let (seq, at, status, count, hash) =
        (seq.to_string(), timestamp(row.at), status.to_string(), count.to_string(), hash.hex());
    let cells = [
        &seq,
        node,
        &at,
        kind,
        id,
        name,
        action,
        method,
        route,
        target,
        result.as_str(),
        &status,
        address,
        &count,
        detail,
        &hash,
    ];
    push_csv_record(out, cells);
}

async fn verified(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let is_whole = params.get("start").is_none();
    let mut ask = ask(&app, &params)?;
    ask.predicate = Predicate::TRUE;
    if is_whole {
        ask.start_ns = i64::MIN;
    }
    let heads = app.control()?.audit_heads(&identity.tenant).await?;
    let mut by_node: BTreeMap<String, Vec<StoredRow>> = BTreeMap::new();
    for row in all(&app, &identity, ask).await? {
        let node = node_of(&row).to_owned();
        let Some(stored) = rows::stored(&identity.tenant, &row) else {
            let what = "a row does not read as one of the audit log";
            let bad = json!({ "node": node, "seq": Value::Null, "what": what });
            return Ok(axum::Json(json!({ "ok": false, "rows": 0, "first_bad": bad })).into_response());
        };
        by_node.entry(node).or_default().push(stored);
    }
    // A chain of which nothing is left is only noticed by its anchor.
    for head in &heads {
        by_node.entry(head.node.clone()).or_default();
    }
    let (mut count, mut anchors, mut bad) = (0, 0, None);
    for (node, rows) in by_node {
        // Retention takes the oldest rows, so a chain need not begin at its first one.
        let start = match rows.first() {
            Some(first) if first.seq == 1 => Start::Genesis,
            _ => Start::Kept,
        };
        let verdict = verify(&identity.tenant, &node, start, rows, &heads);
        count += verdict.rows;
        anchors += verdict.anchors;
        if let Some(fault) = verdict.fault {
            bad = Some(json!({ "node": node, "what": fault.to_string() }));
            break;
        }
    }
    let mut answer = json!({ "ok": bad.is_none(), "rows": count, "anchors": anchors });
    if let Some(bad) = bad {
        answer["first_bad"] = bad;
    }
    Ok(axum::Json(answer).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_takes_no_cell_for_a_formula() {
        let row = AuditRow {
            target: "=HYPERLINK(\"http://evil.example\")".into(),
            ..AuditRow::new(model::TenantId::default_tenant(), 0, "+x")
        };
        let hash = control::audit::Chain::new(row.tenant.clone(), "n").end().1;
        let mut text = String::new();
        csv_line(&mut text, &StoredRow { seq: 1, row, hash }, "@node");
        for cell in [",'+x,", ",'@node,", "\"'=HYPERLINK("] {
            assert!(text.contains(cell) && text.ends_with("\r\n"), "{cell} in {text}");
        }
    }
}
