//! The steps of a run.

mod boot; // crashes, kills and what comes after
mod read; // queries and snapshots
mod rows; // logs and spans
mod write; // writes, deletes and upkeep

use std::collections::VecDeque;

use model::TenantId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::{Engine, Settings, StoreError};

use crate::disk::{Faults, SimDisk};
use crate::oracle::{RowOracle, TenantOracle};
use crate::workload::{Sender, Shape, pick};
use crate::{Options, Report};
use read::Held;
use write::OnItsWay;

/// Steps that a failure shows.
const TRAIL_MAX: usize = 80;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Stage,
    Commit,
    Write,
    Rotate,
    Flush,
    FlushMany,
    Compact,
    Retain,
    Tick,
    Wait,
    Delete,
    Query,
    Hold,
    LookAtHeld,
    Replay,
    Backup,
    Close,
    Crash,
    CrashSoon,
    Kill,
    Weather,
    Churn,
}

/// Each step and how often it comes, before a run's own taste.
const STEPS: [(Step, u32); 22] = [
    (Step::Stage, 8),
    (Step::Commit, 6),
    (Step::Write, 30),
    (Step::Rotate, 4),
    (Step::Flush, 6),
    (Step::FlushMany, 4),
    (Step::Compact, 6),
    (Step::Retain, 2),
    (Step::Tick, 8),
    (Step::Wait, 4),
    (Step::Delete, 2),
    (Step::Query, 10),
    (Step::Hold, 2),
    (Step::LookAtHeld, 3),
    (Step::Replay, 6),
    (Step::Backup, 1),
    (Step::Close, 1),
    (Step::Crash, 2),
    (Step::CrashSoon, 2),
    (Step::Kill, 1),
    (Step::Weather, 4),
    (Step::Churn, 3),
];

/// What was wrong: an answer of the store that may be allowed, or one that never is.
enum Trouble {
    Store(StoreError),
    Wrong(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A run.
pub(crate) struct World {
    rng: StdRng,
    disk: SimDisk,
    settings: Settings,
    engine: Option<Engine>,
    is_replayed: bool,
    tenants: Vec<TenantOracle>,
    /// Of each tenant, one for each signal of rows.
    rows: Vec<RowOracle>,
    row_number_next: i64,
    /// A source of its own, so that runs of metrics alone stay as they were.
    row_rng: StdRng,
    retention_ms: Vec<Option<i64>>,
    sender: Sender,
    shape: Shape,
    now_ms: i64,
    weights: Vec<(Step, u32)>,
    steps: u32,
    /// How bad the weather gets: 0 never.
    roughness: u32,
    /// Snapshots are dropped before the engine of their boot is.
    held: Vec<Held>,
    on_its_way: Vec<OnItsWay>,
    /// Injected faults when all was last well.
    well_at: u64,
    trail: VecDeque<String>,
    report: Report,
}

impl World {
    pub(crate) fn new(seed: u64, options: Options) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let disk = SimDisk::new(rng.random(), options.lies, options.records);
        let ids = ["default", "acme", "zoo"];
        let count = rng.random_range(1..=ids.len());
        let tenant = |id: &&str| TenantOracle::new(TenantId::new(id).expect("valid"));
        let rows = |id: &&str| {
            let id = TenantId::new(id).expect("valid");
            rows::SIGNALS.map(|signal| RowOracle::new(id.clone(), signal))
        };
        let weights = STEPS.map(|(step, weight)| (step, weight * pick(&mut rng, &[0, 1, 1, 1, 4])));
        let mut weights = weights.to_vec();
        // Without writes a run says nothing, without replay it never reads again after a crash.
        weights.extend([(Step::Write, 10), (Step::Replay, 4)]);
        Self {
            settings: settings(&mut rng),
            engine: None,
            is_replayed: false,
            tenants: ids[..count].iter().map(tenant).collect(),
            rows: ids[..count].iter().filter(|_| !options.metrics_only).flat_map(rows).collect(),
            row_number_next: 1,
            row_rng: StdRng::seed_from_u64(!seed),
            retention_ms: (0..count)
                .map(|_| *pick(&mut rng, &[None, None, Some(2 * HOUR_MS), Some(3 * DAY_MS)]))
                .collect(),
            sender: Sender::default(),
            shape: Shape::draw(&mut rng),
            now_ms: 1_700_000_000_000 + rng.random_range(0..DAY_MS),
            weights,
            steps: *pick(&mut rng, &[40, 120, 250]),
            // A few machines are falling apart.
            roughness: u32::max(*pick(&mut rng, &[0, 0, 1, 3]), if seed % 16 == 5 { 10 } else { 0 }),
            held: Vec::new(),
            on_its_way: Vec::new(),
            well_at: 0,
            trail: VecDeque::new(),
            report: Report::default(),
            rng,
            disk,
        }
    }

    /// Runs all steps, then checks that a calm machine is well again.
    pub(crate) fn run(&mut self) -> Result<Report, String> {
        self.boot()?;
        for _ in 0..self.steps {
            let step = self.draw_step();
            self.note(|world| format!("{step:?} at {}", world.now_ms));
            self.step(step)?;
            self.settle()?;
            if self.disk.is_down() {
                self.power_cycle()?;
            }
        }
        self.finish()?;
        self.count_engine();
        self.report.faults = self.disk.injected();
        let mut digest = self.disk.digest();
        for n in [self.report.acknowledged, self.report.queries] {
            digest.number(n);
        }
        self.report.digest = digest.value();
        Ok(self.report)
    }

    fn draw_step(&mut self) -> Step {
        let total: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut at = self.rng.random_range(0..total);
        for (step, weight) in &self.weights {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *step,
            }
        }
        Step::Write
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Stage => self.stage_any(),
            Step::Commit => self.commit(),
            Step::Write => {
                for _ in 0..self.rng.random_range(1..=3) {
                    self.stage_any()?;
                }
                self.commit()
            }
            Step::Rotate => self.rotate(),
            Step::Flush => self.flush(),
            Step::FlushMany => self.flush_many(),
            Step::Compact => self.compact(),
            Step::Retain => self.retain(),
            Step::Tick => self.tick(),
            Step::Wait => {
                self.wait();
                self.tick()
            }
            Step::Delete if self.draws_rows(2) => self.delete_rows(),
            Step::Delete => self.delete(),
            Step::Query => self.query(),
            Step::Hold => self.hold(),
            Step::LookAtHeld => self.look_at_held(),
            Step::Replay => self.replay(),
            Step::Backup => self.backup(),
            Step::Close => self.close(),
            Step::Crash => self.power_cycle(),
            Step::CrashSoon => {
                let calls = *pick(&mut self.rng, &[3, 20, 200]);
                self.disk.crash_in(Some(self.rng.random_range(0..calls)));
                Ok(())
            }
            Step::Kill => self.kill(),
            Step::Weather => {
                self.change_weather();
                Ok(())
            }
            Step::Churn => {
                self.sender.generation += self.rng.random_range(1..=u64::from(self.shape.series));
                Ok(())
            }
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("an engine runs between steps")
    }

    fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        let text = text(self);
        if self.trail.len() == TRAIL_MAX {
            self.trail.pop_front();
        }
        self.trail.push_back(text);
    }

    /// The last steps and disk calls.
    pub(crate) fn last_words(&self) -> (Vec<String>, Vec<String>) {
        (self.trail.iter().cloned().collect(), self.disk.recorded())
    }

    fn wait(&mut self) {
        let ms = *pick(&mut self.rng, &[1000, 2 * MINUTE_MS, 31 * MINUTE_MS, 5 * HOUR_MS, 30 * HOUR_MS]);
        self.now_ms += self.rng.random_range(0..ms);
        // Clocks are set back, too.
        if self.rng.random_range(0..10) == 0 {
            self.now_ms -= HOUR_MS;
        }
    }

    fn change_weather(&mut self) {
        let is_calm = self.roughness == 0 || self.rng.random_range(0..3) == 0;
        if is_calm {
            self.disk.set_faults(Faults::default());
            self.disk.set_bytes_max(None);
            return;
        }
        let most = 20 * self.roughness;
        let mut draw = || if self.rng.random() { self.rng.random_range(0..=most) } else { 0 };
        self.disk.set_faults(Faults { writes: draw(), syncs: draw(), reads: draw() / 4, names: draw() });
        let room = self.rng.random_range(0..400_000);
        let is_full = self.rng.random_range(0..4) == 0;
        self.disk.set_bytes_max(is_full.then(|| self.disk.used_bytes() + room));
    }

    /// Judges an error of the store: disks fail, so the store may; nothing else excuses it.
    fn excuse(&self, what: &str, error: &StoreError, injected_before: u64) -> Result<(), String> {
        let now = self.disk.injected() > injected_before || self.disk.is_down();
        let excused = match error {
            StoreError::Io { .. } => now,
            StoreError::Unavailable { .. } => now || !self.is_replayed || self.disk.injected() > self.well_at,
            _ => false,
        };
        excused.then_some(()).ok_or_else(|| format!("{what} failed without a reason: {error}"))
    }

    /// As [`Self::excuse`], for what both stores and compares.
    fn excuse_trouble(&self, what: &str, trouble: Trouble, injected_before: u64) -> Result<(), String> {
        match trouble {
            Trouble::Store(error) => self.excuse(what, &error, injected_before),
            Trouble::Wrong(message) => Err(format!("{what}: {message}")),
        }
    }
}

fn settings(rng: &mut StdRng) -> Settings {
    let wal_file_bytes = *pick(rng, &[4 << 10, 16 << 10, 64 << 10]);
    Settings {
        wal_file_bytes,
        wal_bytes_max: wal_file_bytes * rng.random_range(2..10),
        queue_bytes_max: *pick(rng, &[4 << 10, 1 << 20]),
        head_bytes_max: *pick(rng, &[8 << 10, 64 << 10, 16 << 20]),
        heads_bytes_max: *pick(rng, &[256 << 10, 64 << 20]),
        head_age_ms_max: *pick(rng, &[MINUTE_MS, 30 * MINUTE_MS]),
        series_idle_ms_max: *pick(rng, &[MINUTE_MS, HOUR_MS]),
        cache_bytes_max: *pick(rng, &[0, 64 << 10, 16 << 20]),
        retention_ms: None,
        seed: rng.random(),
        ..Settings::default()
    }
}
