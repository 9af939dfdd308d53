//! People and tenants of tests.

use control::{Defaults, NewTenant, NewUser, Principal};
use model::TenantId;
use serde_json::json;

use crate::testing::{Answer, Server};

/// Good enough for everyone.
pub(super) const PASSWORD: &str = "a sentence of no one";

/// Somebody who is signed in.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) cookie: String,
    pub(super) csrf: String,
}

impl Person {
    /// Makes somebody with [`PASSWORD`] and signs them in.
    pub(super) async fn new(server: &Server, tenant: &TenantId, email: &str, role: &str) -> Self {
        let control = server.app.control().unwrap();
        let new = NewUser { email, name: "Somebody", role };
        let user = control.create_user(tenant, &Principal::system(), new).await.unwrap();
        control.change_password(tenant, &user.id, None, PASSWORD, None).await.unwrap();
        let link = control.new_sign_in_link(tenant, &user.id).await.unwrap();
        let body = json!({ "token": link.token.expose() }).to_string();
        Self::signed_in(&user.id, &server.ask("POST /api/v1/auth/link", &[], body).await)
    }

    /// Whoever an answer signed in.
    pub(super) fn signed_in(id: &str, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Self { id: id.to_owned(), cookie, csrf }
    }

    /// Asks as this person, with more header lines.
    pub(super) async fn ask_with(
        &self,
        server: &Server,
        line: &str,
        more: &[(&str, &str)],
        body: impl Into<axum::body::Body>,
    ) -> Answer {
        let mut headers = vec![("cookie", self.cookie.as_str()), ("x-csrf-token", self.csrf.as_str())];
        headers.extend_from_slice(more);
        server.ask(line, &headers, body).await
    }

    /// Asks as this person.
    pub(super) async fn ask(&self, server: &Server, line: &str, body: impl Into<axum::body::Body>) -> Answer {
        self.ask_with(server, line, &[], body).await
    }
}

/// An active tenant with nobody in it that matters.
pub(super) async fn tenant(server: &Server, id: &str) -> TenantId {
    let new = NewTenant {
        id: TenantId::new(id).unwrap(),
        name: id.to_owned(),
        settings: json!({}),
        limits: json!({}),
        admin_email: format!("first@{id}.example"),
        admin_name: "First".to_owned(),
        key_name: None,
    };
    server.app.control().unwrap().create_tenant(new, Defaults::default()).await.unwrap().tenant.id
}

/// The `code` of an error.
pub(super) fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or("").to_owned()
}
