//! Who did what, for the audit log: the one place that fills in actor and address.

use control::Actor;
use control::audit::{AuditResult, AuditRow};
use model::TenantId;
use serde_json::Value;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::security::Sign;
use crate::visitor::Visitor;

/// Characters of a target that somebody outside gave.
const TARGET_CHARS_MAX: usize = 254;

/// Writes down what whoever is signed in did in a tenant's trail. `detail` is an object, or null for none.
pub(crate) fn audited(
    app: &SharedApp,
    identity: &Identity,
    tenant: &TenantId,
    action: &str,
    target: &str,
    detail: &Value,
) {
    let row = row(app, tenant, action, target, detail);
    let actor = Some(identity.principal.who.clone());
    app.audit().record(AuditRow { actor, address: identity.address.to_string(), ..row });
}

/// What somebody did on a public route.
pub(crate) struct Visit<'a> {
    /// Whose trail it is in.
    pub(crate) tenant: &'a TenantId,
    /// Who it was; `None` for nobody we know.
    pub(crate) actor: Option<Actor>,
    /// `area:verb`.
    pub(crate) action: &'a str,
    /// To what; cut, since it may come from outside.
    pub(crate) target: &'a str,
    /// How it ended.
    pub(crate) result: AuditResult,
    /// An object, or null for none.
    pub(crate) detail: Value,
}

/// Writes down what happened on a public route.
pub(crate) fn audited_visit(app: &SharedApp, visitor: &Visitor, visit: Visit<'_>) {
    if visit.result == AuditResult::Refused {
        app.security().note(app, Sign::WrongSignIn, visit.tenant, "", &visitor.address);
    }
    let row = row(app, visit.tenant, visit.action, visit.target, &visit.detail);
    let address = visitor.address.to_string();
    app.audit().record(AuditRow { actor: visit.actor, address, result: visit.result, ..row });
}

/// The trail of a tenant that somebody names; of one that is not there, the first tenant's. Nobody begins a
/// trail by making names up.
pub(crate) async fn trail(app: &SharedApp, named: Option<&TenantId>) -> TenantId {
    match (named, app.control()) {
        (Some(id), Ok(control)) if control.tenant(id).await.is_ok() => id.clone(),
        _ => TenantId::default_tenant(),
    }
}

fn row(app: &SharedApp, tenant: &TenantId, action: &str, target: &str, detail: &Value) -> AuditRow {
    let target = target.chars().filter(|c| !c.is_control()).take(TARGET_CHARS_MAX).collect();
    let row = AuditRow { target, ..AuditRow::new(tenant.clone(), app.now_ms(), action) };
    if detail.is_null() { row } else { row.with_detail(detail) }
}
