//! People of a tenant.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use control::{Control, MemberFacts, NewUser, User, UserState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Paging;
use super::scope::InTenant;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::prom::params::Params;
use crate::visitor::Visitor;
use crate::word::Word;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/members";
    let member = &format!("{base}/{{id}}");
    Routes::new("Members")
        .get(base, list, Op::new("listMembers", "The people of a tenant, by address").gives_page::<Member>())
        .post(
            base,
            create,
            Op::new("createMember", "Adds somebody without an invitation")
                .about("A sign-in link is then how they come in.")
                .takes::<NewMember>()
                .creates::<Member>()
                .refuses(&[409]),
        )
        .patch(
            member,
            change,
            Op::new("updateMember", "Another name, role or state")
                .takes::<MemberChange>()
                .gives::<Member>()
                .refuses(&[409]),
        )
        .delete(
            member,
            remove,
            Op::new("deleteMember", "Removes somebody").gives_nothing(204).refuses(&[409]),
        )
        .post(
            &format!("{member}/sign-in-link"),
            sign_in_link,
            Op::new("createSignInLink", "A link that signs somebody in once, within an hour")
                .creates::<SignInLink>(),
        )
        .post(
            &format!("{member}/reset-second-factor"),
            reset_second_factor,
            Op::new("resetSecondFactor", "Takes an authenticator away that was lost").gives_nothing(204),
        )
        .delete(
            &format!("{member}/sessions"),
            end_sessions,
            Op::new("endMemberSessions", "Signs somebody out everywhere").gives_nothing(204),
        )
}

/// Somebody to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    email: String,
    name: String,
    /// The name of a role.
    role: String,
}

/// What of a person is to change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberChange {
    name: Option<String>,
    /// The name of a role.
    role: Option<String>,
    state: Option<Word<UserState>>,
}

/// A person.
#[derive(Serialize, JsonSchema)]
struct Member {
    id: String,
    email: String,
    name: String,
    role: String,
    /// Whether they may sign in.
    state: Word<UserState>,
    /// Whether an authenticator is set up.
    second_factor: bool,
    last_sign_in_at: Option<Moment>,
    created_at: Moment,
    /// Names of their teams.
    teams: Vec<String>,
}

impl Member {
    async fn of(control: &Control, user: User) -> Result<Self, Fault> {
        let mut facts = control.member_facts(&user.tenant, std::slice::from_ref(&user)).await?;
        let facts = facts.remove(&user.id).unwrap_or_default();
        Ok(Self::with(user, facts))
    }

    fn with(user: User, facts: MemberFacts) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role: user.role,
            state: Word(user.state),
            second_factor: facts.second_factor,
            last_sign_in_at: user.last_sign_in_at.map(Moment),
            created_at: Moment(user.created_at),
            teams: facts.teams,
        }
    }
}

/// A link that signs somebody in.
#[derive(Serialize, JsonSchema)]
struct SignInLink {
    /// Works once, and is in this answer alone.
    url: String,
    expires_at: Moment,
}

async fn list(scope: InTenant, params: Params) -> Result<Json<Page<Member>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let found = scope.control.users(scope.id(), paging.after(), paging.limit()).await?;
    let last = found.last().map(|user| user.email.clone());
    let mut facts = scope.control.member_facts(scope.id(), &found).await?;
    let item = |user: User| {
        let facts = facts.remove(&user.id).unwrap_or_default();
        Member::with(user, facts)
    };
    Ok(paging.page_of(found.into_iter().map(item).collect(), last))
}

/// Adds somebody without an invitation: a sign-in link is then how they come in.
async fn create(scope: InTenant, body: Body<NewMember>) -> Result<(StatusCode, Json<Member>), ApiFault> {
    let new = NewUser { email: &body.0.email, name: &body.0.name, role: &body.0.role };
    let user = scope.control.create_user(scope.id(), scope.by(), new).await?;
    scope.audited("members:create", &user.email, &json!({ "role": user.role }));
    Ok((StatusCode::CREATED, Json(Member::of(&scope.control, user).await?)))
}

async fn change(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
    body: Body<MemberChange>,
) -> Result<Json<Member>, ApiFault> {
    let MemberChange { name, role, state } = body.0;
    let (control, tokens) = (&scope.control, scope.app.tokens()?);
    let mut user = control.user(scope.id(), &id).await?;
    let id = user.id.clone();
    // What takes most comes first, so that a refusal leaves nothing half done but a name.
    if let Some(role) = &role {
        user = control.set_role(scope.id(), scope.by(), &id, role).await?;
        tokens.forget_user(&id);
        scope.audited("members:role", &user.email, &json!({ "role": user.role }));
    }
    if let Some(Word(state)) = state {
        user = control.set_user_state(scope.id(), scope.by(), &id, state).await?;
        tokens.forget_user(&id);
        scope.audited("members:state", &user.email, &json!({ "state": user.state.as_str() }));
    }
    if let Some(name) = &name {
        user = control.rename_user(scope.id(), scope.by(), &id, name).await?;
        scope.audited("members:rename", &user.email, &json!({ "name": user.name }));
    }
    Ok(Json(Member::of(control, user).await?))
}

async fn remove(scope: InTenant, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    let user = scope.control.user(scope.id(), &id).await?;
    scope.control.delete_user(scope.id(), scope.by(), &user.id).await?;
    scope.app.tokens()?.forget_user(&user.id);
    scope.audited("members:delete", &user.email, &json!({ "role": user.role }));
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody whom the caller may act for: nobody becomes, or signs out, those who may do more.
async fn covered(scope: &InTenant, id: &str) -> Result<User, Fault> {
    let user = scope.control.user(scope.id(), id).await?;
    let theirs = scope.control.principal(&user).await?;
    scope.by().need_cover(theirs.permissions, theirs.selector.as_deref())?;
    Ok(user)
}

/// A link that signs somebody in once, within an hour: for whoever lost every other way.
async fn sign_in_link(
    scope: InTenant,
    visitor: Visitor,
    Path((_, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<SignInLink>), ApiFault> {
    let user = scope.control.user(scope.id(), &id).await?;
    let link = scope.control.give_sign_in_link(scope.id(), scope.by(), &user.id).await?;
    scope.audited("members:sign_in_link", &user.email, &Value::Null);
    let url = format!("{}/signin?token={}", visitor.public_url(&scope.app), link.token.expose());
    Ok((StatusCode::CREATED, Json(SignInLink { url, expires_at: Moment(link.expires_at) })))
}

async fn reset_second_factor(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let user = scope.control.user(scope.id(), &id).await?;
    scope.control.reset_second_factor(scope.id(), scope.by(), &user.id).await?;
    scope.app.tokens()?.forget_user(&user.id);
    scope.audited("members:reset_second_factor", &user.email, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn end_sessions(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let user = covered(&scope, &id).await?;
    let ended = scope.control.revoke_sessions(scope.id(), &user.id, None).await?;
    scope.app.tokens()?.forget_user(&user.id);
    scope.audited("members:end_sessions", &user.email, &json!({ "ended": ended }));
    Ok(StatusCode::NO_CONTENT)
}
