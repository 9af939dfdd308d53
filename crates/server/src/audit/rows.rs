//! Sealed rows as telemetry, and back.

use control::audit::{AuditResult, AuditRow, RowHash, Sealed, StoredRow};
use control::{Actor, ActorKind};
use model::record::audit;
use model::{Records, Signal, TenantId, Value, record};
use query::rows::{Row, RowValue};

/// Rows with what the chain says of them. Times ascend from `first_ns` on, so that the order of time is that of
/// the chain.
pub(super) fn records(node: &str, rows: &[AuditRow], sealed: &Sealed, first_ns: i64) -> Records {
    let mut records = Records::new(Signal::Audit);
    let resource = records.end_resource(0);
    for (n, (row, seal)) in rows.iter().zip(&sealed.rows).enumerate() {
        let int = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let mut fields = [Value::Null; record::columns(Signal::Audit).len()];
        fields[audit::TIMESTAMP] = Value::Int(first_ns.saturating_add(n as i64));
        fields[audit::AT] = Value::Int(row.at);
        fields[audit::SEQ] = int(seal.seq);
        fields[audit::STATUS] = Value::Int(row.status.into());
        fields[audit::COUNT] = int(row.count);
        let hash = seal.hash.hex();
        let actor = row.actor.as_ref();
        for (at, text) in [
            (audit::NODE, node),
            (audit::HASH, &hash),
            (audit::ACTOR_KIND, actor.map_or("", |actor| actor.kind.as_str())),
            (audit::ACTOR_ID, actor.map_or("", |actor| &actor.id)),
            (audit::ACTOR_NAME, actor.map_or("", |actor| &actor.name)),
            (audit::ACTION, &row.action),
            (audit::ROUTE, &row.route),
            (audit::METHOD, &row.method),
            (audit::TARGET, &row.target),
            (audit::RESULT, row.result.as_str()),
            (audit::ADDRESS, &row.address),
            (audit::DETAIL, &row.detail),
        ] {
            if !text.is_empty() {
                fields[at] = Value::Text(records.push_text(text));
            }
        }
        let first = records.attrs.len() as u32;
        records.push_row(n as u32, resource, first, &fields);
    }
    records
}

/// A row as it was sealed; `None` where it does not read as one.
pub(super) fn stored(tenant: &TenantId, row: &Row) -> Option<StoredRow> {
    let at = |column: usize| row.fixed.get(column).unwrap_or(&RowValue::Null);
    let text = |column: usize| at(column).as_text().unwrap_or_default().to_owned();
    let kind = text(audit::ACTOR_KIND);
    let kind = ActorKind::ALL.into_iter().find(|known| known.as_str() == kind);
    let actor = kind.map(|kind| Actor { kind, id: text(audit::ACTOR_ID), name: text(audit::ACTOR_NAME) });
    Some(StoredRow {
        seq: at(audit::SEQ).as_int()?.try_into().ok()?,
        hash: RowHash::parse(at(audit::HASH).as_text()?)?,
        row: AuditRow {
            at: at(audit::AT).as_int()?,
            actor,
            tenant: tenant.clone(),
            action: text(audit::ACTION),
            route: text(audit::ROUTE),
            method: text(audit::METHOD),
            target: text(audit::TARGET),
            result: AuditResult::parse(at(audit::RESULT).as_text()?)?,
            status: at(audit::STATUS).as_int()?.try_into().ok()?,
            address: text(audit::ADDRESS),
            count: at(audit::COUNT).as_int()?.try_into().ok()?,
            detail: text(audit::DETAIL),
        },
    })
}
