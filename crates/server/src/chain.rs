//! What every request passes before its handler, over HTTP, gRPC and WebSocket alike: five steps in one order.
//!
//! Three kinds of route. *Public* ones answer anyone and do not pass here. *Open* ones (ingest, the compatibility
//! read APIs, SQL and search) answer tenant `default` without a credential while `auth.local = "open"`, which
//! needs every listener on loopback. *Protected* ones always need one.

mod gate; // the steps as middleware
mod steps; // what each one does

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use control::{Permission, Principal, Tenant};
use model::TenantId;

use crate::app::SharedApp;
use crate::error::Fault;
use crate::limits::Pass;
use crate::reach::Reach;

pub(crate) use gate::{Gate, gate};

/// A step, in the order of [`Step::CHAIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Who asks, and so for which tenant. A token says; a subdomain and headers may only agree.
    ExtractTenantContext,
    /// Whether the tenant may be used, and the caller may do this in it.
    ValidateTenantAccess,
    /// From here on every statement runs in the tenant's part of the database.
    SwitchDatabaseContext,
    /// Whether the tenant and the caller still may, or did so too often.
    EnforceResourceLimits,
    /// Notes who asked, so that what became of it is written down.
    AuditTenantAccess,
}

impl Step {
    /// All of them, in the order in which they are taken.
    pub(crate) const CHAIN: [Self; 5] = [
        Self::ExtractTenantContext,
        Self::ValidateTenantAccess,
        Self::SwitchDatabaseContext,
        Self::EnforceResourceLimits,
        Self::AuditTenantAccess,
    ];
}

/// Who asks and for which tenant.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Whose data the handler reads and writes, and in whose part of the database it works.
    pub(crate) tenant: TenantId,
    /// How the caller proved who it is.
    pub(crate) who: Who,
    /// The caller and what it may do.
    pub(crate) principal: Arc<Principal>,
    /// From where, without a port; empty when that is not known.
    pub(crate) address: Arc<str>,
    /// Counts as a request under way while it lives.
    _pass: Option<Arc<Pass>>,
}

impl Identity {
    /// Which telemetry the caller sees: of the tenant, what the caller's role shows.
    pub(crate) fn reach(&self) -> Reach {
        Reach::of(&self.principal)
    }

    /// Refuses a caller that lacks a permission.
    pub(crate) fn need(&self, permission: Permission) -> Result<(), Fault> {
        self.principal.need(permission).map_err(Fault::from)
    }

    /// Whether the caller runs the server: who manages the platform, and whoever sees the settings of tenant
    /// `default`, which a server with one tenant is run from; there also everyone while access is open.
    pub(crate) fn operates(&self) -> bool {
        let sees = self.principal.may(Permission::SettingsRead) || matches!(self.who, Who::Anyone);
        self.principal.may(Permission::PlatformManage) || sees && self.tenant == TenantId::default_tenant()
    }

    /// The tenant that a path names: the caller's own, as `current` too; another one only for those who manage
    /// the platform. To everyone else a foreign tenant does not exist.
    pub(crate) fn tenant_of_path(&self, named: &str) -> Result<TenantId, Fault> {
        if named == "current" || named == self.tenant.as_str() {
            return Ok(self.tenant.clone());
        }
        let unknown = || {
            let shown: String = named.chars().take(80).collect();
            Fault::NotFound(format!("tenant {shown:?} does not exist"))
        };
        let tenant = TenantId::new(named).map_err(|_| unknown())?;
        if self.principal.may(Permission::PlatformManage) { Ok(tenant) } else { Err(unknown()) }
    }

    /// The same for what goes on after its request, which is not under way any more.
    pub(crate) fn released(self) -> Self {
        Self { _pass: None, ..self }
    }

    /// Tenant `default` without a credential, which tests of handlers begin with.
    #[cfg(test)]
    pub(crate) fn anyone() -> Self {
        steps::anyone(Arc::from(""))
    }
}

/// How the caller proved who it is.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Not at all: open access on loopback.
    Anyone,
    /// With an API key.
    Key,
    /// With a signed access token.
    Token(Box<control::AccessPrincipal>),
    /// With a session cookie.
    Session(Box<control::SessionPrincipal>),
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Nothing is asked while access is open.
    open: bool,
    /// To look; `None` for whoever is signed in.
    look: Option<Permission>,
    /// To change.
    change: Option<Permission>,
    /// Changes concern all tenants, so they are for those who run the server: who manages the platform, and tenant
    /// `default`, which a server with one tenant is run from.
    operate: bool,
}

impl Need {
    /// Storing telemetry by any protocol.
    pub(crate) const INGEST: Self = Self::open(Permission::TelemetryWrite);

    /// One permission for every method; nothing is asked while access is open.
    pub(crate) const fn open(permission: Permission) -> Self {
        Self { open: true, look: Some(permission), change: Some(permission), operate: false }
    }

    /// One permission to look and one to change.
    pub(crate) const fn protected(look: Permission, change: Permission) -> Self {
        Self { open: false, look: Some(look), change: Some(change), operate: false }
    }

    /// One permission for every method.
    pub(crate) const fn always(permission: Permission) -> Self {
        Self::protected(permission, permission)
    }

    /// Whoever is signed in.
    pub(crate) const SIGNED_IN: Self = Self { open: false, look: None, change: None, operate: false };

    /// The server itself: reloading, restarting services.
    pub(crate) const OPERATE: Self =
        Self { operate: true, ..Self::protected(Permission::SettingsRead, Permission::SettingsManage) };

    /// Whether it answers without a credential while access is open.
    pub(crate) fn is_open(self) -> bool {
        self.open
    }

    /// What a method needs; `None` where it is enough to be signed in.
    pub(crate) fn of(self, method: &Method) -> Option<Permission> {
        if method.is_safe() { self.look } else { self.change }
    }
}

/// What the steps read of a request.
#[derive(Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// From where, without a port; empty when that is not known.
    pub(crate) address: Arc<str>,
    /// From a page of a site that may send: [`crate::headers::AllowedOrigin`].
    is_allowed_origin: bool,
    /// Where the outermost layer finds who asked.
    note: Option<&'a Note>,
}

impl<'a> Asked<'a> {
    /// The request of a connection that goes on.
    pub(crate) fn again(method: &'a Method, headers: &'a HeaderMap, address: Arc<str>) -> Self {
        Self { method, headers, address, is_allowed_origin: false, note: None }
    }
}

impl<'a> From<&'a Parts> for Asked<'a> {
    fn from(parts: &'a Parts) -> Self {
        let is_allowed_origin = parts.extensions.get::<crate::headers::AllowedOrigin>().is_some();
        let (method, headers) = (&parts.method, &parts.headers);
        let address = crate::visitor::address_of(&parts.extensions);
        Self { method, headers, address, is_allowed_origin, note: parts.extensions.get() }
    }
}

/// Who asked, as far as the chain came: left for the outermost layer, which learns the status.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note(Arc<std::sync::OnceLock<Noted>>);

/// Who asked, for the audit log.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) tenant: TenantId,
    /// `None` where the caller proved nothing.
    pub(crate) principal: Option<Arc<Principal>>,
    /// What the route asks for; `None` where it is enough to be signed in.
    pub(crate) permission: Option<Permission>,
    pub(crate) address: Arc<str>,
    /// The step that refused.
    pub(crate) refused_at: Option<Step>,
    /// Another tenant that a header or the host named.
    pub(crate) named: Option<String>,
}

impl Noted {
    /// Whether the request was to change something other than telemetry.
    pub(crate) fn is_change(&self, method: &str) -> bool {
        let telemetry = [Some(Permission::TelemetryRead), Some(Permission::TelemetryWrite)];
        !telemetry.contains(&self.permission) && !matches!(method, "GET" | "HEAD" | "OPTIONS")
    }
}

impl Note {
    /// What was noted, if the request came by here.
    pub(crate) fn get(&self) -> Option<&Noted> {
        self.0.get()
    }

    fn put(&self, noted: Noted) {
        // A request passes once; a second pass, as of a nested router, says the same.
        let _ = self.0.set(noted);
    }
}

/// Takes every step. For handlers that answer in a protocol of their own, and for [`gate`].
pub(crate) async fn pass(app: &SharedApp, asked: Asked<'_>, need: Need) -> Result<Identity, Fault> {
    let mut passage = steps::Passage::new(app, asked, need);
    for step in Step::CHAIN {
        tracing::trace!(?step, "chain");
        if let Err(fault) = passage.take(step).await {
            passage.note(Some(step));
            return Err(fault);
        }
    }
    passage.end()
}

/// Whether whoever was let through still would be: who asks and what they may do, read anew. Counts and notes nothing.
pub(crate) async fn recheck(app: &SharedApp, asked: Asked<'_>, need: Need) -> Result<Arc<Principal>, Fault> {
    let mut passage = steps::Passage::new(app, asked, need);
    passage.take(Step::ExtractTenantContext).await?;
    passage.take(Step::ValidateTenantAccess).await?;
    passage.end().map(|identity| identity.principal)
}

/// A tenant that was found active, for the steps behind.
type Active = Arc<Tenant>;
