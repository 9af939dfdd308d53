//! How providers are asked. The control plane has no HTTP client of its own: whoever wires it gives it one
//! that refuses addresses a tenant may not reach.

use async_trait::async_trait;
use model::TenantId;

use crate::secret::Secret;

/// An answer's body is cut off above this; no provider's is nearly as long.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// At most [`BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

/// Asks on behalf of a tenant. Errors say why in words, without secrets. Implementations bound time and size,
/// follow no redirect of a POST, and reach no address the tenant may not reach.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Gets a document, with a bearer token if there is one.
    async fn get(&self, tenant: &TenantId, url: &str, bearer: Option<&Secret>) -> Result<Fetched, String>;

    /// Posts a form, with a name and password for basic authentication if there are any.
    async fn post_form(
        &self,
        tenant: &TenantId,
        url: &str,
        form: &[(&str, &str)],
        basic: Option<(&str, &Secret)>,
    ) -> Result<Fetched, String>;
}
