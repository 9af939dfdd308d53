//! What each step does.

use std::sync::Arc;

use axum::http::{HeaderName, header};
use control::{Actor, ActorKind, Binding, Permission, Permissions, Principal};
use model::TenantId;

use super::{Active, Asked, Identity, Need, Noted, Step, Who};
use crate::access::{self, Credential};
use crate::app::SharedApp;
use crate::error::Fault;
use crate::limits::Pass;

/// Headers in which clients name a tenant. They may only agree with the credential.
const TENANT_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-scope-orgid"), HeaderName::from_static("x-tenant-id")];

/// Characters of a foreign tenant's name that are written down.
const NAMED_CHARS_MAX: usize = 80;

/// What may be done without a credential while access is open.
const OPEN: Permissions = Permissions::of(&[Permission::TelemetryRead, Permission::TelemetryWrite]);

/// A request on its way through the chain.
pub(super) struct Passage<'a> {
    app: &'a SharedApp,
    asked: Asked<'a>,
    need: Need,
    caller: Option<(Who, Arc<Principal>)>,
    tenant: Option<Active>,
    pass: Option<Arc<Pass>>,
    /// Another tenant that a header or the host named.
    named: Option<String>,
}

impl<'a> Passage<'a> {
    pub(super) fn new(app: &'a SharedApp, asked: Asked<'a>, need: Need) -> Self {
        Self { app, asked, need, caller: None, tenant: None, pass: None, named: None }
    }

    pub(super) async fn take(&mut self, step: Step) -> Result<(), Fault> {
        match step {
            Step::ExtractTenantContext => self.extract().await,
            Step::ValidateTenantAccess => self.validate().await,
            Step::SwitchDatabaseContext => self.switch(),
            Step::EnforceResourceLimits => self.enforce(),
            Step::AuditTenantAccess => {
                self.note(None);
                Ok(())
            }
        }
    }

    /// Who asks: the token is authoritative; where tenant is named beside it, the names must agree (R25).
    async fn extract(&mut self) -> Result<(), Fault> {
        let headers = self.asked.headers;
        access::refuse_strangers(self.app, headers, self.asked.is_allowed_origin)?;
        let open = self.need.open && self.app.is_open();
        let caller = match access::credential(headers, self.app.is_https()) {
            Some(Credential::Key(key)) => {
                let principal = self.app.control()?.identify_key(&key).await?;
                (Who::Key, principal)
            }
            Some(Credential::Token(token)) => {
                let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
                let binding = Binding { address: &self.asked.address, agent };
                let tokens = self.app.tokens()?;
                let found = tokens.authenticate_access(&token, binding).await?;
                let principal = Arc::new(found.principal.clone());
                (Who::Token(Box::new(found)), principal)
            }
            Some(Credential::Session(cookie)) => {
                match self.app.control()?.authenticate_session(&cookie).await {
                    Ok(session) => {
                        access::check_csrf(self.asked.method, headers, &session)?;
                        let principal = Arc::new(session.principal.clone());
                        (Who::Session(Box::new(session)), principal)
                    }
                    // An old cookie on an open route is no reason to refuse what needs none.
                    Err(_) if open => return self.agree(anyone_caller()),
                    Err(error) => return Err(error.into()),
                }
            }
            None if open => anyone_caller(),
            None => return Err(Fault::Unauthorized),
        };
        self.agree(caller)
    }

    /// Refuses a request whose headers or subdomain name another tenant than its credential.
    fn agree(&mut self, caller: (Who, Arc<Principal>)) -> Result<(), Fault> {
        let tenant = caller.1.tenant.clone();
        self.caller = Some(caller);
        for name in TENANT_HEADERS {
            let named = self.asked.headers.get_all(&name);
            if let Some(other) = named.iter().find(|named| named.as_bytes() != tenant.as_str().as_bytes()) {
                self.named =
                    Some(String::from_utf8_lossy(other.as_bytes()).chars().take(NAMED_CHARS_MAX).collect());
                return Err(Fault::Forbidden(format!(
                    "{name} names a tenant that the credential does not belong to"
                )));
            }
        }
        match access::subdomain(self.app, self.asked.headers) {
            Some(named) if named != tenant.as_str() => {
                let why = format!("the host names tenant {named:?}, which the credential does not belong to");
                self.named = Some(named.chars().take(NAMED_CHARS_MAX).collect());
                Err(Fault::Forbidden(why))
            }
            _ => Ok(()),
        }
    }

    /// A person's account and a key belong to one tenant, so whoever was found belongs to it; what is left is
    /// whether the tenant is in use and the caller may do this.
    async fn validate(&mut self) -> Result<(), Fault> {
        let Some((_, principal)) = &self.caller else { return Err(Fault::Unauthorized) };
        let control = self.app.control()?;
        self.tenant = Some(control.active_tenant(&principal.tenant).await?);
        if let Some(permission) = self.need.of(self.asked.method) {
            principal.need(permission)?;
        }
        let is_change = !self.asked.method.is_safe();
        if self.need.operate && is_change && principal.tenant != TenantId::default_tenant() {
            principal.need(Permission::PlatformManage)?;
        }
        Ok(())
    }

    /// Nothing is opened here: the tenant's part is opened by the first statement, since most requests have
    /// none. What is fixed from here on is the tenant that any statement of the handler runs for.
    fn switch(&mut self) -> Result<(), Fault> {
        if self.tenant.is_some() { Ok(()) } else { Err(Fault::Unauthorized) }
    }

    fn enforce(&mut self) -> Result<(), Fault> {
        if let (Some((_, principal)), Some(tenant)) = (&self.caller, &self.tenant) {
            self.pass = Some(Arc::new(self.app.tenant_limits().pass(self.app, tenant, principal)?));
        }
        Ok(())
    }

    /// Leaves who asked for the outermost layer.
    pub(super) fn note(&self, refused_at: Option<Step>) {
        let Some(note) = self.asked.note else { return };
        let caller = self.caller.as_ref();
        note.put(Noted {
            tenant: caller.map_or_else(TenantId::default_tenant, |(_, principal)| principal.tenant.clone()),
            principal: caller.map(|(_, principal)| Arc::clone(principal)),
            permission: self.need.of(self.asked.method),
            address: Arc::clone(&self.asked.address),
            refused_at,
            named: self.named.clone(),
        });
    }

    pub(super) fn end(self) -> Result<Identity, Fault> {
        let (who, principal) = self.caller.ok_or(Fault::Unauthorized)?;
        let tenant = principal.tenant.clone();
        Ok(Identity { tenant, who, principal, address: self.asked.address, _pass: self.pass })
    }
}

fn anyone_caller() -> (Who, Arc<Principal>) {
    let who =
        Actor { kind: ActorKind::System, id: "anyone".to_owned(), name: "anyone on this machine".to_owned() };
    let principal = Principal {
        tenant: TenantId::default_tenant(),
        who,
        key_id: None,
        permissions: OPEN,
        selector: None,
    };
    (Who::Anyone, Arc::new(principal))
}

#[cfg(test)]
pub(super) fn anyone(address: Arc<str>) -> Identity {
    let (who, principal) = anyone_caller();
    Identity { tenant: principal.tenant.clone(), who, principal, address, _pass: None }
}
