//! The tenant that a path names, with who asks: what every handler of these routes begins with.

use std::collections::HashMap;
use std::sync::Arc;

use axum::RequestPartsExt;
use axum::extract::{Extension, FromRequestParts, Path};
use axum::http::request::Parts;
use control::{Control, Principal, Tenant};
use model::TenantId;
use serde_json::Value;

use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};

/// A tenant that exists and that the caller may know of.
pub(super) struct InTenant {
    pub(super) app: SharedApp,
    pub(super) control: Arc<Control>,
    /// Who asks.
    pub(super) identity: Identity,
    pub(super) tenant: Arc<Tenant>,
}

impl InTenant {
    /// The tenant's identifier.
    pub(super) fn id(&self) -> &TenantId {
        &self.tenant.id
    }

    /// Who asks, as control checks it.
    pub(super) fn by(&self) -> &Principal {
        &self.identity.principal
    }

    /// Writes down what the caller did.
    pub(super) fn audited(&self, action: &str, target: &str, detail: &Value) {
        audited(&self.app, &self.identity, &self.tenant.id, action, target, detail);
    }
}

impl FromRequestParts<SharedApp> for InTenant {
    type Rejection = ApiFault;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, ApiFault> {
        let Ok(Extension(identity)) = parts.extract::<Extension<Identity>>().await else {
            return Err(Fault::Unauthorized.into());
        };
        let Ok(Path(mut named)) = parts.extract::<Path<HashMap<String, String>>>().await else {
            return Err(Fault::invalid("tenant", "the path is no text in UTF-8").into());
        };
        let named = named.remove("tenant").expect("the route has {tenant}");
        let id = identity.tenant_of_path(&named)?;
        let control = app.control()?;
        let tenant = control.tenant(&id).await?;
        Ok(Self { app: app.clone(), control, identity, tenant })
    }
}
