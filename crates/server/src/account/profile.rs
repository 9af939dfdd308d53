//! One's own account: who is signed in, the name, the password, sessions and tokens.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use control::{ActorKind, Permission, SignInMethod, TenantState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::person;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::{Identity, Who};
use crate::error::ApiFault;
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::word::Word;

/// Why tokens end whose owner ends them.
const BY_OWNER: &str = "ended by its owner";

pub(super) fn routes() -> Routes {
    let base = "/api/v1/auth";
    let (sessions_path, tokens_path) = (&format!("{base}/sessions"), &format!("{base}/tokens"));
    Routes::new("Account")
        .get(
            &format!("{base}/session"),
            session,
            Op::new("getSession", "Who is signed in, and what they may do").gives::<SignedIn>(),
        )
        .put(
            &format!("{base}/profile"),
            rename,
            Op::new("updateProfile", "Changes one's name").takes::<ProfileChange>().gives::<Profile>(),
        )
        .post(
            &format!("{base}/password"),
            change_password,
            Op::new("changePassword", "Changes one's password; every other session and every token ends")
                .takes::<PasswordChange>()
                .gives_nothing(204),
        )
        .get(
            sessions_path,
            sessions,
            Op::new("listOwnSessions", "One's own sessions").gives::<Page<OwnSession>>(),
        )
        .delete(
            sessions_path,
            end_other_sessions,
            Op::new("endOtherSessions", "Ends every session but the one that asks").gives_nothing(204),
        )
        .delete(
            &format!("{sessions_path}/{{id}}"),
            end_session,
            Op::new("endOwnSession", "Ends a session").gives_nothing(204),
        )
        .get(
            tokens_path,
            families,
            Op::new("listOwnTokens", "One's own token families: what one sign-in of a program was given")
                .gives::<Page<OwnTokens>>(),
        )
        .delete(
            &format!("{tokens_path}/{{id}}"),
            end_family,
            Op::new("endOwnTokens", "Ends a token family").gives_nothing(204),
        )
}

/// How one wants to be called.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProfileChange {
    name: String,
}

/// One's password, now and from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// Theirs now; whoever has none yet, since they sign in by other ways, leaves it out.
    current: Option<String>,
    new: String,
}

/// Who is signed in, and what they may do.
#[derive(Serialize, JsonSchema)]
struct SignedIn {
    user: Caller,
    tenant: CallersTenant,
    permissions: Vec<Word<Permission>>,
    /// Which telemetry they see; `null` for all.
    selector: Option<String>,
    /// What changes carry in `X-CSRF-Token`; empty where the caller has no session.
    csrf: String,
    /// Whether an authenticator is set up.
    second_factor: bool,
    /// How the session was begun; `key` or `token` for a caller with one of these.
    method: &'static str,
}

/// Who asks.
#[derive(Serialize, JsonSchema)]
struct Caller {
    id: String,
    name: String,
    /// Empty where the caller is no person.
    email: String,
    /// Empty where the caller is no person.
    role: String,
    kind: Word<ActorKind>,
}

/// For which tenant.
#[derive(Serialize, JsonSchema)]
struct CallersTenant {
    id: String,
    name: String,
    state: Word<TenantState>,
}

/// A person as they see themselves.
#[derive(Serialize, JsonSchema)]
struct Profile {
    id: String,
    name: String,
    email: String,
    role: String,
}

/// A session as its owner sees it.
#[derive(Serialize, JsonSchema)]
struct OwnSession {
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    method: Word<SignInMethod>,
    /// What the browser called itself; empty when it did not say.
    user_agent: String,
    /// Empty when it is not known.
    address: String,
    created_at: Moment,
    /// Behind by up to a minute.
    last_seen_at: Moment,
    expires_at: Moment,
}

/// A token family as its owner sees it.
#[derive(Serialize, JsonSchema)]
struct OwnTokens {
    id: String,
    /// Whether a token of it asks.
    current: bool,
    created_at: Moment,
    /// When a pair was issued last.
    last_used_at: Moment,
    expires_at: Moment,
    /// Empty when it is not known.
    address: String,
    /// Empty: only a hash of it is kept.
    user_agent: &'static str,
}

/// The session that asks, where it is one.
fn session_id(identity: &Identity) -> Option<&str> {
    match &identity.who {
        Who::Session(session) => Some(&session.id),
        Who::Anyone | Who::Key | Who::Token(_) => None,
    }
}

/// Who is signed in, and what they may do.
async fn session(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<SignedIn>, ApiFault> {
    let control = app.control()?;
    let principal = &identity.principal;
    let who = &principal.who;
    let tenant = control.tenant(&identity.tenant).await?;
    let (user, second_factor) = match person(&identity) {
        Ok(id) => {
            let second_factor = control.second_factor(&identity.tenant, id).await?.is_some();
            (Some(control.user(&identity.tenant, id).await?), second_factor)
        }
        Err(_) => (None, false),
    };
    let (csrf, method) = match &identity.who {
        Who::Session(session) => {
            let all = control.sessions(&identity.tenant, &who.id).await?;
            let own = all.iter().find(|info| info.id == session.id);
            (session.csrf.expose(), own.map_or("", |info| info.method.as_str()))
        }
        Who::Key => ("", "key"),
        Who::Token(_) => ("", "token"),
        Who::Anyone => ("", ""),
    };
    let (name, email, role) = match user {
        Some(user) => (user.name, user.email, user.role),
        None => (who.name.clone(), String::new(), String::new()),
    };
    Ok(Json(SignedIn {
        user: Caller { id: who.id.clone(), name, email, role, kind: Word(who.kind) },
        tenant: CallersTenant {
            id: tenant.id.to_string(),
            name: tenant.name.clone(),
            state: Word(tenant.state),
        },
        permissions: principal.permissions.iter().map(Word).collect(),
        selector: principal.selector.clone(),
        csrf: csrf.to_owned(),
        second_factor,
        method,
    }))
}

async fn rename(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<ProfileChange>,
) -> Result<Json<Profile>, ApiFault> {
    let id = person(&identity)?;
    let control = app.control()?;
    let user = control.rename_user(&identity.tenant, &identity.principal, id, &body.0.name).await?;
    audited(&app, &identity, &identity.tenant, "profile:update", id, &json!({ "name": user.name }));
    Ok(Json(Profile { id: user.id, name: user.name, email: user.email, role: user.role }))
}

/// Changes the password; every other session and every token ends.
async fn change_password(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<PasswordChange>,
) -> Result<StatusCode, ApiFault> {
    let id = person(&identity)?;
    let PasswordChange { current, new } = body.0;
    let control = app.control()?;
    let kept = session_id(&identity);
    control.change_password(&identity.tenant, id, current.as_deref(), &new, kept).await?;
    app.tokens()?.forget_user(id);
    audited(&app, &identity, &identity.tenant, "password:change", id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn sessions(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Page<OwnSession>>, ApiFault> {
    let current = session_id(&identity);
    let all = app.control()?.sessions(&identity.tenant, person(&identity)?).await?;
    let shown = |info: control::SessionInfo| OwnSession {
        current: current == Some(info.id.as_str()),
        id: info.id,
        method: Word(info.method),
        user_agent: info.user_agent,
        address: info.address,
        created_at: Moment(info.created_at),
        last_seen_at: Moment(info.last_seen_at),
        expires_at: Moment(info.expires_at),
    };
    Ok(Json(Page::whole(all.into_iter().map(shown).collect())))
}

async fn end_session(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    app.control()?.revoke_session(&identity.tenant, person(&identity)?, &id).await?;
    audited(&app, &identity, &identity.tenant, "session:revoke", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn end_other_sessions(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<StatusCode, ApiFault> {
    let (id, kept) = (person(&identity)?, session_id(&identity));
    let ended = app.control()?.revoke_sessions(&identity.tenant, id, kept).await?;
    audited(&app, &identity, &identity.tenant, "session:revoke", id, &json!({ "ended": ended }));
    Ok(StatusCode::NO_CONTENT)
}

async fn families(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Page<OwnTokens>>, ApiFault> {
    let all = app.tokens()?.families(&identity.tenant, person(&identity)?).await?;
    let current = match &identity.who {
        Who::Token(token) => Some(token.family.as_str()),
        Who::Anyone | Who::Key | Who::Session(_) => None,
    };
    let shown = |family: control::TokenFamily| OwnTokens {
        current: current == Some(family.id.as_str()),
        id: family.id,
        created_at: Moment(family.created_at),
        last_used_at: Moment(family.last_used_at),
        expires_at: Moment(family.expires_at),
        address: family.address,
        user_agent: "",
    };
    Ok(Json(Page::whole(all.into_iter().map(shown).collect())))
}

async fn end_family(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    app.tokens()?.revoke_own_family(&identity.tenant, person(&identity)?, &id, BY_OWNER).await?;
    audited(&app, &identity, &identity.tenant, "token:revoke", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
