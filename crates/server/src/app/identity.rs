//! What accounts and tenants need of the application: its own address, and sign-in through
//! providers.

use std::sync::Arc;

use control::Control;
use control::sso::Sso;
use kit::config::settings::TlsMode;
use parking_lot::Mutex;

use super::App;
use crate::account::ProviderFetch;
use crate::error::Fault;

/// Sign-in through providers, made when it is first needed and again when the control plane was started anew
/// or the server's address changed. It remembers what providers said of themselves.
#[derive(Default)]
pub(crate) struct SsoHolder(Mutex<Option<Held>>);

struct Held {
    control: Arc<Control>,
    public_url: String,
    sso: Sso,
}

impl App {
    /// Puts tokens in place, or takes them away.
    pub(crate) fn plug_tokens(&self, tokens: Option<Arc<control::Tokens>>) {
        self.tokens.store(tokens);
    }

    /// What issues and judges tokens, or a transient refusal while the control plane is not up.
    pub(crate) fn tokens(&self) -> Result<Arc<control::Tokens>, Fault> {
        self.tokens
            .load_full()
            .ok_or_else(|| Fault::Unavailable("the control database is being opened".into()))
    }

    /// What each tenant may use, and uses.
    pub(crate) fn tenant_limits(&self) -> &crate::limits::Tenants {
        &self.tenant_limits
    }

    /// Where what happened is written down.
    pub(crate) fn audit(&self) -> &crate::audit::Auditor {
        &self.audit
    }

    /// The address that people reach the server by, without a slash at the end; `None` where none is set.
    pub(crate) fn external_url(&self) -> Option<String> {
        let external = self.settings().server.external_url.trim_end_matches('/').to_owned();
        Some(external).filter(|external| !external.is_empty())
    }

    /// True where the server is reached over TLS and not otherwise.
    pub(crate) fn is_https(&self) -> bool {
        let settings = self.settings();
        settings.tls.mode == TlsMode::Required || settings.server.external_url.starts_with("https://")
    }

    /// Sign-in through providers. They send people back to one fixed address, so it must be known.
    pub(crate) fn sso(self: &Arc<Self>) -> Result<Sso, Fault> {
        let control = self.control()?;
        let settings = self.settings();
        let public_url = match settings.server.external_url.as_str() {
            "" if self.is_open() => {
                let scheme = if settings.tls.mode == TlsMode::Off { "http" } else { "https" };
                format!("{scheme}://localhost:{}", settings.server.listen.port())
            }
            "" => {
                let why = "set server.external_url first: identity providers send people back to it";
                return Err(Fault::Conflict(why.to_owned()));
            }
            external => external.to_owned(),
        };
        let mut held = self.sso.0.lock();
        if let Some(held) = &*held
            && Arc::ptr_eq(&held.control, &control)
            && held.public_url == public_url
        {
            return Ok(held.sso.clone());
        }
        let fetch = Arc::new(ProviderFetch::new(self));
        let sso = Sso::new(Control::clone(&control), fetch, &public_url)?;
        *held = Some(Held { control, public_url, sso: sso.clone() });
        Ok(sso)
    }
}
