//! Tail sampling: when a head of spans is flushed, the samplers of the tenant's pipeline decide over whole
//! traces. The rows are durable until then, and what goes is counted.

use std::sync::{Arc, Weak};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use model::record::span;
use model::{Field, Signal, TenantId};
use pipeline::sampling::{SpanFacts, TraceId};
use store::HeadSampler;
use store::rows::{Column, Cost, Slice};
use tokio::runtime::Handle;

use super::{App, Processing};

/// How long a head of spans waits for the rest of its traces. Nearly all traces are over by then; what comes later
/// is decided by the trace's id, by its own spans, and by what the trace was kept for before.
const REST_MS: i64 = 60 * 1000;

/// The samplers of every tenant, asked by the store.
pub(crate) struct Sampler {
    app: Weak<App>,
    runtime: Handle,
}

impl Sampler {
    /// Call it where a runtime is.
    pub(crate) fn of(app: &Arc<App>) -> Arc<Self> {
        Arc::new(Self { app: Arc::downgrade(app), runtime: Handle::current() })
    }

    /// A tenant's samplers. One that only the log knew of, before its first write, is looked up here: the store
    /// flushes on threads of its own, which may wait.
    fn processing(&self, app: &App, tenant: &TenantId) -> Option<Arc<Processing>> {
        if let Some(known) = app.pipelines.known(tenant, Signal::Traces) {
            return known;
        }
        if Handle::try_current().is_ok() {
            return None;
        }
        self.runtime.block_on(app.processing(tenant, Signal::Traces)).ok().flatten()
    }
}

impl HeadSampler for Sampler {
    fn window_ms(&self, tenant: &TenantId) -> Option<i64> {
        let app = self.app.upgrade()?;
        let processing = self.processing(&app, tenant)?;
        match &*processing {
            Processing::Traces { manager, .. } => (!manager.samplers().keep_all()).then_some(REST_MS),
            Processing::Rows(_) => None,
        }
    }

    fn keep(&self, tenant: &TenantId, spans: &[Slice], later: &[Slice]) -> Option<BooleanBuffer> {
        let app = self.app.upgrade()?;
        let processing = self.processing(&app, tenant)?;
        let Processing::Traces { tail, .. } = &*processing else { return None };
        let mut facts = Facts::default();
        // What cannot be read is kept: the flush that follows meets the same failure and tells of it.
        spans.iter().chain(later).try_for_each(|slice| facts.read(slice))?;
        let Facts { trace_ids, errors, durations_ns } = &facts;
        let mut kept = tail.lock().decide(&SpanFacts { trace_ids, errors, durations_ns }, app.now_ms())?;
        kept.truncate(spans.iter().map(Slice::rows).sum());
        Some(BooleanBuffer::from(kept))
    }

    fn dropped(&self, tenant: &TenantId, spans: u64) {
        if let Some(app) = self.app.upgrade() {
            app.telemetry().dropped_by(tenant, Signal::Traces.as_str(), "sampled", spans);
        }
    }
}

/// What samplers ask of spans, one after the other.
#[derive(Default)]
struct Facts {
    trace_ids: Vec<TraceId>,
    errors: Vec<bool>,
    durations_ns: Vec<i64>,
}

impl Facts {
    fn read(&mut self, spans: &Slice) -> Option<()> {
        let all = BooleanBuffer::new_set(spans.rows());
        let columns = [span::TRACE_ID, span::STATUS_CODE, span::DURATION];
        let columns = columns.map(|at| Column::Field(Field::Fixed(at as u8)));
        let arrays = spans.read(&columns, &all, &mut Cost::default()).ok()?;
        let [ids, status, durations] = arrays.as_slice() else { return None };
        self.trace_ids.extend(trace_ids(ids)?);
        self.errors.extend(errors(status)?);
        self.durations_ns.extend(durations_ns(durations)?);
        Some(())
    }
}

fn trace_ids(array: &ArrayRef) -> Option<Vec<TraceId>> {
    let ids = array.as_fixed_size_binary_opt()?;
    Some((0..ids.len()).map(|row| ids.value(row).try_into().unwrap_or_default()).collect())
}

fn errors(array: &ArrayRef) -> Option<Vec<bool>> {
    let status = array.as_string_view_opt()?;
    Some((0..status.len()).map(|row| status.is_valid(row) && status.value(row) == "error").collect())
}

fn durations_ns(array: &ArrayRef) -> Option<Vec<i64>> {
    Some(array.as_primitive_opt::<Int64Type>()?.values().to_vec())
}
