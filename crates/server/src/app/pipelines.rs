//! The pipelines of tenants: saved objects of kind `pipeline`, of which the one named like a signal is what
//! happens to its rows before they are stored.

use std::collections::HashMap;
use std::sync::Arc;

use control::{ControlError, ObjectKind};
use model::{Signal, TenantId};
use parking_lot::{Mutex, RwLock};
use pipeline::sampling::{ExporterConfig, TailSampler, TraceManager};
use pipeline::{ConfigError, Pipeline};
use serde_json::Value;

use super::App;
use crate::error::Fault;

/// How long a trace that was kept for what happened in it keeps its later spans.
const TAIL_WINDOW_MS: i64 = 10 * 60 * 1000;

/// What was made of a saved object.
pub(crate) enum Processing {
    /// Of logs and events.
    Rows(Pipeline),
    /// Of spans: samplers decide when a head is flushed, over whole traces.
    Traces { manager: Box<TraceManager>, tail: Arc<Mutex<TailSampler>> },
}

impl Processing {
    /// Reads a specification.
    pub(crate) fn read(signal: Signal, spec: &Value) -> Result<Self, ConfigError> {
        if signal != Signal::Traces {
            return Ok(Self::Rows(Pipeline::from_config(spec)?));
        }
        let manager = TraceManager::from_config(spec)?;
        let tail = TailSampler::new(manager.samplers().clone(), TAIL_WINDOW_MS);
        Ok(Self::Traces { manager: Box::new(manager), tail: Arc::new(Mutex::new(tail)) })
    }

    /// What is done to rows as they come.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        match self {
            Self::Rows(pipeline) => pipeline,
            Self::Traces { manager, .. } => manager.pipeline(),
        }
    }

    /// Where exporters send spans over the network.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &str> {
        let exporters: &[ExporterConfig] = match self {
            Self::Rows(_) => &[],
            Self::Traces { manager, .. } => manager.exporters(),
        };
        exporters.iter().filter_map(|exporter| match exporter {
            ExporterConfig::OtlpHttp { endpoint, .. } => Some(endpoint.as_str()),
            ExporterConfig::File { .. } => None,
        })
    }

    /// Goes on with the memory of the one before, where both sample alike.
    fn remember(&mut self, before: &Self) {
        if let (Self::Traces { manager, tail }, Self::Traces { manager: old, tail: memory }) = (self, before)
            && manager.samplers() == old.samplers()
        {
            *tail = Arc::clone(memory);
        }
    }
}

/// What was looked up; `None` where nothing was set.
type Known = HashMap<(TenantId, Signal), Option<Arc<Processing>>>;

/// Pipelines as the database has them. Read by the first write or flush of a tenant, so that no tenant's file is
/// opened before it is needed; a change replaces its entry.
#[derive(Default)]
pub(crate) struct Pipelines(RwLock<State>);

#[derive(Default)]
struct State {
    known: Known,
    /// One more with each change: what was read before it is not kept after it.
    generation: u64,
}

impl Pipelines {
    /// What is known without asking the database: nothing, or that nothing was set, or what was.
    pub(crate) fn known(&self, tenant: &TenantId, signal: Signal) -> Option<Option<Arc<Processing>>> {
        self.0.read().known.get(&(tenant.clone(), signal)).cloned()
    }

    /// Forgets what a deleted tenant had set.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let mut state = self.0.write();
        // What is being read now may be its own.
        state.generation += 1;
        state.known.retain(|(of, _), _| of != tenant);
    }
}

impl State {
    /// Keeps what was read at a generation; false when something changed since, and it may be stale.
    fn keep(&mut self, key: (TenantId, Signal), read: Option<Processing>, generation: u64) -> bool {
        if self.generation != generation {
            return false;
        }
        let read = read.map(|mut processing| {
            if let Some(Some(before)) = self.known.get(&key) {
                processing.remember(before);
            }
            Arc::new(processing)
        });
        self.known.insert(key, read);
        true
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
        loop {
            if let Some(known) = self.pipelines.known(tenant, signal) {
                return Ok(known);
            }
            self.look_up_pipeline(tenant, signal).await?;
        }
    }

    /// Reads a pipeline from the database; false when a change came between, and it must be read again.
    async fn look_up_pipeline(&self, tenant: &TenantId, signal: Signal) -> Result<bool, Fault> {
        let generation = self.pipelines.0.read().generation;
        let object = self.control()?.object(tenant, ObjectKind::Pipeline, signal.as_str()).await;
        let processing = match object {
            Ok(object) => Some(compile(signal, &object.spec)?),
            Err(ControlError::NotFound { kind, .. }) if kind != "tenant" => None,
            Err(error) => return Err(error.into()),
        };
        Ok(self.pipelines.0.write().keep((tenant.clone(), signal), processing, generation))
    }

    /// Puts a changed pipeline in place of the one before; where it cannot be read, the next write looks again.
    pub(crate) async fn pipeline_changed(&self, tenant: &TenantId, signal: Signal) {
        self.pipelines.0.write().generation += 1;
        loop {
            match self.look_up_pipeline(tenant, signal).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(fault) => {
                    let reason = fault.message();
                    tracing::warn!(%tenant, reason, "a changed pipeline is read by the next write");
                    self.pipelines.0.write().known.remove(&(tenant.clone(), signal));
                    return;
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use pipeline::sampling::SpanFacts;
    use serde_json::json;

    use super::*;
    use crate::testing::Server;

    fn traces(rate: f64) -> Processing {
        let spec = json!({"samplers": [{"type": "rate", "rate": rate}, {"type": "errors"}]});
        compile(Signal::Traces, &spec).unwrap_or_else(|fault| panic!("{}", fault.message()))
    }

    /// Whether a later span of a trace that failed is kept.
    fn remembers(processing: &Processing, error: bool) -> bool {
        let Processing::Traces { tail, .. } = processing else { panic!("of spans") };
        let facts = SpanFacts { trace_ids: &[[7; 16]], errors: &[error], durations_ns: &[0] };
        tail.lock().decide(&facts, 0).is_none_or(|kept| kept[0])
    }

    #[test]
    fn an_edit_that_samples_alike_keeps_the_memory_of_traces() {
        for (rate, want) in [(0.0, true), (1e-9, false)] {
            let mut state = State::default();
            let key = (TenantId::default_tenant(), Signal::Traces);
            assert!(state.keep(key.clone(), Some(traces(0.0)), 0));
            assert!(remembers(state.known[&key].as_ref().expect("set"), true));
            assert!(state.keep(key.clone(), Some(traces(rate)), 0));
            assert_eq!(remembers(state.known[&key].as_ref().expect("set"), false), want, "{rate}");
        }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let mut state = State::default();
        let key = (TenantId::default_tenant(), Signal::Traces);
        state.generation += 1;
        assert!(!state.keep(key.clone(), None, 0));
        assert!(state.known.is_empty());
        assert!(state.keep(key, None, 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pipeline_of_an_earlier_run_samples_before_the_first_write() {
        let server = Server::new(true, &[]).await;
        let (tenant, app) = (TenantId::default_tenant(), &server.app);
        let spec = json!({"samplers": [{"type": "rate", "rate": 0}]});
        let control = app.control().expect("open");
        control.put_object(&tenant, ObjectKind::Pipeline, "traces", &spec, None).await.expect("saved");
        let now_ms = app.now_ms();
        let span = format!(
            r#"[{{"traceId":"{}","id":"0000000000000001","name":"n","timestamp":{now_ms}000,"duration":5}}]"#,
            "1".repeat(32),
        );
        let context = ingest::records::Context { received_at_ns: now_ms * 1_000_000 };
        let decoded = ingest::zipkin::decode(span.as_bytes(), &context).expect("a span");
        let store = app.store().expect("open");
        store.engine().set_sampler(crate::app::Sampler::of(app));
        for left in [0, 1] {
            app.store_records(&tenant, &decoded.records).await.expect("stored");
            let flushed = Arc::clone(&store);
            let flush = move || flushed.engine().flush_all(now_ms).expect("flushed");
            kit::spawn::thread("flush", flush).expect("a thread").join().expect("flushed");
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
            let spans: usize = app
                .rows(&crate::reach::Reach::whole(&tenant), Signal::Traces, deadline)
                .await
                .expect("rows")
                .slices(i64::MIN, i64::MAX)
                .expect("slices")
                .iter()
                .map(store::rows::Slice::rows)
                .sum();
            assert_eq!(spans, left);
            control.delete_object(&tenant, ObjectKind::Pipeline, "traces").await.ok();
            app.pipeline_changed(&tenant, Signal::Traces).await;
        }
    }
}
