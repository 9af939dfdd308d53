//! Writes, deletes and upkeep.

use model::{Labels, MetricLimits, Signal};
use rand::Rng;
use store::Staged;

use super::World;
use super::rows::SIGNALS;
use crate::oracle::{Fate, Key, Value};
use crate::workload::{Sent, matchers, pick, range};

/// A write that is staged and not answered yet.
pub(super) struct OnItsWay {
    pub(super) target: Target,
    pub(super) write: usize,
    pub(super) staged: Staged,
}

/// Whose write it is: a tenant's metrics, or rows, by position.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Metrics(usize),
    Rows(usize),
}

impl World {
    pub(super) fn draw_tenant(&mut self) -> usize {
        self.rng.random_range(0..self.tenants.len())
    }

    /// Stages a write of metrics or rows.
    pub(super) fn stage_any(&mut self) -> Result<(), String> {
        if self.draws_rows(3) { self.stage_rows().map(|_| ()) } else { self.stage() }
    }

    /// Writes are taken, so whatever failed before is over.
    pub(super) fn resumed(&mut self) {
        self.tenants.iter_mut().for_each(|tenant| tenant.resumed());
        self.rows.iter_mut().for_each(|rows| rows.resumed());
    }

    pub(super) fn stage(&mut self) -> Result<(), String> {
        let tenant = self.draw_tenant();
        let sent = self.sender.batch(&mut self.rng, &self.shape, self.now_ms);
        self.stage_sent(tenant, sent).map(|_| ())
    }

    /// Stages a write; whether it was taken.
    pub(super) fn stage_sent(&mut self, tenant: usize, sent: Sent) -> Result<bool, String> {
        let limits = MetricLimits::default();
        let before = self.disk.injected();
        let staged = self.engine().append(&self.tenants[tenant].id, &sent.batch, &limits, self.now_ms);
        let staged = match staged {
            Ok(staged) => staged,
            // Without a commit the queue may fill up.
            Err(store::StoreError::Unavailable { reason }) if reason.contains("wait") => return Ok(false),
            Err(error) => return self.excuse("append", &error, before).map(|()| false),
        };
        self.resumed();
        let oldest_ms = self.retention_ms[tenant].map_or(i64::MIN, |ms| self.now_ms - ms);
        let newest_ms = self.now_ms + limits.future_ms_max;
        let fits = |(_, t_ms, _): &(Labels, i64, Value)| (oldest_ms..=newest_ms).contains(t_ms);
        let all = sent.samples.len();
        let samples: Vec<_> = sent.samples.into_iter().filter(fits).collect();
        let refused = all - samples.len() + sent.malformed;
        if (staged.accepted, staged.refusals.items()) != (samples.len(), refused) {
            let (accepted, refusals) = (staged.accepted, &staged.refusals);
            let want = (samples.len(), refused);
            return Err(format!("append accepted {accepted} and refused {refusals:?}, not {want:?}"));
        }
        if staged.done.is_none() != (samples.is_empty() && sent.batch.metadata.is_empty()) {
            return Err("append has nothing to wait for, or waits for nothing".into());
        }
        let oracle = &mut self.tenants[tenant];
        let numbered = |(labels, t_ms, value): (Labels, i64, Value)| -> (Key, Value) {
            ((oracle.series(&labels), t_ms), value)
        };
        let samples = samples.into_iter().map(numbered).collect();
        let write = self.tenants[tenant].stage(samples, sent.batch.metadata);
        if staged.done.is_some() {
            self.on_its_way.push(OnItsWay { target: Target::Metrics(tenant), write, staged });
        }
        Ok(true)
    }

    pub(super) fn commit(&mut self) -> Result<(), String> {
        self.engine().commit_once();
        self.settle()?;
        if self.on_its_way.is_empty() { Ok(()) } else { Err("a commit left writes without an answer".into()) }
    }

    /// Takes note of answers that have come.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let mut waiting = Vec::new();
        for mut write in std::mem::take(&mut self.on_its_way) {
            let answer = write.staged.done.as_mut().and_then(|done| done.try_recv().ok());
            let fate = match &answer {
                None => {
                    waiting.push(write);
                    continue;
                }
                Some(Ok(())) => Fate::Stands,
                Some(Err(store::StoreError::Unavailable { .. })) => Fate::Failed,
                Some(Err(error)) => return Err(format!("a write was answered with {error}")),
            };
            if fate == Fate::Stands {
                self.report.acknowledged += 1;
            } else {
                self.report.failed += 1;
            }
            match write.target {
                Target::Metrics(at) => self.tenants[at].settle(write.write, fate),
                Target::Rows(at) => {
                    self.report.row_writes += u64::from(fate == Fate::Stands);
                    self.rows[at].settle(write.write, fate);
                }
            }
        }
        self.on_its_way = waiting;
        Ok(())
    }

    pub(super) fn rotate(&mut self) -> Result<(), String> {
        let tenant = self.draw_tenant();
        let of_rows = self.draws_rows(2);
        let signal = if of_rows { *pick(&mut self.row_rng, &SIGNALS) } else { Signal::Metrics };
        self.engine().rotate(&self.tenants[tenant].id, signal);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), String> {
        let before = self.disk.injected();
        match self.engine().flush_once(self.now_ms) {
            Ok(_) => Ok(()),
            Err(error) => self.excuse("flush", &error, before),
        }
    }

    /// Several small segments, so that there is something to compact.
    pub(super) fn flush_many(&mut self) -> Result<(), String> {
        for _ in 0..self.rng.random_range(1..6) {
            self.stage_any()?;
            self.commit()?;
            self.engine().rotate_all();
            self.flush()?;
            if self.disk.is_down() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn compact(&mut self) -> Result<(), String> {
        self.expire();
        let before = self.disk.injected();
        match self.engine().compact_once(self.now_ms) {
            Ok(_) => Ok(()),
            Err(error) => self.excuse("compaction", &error, before),
        }
    }

    pub(super) fn retain(&mut self) -> Result<(), String> {
        self.expire();
        let before = self.disk.injected();
        match self.engine().retain_once(self.now_ms) {
            Ok(_) => Ok(()),
            Err(error) => self.excuse("retention", &error, before),
        }
    }

    pub(super) fn tick(&mut self) -> Result<(), String> {
        self.expire();
        self.now_ms += self.rng.random_range(0..3000);
        let before = self.disk.injected();
        match self.engine().tick(self.now_ms) {
            Ok(()) => Ok(()),
            Err(error) => self.excuse("tick", &error, before),
        }
    }

    /// From now on samples past retention may go.
    pub(super) fn expire(&mut self) {
        for (tenant, retention_ms) in self.tenants.iter_mut().zip(&self.retention_ms) {
            if let Some(ms) = retention_ms {
                // A tick may move the clock a little first.
                tenant.expire(self.now_ms + 3000 - ms);
            }
        }
        for (at, rows) in self.rows.iter_mut().enumerate() {
            if let Some(ms) = self.retention_ms[at / SIGNALS.len()] {
                rows.expire(self.now_ms + 3000 - ms);
            }
        }
    }

    pub(super) fn delete(&mut self) -> Result<(), String> {
        let tenant = self.draw_tenant();
        let nth = self.rng.random_range(0..1_000_000);
        let Some((labels, t_ms)) = self.tenants[tenant].nth_key(nth) else { return Ok(()) };
        let matchers = matchers(&mut self.rng, Some(labels), true);
        let range = range(&mut self.rng, t_ms);
        self.note(|_| format!("  delete {matchers:?} {range:?}"));
        let delete = self.tenants[tenant].delete(&matchers, range);
        let before = self.disk.injected();
        let deleted = self.engine().delete_series(&self.tenants[tenant].id, &matchers, range, self.now_ms);
        self.settle()?;
        let fate = match deleted {
            Ok(()) => Fate::Stands,
            Err(error) => {
                self.excuse("delete", &error, before)?;
                Fate::Failed
            }
        };
        self.report.deletes += u64::from(fate == Fate::Stands);
        self.tenants[tenant].settle_delete(delete, fate);
        Ok(())
    }
}
