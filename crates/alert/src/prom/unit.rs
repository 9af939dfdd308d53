//! Carrying out unit tests of rules, as `promtool test rules` does: series in memory, groups evaluated step by step,
//! alerts and expressions compared. What is written about a failure is what promtool (2.42) writes.

mod compare; // what was expected and what there was
mod group; // the rules of a test

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Labels as SeriesLabels;
use promql::testing::{Load, LoadedSeries, MemorySource, SequenceValue, parse_series_description};
use promql::{Engine, EngineOptions, QueryContext};

use super::{
    Group, Names, RuleFile, Sample, Server, TestGroup, UnitTests, expression, format_duration, parse,
    parse_tests,
};
use crate::Labels;

/// What happened in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestOutput {
    /// What is worth a warning, such as a pattern that no file matches.
    pub warnings: Vec<String>,
    /// Why it failed, one text for each failure; none when it passed.
    pub failures: Vec<String>,
}

/// Finds and reads files: rule files of a pattern, and their texts.
pub trait Disk {
    /// The files that a path with wildcards stands for; empty when there is none.
    fn find(&self, pattern: &Path) -> Vec<PathBuf>;

    /// The text of a file.
    fn read(&self, path: &Path) -> Result<String, String>;
}

/// Most evaluations of one test, so that a year by the second ends.
const STEPS_MAX: i64 = 1_000_000;

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Carries out the tests of a file.
pub fn run_tests(path: &Path, disk: &dyn Disk) -> TestOutput {
    let mut output = TestOutput::default();
    if let Err(failures) = run_file(path, disk, &mut output.warnings) {
        output.failures = failures;
    }
    output
}

fn run_file(path: &Path, disk: &dyn Disk, warnings: &mut Vec<String>) -> Result<(), Vec<String>> {
    let text = disk.read(path).map_err(|error| vec![error])?;
    let tests = parse_tests(&path.display().to_string(), &text)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files: Vec<RuleFile> = Vec::new();
    for pattern in &tests.rule_files {
        let found = disk.find(&folder.join(&pattern.value));
        if found.is_empty() {
            warnings.push(format!("no file match pattern {}", folder.join(&pattern.value).display()));
        }
        for file in found {
            let name = file.display().to_string();
            let text = disk.read(&file).map_err(|error| vec![format!("{name}: {error}")])?;
            let read = parse(&name, &text, Names::Utf8, &expression)
                .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            files.push(read.rules);
        }
    }
    let groups = ordered(&files, &tests).map_err(|error| vec![error])?;
    let mut failures = Vec::new();
    for test in &tests.tests {
        failures.extend(Run::new(test, &tests).carry_out(&groups));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The groups, those of `group_eval_order` first and in its order.
fn ordered<'a>(files: &'a [RuleFile], tests: &UnitTests) -> Result<Vec<&'a Group>, String> {
    let mut groups: Vec<&Group> = files.iter().flat_map(|file| &file.groups).collect();
    let place = |group: &&Group| {
        let order = &tests.group_eval_order;
        order.iter().position(|name| *name == group.name).unwrap_or(usize::MAX)
    };
    groups.sort_by_key(place);
    let mut names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        // Names need only be unique within a file, but an order by name must be one.
        Some(pair) if tests.group_eval_order.iter().any(|name| name == pair[0]) => {
            Err(format!("group {:?} is there twice, so its place in group_eval_order is not known", pair[0]))
        }
        _ => Ok(groups),
    }
}

/// One test in progress.
struct Run<'a> {
    test: &'a TestGroup,
    interval_ms: i64,
    fuzzy: bool,
    engine: Engine,
    source: MemorySource,
}

impl<'a> Run<'a> {
    fn new(test: &'a TestGroup, tests: &UnitTests) -> Self {
        let engine = Engine::new(EngineOptions { parallelism: 1, ..EngineOptions::default() });
        let interval_ms = millis(tests.evaluation_interval).max(1);
        Self { test, interval_ms, fuzzy: tests.fuzzy_compare, engine, source: MemorySource::new() }
    }

    fn query(&self, expression: &str, at: i64) -> Result<Vec<Sample>, String> {
        let result = self.engine.instant(&self.source, expression, at, &QueryContext::default());
        Sample::of(result.map_err(|error| error.to_string())?.value)
    }

    /// Loads the series; the error is what is wrong with one.
    fn load(&mut self) -> Result<(), String> {
        let step = millis(self.test.interval);
        let mut series: Vec<LoadedSeries> = Vec::new();
        for input in &self.test.input_series {
            let described =
                parse_series_description(&format!("{} {}", input.series.value, input.values.value));
            let described = described.map_err(|error| error.to_string())?;
            let mut samples = model::SampleColumns::default();
            for (i, value) in described.values.iter().enumerate() {
                let at = step.saturating_mul(i64::try_from(i).unwrap_or(i64::MAX));
                match value {
                    SequenceValue::Omitted => {}
                    SequenceValue::Float(value) => {
                        samples.t_ms.push(at);
                        samples.values.push(*value);
                    }
                    SequenceValue::Histogram(histogram, _) => {
                        samples.histogram_t_ms.push(at);
                        samples.histograms.push(histogram.clone());
                    }
                }
            }
            series.push(LoadedSeries { labels: described.labels, samples });
        }
        self.source.load(&Load { series });
        Ok(())
    }

    /// Puts samples of one time in.
    fn write(&mut self, batch: &model::MetricBatch) {
        let mut series = Vec::with_capacity(batch.series.len());
        for row in &batch.series {
            let range = |range: &std::ops::Range<u32>| range.start as usize..range.end as usize;
            let text = |span: model::Span| std::str::from_utf8(span.of(&batch.text)).unwrap_or_default();
            let pairs = batch.labels[range(&row.labels)].iter().map(|l| (text(l.name), text(l.value)));
            let labels = SeriesLabels::from_pairs(pairs).expect("labels of a map are unique and have names");
            let mut samples = model::SampleColumns::default();
            for point in &batch.points[range(&row.points)] {
                samples.t_ms.push(point.t_ms);
                samples.values.push(point.value);
            }
            for (at, histogram) in &batch.histograms[range(&row.histograms)] {
                samples.histogram_t_ms.push(*at);
                samples.histograms.push(histogram.clone());
            }
            series.push(LoadedSeries { labels, samples });
        }
        self.source.load(&Load { series });
    }

    /// Evaluates the groups and compares. Answers what failed.
    fn carry_out(mut self, groups: &[&Group]) -> Vec<String> {
        let mut failures = Vec::new();
        if let Err(error) = self.load() {
            return vec![error];
        }
        let server = Server {
            external_labels: self.test.external_labels.clone(),
            external_url: self.test.external_url.clone(),
        };
        let mut running = Vec::with_capacity(groups.len());
        for group in groups {
            match group::TestedGroup::new(group, self.interval_ms, &server) {
                Ok(group) => running.push(group),
                Err(error) => return vec![error],
            }
        }
        let alert_times = self.test.alert_rule_test.iter().map(|test| millis(test.eval_time));
        let expr_times = self.test.promql_expr_test.iter().map(|test| millis(test.eval_time));
        let last = alert_times.chain(expr_times).max().unwrap_or(0);
        if last / self.interval_ms > STEPS_MAX {
            return vec![format!("the test has more than {STEPS_MAX} evaluations: use a longer interval")];
        }
        // An alert test sees what the last evaluation at or before its time left.
        let mut times: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (n, test) in self.test.alert_rule_test.iter().enumerate() {
            times.entry(millis(test.eval_time)).or_default().push(n);
        }
        let mut waiting = times.into_iter().peekable();
        let mut at = 0;
        while at <= last {
            for group in &mut running {
                failures.extend(group.evaluate(&mut self, at));
            }
            if !failures.is_empty() && failures.iter().any(|failure| failure.starts_with("    rule: ")) {
                return failures;
            }
            let next = at + self.interval_ms;
            while let Some((time, tests)) = waiting.next_if(|(time, _)| *time < next) {
                failures.extend(self.compare_alerts(&running, time, &tests));
            }
            at = next;
        }
        for test in &self.test.promql_expr_test {
            let got = self.query(&test.expr.value, millis(test.eval_time));
            failures.extend(compare::expression(test, got, self.fuzzy));
        }
        failures
    }

    fn compare_alerts(&self, groups: &[group::TestedGroup], time: i64, tests: &[usize]) -> Vec<String> {
        let mut failures = Vec::new();
        for n in tests {
            let test = &self.test.alert_rule_test[*n];
            let mut got: Vec<(Labels, Labels)> = Vec::new();
            for group in groups {
                got.extend(group.firing(&test.alertname));
            }
            let shown = format_duration(Duration::from_millis(time.unsigned_abs()));
            failures.extend(compare::alerts(test, got, &shown, &self.test.name));
        }
        failures
    }
}
