//! Who is told of a status page: strangers ask, confirm and leave without signing in. Every answer is the same whether
//! somebody is subscribed or not.

use alert::status::{Subscriber, SubscriptionKind};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::audit::AuditResult;
use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setup::external_url;
use super::status_page::public_page;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit};
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::limits::Ask;
use crate::openapi::{Op, Routes};
use crate::outbound::Policy;
use crate::visitor::Visitor;

/// Under which tokens for leaving are sealed.
const PURPOSE: &str = "status page subscription";
/// As rows of the audit log name what strangers do.
const ACTION: &str = "status_pages:subscribe";

pub(super) fn public_routes() -> Routes {
    let page = "/api/v1/monitoring/status-pages/{tenant}/{name}/subscriptions";
    Routes::new("Status page")
        .post(
            page,
            subscribe,
            Op::new("subscribeToStatusPage", "Asks to be told of a status page")
                .about("A message with a token goes to the address, once an hour at most; nobody is told who does not confirm it.")
                .takes::<NewSubscription>()
                .gives_nothing(202)
                .refuses(&[404, 409]),
        )
        .post(
            &format!("{page}/confirm"),
            confirm,
            Op::new("confirmStatusPageSubscription", "Confirms a subscription with the token that was sent, within a day")
                .takes::<Token>()
                .gives_nothing(204)
                .refuses(&[404]),
        )
        .post(
            &format!("{page}/leave"),
            leave,
            Op::new("leaveStatusPage", "Ends a subscription with the token of its messages")
                .takes::<Token>()
                .gives_nothing(204)
                .refuses(&[404]),
        )
}

/// Somebody who wants to be told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewSubscription {
    kind: KindWord,
    /// An e-mail address, or the public URL of a webhook.
    address: String,
}

/// How somebody is told.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SubscriptionKind")]
enum KindWord {
    Email,
    Webhook,
}

/// What was sent.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubscriptionToken")]
struct Token {
    token: String,
}

/// The page of the web application for the public, with a question.
fn page_url(app: &SharedApp, tenant: &TenantId, name: &str, question: &str, token: &str) -> String {
    let base = external_url(app);
    let Ok(mut url) = url::Url::parse(&base) else { return base };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["status", tenant.as_str(), name]);
    }
    url.query_pairs_mut().append_pair(question, token);
    url.into()
}

/// What makes the link of a message by which its subscription is left.
pub(super) fn leave_links(
    app: &SharedApp,
    tenant: &TenantId,
    page: &str,
) -> Result<impl Fn(&str) -> String + Sync + use<>, Fault> {
    let (app, control) = (app.clone(), app.control()?);
    let (tenant, page) = (tenant.clone(), page.to_owned());
    Ok(move |id: &str| {
        let sealed = control.keyring().seal(PURPOSE, format!("{tenant}\n{page}\n{id}").as_bytes());
        // An id is short, so that it can always be sealed.
        page_url(&app, &tenant, &page, "leave", &sealed.unwrap_or_default())
    })
}

fn unknown() -> Fault {
    Fault::NotFound("the token is not, or no more, one that counts: ask for another".to_owned())
}

fn written(app: &SharedApp, visitor: &Visitor, tenant: &TenantId, target: &str, detail: Value) {
    let result = AuditResult::Ok;
    audited_visit(app, visitor, Visit { tenant, actor: None, action: ACTION, target, result, detail });
}

async fn subscribe(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path((tenant, name)): Path<(String, String)>,
    body: Body<NewSubscription>,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Subscribe)?;
    let (tenant, spec, _) = public_page(&app, &tenant, &name).await?;
    let kind = match body.0.kind {
        KindWord::Email => SubscriptionKind::Email,
        KindWord::Webhook => SubscriptionKind::Webhook,
    };
    if kind == SubscriptionKind::Email && !crate::mail::is_on(&app) {
        return Err(
            Fault::Conflict("this server sends no mail: give the address of a webhook".to_owned()).into()
        );
    }
    if kind == SubscriptionKind::Webhook {
        // A stranger reaches nothing inside, whatever the tenant may.
        let judged = url::Url::parse(&body.0.address)
            .map_err(|error| error.to_string())
            .and_then(|url| Policy::public().judge_url(&url).map_err(|refused| refused.to_string()));
        judged.map_err(|reason| Fault::invalid("address", reason))?;
    }
    let subscriber = Subscriber { page: &name, kind, address: body.0.address.trim() };
    let confirm = |token: &str| page_url(&app, &tenant, &name, "confirm", token);
    let engine = app.engine_of(&tenant).await?;
    engine.subscribe(&subscriber, &spec.title, &confirm).await.map_err(Fault::from)?;
    written(&app, &visitor, &tenant, &name, json!({ "kind": kind.as_str() }));
    Ok(StatusCode::ACCEPTED)
}

async fn confirm(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path((tenant, name)): Path<(String, String)>,
    body: Body<Token>,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Subscribe)?;
    let (tenant, ..) = public_page(&app, &tenant, &name).await?;
    let engine = app.engine_of(&tenant).await?;
    let confirmed = engine.tables().confirm_subscription(&body.0.token, app.now_ms());
    confirmed.await.map_err(Fault::from)?.ok_or_else(unknown)?;
    written(&app, &visitor, &tenant, &name, json!({ "confirmed": true }));
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path((tenant, name)): Path<(String, String)>,
    body: Body<Token>,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Subscribe)?;
    let control = app.control()?;
    let plain = control.keyring().unseal(PURPOSE, &body.0.token).map_err(|_| unknown())?;
    let plain = String::from_utf8(plain).map_err(|_| unknown())?;
    let id = plain.strip_prefix(&format!("{tenant}\n{name}\n")).ok_or_else(unknown)?;
    let tenant = TenantId::new(&tenant).map_err(|_| unknown())?;
    // Also where the page is gone: nobody is kept from leaving.
    control.active_tenant(&tenant).await.map_err(|_| unknown())?;
    let tables = alert::tables::Tables::new(control.scope(&tenant).await?);
    if !tables.unsubscribe(id).await.map_err(Fault::from)? {
        return Err(unknown().into());
    }
    written(&app, &visitor, &tenant, &name, json!({ "left": true }));
    Ok(StatusCode::NO_CONTENT)
}
