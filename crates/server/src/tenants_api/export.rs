//! Everything there is of a tenant but its telemetry, as an archive: its settings, saved objects as YAML, people,
//! roles, teams, projects, keys and providers as JSON lines. Secrets are not in it; of most only hashes exist.

mod archive; // tar

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::IntoResponse;
use control::{Control, ControlError, ObjectKind};
use futures::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::keys::ApiKey;
use super::scope::InTenant;
use super::sso::SignInProvider;
use super::tenants::Tenant;
use crate::openapi::{Op, Routes, bytes};
use crate::realtime::timestamp;
use archive::{END, entry};

/// Items read at once.
const PAGE: u32 = 500;

/// Parts that may wait for a slow reader.
const PARTS_MAX: usize = 4;

pub(super) fn routes() -> Routes {
    let op = Op::new("exportTenant", "Everything there is of a tenant but its telemetry, as an archive")
        .about("Secrets are not in it; of most only hashes exist.");
    Routes::new("Tenants").post(
        "/api/v1/tenants/{tenant}/export",
        export,
        op.gives_content(bytes("application/x-tar")),
    )
}

/// Streams the archive; a failure on the way breaks the connection off, so that half of it is not taken for
/// all of it.
async fn export(scope: InTenant) -> impl IntoResponse {
    scope.audited("tenants:export", scope.id().as_str(), &Value::Null);
    let InTenant { app, control, tenant, .. } = scope;
    let (sender, receiver) = mpsc::channel(PARTS_MAX);
    let writer = Writer { control: Control::clone(&control), sender, at_s: app.now_ms() / 1000 };
    let name = format!("attachment; filename=\"{}.tar\"", tenant.id);
    kit::spawn::spawn("export tenant", async move {
        if let Err(Stopped::Failed(error)) = writer.write(&tenant).await {
            tracing::warn!(tenant = %tenant.id, %error, "an export broke off");
            let _ = writer.sender.send(Err(io::Error::other("the export failed"))).await;
        }
    });
    let parts = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<io::Result<Bytes>>| {
        receiver.recv().await.map(|part| (part, receiver))
    });
    // A layer that compresses asks once more behind the end.
    let parts = parts.fuse();
    let headers =
        [(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, Body::from_stream(parts))
}

/// Why the writing ended early.
enum Stopped {
    /// Nobody reads any more.
    Gone,
    Failed(ControlError),
}

impl From<ControlError> for Stopped {
    fn from(error: ControlError) -> Self {
        Self::Failed(error)
    }
}

/// Writes the parts of an archive, page by page, so that memory holds one page at most.
struct Writer {
    control: Control,
    sender: mpsc::Sender<io::Result<Bytes>>,
    at_s: i64,
}

impl Writer {
    async fn write(&self, tenant: &control::Tenant) -> Result<(), Stopped> {
        self.put("tenant.json", pretty(&Tenant::from(tenant.clone()))).await?;
        for kind in ObjectKind::ALL {
            self.objects(tenant, kind).await?;
        }
        self.people(tenant).await?;
        self.roles(tenant).await?;
        self.groups(tenant).await?;
        self.programs(tenant).await?;
        self.providers(tenant).await?;
        self.send(END.to_vec()).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<(), Stopped> {
        self.sender.send(Ok(bytes.into())).await.map_err(|_| Stopped::Gone)
    }

    async fn put(&self, name: &str, content: Vec<u8>) -> Result<(), Stopped> {
        self.send(entry(name, &content, self.at_s)).await
    }

    /// One file each. The number keeps apart what reads the same as a file name; the name itself is inside.
    async fn objects(&self, tenant: &control::Tenant, kind: ObjectKind) -> Result<(), Stopped> {
        let (mut after, mut number): (Option<String>, u64) = (None, 0);
        loop {
            let page = self.control.objects(&tenant.id, kind, after.as_deref(), PAGE).await?;
            after = page.next;
            for mut object in page.items {
                number += 1;
                // Whoever keeps the archive is not whoever may read secrets.
                crate::objects::mask(kind, &mut object.spec);
                let whole = json!({ "kind": kind.as_str(), "name": object.name, "spec": object.spec });
                let file = format!("objects/{}/{number:05}-{}.yaml", kind.as_str(), as_file(&object.name));
                self.put(&file, yaml(&whole)).await?;
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn people(&self, tenant: &control::Tenant) -> Result<(), Stopped> {
        let (mut after, mut lines): (Option<String>, Vec<u8>) = (None, Vec::new());
        loop {
            let page = self.control.users(&tenant.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.email.clone());
            for user in &page {
                line(
                    &mut lines,
                    &json!({
                        "id": user.id, "email": user.email, "name": user.name, "role": user.role,
                        "state": user.state.as_str(), "created_at": timestamp(user.created_at),
                        "last_sign_in_at": user.last_sign_in_at.map(timestamp),
                    }),
                );
            }
        }
        self.put("members.jsonl", lines).await
    }

    async fn roles(&self, tenant: &control::Tenant) -> Result<(), Stopped> {
        let mut lines = Vec::new();
        for role in self.control.roles(&tenant.id).await? {
            line(
                &mut lines,
                &json!({
                    "name": role.name, "description": role.description,
                    "permissions": role.permissions.names(), "selector": role.selector,
                }),
            );
        }
        self.put("roles.jsonl", lines).await
    }

    async fn groups(&self, tenant: &control::Tenant) -> Result<(), Stopped> {
        let (mut after, mut lines): (Option<String>, Vec<u8>) = (None, Vec::new());
        loop {
            let page = self.control.teams(&tenant.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            for team in &page {
                let members = self.control.team_members(&tenant.id, &team.id).await?;
                let members: Vec<String> = members.into_iter().map(|user| user.email).collect();
                line(&mut lines, &json!({ "id": team.id, "name": team.name, "members": members }));
            }
        }
        self.put("teams.jsonl", lines).await?;
        let (mut after, mut lines): (Option<String>, Vec<u8>) = (None, Vec::new());
        loop {
            let page = self.control.projects(&tenant.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            for project in &page {
                line(
                    &mut lines,
                    &json!({
                        "id": project.id, "name": project.name, "description": project.description,
                        "team": project.team,
                    }),
                );
            }
        }
        self.put("projects.jsonl", lines).await
    }

    async fn programs(&self, tenant: &control::Tenant) -> Result<(), Stopped> {
        let (mut after, mut lines): (Option<String>, Vec<u8>) = (None, Vec::new());
        loop {
            let page = self.control.service_accounts(&tenant.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            for account in &page {
                line(
                    &mut lines,
                    &json!({
                        "id": account.id, "name": account.name, "role": account.role,
                        "state": account.state.as_str(),
                    }),
                );
            }
        }
        self.put("service_accounts.jsonl", lines).await?;
        let (mut after, mut lines): (Option<String>, Vec<u8>) = (None, Vec::new());
        loop {
            let page = self.control.keys(&tenant.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for key in page {
                line(&mut lines, &ApiKey::from(key));
            }
        }
        self.put("keys.jsonl", lines).await
    }

    async fn providers(&self, tenant: &control::Tenant) -> Result<(), Stopped> {
        let mut lines = Vec::new();
        for provider in self.control.sso_providers(&tenant.id).await? {
            line(&mut lines, &SignInProvider::of(provider, None));
        }
        self.put("sign_in_providers.jsonl", lines).await
    }
}

fn line(lines: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *lines, value).expect("values are JSON");
    lines.push(b'\n');
}

fn pretty(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("values are JSON")
}

fn yaml(value: &Value) -> Vec<u8> {
    serde_yaml_ng::to_string(value).expect("JSON is YAML").into_bytes()
}

/// A name as a file may have it: letters, digits, `-` and `_`, at most 60.
fn as_file(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    name.chars().map(plain).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names() {
        for (name, want) in [("hosts", "hosts"), ("../etc/passwd", "___etc_passwd"), ("a b é", "a_b__")] {
            assert_eq!(as_file(name), want);
        }
        assert_eq!(as_file(&"x".repeat(200)).len(), 60);
    }
}
