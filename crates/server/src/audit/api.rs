//! `/api/v1/monitoring/audit`: searched, exported, verified.

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use control::audit::{AuditRow, StoredRow};
use model::record::audit;
use model::{Field, Order, Predicate, Scalar, Signal, Test, TextMatch};
use query::rows::{Ask, Cursor, Row, Sort};
use serde_json::{Value, json};

use super::rows;
use super::verified::{Question, Swept};
use crate::app::SharedApp;
use crate::chain::{Identity, Need};
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::realtime::timestamp;
use crate::rows_api::read;
use crate::spans;
use control::Permission;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// Rows that one export reads; a span of time makes them fewer.
const ROWS_MAX: usize = 500_000;
/// Rows read at once for it.
const PIECE: usize = 10_000;
/// By default the last thirty days.
const RANGE_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Every route, by what it needs.
pub(crate) fn routes() -> Vec<(Need, Router<SharedApp>)> {
    let router = Router::new()
        .route("/api/v1/monitoring/audit", get(list))
        .route("/api/v1/monitoring/audit/export", get(export))
        .route("/api/v1/monitoring/audit/verify", get(verified));
    vec![(Need::always(Permission::AuditRead), router)]
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

pub(super) fn node_of(row: &Row) -> &str {
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
    for (n, cell) in cells.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}

async fn verified(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let asked = ask(&app, &params)?;
    let question = Question {
        tenant: identity.tenant.clone(),
        start_ns: params.get("start").is_some().then_some(asked.start_ns),
        end_ns: params.get("end").map_or(i64::MAX, |_| asked.end_ns),
        swept: Swept::of(&app.settings(), app.now_ms()),
        heads: app.control()?.audit_heads(&identity.tenant).await?,
    };
    let found = read(&app, &identity, Signal::Audit, move |reader| question.ask(reader)).await?;
    let mut answer = json!({ "ok": found.tampered.is_none(), "rows": found.rows, "anchors": found.anchors });
    if let Some(bad) = found.tampered {
        answer["first_bad"] = json!({ "node": bad.node, "what": bad.what });
    }
    Ok(axum::Json(answer).into_response())
}
