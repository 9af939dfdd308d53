//! The acceptance scripts of PromQL over the store: every load is written, half of them flushed to segments.

mod telemetry;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{MetricBatch, MetricLimits, Point, TenantId};
use promql::testing::{Load, Target, run};
use promql::{Engine, EngineOptions, QueryContext, QueryResult};
use query::StoreSource;
use store::Settings;
use store::disk::memory::MemoryDisk;

/// The engine over a store on a disk in memory.
struct OverStore {
    engine: Engine,
    store: store::Engine,
    loads: usize,
}

fn new_store() -> store::Engine {
    let settings = Settings { retention_ms: None, wal_file_bytes: 1 << 20, ..Settings::default() };
    let store = store::Engine::open(Arc::new(MemoryDisk::new()), settings).expect("an empty disk opens");
    store.replay_all().expect("nothing to replay");
    store
}

impl OverStore {
    fn new() -> Self {
        let options = EngineOptions { samples_max: 10_000, ..EngineOptions::default() };
        Self { engine: Engine::new(options), store: new_store(), loads: 0 }
    }

    fn source(&self) -> StoreSource {
        StoreSource::new(self.store.snapshot(&TenantId::default_tenant()))
    }
}

fn batch(load: &Load) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for series in &load.series {
        let row = batch.begin_series(series.labels.iter());
        let samples = &series.samples;
        for (position, (t_ms, value)) in samples.t_ms.iter().zip(&samples.values).enumerate() {
            batch.points.push(Point { t_ms: *t_ms, value: *value });
            batch.starts_ms.push(samples.starts_ms.get(position).copied().unwrap_or(0));
        }
        for (position, (t_ms, histogram)) in
            samples.histogram_t_ms.iter().zip(&samples.histograms).enumerate()
        {
            batch.histograms.push((*t_ms, Arc::clone(histogram)));
            batch.histogram_starts_ms.push(samples.histogram_starts_ms.get(position).copied().unwrap_or(0));
        }
        batch.end_series(row);
    }
    batch
}

impl Target for OverStore {
    fn clear(&mut self) -> Result<(), String> {
        self.store = new_store();
        Ok(())
    }

    fn load(&mut self, load: &Load) -> Result<(), String> {
        let tenant = TenantId::default_tenant();
        let limits = MetricLimits { future_ms_max: i64::MAX / 2, ..MetricLimits::default() };
        let staged = self.store.append(&tenant, &batch(load), &limits, 0).map_err(|e| e.to_string())?;
        if !staged.refusals.is_empty() {
            return Err(staged.refusals.summary());
        }
        self.store.commit_once();
        self.loads += 1;
        if self.loads.is_multiple_of(2) {
            self.store.flush_all(0).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn instant(&self, query: &str, t_ms: i64) -> Result<QueryResult, String> {
        let context = QueryContext::default();
        self.engine.instant(&self.source(), query, t_ms, &context).map_err(|error| error.to_string())
    }

    fn range(&self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<QueryResult, String> {
        let context = QueryContext::default();
        self.engine
            .range(&self.source(), query, (start_ms, end_ms), step_ms, &context)
            .map_err(|error| error.to_string())
    }
}

fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "test")).collect();
    found.sort();
    found
}

#[test]
fn scripts_answer_from_the_store_as_they_do_from_memory() {
    let mut differences = Vec::new();
    let mut passed = 0;
    // Upstream's where they are at hand, and our own.
    for path in scripts("../../../shared/promqltest").into_iter().chain(scripts("../promql/tests/scripts")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a readable script");
        let report = run(&text, &mut OverStore::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
        passed += report.passed;
        differences.extend(report.failures.iter().map(|failure| format!("{name} {failure}")));
    }
    assert!(
        differences.is_empty(),
        "{passed} passed, {} did not:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(passed > 0);
}
