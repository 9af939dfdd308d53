//! `/api/v1/monitoring/audit`: searched, exported, verified.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::IntoResponse;
use control::audit::{AuditResult, AuditRow, StoredRow};
use control::{ActorKind, Permission};
use model::record::audit;
use model::{Field, Order, Predicate, Scalar, Signal, Test, TextMatch};
use query::rows::{Ask, Cursor, Row, Sort};
use query::sql::push_csv_record;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::rows;
use super::sensitive::{self, SENSITIVE, Sensitive};
use super::verified::{Question, Swept};
use crate::app::SharedApp;
use crate::chain::{Identity, Need};
use crate::error::{ApiFault, Fault};
use crate::moment::Moment;
use crate::openapi::{Op, Param, Routes, choice, count, string, text, time};
use crate::prom::params::Params;
use crate::realtime::timestamp;
use crate::rows_api::read;
use crate::spans;
use crate::word::Word;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// Rows that one export reads; a span of time makes them fewer.
const ROWS_MAX: usize = 500_000;
/// Rows read at once for it.
const PIECE: usize = 10_000;
/// By default the last thirty days.
const RANGE_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Which span of time is asked for.
const SPAN: [Param; 2] = [
    time("start", "Unix seconds with a fraction, or RFC 3339; thirty days before `end` unless given."),
    time("end", "Unix seconds with a fraction, or RFC 3339; now unless given."),
];

/// What else narrows.
const FILTERS: [Param; 7] = [
    string("actor", "Part of the name or identifier of who did it, in any case."),
    string("action", "What was done, such as `members:invite`."),
    string("target", "Part of what it was done to, in any case."),
    choice("result", &["ok", "refused", "failed"], "How it ended."),
    string("node", "Which server wrote it down."),
    choice("sensitive", &["true", "false"], "`true` for sensitive actions, and whatever was refused, alone."),
    string("q", "Part of any text of a row, in any case."),
];

/// Every route, by what it needs.
pub(crate) fn routes() -> Vec<(Need, Routes)> {
    const LIMIT: Param = count("limit", "Rows of a page: 100 unless given, at most 1000.");
    const CURSOR: Param = string("cursor", "Where the page before ended: its `next`.");
    const FORMAT: Param = choice("format", &["jsonl", "csv"], "`jsonl` unless given.");
    let routes = Routes::new("Audit")
        .get(
            "/api/v1/monitoring/audit",
            list,
            Op::new("listAuditEntries", "The audit log, newest first")
                .params(&SPAN)
                .params(&FILTERS)
                .params(&[LIMIT, CURSOR])
                .gives::<AuditPage>()
                .refuses(&[422]),
        )
        .get(
            "/api/v1/monitoring/audit/export",
            export,
            Op::new("exportAuditEntries", "The audit log as a file, oldest first; at most 500,000 rows")
                .params(&SPAN)
                .params(&FILTERS)
                .params(&[FORMAT])
                .gives_content(text("application/x-ndjson"))
                .gives_content(text("text/csv"))
                .refuses(&[422]),
        )
        .get(
            "/api/v1/monitoring/audit/sensitive",
            sensitive_actions,
            Op::new("listSensitiveActions", "The actions that count as sensitive, and what does them")
                .gives::<SensitiveActions>(),
        )
        .get(
            "/api/v1/monitoring/audit/verify",
            verified,
            Op::new(
                "verifyAudit",
                "Whether rows were changed or taken out; the whole log unless `start` is given",
            )
            .params(&SPAN)
            .gives::<AuditVerdict>()
            .refuses(&[422]),
        );
    vec![(Need::always(Permission::AuditRead), routes)]
}

/// A page of the audit log.
#[derive(Serialize, JsonSchema)]
struct AuditPage {
    items: Vec<AuditEntry>,
    /// What to give as `cursor` for the page behind this one; `null` behind the last.
    next: Option<String>,
}

/// One thing that happened.
#[derive(Serialize, JsonSchema)]
struct AuditEntry {
    /// Its place in the chain of its node.
    seq: u64,
    /// Which server wrote it down.
    node: String,
    at: Moment,
    /// Who did it; `null` for nobody we know, as at a refused sign-in.
    actor: Option<AuditActor>,
    /// What was done, `area:verb`.
    action: String,
    /// `GET`, `POST`, `gRPC`, …; empty outside requests.
    method: String,
    /// The route's pattern; empty outside requests.
    route: String,
    /// What it was done to; empty when that is plain from the route.
    target: String,
    result: Word<AuditResult>,
    /// The HTTP status, 0 outside requests.
    status: u16,
    /// Where it came from.
    address: String,
    /// How often within the minute; 1 for everything but machine traffic.
    count: u64,
    /// An object by `action`, or `null`.
    detail: Value,
    /// Of the row and the one before.
    hash: String,
}

/// Who did something.
#[derive(Serialize, JsonSchema)]
struct AuditActor {
    kind: Word<ActorKind>,
    id: String,
    name: String,
}

/// The sensitive actions.
#[derive(Serialize, JsonSchema)]
struct SensitiveActions {
    items: &'static [Sensitive],
}

/// Whether the log is as it was written.
#[derive(Serialize, JsonSchema)]
struct AuditVerdict {
    ok: bool,
    /// Rows whose hash fits.
    rows: u64,
    /// Anchors in the control database that fit.
    anchors: u64,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bad: Option<AuditFault>,
}

/// What is wrong with a log.
#[derive(Serialize, JsonSchema)]
struct AuditFault {
    /// In whose chain.
    node: String,
    what: String,
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
    match params.get("sensitive") {
        Some("true") => predicate = predicate.and(sensitive::predicate()),
        None | Some("false") => {}
        Some(_) => return Err(Fault::invalid("sensitive", "must be true or false")),
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

fn shown(stored: StoredRow, node: &str) -> AuditEntry {
    let StoredRow { seq, row, hash } = stored;
    let actor = |actor: control::Actor| AuditActor { kind: Word(actor.kind), id: actor.id, name: actor.name };
    AuditEntry {
        seq,
        node: node.to_owned(),
        at: Moment(row.at),
        actor: row.actor.map(actor),
        action: row.action,
        method: row.method,
        route: row.route,
        target: row.target,
        result: Word(row.result),
        status: row.status,
        address: row.address,
        count: row.count,
        detail: serde_json::from_str(&row.detail).unwrap_or(Value::Null),
        hash: hash.hex(),
    }
}

pub(super) fn node_of(row: &Row) -> &str {
    row.fixed.get(audit::NODE).and_then(|value| value.as_text()).unwrap_or_default()
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<AuditPage>, ApiFault> {
    let ask = ask(&app, &params)?;
    let limit = params.count("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let cursor = params.get("cursor").map(Cursor::parse).transpose().map_err(Fault::from)?;
    let page = read(&app, &identity, Signal::Audit, move |reader| {
        reader.page(&ask, Sort::Newest, limit, cursor.as_ref())
    })
    .await?;
    let entry = |row: &Row| Some(shown(rows::stored(&identity.tenant, row)?, node_of(row)));
    let items = page.rows.iter().filter_map(entry).collect();
    Ok(Json(AuditPage { items, next: page.next.map(|cursor| cursor.to_string()) }))
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
) -> Result<impl IntoResponse, ApiFault> {
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
                let entry = serde_json::to_string(&shown(stored, node_of(row)));
                text.push_str(&entry.expect("entries are JSON"));
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
    let headers = [(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, text))
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

async fn sensitive_actions() -> Json<SensitiveActions> {
    Json(SensitiveActions { items: SENSITIVE })
}

async fn verified(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<AuditVerdict>, ApiFault> {
    let asked = ask(&app, &params)?;
    let question = Question {
        tenant: identity.tenant.clone(),
        start_ns: params.get("start").is_some().then_some(asked.start_ns),
        end_ns: params.get("end").map_or(i64::MAX, |_| asked.end_ns),
        swept: Swept::of(&app.settings(), app.now_ms()),
        heads: app.control()?.audit_heads(&identity.tenant).await?,
    };
    let found = read(&app, &identity, Signal::Audit, move |reader| question.ask(reader)).await?;
    let first_bad = found.tampered.map(|bad| AuditFault { node: bad.node, what: bad.what });
    let (rows, anchors) = (found.rows, found.anchors);
    Ok(Json(AuditVerdict { ok: first_bad.is_none(), rows, anchors, first_bad }))
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
