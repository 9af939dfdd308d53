//! The host collector over a folder that looks like a machine.
//!
//! `fixtures/host.txt` is what it writes for `fixtures/host`. Names and labels there were compared with what
//! node_exporter 1.5 writes for the same folder; `NOT_THERE` and `OURS` are the differences.

use std::collections::BTreeSet;
use std::path::Path;

use model::{MetricBatch, Span};
use probe::host::{Group, Groups, HostCollector, JOB, OWN_JOB};

/// Families of node_exporter's default set that we do not write: Go's and the exporter's own, the kernel's
/// clock discipline (a system call we cannot make), and details that dashboards do not use.
const NOT_THERE: [&str; 6] =
    ["go_", "promhttp_", "node_exporter_", "node_scrape_", "node_timex_", "node_time_clocksource_"];

/// Families of ours that node_exporter does not have.
const OURS: [&str; 2] = ["host_process_", "process_"];

fn fixture() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/host"))
}

/// `job name{labels} value`, sorted. Space of the filesystem depends on where the test runs.
fn lines(batch: &MetricBatch) -> Vec<String> {
    let text = |span: Span| std::str::from_utf8(span.of(&batch.text)).expect("UTF-8");
    let mut lines: Vec<String> = batch
        .series
        .iter()
        .map(|row| {
            let spans = &batch.labels[row.labels.start as usize..row.labels.end as usize];
            let pairs = || spans.iter().map(|label| (text(label.name), text(label.value)));
            let labels = model::Labels::from_pairs(pairs()).expect("unique labels");
            assert_eq!(labels.get("instance"), Some("web-1"));
            let job = labels.get("job").expect("a job").to_owned();
            let mut own = labels.to_builder();
            let own = own.remove("job").remove("instance").build();
            let value = batch.points[row.points.start as usize].value;
            let name = labels.metric_name().expect("a name");
            let varies = (name.starts_with("node_filesystem_") && !name.contains("_device_error"))
                || name.ends_with("open_fds");
            if varies { format!("{job} {own} *") } else { format!("{job} {own} {value}") }
        })
        .collect();
    lines.sort_unstable();
    lines
}

fn collected(groups: Groups) -> MetricBatch {
    let mut collector = HostCollector::new(fixture());
    collector.set_groups(groups);
    let mut batch = MetricBatch::default();
    collector.collect(1_700_000_000_500, &mut batch);
    batch
}

#[test]
fn a_machine_becomes_node_exporters_series() {
    let want = std::fs::read_to_string(fixture().with_extension("txt")).expect("fixture");
    let got = lines(&collected(Groups::all())).join("\n") + "\n";
    if got != want {
        let (got, want): (BTreeSet<_>, BTreeSet<_>) = (got.lines().collect(), want.lines().collect());
        let missing: Vec<_> = want.difference(&got).collect();
        let unexpected: Vec<_> = got.difference(&want).collect();
        panic!("missing: {missing:#?}\nunexpected: {unexpected:#?}");
    }
}

#[test]
fn every_family_is_described_once() {
    let batch = collected(Groups::all());
    let described: Vec<&str> = batch.metadata.iter().map(|m| m.metric.as_str()).collect();
    let unique: BTreeSet<&str> = described.iter().copied().collect();
    assert_eq!(described.len(), unique.len());
    assert!(batch.metadata.iter().all(|m| !m.help.is_empty()));
    let families: BTreeSet<String> =
        lines(&batch).iter().filter_map(|line| line.split(['{', ' ']).nth(1).map(str::to_owned)).collect();
    for family in &families {
        assert!(unique.contains(family.as_str()), "{family} is not described");
        assert!(!NOT_THERE.iter().any(|start| family.starts_with(start)), "{family}");
        assert!(family.starts_with("node_") || OURS.iter().any(|start| family.starts_with(start)));
    }
}

#[test]
fn only_the_chosen_groups_are_read() {
    let rows: [(&[&str], &[&str]); 3] = [
        (
            &["cpu"],
            &[
                "node_cpu_",
                "node_load",
                "node_pressure_",
                "node_intr",
                "node_context",
                "node_forks",
                "node_boot",
                "node_procs",
            ],
        ),
        (&["memory"], &["node_memory_", "node_vmstat_"]),
        (&["process"], &["host_process_", "process_"]),
    ];
    for (names, starts) in rows {
        let batch = collected(Groups::parse(names.iter().copied()).expect("known groups"));
        assert!(!batch.series.is_empty());
        for line in lines(&batch) {
            let name = line.split_once(' ').expect("job first").1;
            assert!(starts.iter().any(|start| name.starts_with(start)), "{names:?}: {line}");
        }
    }
    assert!(Groups::parse(["cpus"]).is_err());
    assert_eq!(Groups::parse(["all"]), Ok(Groups::all()));
    assert!(Groups::none().with(Group::Disk).contains(Group::Disk));
}

#[test]
fn an_empty_machine_costs_nothing_but_its_metrics() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut collector = HostCollector::new(folder.path());
    let mut batch = MetricBatch::default();
    collector.collect(0, &mut batch);
    assert_eq!(collector.instance(), "localhost");
    assert_eq!(batch.series.len(), 1, "only the time is left");
    let snapshot = collector.snapshot(0);
    assert_eq!((snapshot.cpu, snapshot.memory, snapshot.process), (None, None, None));
}

#[test]
fn this_machine_shows_itself() {
    let mut collector = HostCollector::new(Path::new("/"));
    let mut batch = MetricBatch::default();
    collector.collect(1_700_000_000_000, &mut batch);
    let jobs: BTreeSet<&[u8]> = batch
        .labels
        .iter()
        .filter(|label| label.name.of(&batch.text) == b"job")
        .map(|label| label.value.of(&batch.text))
        .collect();
    assert_eq!(jobs, BTreeSet::from([JOB.as_bytes(), OWN_JOB.as_bytes()]));
    let snapshot = collector.snapshot(1_700_000_000_000);
    let memory = snapshot.memory.expect("memory");
    assert_eq!(memory.total_bytes, memory.used_bytes + memory.free_bytes);
    let process = snapshot.process.expect("this process");
    assert_eq!(process.pid, std::process::id());
    assert!(process.resident_bytes > 0.0 && process.threads > 0.0 && process.open_fds > 0.0);
    assert!((0.0..=100.0).contains(&snapshot.cpu.expect("cpu").percent));
    assert!(snapshot.network.iter().any(|interface| interface.device == "lo"));
}
