//! The engine against acceptance scripts: upstream's where they are at hand, and our own.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use promql::testing::{Load, MemorySource, Report, Target, run};
use promql::{Engine, EngineOptions, QueryContext, QueryResult};

/// The engine over series in memory.
struct InMemory {
    engine: Engine,
    source: MemorySource,
}

impl InMemory {
    fn new() -> Self {
        // As upstream's runner sets its engine up.
        let options = EngineOptions { samples_max: 10_000, ..EngineOptions::default() };
        Self { engine: Engine::new(options), source: MemorySource::new() }
    }
}

impl Target for InMemory {
    fn clear(&mut self) -> Result<(), String> {
        self.source.clear();
        Ok(())
    }

    fn load(&mut self, load: &Load) -> Result<(), String> {
        self.source.load(load);
        Ok(())
    }

    fn instant(&self, query: &str, t_ms: i64) -> Result<QueryResult, String> {
        let context = QueryContext::default();
        self.engine.instant(&self.source, query, t_ms, &context).map_err(|error| error.to_string())
    }

    fn range(&self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<QueryResult, String> {
        let context = QueryContext::default();
        self.engine
            .range(&self.source, query, (start_ms, end_ms), step_ms, &context)
            .map_err(|error| error.to_string())
    }
}

/// The scripts of a folder, by name; none when it is not there.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    found.sort();
    found
}

/// Runs every script and fails with a table and all differences if any evaluation differs.
fn run_all(scripts: &[PathBuf]) {
    let (mut table, mut differences) = (String::new(), String::new());
    let mut sum = Report::default();
    for path in scripts {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a readable script");
        let report = run(&text, &mut InMemory::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
        writeln!(table, "{name:40} {:5}/{:5}", report.passed, report.total()).expect("text");
        for failure in &report.failures {
            writeln!(differences, "{name} {failure}").expect("text");
        }
        sum.passed += report.passed;
        sum.failures.extend(report.failures);
    }
    writeln!(table, "{:40} {:5}/{:5}", "total", sum.passed, sum.total()).expect("text");
    assert!(sum.failures.is_empty(), "\n{differences}\n{table}");
    // The table is shown by `cargo test -- --nocapture`.
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes()).expect("stdout");
}

#[test]
fn upstream_scripts_pass() {
    run_all(&scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest")));
}

#[test]
fn own_scripts_pass() {
    let own = scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts"));
    assert!(!own.is_empty());
    run_all(&own);
}

/// The deepest queries that parse do not overflow the stack of a thread, whatever they nest.
#[test]
fn the_deepest_queries_are_evaluated() {
    let mut target = InMemory::new();
    let commands = promql::testing::parse_script("load 1m\n m 1 2 3").expect("reads");
    for command in commands {
        if let promql::testing::Command::Load(load) = command {
            target.load(&load).expect("loads");
        }
    }
    let depth = promql::syntax::DEPTH_MAX;
    let nest = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for query in [
        nest("(", "m", ")", depth - 2),
        nest("-", "m", "", depth - 2),
        nest("abs(", "m", ")", depth - 2),
        nest("sum(", "m", ")", depth - 2),
        nest("m + ", "m", "", depth - 2),
        nest("", "m", " + m", depth - 2),
        nest("m ^ ", "m", "", depth - 2),
        nest("", "m", "[1m:1m]", 1),
        nest("max_over_time(", "m", "[1m:1m])", depth / 2 - 2),
        nest("label_replace(", "m", ", \"a\", \"b\", \"c\", \"d\")", depth - 2),
        format!("m[{}1m{}]", "(".repeat(depth - 3), ")".repeat(depth - 3)),
    ] {
        let shown: String = query.chars().take(40).collect();
        target.instant(&query, 60_000).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let expr = promql::syntax::parse(&query).expect("parses");
        let lines = promql::syntax::parse(&expr.prettify()).expect("parses back");
        assert_eq!(lines.to_string(), expr.to_string(), "{shown}");
    }
}
