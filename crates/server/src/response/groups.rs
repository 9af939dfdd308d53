//! When groups of Prometheus' rules are evaluated: at the times of each, which are its interval apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Seat;
use super::ask::Asker;
use super::run::announce;
use crate::app::SharedApp;

/// The last time of each group of a tenant, and whether it runs now.
#[derive(Debug, Default)]
pub(crate) struct GroupSchedule {
    last: BTreeMap<String, (i64, bool)>,
}

impl GroupSchedule {
    /// Groups that are due and do not run, each with its time. Times that passed while one ran are not made up.
    fn due(&mut self, slots: Vec<(String, i64, i64)>) -> Vec<(String, i64)> {
        let mut due = Vec::new();
        let mut next = BTreeMap::new();
        for (key, _, slot) in slots {
            let (last, running) = self.last.remove(&key).unwrap_or((i64::MIN, false));
            let begins = !running && slot > last;
            if begins {
                due.push((key.clone(), slot));
            }
            next.insert(key, (if begins { slot } else { last }, running || begins));
        }
        self.last = next;
        due
    }

    fn done(&mut self, key: &str) {
        if let Some((_, running)) = self.last.get_mut(key) {
            *running = false;
        }
    }
}

/// Evaluates the groups of a tenant that are due.
pub(super) fn beat(app: &SharedApp, seat: &Arc<Seat>, slots: &Arc<Semaphore>, now: i64) {
    let due = seat.groups.lock().due(seat.engine.slots(now));
    for (key, at) in due {
        let (app, seat, slots) = (app.clone(), Arc::clone(seat), Arc::clone(slots));
        kit::spawn::spawn("rule group", async move {
            let _slot = slots.acquire_owned().await.expect("the semaphore is never closed");
            let result = seat.engine.evaluate_group(&Asker(app.clone()), &key, at).await;
            seat.groups.lock().done(&key);
            match result {
                Ok(Some(events)) => {
                    if !events.is_empty() {
                        seat.schedule.lock().wake(at);
                    }
                    announce(&app, &seat, &events).await;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(tenant = %seat.tenant, group = key, %error, "a group was not evaluated");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_evaluated_at_their_times_and_missed_ones_are_not_made_up() {
        let mut schedule = GroupSchedule::default();
        let at = |slot| vec![("g".to_owned(), 30_000, slot)];
        assert_eq!(schedule.due(at(90_000)), [("g".to_owned(), 90_000)], "soon after it came");
        assert!(schedule.due(at(120_000)).is_empty(), "it runs");
        schedule.done("g");
        assert_eq!(schedule.due(at(150_000)), [("g".to_owned(), 150_000)], "120 s passed meanwhile");
        schedule.done("g");
        assert!(schedule.due(at(150_000)).is_empty(), "each time once");
        assert!(schedule.due(Vec::new()).is_empty());
        assert_eq!(schedule.due(at(150_000)).len(), 1, "a group that comes back is a new one");
    }
}
