//! Names of jobs: `job_`, then hex digits of the moment, a number within it and random bits. They sort in the
//! order in which one process made them, so a batch stays in order and an index grows at its end.

use std::fmt::Write;

use parking_lot::Mutex;

use crate::jobs::error::JobError;

#[derive(Default)]
pub(crate) struct Ids {
    /// The moment of the last name, and how many were made in it.
    last: Mutex<(i64, u32)>,
}

impl Ids {
    pub(crate) fn next(&self, now_ms: i64) -> Result<String, JobError> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(JobError::Random)?;
        let (at, number) = {
            let mut last = self.last.lock();
            // A clock that was set back must not put new names before old ones.
            *last = if now_ms > last.0 { (now_ms, 0) } else { (last.0, last.1.wrapping_add(1)) };
            *last
        };
        let mut id = format!("job_{at:012x}{number:08x}");
        for byte in random {
            write!(id, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_they_were_made_even_when_the_clock_goes_back() {
        let ids = Ids::default();
        let made: Vec<String> = [5, 5, 9, 3, 10].into_iter().map(|now| ids.next(now).unwrap()).collect();
        let mut sorted = made.clone();
        sorted.sort();
        assert_eq!(made, sorted);
        assert_eq!(made[0].len(), 36);
    }
}
