//! The pipelines of tenants: saved objects of kind `pipeline`, of which the one named like a signal is what
//! happens to its rows before they are stored.

use std::collections::HashMap;
use std::sync::Arc;

use control::{ControlError, ObjectKind};
use model::{Signal, TenantId};
use parking_lot::{Mutex, RwLock};
use pipeline::sampling::{TailSampler, TraceManager};
use pipeline::{ConfigError, Pipeline};
use serde_json::Value;

use super::App;
use crate::access::denied;
use crate::error::Fault;

/// How long a trace that was kept for what happened in it keeps its later spans.
const TAIL_WINDOW_MS: i64 = 10 * 60 * 1000;

/// What was made of a saved object.
pub(crate) enum Processing {
    /// Of logs and events.
    Rows(Pipeline),
    /// Of spans: samplers decide when a head is flushed, over whole traces.
    Traces { manager: Box<TraceManager>, tail: Mutex<TailSampler> },
}

impl Processing {
    /// Reads a specification.
    pub(crate) fn read(signal: Signal, spec: &Value) -> Result<Self, ConfigError> {
        if signal != Signal::Traces {
            return Ok(Self::Rows(Pipeline::from_config(spec)?));
        }
        let manager = TraceManager::from_config(spec)?;
        let tail = Mutex::new(TailSampler::new(manager.samplers().clone(), TAIL_WINDOW_MS));
        Ok(Self::Traces { manager: Box::new(manager), tail })
    }

    /// What is done to rows as they come.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        match self {
            Self::Rows(pipeline) => pipeline,
            Self::Traces { manager, .. } => manager.pipeline(),
        }
    }
}

/// What was looked up; `None` where nothing was set.
type Known = HashMap<(TenantId, Signal), Option<Arc<Processing>>>;

/// Pipelines that were looked up; a change forgets them.
#[derive(Default)]
pub(crate) struct Pipelines(RwLock<Known>);

impl Pipelines {
    /// What is known without asking the database.
    pub(crate) fn known(&self, tenant: &TenantId, signal: Signal) -> Option<Arc<Processing>> {
        self.0.read().get(&(tenant.clone(), signal)).cloned().flatten()
    }
}

impl App {
    /// What happens to a tenant's rows; `None` where nothing was set. While the control database cannot be
    /// read, rows are refused rather than stored unredacted.
    pub(crate) async fn processing(
        &self,
        tenant: &TenantId,
        signal: Signal,
    ) -> Result<Option<Arc<Processing>>, Fault> {
        let key = (tenant.clone(), signal);
        if let Some(known) = self.pipelines.0.read().get(&key) {
            return Ok(known.clone());
        }
        let object = self.control()?.object(tenant, ObjectKind::Pipeline, signal.as_str()).await;
        let processing = match object {
            Ok(object) => Some(Arc::new(compile(signal, &object.spec)?)),
            Err(ControlError::NotFound { .. }) => None,
            Err(error) => return Err(denied(&error)),
        };
        self.pipelines.0.write().insert(key, processing.clone());
        Ok(processing)
    }

    /// Makes the next write look again.
    pub(crate) fn forget_pipelines(&self, tenant: &TenantId) {
        self.pipelines.0.write().retain(|(of, _), _| of != tenant);
    }
}

/// Reads a specification, or says what is wrong with it.
pub(crate) fn compile(signal: Signal, spec: &Value) -> Result<Processing, Fault> {
    Processing::read(signal, spec).map_err(|error| Fault::invalid("spec", error.to_string()))
}

/// The signal that a saved pipeline is of, by its name.
pub(crate) fn signal_of(name: &str) -> Result<Signal, Fault> {
    match name {
        "logs" => Ok(Signal::Logs),
        "traces" => Ok(Signal::Traces),
        "events" => Ok(Signal::Events),
        other => {
            Err(Fault::invalid("name", format!("{other:?}: a pipeline is named logs, traces or events")))
        }
    }
}
