//! What checks of a tenant may reach and ask.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use control::PLATFORM_TENANT;
use model::TenantId;
use probe::check::{Facts, QueryLanguage, Reach, Refused, Report, Verdict};
use serde_json::{Map, Value};

use crate::app::{App, SharedApp};
use crate::outbound::{self, Policy};

/// Functions that checks of type `custom` can call: the health of a part of the server, by its name behind this.
const SERVICE: &str = "service/";

/// What of this machine and this server a check may look at: of the tenants of whoever runs it.
pub(super) fn is_own(tenant: &TenantId) -> bool {
    *tenant == TenantId::default_tenant() || tenant.as_str() == PLATFORM_TENANT
}

/// Where checks of a tenant may connect to.
pub(super) struct Reached {
    app: Weak<App>,
    tenant: TenantId,
}

impl Reached {
    pub(super) fn new(app: &SharedApp, tenant: &TenantId) -> Self {
        Self { app: Arc::downgrade(app), tenant: tenant.clone() }
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reached").field(&self.tenant).finish()
    }
}

#[async_trait]
impl Reach for Reached {
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let Some(app) = self.app.upgrade() else {
            return Err(Refused::Policy("the server is shutting down".to_owned()));
        };
        let policy = Policy::of(&self.tenant, app.outbound_ranges());
        let found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Refused::Lookup { host: host.to_owned(), cause: error.to_string() })?;
        let mut refused = Refused::NoAddress(host.to_owned());
        let mut reached = Vec::new();
        for address in found {
            match policy.judge(address.ip()) {
                Ok(()) => reached.push(address),
                Err(error) => refused = said(error),
            }
        }
        if reached.is_empty() { Err(refused) } else { Ok(reached) }
    }
}

fn said(error: outbound::Refused) -> Refused {
    Refused::Policy(error.to_string())
}

/// What checks of a tenant may ask of the server.
pub(super) struct Known {
    app: Weak<App>,
    tenant: TenantId,
}

impl Known {
    pub(super) fn new(app: &SharedApp, tenant: &TenantId) -> Self {
        Self { app: Arc::downgrade(app), tenant: tenant.clone() }
    }

    fn app(&self) -> Result<SharedApp, String> {
        self.app.upgrade().ok_or_else(|| "the server is shutting down".to_owned())
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known").field(&self.tenant).finish()
    }
}

#[async_trait]
impl Facts for Known {
    fn host_root(&self) -> Option<&Path> {
        is_own(&self.tenant).then(|| Path::new("/"))
    }

    async fn query(&self, language: QueryLanguage, query: &str) -> Result<Vec<f64>, String> {
        let app = self.app()?;
        crate::response::figures(&app, &self.tenant, language, query).await.map_err(|fault| fault.message())
    }

    async fn last_report(&self, check: &str) -> Result<Option<Report>, String> {
        let app = self.app()?;
        let seat = app.checks().seat(&self.tenant).ok_or("the checks are being read")?;
        Ok(seat.by_name(check).and_then(|entry| entry.report()))
    }

    async fn function(&self, name: &str, _arguments: &Map<String, Value>) -> Result<Verdict, String> {
        let unknown =
            || format!("no function is registered as {name:?}: write service/ and the name of a service");
        let service = name.strip_prefix(SERVICE).filter(|_| is_own(&self.tenant)).ok_or_else(unknown)?;
        let info = self.app()?.registry().info(service).map_err(|error| error.to_string())?;
        let healthy = crate::app::is_well(&info);
        let message =
            info.message.unwrap_or_else(|| format!("the service is {} and {}", info.status, info.health));
        Ok(Verdict { healthy, message: Some(message) })
    }
}
