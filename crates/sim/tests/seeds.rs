//! The simulation by seeds: many new ones, and each that once failed.
//!
//! `SIM_SEEDS` runs as many (300 by default), from `SIM_FIRST_SEED` on; `SIM_SEED` runs one and shows what the
//! disk was asked to do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sim::disk::Lies;
use sim::{Failure, Options, Report, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("the variable is a number"))
}

/// Runs seeds on all processors until `stop` says so; what each gave, by seed.
fn run_all<T: Send>(seeds: std::ops::Range<u64>, one: impl Fn(u64) -> T + Sync) -> Vec<(u64, T)> {
    let next = AtomicU64::new(seeds.start);
    let results = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let result = one(seed);
                    results.lock().expect("no thread panics").push((seed, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no thread panics");
    results.sort_by_key(|(seed, _)| *seed);
    results
}

#[test]
fn sim_seeds() {
    if let Some(seed) = number("SIM_SEED") {
        let options = Options { records: true, ..Options::default() };
        if let Err(failure) = run(seed, options) {
            panic!("{failure}");
        }
        return;
    }
    let first = number("SIM_FIRST_SEED").unwrap_or(1);
    let count = number("SIM_SEEDS").unwrap_or(300);
    let results = run_all(first..first + count, |seed| run(seed, Options::default()));
    let failures: Vec<_> = results.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    if let Some(failure) = failures.first() {
        let line = |failure: &Failure| format!("\nseed {}: {}", failure.seed, failure.message);
        let lines: String = failures.iter().map(|failure| line(failure)).collect();
        panic!("{failure}\n{} of {count} seeds failed:{lines}", failures.len());
    }
    let total = results.into_iter().filter_map(|(_, result)| result.ok()).fold(Report::default(), sum);
    // Fewer seeds may miss something by chance.
    if count >= 100 {
        let Report { acknowledged, failed, crashes, kills, flushes, compactions, .. } = total;
        let Report { expired, deletes, backups, queries, held, faults, row_writes, .. } = total;
        let counts = [acknowledged, failed, crashes, kills, flushes, compactions];
        let more = [expired, deletes, backups, queries, held, faults, row_writes];
        assert!(counts.iter().chain(&more).all(|n| *n > 0), "something never happened: {total:?}");
    }
}

fn sum(a: Report, b: Report) -> Report {
    Report {
        digest: a.digest ^ b.digest,
        acknowledged: a.acknowledged + b.acknowledged,
        failed: a.failed + b.failed,
        crashes: a.crashes + b.crashes,
        kills: a.kills + b.kills,
        flushes: a.flushes + b.flushes,
        compactions: a.compactions + b.compactions,
        expired: a.expired + b.expired,
        deletes: a.deletes + b.deletes,
        backups: a.backups + b.backups,
        row_writes: a.row_writes + b.row_writes,
        queries: a.queries + b.queries,
        held: a.held + b.held,
        faults: a.faults + b.faults,
    }
}

/// Seeds that once failed with rows, and what was wrong.
const FOUND_WITH_ROWS: &[(u64, &str)] =
    &[(2678, "a flushed record whose write had failed counted as logged, and as lost when power went")];

/// Seeds that once failed when there were metrics alone, and what was wrong.
const FOUND: &[(u64, &str)] = &[
    (135, "a record that a killed process wrote and did not sync counted as acknowledged"),
    (217, "the same, after a sync that failed"),
    (241, "numbers of a group that was cut off between two files were given again"),
    (381, "the same, and a flush dropped the file with the declarations"),
    (510, "a spare file that could not be removed stood in the way of the next"),
    (559, "a delete returned while the rows of a failed rotation stayed visible"),
    (621, "rows behind a gap in the numbers of a file were not replayed"),
    (501, "a log file that could be neither started nor removed counted as damaged"),
    (3158, "a log file whose removal failed was forgotten, and the gap after it counted as a loss"),
    (3655, "the same as 501"),
    (3676, "the name of a log file that could not be opened was used again"),
    (1168, "a backup left out rows that waited for a rotation after a failed write"),
    (1210, "the same"),
];

#[test]
fn seeds_that_once_failed_pass() {
    let with = |metrics_only| Options { metrics_only, ..Options::default() };
    let found = FOUND.iter().map(|found| (found, with(true)));
    for ((seed, what), options) in found.chain(FOUND_WITH_ROWS.iter().map(|found| (found, with(false)))) {
        if let Err(failure) = run(*seed, options) {
            panic!("once: {what}\n{failure}");
        }
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in [1, 2, 3, 4, 5, 6, 7, 8] {
        let digest = || run(seed, Options::default()).map(|report| report.digest).map_err(|f| f.message);
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

#[test]
fn a_store_without_fdatasync_loses_what_it_acknowledged() {
    for lies in [Lies::Wal, Lies::All] {
        let results = run_all(1..41, |seed| run(seed, Options { lies, ..Options::default() }).is_err());
        let detected = results.iter().filter(|(_, is_err)| *is_err).count();
        assert!(detected >= 10, "{lies:?}: only {detected} of {} seeds noticed", results.len());
    }
}
