//! Whether whoever opened a connection may still listen: a connection outlives what let it in.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use control::Permission;

use crate::app::SharedApp;
use crate::chain::{Asked, Identity, Need, Who, recheck};
use crate::error::Fault;
use crate::reach::Reach;

/// What the route asks for.
const NEED: Need = Need::always(Permission::TelemetryRead);

/// What the connection was opened with.
#[derive(Debug)]
pub(super) struct Guard {
    headers: HeaderMap,
    identity: Identity,
    /// When the credential ends by itself, milliseconds since the Unix epoch.
    ends_at: Option<i64>,
}

impl Guard {
    pub(super) fn new(parts: &Parts, identity: Identity) -> Self {
        let ends_at = match &identity.who {
            Who::Token(token) => Some(token.expires_at),
            Who::Session(session) => Some(session.expires_at),
            Who::Anyone | Who::Key => None,
        };
        Self { headers: parts.headers.clone(), identity, ends_at }
    }

    /// What its owner may see.
    pub(super) fn reach(&self) -> Reach {
        self.identity.reach()
    }

    /// Refuses whoever would not be let in any more, or would see something else: revoked, signed out, expired,
    /// disabled, demoted, or of a tenant that is suspended.
    pub(super) async fn check(&self, app: &SharedApp) -> Result<(), Fault> {
        let asked = Asked::again(&Method::GET, &self.headers, Arc::clone(&self.identity.address));
        let now = recheck(app, asked, NEED).await?;
        let then = &self.identity.principal;
        if now.tenant == then.tenant && now.selector == then.selector {
            Ok(())
        } else {
            Err(Fault::Forbidden("what you may see has changed: connect again".to_owned()))
        }
    }

    /// Returns when the credential has ended by itself; never for one that does not.
    pub(super) async fn ended(&self, app: &SharedApp) {
        let Some(ends_at) = self.ends_at else { return std::future::pending().await };
        let left = u64::try_from(ends_at.saturating_sub(app.now_ms())).unwrap_or(0);
        app.clock().sleep(Duration::from_millis(left)).await;
    }
}

#[cfg(test)]
mod tests {
    use control::{KeyScope, NewUser, Principal, Role, Session, UserState};
    use model::TenantId;

    use super::*;
    use crate::chain::pass;
    use crate::testing::{Server, request};

    async fn guard(app: &SharedApp, header: (&str, &str)) -> Guard {
        let (parts, _) = request("GET /api/v1/ws", &[header], "").into_parts();
        let identity = pass(app, Asked::from(&parts), NEED).await.expect("let in");
        Guard::new(&parts, identity)
    }

    async fn session(server: &Server, email: &str) -> Session {
        let (control, tenant) = (server.app.control().unwrap(), TenantId::default_tenant());
        let new = NewUser { email, name: "V", role: Role::Viewer.as_str() };
        control.create_user(&tenant, &Principal::system(), new).await.unwrap();
        let link = control.new_sign_in_link(&tenant, email).await.unwrap();
        control.redeem_link(link.token.expose(), control::Client::default()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_ends_with_what_let_it_in() {
        let server = Server::new(false, &[]).await;
        let (app, tenant, system) = (&server.app, TenantId::default_tenant(), Principal::system());
        let control = app.control().unwrap();
        let by_session = async |email: &str| {
            let session = session(&server, email).await;
            let cookie = format!("{}={}", crate::access::SESSION_COOKIE, session.token.expose());
            (guard(app, ("cookie", &cookie)).await, session)
        };

        let (out, session) = by_session("out@example.com").await;
        out.check(app).await.expect("nothing has happened");
        assert_eq!(out.ends_at, Some(session.expires_at));
        control.end_session(session.token.expose()).await.unwrap();
        assert!(out.check(app).await.is_err(), "signed out");

        let (disabled, session) = by_session("disabled@example.com").await;
        control.set_user_state(&tenant, &system, &session.user.id, UserState::Disabled).await.unwrap();
        assert!(disabled.check(app).await.is_err(), "disabled");

        let (token, session) = by_session("token@example.com").await;
        let tokens = app.tokens().unwrap();
        let pair = tokens.issue_to(&session.id, &session.user.id, control::Binding::default()).await.unwrap();
        let by_token = guard(app, ("authorization", &format!("Bearer {}", pair.access.expose()))).await;
        by_token.check(app).await.expect("nothing has happened");
        let ends_in = by_token.ends_at.unwrap() - app.now_ms();
        assert!((800_000..=900_000).contains(&ends_in), "{ends_in}");
        tokens.revoke_families(&tenant, &session.user.id, None, "test").await.unwrap();
        assert!(by_token.check(app).await.is_err(), "revoked");
        token.check(app).await.expect("the session goes on");

        let key = server.key(&[KeyScope::Query]).await;
        let by_key = guard(app, ("authorization", &format!("Bearer {key}"))).await;
        by_key.check(app).await.expect("nothing has happened");
        assert_eq!(by_key.ends_at, None);
        let id = by_key.identity.principal.key_id.clone().unwrap();
        control.revoke_key(&tenant, &system, &id).await.unwrap();
        assert!(by_key.check(app).await.is_err(), "revoked");
    }
}
