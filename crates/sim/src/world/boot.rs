//! Crashes, kills, clean ends, and what comes after them.

use std::sync::Arc;

use model::{MetricBatch, Point, TimeRange};
use rand::Rng;
use store::{Engine, RowRetention};

use super::read::read;
use super::rows::SIGNALS;
use super::{Trouble, World};
use crate::disk::Faults;
use crate::oracle::Value;
use crate::workload::Sent;

/// Attempts to open after which the weather turns calm.
const ROUGH_OPENS: u32 = 4;

impl World {
    /// Opens the store on the present boot of the machine, as often as it takes.
    pub(super) fn boot(&mut self) -> Result<(), String> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            if attempts > ROUGH_OPENS {
                self.calm();
            }
            let before = self.disk.injected();
            match Engine::open(Arc::new(self.disk.clone()), self.settings.clone()) {
                Ok(engine) => {
                    for (tenant, retention_ms) in self.tenants.iter().zip(&self.retention_ms) {
                        engine.set_retention(&tenant.id, *retention_ms);
                        for signal in SIGNALS {
                            let retention = RowRetention { keep_ms: *retention_ms, rules: Vec::new() };
                            engine.set_row_retention(&tenant.id, signal, retention);
                        }
                    }
                    self.engine = Some(engine);
                    self.is_replayed = false;
                    self.note(|_| "  opened".into());
                    return Ok(());
                }
                Err(error) => {
                    self.note(|_| format!("  open failed: {error}"));
                    self.is_replayed = true;
                    self.excuse("open", &error, before)?;
                    self.disk = if self.disk.is_down() { self.disk.restart() } else { self.disk.kill() };
                }
            }
        }
    }

    pub(super) fn calm(&self) {
        self.disk.set_faults(Faults::default());
        self.disk.set_bytes_max(None);
        self.disk.crash_in(None);
    }

    /// Lets go of the engine and of what belongs to it.
    fn abandon(&mut self) {
        self.count_engine();
        self.held.clear();
        self.engine = None;
        self.on_its_way.clear();
        self.tenants.iter_mut().for_each(|tenant| tenant.restarted());
        self.rows.iter_mut().for_each(|rows| rows.restarted());
    }

    /// Adds what the engine did to the report.
    pub(super) fn count_engine(&mut self) {
        if let Some(engine) = &self.engine {
            let stats = engine.stats();
            self.report.flushes += stats.flushes_total;
            self.report.compactions += stats.compactions_total;
            self.report.expired += stats.segments_expired_total;
        }
    }

    /// Loses power and boots. Sometimes the next loss comes while the store opens.
    pub(super) fn power_cycle(&mut self) -> Result<(), String> {
        self.settle()?;
        self.note(|_| "  power is lost".into());
        self.report.crashes += 1;
        let again = self.rng.random_range(0..4) == 0;
        let calls = self.rng.random_range(0..60);
        // Objects of the engine may touch the disk when they are dropped; by then it is another boot's.
        let disk = self.disk.restart();
        self.abandon();
        self.disk = disk;
        if again {
            self.disk.crash_in(Some(calls));
        }
        self.boot()
    }

    /// Ends the process without warning and boots.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        self.settle()?;
        self.report.kills += 1;
        let disk = self.disk.kill();
        self.abandon();
        self.disk = disk;
        self.boot()
    }

    /// Ends the process as an operator does, and boots.
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.engine().commit_once();
        self.settle()?;
        let before = self.disk.injected();
        if let Err(error) = self.engine().flush_all(self.now_ms) {
            self.excuse("flushing all", &error, before)?;
        }
        if self.disk.is_down() {
            return Ok(());
        }
        self.abandon();
        self.disk = self.disk.kill();
        self.boot()
    }

    /// Reads on in the log of the last run. When it is done, everything is compared.
    pub(super) fn replay(&mut self) -> Result<(), String> {
        if self.is_replayed {
            return Ok(());
        }
        let before = self.disk.injected();
        match self.engine().replay_step() {
            Ok(true) => Ok(()),
            Ok(false) => self.replayed(),
            Err(error) => {
                self.excuse("replay", &error, before)?;
                // Only another start helps.
                if self.disk.is_down() { Ok(()) } else { self.kill() }
            }
        }
    }

    fn replayed(&mut self) -> Result<(), String> {
        self.is_replayed = true;
        self.note(|_| "  replayed".into());
        let (faults, crash_in) = self.disk.swap_faults(Faults::default(), None);
        for at in 0..self.tenants.len() {
            let snapshot = self.engine().snapshot(&self.tenants[at].id);
            let got =
                read(&snapshot, &self.tenants[at], &[], TimeRange::ALL).map_err(|trouble| match trouble {
                    Trouble::Store(error) => format!("reading after a restart: {error}"),
                    Trouble::Wrong(message) => format!("after a restart: {message}"),
                })?;
            self.tenants[at].resolve(&got);
        }
        self.resolve_rows()?;
        self.check_all()?;
        self.disk.swap_faults(faults, crash_in);
        Ok(())
    }

    /// A machine on which nothing fails any more takes writes again, keeps them, and leaves no file behind.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.note(|_| "the weather stays calm".into());
        self.calm();
        for round in 0..2 {
            while !self.is_replayed {
                self.replay()?;
            }
            self.commit()?;
            self.tick()?;
            self.engine().flush_frozen(self.now_ms).map_err(|error| format!("flush: {error}"))?;
            self.well_at = self.disk.injected();
            self.check_all()?;
            if let Some(reason) = self.engine().stats().refused {
                return Err(format!("nothing fails any more, and writes are refused still: {reason}"));
            }
            let acknowledged = self.report.acknowledged;
            for tenant in 0..self.tenants.len() {
                let value = f64::from(round) + 0.25 + tenant as f64;
                self.stage_sent(tenant, last(self.now_ms + i64::from(round), value))?;
            }
            self.commit()?;
            if self.report.acknowledged != acknowledged + self.tenants.len() as u64 {
                return Err("nothing fails any more, and a write is not acknowledged".into());
            }
            self.check_all()?;
            self.power_cycle()?;
            self.calm();
        }
        while !self.is_replayed {
            self.replay()?;
        }
        self.check_files()
    }

    /// Every file below `tenants` belongs to a segment.
    fn check_files(&self) -> Result<(), String> {
        let files = self.disk.paths().iter().filter(|path| path.starts_with("tenants/")).count();
        let segments = self.engine().stats().segments;
        if files == 2 * segments { Ok(()) } else { Err(format!("{files} files for {segments} segments")) }
    }
}

/// One sample of a series of its own.
fn last(t_ms: i64, value: f64) -> Sent {
    let pairs = [("__name__", "last")];
    let mut batch = MetricBatch::default();
    batch.push_float(pairs, Point { t_ms, value });
    let labels = model::Labels::from_pairs(pairs).expect("one name");
    let value = Value::Float { bits: value.to_bits(), start_ms: 0 };
    Sent { batch, samples: vec![(labels, t_ms, value)], malformed: 0 }
}
