//! Whose telemetry is read, and which part of it: everything that reads telemetry asks for a snapshot with one of
//! these, so that nothing can read past the selector of the caller's role.

use std::collections::BTreeMap;
use std::sync::Arc;

use control::Principal;
use model::{Matcher, Predicate, Signal, TenantId};
use query::{InvalidSelector, Selector};
use store::{MetricSnapshot, RowSnapshot};

use crate::error::Fault;

/// Whose telemetry is read, and which part of it.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) tenant: TenantId,
    /// `None` reaches all of the tenant's.
    selector: Option<Arc<str>>,
}

impl Reach {
    /// What the caller's role shows.
    pub(crate) fn of(principal: &Principal) -> Self {
        Self { tenant: principal.tenant.clone(), selector: principal.selector.as_deref().map(Arc::from) }
    }

    /// All of a tenant's, for what the server does itself.
    pub(crate) fn whole(tenant: &TenantId) -> Self {
        Self { tenant: tenant.clone(), selector: None }
    }

    /// Refuses a caller who sees a part where the answer is of the whole tenant.
    pub(crate) fn need_whole(&self, what: &str) -> Result<(), Fault> {
        match &self.selector {
            None => Ok(()),
            Some(selector) => Err(Fault::Forbidden(format!(
                "{what} tell of all telemetry, and your role shows only {selector}: ask with a role without a selector"
            ))),
        }
    }

    /// The selector. One that was stored and does not read any more shows nothing.
    fn selector(&self) -> Result<Option<Selector>, Fault> {
        self.selector.as_deref().map(Selector::parse).transpose().map_err(unreadable)
    }

    /// Whether something with these labels is within reach.
    pub(crate) fn shows(&self, labels: &BTreeMap<String, String>) -> Result<bool, Fault> {
        Ok(self.selector()?.is_none_or(|selector| {
            let value = |name: &str| labels.get(name).map_or("", String::as_str);
            selector.matchers().iter().all(|matcher| matcher.matches(value(&matcher.name)))
        }))
    }

    /// A snapshot of the tenant's series, less what is out of reach.
    pub(crate) fn series(&self, snapshot: MetricSnapshot) -> Result<MetricSnapshot, Fault> {
        Ok(match self.selector()? {
            Some(selector) => snapshot.within(selector.matchers()),
            None => snapshot,
        })
    }

    /// A snapshot of the tenant's rows of a signal, less what is out of reach.
    pub(crate) fn rows(&self, signal: Signal, snapshot: RowSnapshot) -> Result<RowSnapshot, Fault> {
        if signal == Signal::Audit {
            self.need_whole("audit rows")?;
        }
        Ok(match self.selector()? {
            Some(selector) => snapshot.within(selector.filter(signal).map_err(unreadable)?),
            None => snapshot,
        })
    }

    /// Of the rows of a signal those within reach, for what works without a snapshot.
    pub(crate) fn narrow(&self, signal: Signal, predicate: Predicate) -> Result<Predicate, Fault> {
        Ok(match self.selector()? {
            Some(selector) => predicate.and(selector.predicate(signal).map_err(unreadable)?),
            None => predicate,
        })
    }

    /// The same of series.
    pub(crate) fn narrow_series(&self, mut matchers: Vec<Matcher>) -> Result<Vec<Matcher>, Fault> {
        if let Some(selector) = self.selector()? {
            matchers.extend_from_slice(selector.matchers());
        }
        Ok(matchers)
    }
}

fn unreadable(error: InvalidSelector) -> Fault {
    Fault::Forbidden(format!("the selector of your role cannot be applied, so nothing is shown: {error}"))
}
