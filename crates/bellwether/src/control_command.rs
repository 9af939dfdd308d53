//! Commands on the control database: tenants, people, keys. They work beside a running server, which learns of
//! changes within ten seconds, and seals what was done into the audit log.

use control::{Control, KeyGrant, KeyScope, KeyScopes, NewKey, NewTenant, NewUser, Principal, SetStatus};
use kit::config::settings::TlsMode;
use kit::{Clock, SystemClock};
use model::TenantId;
use serde_json::{Value, json};

use crate::args::{Arguments, TenantAction, TokenAction, UserAction};
use crate::compose::{Failure, data_folder, load};
use crate::greeting;

/// Rows of a list read at once.
const PAGE: u32 = 1000;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// Opens the control database for one command.
fn with_control(
    arguments: &Arguments,
    work: impl AsyncFnOnce(Control, String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = load(arguments)?.settings();
    let data = data_folder(&settings);
    if !data.exists() {
        return Err(
            format!("there is no data folder {}: name the server's with --data", data.display()).into()
        );
    }
    let is_encrypted = settings.tls.mode != TlsMode::Off;
    let base = greeting::base_url(settings.server.listen, &settings.server.external_url, is_encrypted);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let control = server::open_control(&settings, &data, SystemClock::shared()).await?;
        let outcome = work(control.clone(), base).await;
        control.close().await;
        outcome
    })
}

/// People.
pub(crate) fn user(arguments: &Arguments, action: &UserAction) -> Result<(), Failure> {
    with_control(arguments, async |control, base| match action {
        UserAction::Link { name, of } => {
            let tenant = tenant(&of.tenant)?;
            let link = control.new_sign_in_link(&tenant, name).await?;
            control.leave_audit(&tenant, "members:sign_in_link", name, &Value::Null).await?;
            println!("{}", greeting::sign_in_link(&base, link.token.expose()));
            Ok(())
        }
        UserAction::Create { email, name, role, of } => {
            let tenant = tenant(&of.tenant)?;
            let new = NewUser { email, name: name.as_deref().unwrap_or(email), role };
            let user = control.create_user(&tenant, &Principal::system(), new).await?;
            let link = control.new_sign_in_link(&tenant, &user.id).await?;
            let detail = json!({ "role": user.role });
            control.leave_audit(&tenant, "members:create", &user.email, &detail).await?;
            println!("{} ({}) is {} of {tenant}", user.email, user.id, user.role);
            println!("{}", greeting::sign_in_link(&base, link.token.expose()));
            Ok(())
        }
        UserAction::List { of } => {
            let tenant = tenant(&of.tenant)?;
            let mut after: Option<String> = None;
            loop {
                let page = control.users(&tenant, after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.email.clone());
                for user in page {
                    println!(
                        "{}\t{}\t{}\t{}\t{}",
                        user.id,
                        user.email,
                        user.name,
                        user.role,
                        user.state.as_str()
                    );
                }
            }
        }
    })
}

/// Tenants.
pub(crate) fn tenants(arguments: &Arguments, action: &TenantAction) -> Result<(), Failure> {
    with_control(arguments, async |control, base| match action {
        TenantAction::Create { id, name, admin, settings, limits } => {
            let new = NewTenant {
                id: tenant(id)?,
                name: name.clone().unwrap_or_else(|| id.clone()),
                settings: object("--settings", settings)?,
                limits: limits_of("--limits", limits)?,
                admin_email: admin.clone(),
                admin_name: admin.clone(),
                key_name: Some("first".to_owned()),
            };
            let result = control.create_tenant(new, server::tenant_defaults()).await?;
            let detail = json!({ "name": result.tenant.name, "admin": result.admin.email });
            left(&control, &result.tenant.id, "create", &detail).await?;
            for step in &result.steps {
                println!("{} done", step.name);
            }
            println!("tenant {} is {}", result.tenant.id, result.tenant.state.as_str());
            if let Some(key) = &result.key {
                println!("key with every scope, shown once: {}", key.expose());
            }
            println!(
                "{} signs in with {}",
                result.admin.email,
                greeting::sign_in_link(&base, result.link.token.expose())
            );
            Ok(())
        }
        TenantAction::List => {
            let mut after: Option<TenantId> = None;
            loop {
                let page = control.tenants(after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id.clone());
                for tenant in page {
                    println!("{}\t{}\t{}\t{}", tenant.id, tenant.state.as_str(), tenant.name, tenant.limits);
                }
            }
        }
        TenantAction::Suspend { id } => {
            let after = control.suspend_tenant(&tenant(id)?).await?;
            left(&control, &after.id, "suspend", &Value::Null).await?;
            told(&after)
        }
        TenantAction::Activate { id } => {
            let after = control.activate_tenant(&tenant(id)?).await?;
            left(&control, &after.id, "activate", &Value::Null).await?;
            told(&after)
        }
        TenantAction::Limit { id, limits } => {
            let limits = limits_of("limits", limits)?;
            let after = control.put_tenant_limits(&tenant(id)?, &limits).await?;
            left(&control, &after.id, "limit", &json!({ "limits": limits })).await?;
            told(&after)
        }
        TenantAction::Delete { id, confirm } => {
            if id != confirm {
                return Err(format!("--confirm names {confirm:?}, not {id:?}: nothing was deleted").into());
            }
            control.begin_delete(&tenant(id)?).await?;
            // The tenant's own trail goes with it.
            let trail = TenantId::default_tenant();
            control.leave_audit(&trail, "tenants:delete", id, &Value::Null).await?;
            println!(
                "tenant {id} is being deleted: the server removes its data within a minute, or when it starts"
            );
            Ok(())
        }
        TenantAction::Migrate { id: None, status, .. } => migrate_all(&control, *status).await,
        TenantAction::Migrate { id: Some(id), status, rollback } => {
            let id = tenant(id)?;
            if let Some(rollback) = rollback {
                let (set, version) = rollback.split_once('=').ok_or("write --rollback SET=VERSION")?;
                let version = version.parse().map_err(|_| format!("{version:?} is no version"))?;
                let undone = control.rollback_tenant(&id, set, version).await?;
                left(&control, &id, "rollback", &json!({ "set": set, "undone": undone })).await?;
                println!("{id}: undone {undone:?} of {set}");
                return Ok(());
            }
            let sets = if *status {
                control.migration_status(&id).await?
            } else {
                let sets = control.migrate_tenant(&id).await?;
                left(&control, &id, "migrate", &Value::Null).await?;
                sets
            };
            println!("{id}: {}", versions(&sets));
            Ok(())
        }
    })
}

async fn migrate_all(control: &Control, status: bool) -> Result<(), Failure> {
    let mut failed = 0;
    if status {
        let mut after: Option<TenantId> = None;
        loop {
            let page = control.tenants(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for tenant in page {
                println!("{}: {}", tenant.id, versions(&control.migration_status(&tenant.id).await?));
            }
        }
        return Ok(());
    }
    for report in control.migrate_all().await? {
        match report.result {
            Ok(sets) => {
                left(control, &report.tenant, "migrate", &Value::Null).await?;
                println!("{}: {}", report.tenant, versions(&sets));
            }
            Err(error) => {
                failed += 1;
                println!("{}: failed and stayed as it was: {error}", report.tenant);
            }
        }
    }
    if failed > 0 { Err(format!("{failed} tenants could not be migrated").into()) } else { Ok(()) }
}

/// Keys.
pub(crate) fn token(arguments: &Arguments, action: &TokenAction) -> Result<(), Failure> {
    with_control(arguments, async |control, _| match action {
        TokenAction::Create { name, scopes, days, of } => {
            let scopes: Vec<KeyScope> = scopes
                .iter()
                .map(|scope| {
                    KeyScope::parse(scope).ok_or_else(|| format!("{scope:?} is none of ingest, query, admin"))
                })
                .collect::<Result<_, _>>()?;
            let scopes = KeyScopes::of(&scopes).ok_or("name at least one --scope")?;
            let expires_at = days.map(|days| SystemClock::new().now_ms() + i64::from(days) * DAY_MS);
            let new = NewKey { name, grant: KeyGrant::Scopes(scopes), expires_at };
            let tenant = tenant(&of.tenant)?;
            let (key, secret) = control.create_key(&tenant, &Principal::system(), new).await?;
            let detail = json!({ "name": key.name, "scopes": scopes.iter().map(KeyScope::as_str).collect::<Vec<_>>(), "expires_at": expires_at });
            control.leave_audit(&tenant, "keys:create", &key.id, &detail).await?;
            println!("{}\t{}", key.id, secret.expose());
            Ok(())
        }
        TokenAction::List { of } => {
            let tenant = tenant(&of.tenant)?;
            let mut after: Option<String> = None;
            loop {
                let page = control.keys(&tenant, after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id.clone());
                for key in page {
                    let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
                    println!("{}\t{}…\t{}\t{state}", key.id, key.prefix, key.name);
                }
            }
        }
        TokenAction::Revoke { id, of } => {
            let tenant = tenant(&of.tenant)?;
            control.revoke_key(&tenant, &Principal::system(), id).await?;
            control.leave_audit(&tenant, "keys:revoke", id, &Value::Null).await?;
            println!("{id} is revoked");
            Ok(())
        }
        TokenAction::Rotate { id, overlap, of } => {
            let overlap_ms = i64::from(*overlap) * HOUR_MS;
            let tenant = tenant(&of.tenant)?;
            let rotated = control.rotate_key(&tenant, &Principal::system(), id, overlap_ms).await?;
            let detail = json!({ "overlap_hours": overlap });
            control.leave_audit(&tenant, "keys:rotate", id, &detail).await?;
            println!("{}\t{}", rotated.0.id, rotated.1.expose());
            Ok(())
        }
    })
}

/// Leaves what was done to a tenant for its trail.
async fn left(control: &Control, id: &TenantId, verb: &str, detail: &Value) -> Result<(), Failure> {
    Ok(control.leave_audit(id, &format!("tenants:{verb}"), id.as_str(), detail).await?)
}

fn tenant(id: &str) -> Result<TenantId, Failure> {
    TenantId::new(id).map_err(|error| format!("{id:?}: {error}").into())
}

fn object(what: &str, text: &str) -> Result<Value, Failure> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("{what} is no JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err(format!("{what} must be a JSON object").into()) }
}

fn limits_of(what: &str, text: &str) -> Result<Value, Failure> {
    let limits = object(what, text)?;
    server::check_tenant_limits(&limits).map_err(|message| format!("{what}: {message}"))?;
    Ok(limits)
}

fn told(tenant: &control::Tenant) -> Result<(), Failure> {
    println!("{}\t{}\t{}\t{}", tenant.id, tenant.state.as_str(), tenant.name, tenant.limits);
    Ok(())
}

fn versions(sets: &[SetStatus]) -> String {
    sets.iter().map(|set| format!("{} {}", set.set, set.version())).collect::<Vec<_>>().join(", ")
}
