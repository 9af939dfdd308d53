//! Which rows and traces are kept when not all are.
//!
//! A share of traces is chosen by a hash of the trace id, so that every node, every batch and every signal
//! decides alike. Samplers add up: a trace is kept when one of them keeps it, so an error is kept at rate 0.

mod manager; // sample, process, export: the spec's TraceManager
mod tail; // decisions over all spans of a trace, within a window

pub use manager::{
    ExportOutcome, ExporterConfig, TraceExporter, TraceManager, TraceOptions, TraceOutcome, TraceResult,
};
pub use tail::TailSampler;

use hashbrown::HashMap;
use model::record::{log, span};
use model::{Records, Signal, Value};
use serde_json::Value as Json;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::config::{ConfigError, Members};
use crate::field::Field;

/// A trace id.
pub type TraceId = [u8; 16];

const SAMPLERS_MAX: usize = 16;
/// OpenTelemetry's first number of an error.
const ERROR_MIN: i64 = 17;

/// Whether a share of traces has this one. The same id is in every larger share too.
pub fn keeps_trace(trace_id: &[u8], rate: f64) -> bool {
    keeps_hash(xxh3_64(trace_id), rate)
}

fn keeps_hash(hash: u64, rate: f64) -> bool {
    // All 53 bits of a double between 0 and 1, so that rate 1 keeps all and rate 0 none.
    ((hash >> 11) as f64 / (1u64 << 53) as f64) < rate
}

/// One way to keep a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// A share of all traces, between 0 and 1.
    Rate(f64),
    /// Traces with an error.
    Errors,
    /// Traces with a span of at least so many nanoseconds.
    Slow(i64),
}

/// Samplers of one configuration; none keep everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samplers(Vec<Sampler>);

/// Facts of spans that samplers ask for, by column.
#[derive(Clone, Copy, Debug)]
pub struct SpanFacts<'s> {
    /// Which trace; all zeros where it is unknown.
    pub trace_ids: &'s [TraceId],
    /// Whether the status is an error.
    pub errors: &'s [bool],
    /// How long, nanoseconds.
    pub durations_ns: &'s [i64],
}

impl Samplers {
    /// Reads a list such as `[{"type":"rate","rate":0.25},{"type":"errors"},{"type":"slow","over":"500ms"}]`.
    pub fn from_config(config: &Json) -> Result<Self, ConfigError> {
        match config {
            Json::Array(items) => {
                let listed = items.iter().enumerate().map(|(i, item)| (format!("samplers[{i}]"), item));
                Self::of_list(listed.collect())
            }
            other => Err(ConfigError::new("samplers", other, "is not a list")),
        }
    }

    fn of_list(listed: Vec<(String, &Json)>) -> Result<Self, ConfigError> {
        if listed.len() > SAMPLERS_MAX {
            let remedy = format!("has more than {SAMPLERS_MAX} entries");
            return Err(ConfigError::new("samplers", &Json::from(listed.len()), remedy));
        }
        listed.into_iter().map(|(path, value)| sampler(&path, value)).collect::<Result<_, _>>().map(Self)
    }

    /// A plain share of traces, as `tracing.samplingRate` has it, and perhaps all errors.
    pub fn of_rate(rate: f64, keep_errors: bool) -> Self {
        Self(
            [Some(Sampler::Rate(rate)), keep_errors.then_some(Sampler::Errors)]
                .into_iter()
                .flatten()
                .collect(),
        )
    }

    /// Whether every trace is kept, so that nothing needs to be asked.
    pub fn keep_all(&self) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|sampler| matches!(sampler, Sampler::Rate(rate) if *rate >= 1.0))
    }

    /// Whether the hash of its id keeps a trace, which no further span can change.
    fn keeps_by_rate(&self, trace_id: &TraceId) -> bool {
        self.0.iter().any(|sampler| matches!(sampler, Sampler::Rate(rate) if keeps_trace(trace_id, *rate)))
    }

    /// Whether what happened in a span keeps its trace.
    fn keeps_by_facts(&self, error: bool, duration_ns: i64) -> bool {
        self.0.iter().any(|sampler| match sampler {
            Sampler::Rate(_) => false,
            Sampler::Errors => error,
            Sampler::Slow(over_ns) => duration_ns >= *over_ns,
        })
    }

    /// Decides for spans, each by all spans of its trace that are given here.
    pub fn decide(&self, spans: &SpanFacts<'_>) -> Vec<bool> {
        if self.keep_all() {
            return vec![true; spans.trace_ids.len()];
        }
        let traces = self.decide_traces(spans);
        spans.trace_ids.iter().map(|id| traces.get(id).is_some_and(|kept| *kept != Kept::No)).collect()
    }

    fn decide_traces(&self, spans: &SpanFacts<'_>) -> HashMap<TraceId, Kept> {
        let mut traces: HashMap<TraceId, Kept> = HashMap::new();
        for ((id, error), duration_ns) in spans.trace_ids.iter().zip(spans.errors).zip(spans.durations_ns) {
            let by_rate = || if self.keeps_by_rate(id) { Kept::ByRate } else { Kept::No };
            let kept = traces.entry(*id).or_insert_with(by_rate);
            if *kept == Kept::No && self.keeps_by_facts(*error, *duration_ns) {
                *kept = Kept::ByFacts;
            }
        }
        traces
    }

    /// Keeps the spans of traces that are kept; of other rows all.
    pub fn retain(&self, records: &mut Records) {
        if records.signal == Signal::Traces && !self.keep_all() {
            let facts = OwnedFacts::of(records);
            let kept = self.decide(&facts.borrow());
            records.retain(|_, row| kept[row]);
        }
    }
}

/// Why a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    No,
    ByRate,
    ByFacts,
}

fn sampler(path: &str, value: &Json) -> Result<Sampler, ConfigError> {
    let mut members = Members::new(path, value)?;
    let sampler = match members.need_text("type")? {
        "rate" => {
            let rate = members.share("rate")?;
            Sampler::Rate(
                rate.ok_or_else(|| members.error("rate", "is missing; give a share between 0 and 1"))?,
            )
        }
        "errors" | "always_keep_errors" => Sampler::Errors,
        "slow" => {
            let over_ns = members.duration_ns("over")?;
            Sampler::Slow(
                over_ns.ok_or_else(|| members.error("over", "is missing; give one like \"500ms\""))?,
            )
        }
        _ => return Err(members.error("type", "is not known; samplers are rate, errors, slow")),
    };
    members.end()?;
    Ok(sampler)
}

/// The facts of rows.
struct OwnedFacts {
    trace_ids: Vec<TraceId>,
    errors: Vec<bool>,
    durations_ns: Vec<i64>,
}

impl OwnedFacts {
    fn of(records: &Records) -> Self {
        let rows = 0..records.len();
        Self {
            trace_ids: rows.clone().map(|row| trace_id(records, row).unwrap_or_default()).collect(),
            errors: rows.clone().map(|row| is_error(records, row)).collect(),
            durations_ns: rows.map(|row| duration_ns(records, row)).collect(),
        }
    }

    fn borrow(&self) -> SpanFacts<'_> {
        let Self { trace_ids, errors, durations_ns } = self;
        SpanFacts { trace_ids, errors, durations_ns }
    }
}

fn trace_id(records: &Records, row: usize) -> Option<TraceId> {
    let column = match records.signal {
        Signal::Traces => span::TRACE_ID,
        Signal::Logs => log::TRACE_ID,
        Signal::Events | Signal::Metrics | Signal::Audit | Signal::Checks => return None,
    };
    match records.fields_of(row)[column] {
        Value::Bytes(id) => id.of(&records.text).try_into().ok(),
        _ => None,
    }
}

fn is_error(records: &Records, row: usize) -> bool {
    match records.signal {
        Signal::Traces => records.text_of(records.fields_of(row)[span::STATUS_CODE]) == Some("error"),
        Signal::Logs => matches!(records.fields_of(row)[log::SEVERITY_NUMBER], Value::Int(ERROR_MIN..)),
        Signal::Events | Signal::Metrics | Signal::Audit | Signal::Checks => false,
    }
}

fn duration_ns(records: &Records, row: usize) -> i64 {
    match (records.signal, records.fields_of(row).get(span::DURATION)) {
        (Signal::Traces, Some(Value::Int(duration_ns))) => *duration_ns,
        _ => 0,
    }
}

/// The `sample` processor: `{"rate", "by"?, "keep_errors"?, "slow"?}`. Rows of one trace, or of one value of
/// `by`, are kept or left out together; rows with neither are chosen one by one.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    rate: f64,
    by: Option<Field>,
    keep_errors: bool,
    slow_ns: Option<i64>,
}

impl Sample {
    pub(crate) fn new(members: &mut Members<'_>) -> Result<Self, ConfigError> {
        let rate = members.share("rate")?;
        let rate = rate.ok_or_else(|| members.error("rate", "is missing; give a share between 0 and 1"))?;
        Ok(Self {
            rate,
            by: members.text("by")?.map(Field::new),
            keep_errors: members.flag("keep_errors", false)?,
            slow_ns: members.duration_ns("slow")?,
        })
    }

    pub(crate) fn keeps(&self, records: &Records, row: usize) -> bool {
        if self.keep_errors && is_error(records, row)
            || self.slow_ns.is_some_and(|slow_ns| duration_ns(records, row) >= slow_ns)
        {
            return true;
        }
        let hash = match self.by.as_ref().and_then(|by| by.text(records, row)) {
            Some(value) => xxh3_64(value.as_bytes()),
            None => match trace_id(records, row) {
                Some(id) => xxh3_64(&id),
                None => Self::row_hash(records, row),
            },
        };
        keeps_hash(hash, self.rate)
    }

    /// A hash of what tells a row from its neighbours, in place of a random number.
    fn row_hash(records: &Records, row: usize) -> u64 {
        let seed = records.time_ns(row) as u64 ^ (u64::from(records.rows[row].index) << 32);
        records.fields_of(row).iter().fold(seed, |hash, value| match value {
            Value::Text(span) => xxh3_64_with_seed(span.of(&records.text), hash),
            _ => hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{logs, spans};

    fn samplers(config: Json) -> Samplers {
        Samplers::from_config(&config).expect("samplers")
    }

    #[test]
    fn a_quarter_of_ten_thousand_traces_is_a_quarter() {
        for (rate, min, max) in [(0.25, 2300, 2700), (0.0, 0, 0), (1.0, 10_000, 10_000)] {
            // Ids that count up are the worst case for a hash.
            let kept = (0u128..10_000).filter(|id| keeps_trace(&id.to_be_bytes(), rate)).count();
            assert!((min..=max).contains(&kept), "{kept} at {rate}");
        }
    }

    #[test]
    fn spans_of_a_trace_are_kept_or_dropped_together() {
        let lines: Vec<_> =
            (0..300).map(|i| format!("{} {} 0 a op server unset 0 1", i % 100 + 1, i + 1)).collect();
        let mut records = spans(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        samplers(json!([{"type":"rate","rate":0.5}])).retain(&mut records);
        let mut counts = HashMap::new();
        for row in 0..records.len() {
            *counts.entry(trace_id(&records, row)).or_insert(0) += 1;
        }
        assert!((20..80).contains(&counts.len()) && counts.values().all(|n| *n == 3), "{counts:?}");
    }

    #[test]
    fn errors_and_slow_traces_are_kept_at_rate_0() {
        let lines = [
            "1 1 0 a op server unset 0 1",
            "1 2 1 a op internal error 0 1",
            "2 3 0 a op server unset 0 499",
            "3 4 0 a op server ok 0 500",
            "3 5 4 a op internal ok 0 1",
        ];
        for (config, want) in [
            (json!([{"type":"rate","rate":0}]), &[][..]),
            (json!([{"type":"rate","rate":0},{"type":"always_keep_errors"}]), &[0, 1]),
            (json!([{"type":"slow","over":"500ms"}]), &[3, 4]),
            (json!([{"type":"errors"},{"type":"slow","over":"0.5s"}]), &[0, 1, 3, 4]),
            (json!([{"type":"rate","rate":1}]), &[0, 1, 2, 3, 4]),
            (json!([]), &[0, 1, 2, 3, 4]),
        ] {
            let mut records = spans(&lines);
            samplers(config.clone()).retain(&mut records);
            let kept: Vec<_> = records.rows.iter().map(|row| row.index).collect();
            assert_eq!(kept, want, "{config}");
        }
    }

    #[test]
    fn rates_outside_0_to_1_and_unknown_samplers_are_refused() {
        for (config, path, remedy) in [
            (json!([{"type":"rate","rate":1.5}]), "samplers[0].rate", "between 0 (none) and 1 (all)"),
            (json!([{"type":"rate","rate":-0.1}]), "samplers[0].rate", "between 0"),
            (json!([{"type":"rate"}]), "samplers[0].rate", "is missing"),
            (json!([{"type":"errors"},{"type":"magic"}]), "samplers[1].type", "samplers are rate"),
            (json!([{"type":"slow","over":"long"}]), "samplers[0].over", "is no duration"),
            (json!([{"type":"errors","rate":1}]), "samplers[0]", "is not known here"),
            (json!({}), "samplers", "is not a list"),
        ] {
            let error = Samplers::from_config(&config).expect_err("a complaint");
            assert!(error.path == path && error.remedy.contains(remedy), "{error}");
        }
    }

    #[test]
    fn logs_without_a_trace_are_chosen_one_by_one() {
        let lines: Vec<_> = (0..1000)
            .map(|i| {
                format!("{} \"same\" n={i} user=\"u{}\"", if i % 100 == 0 { "ERROR" } else { "INFO" }, i % 10)
            })
            .collect();
        let records = logs(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let kept = |config: Json| {
            let sample = Sample::new(&mut Members::new("p", &config).expect("an object")).expect("a sample");
            (0..1000).filter(|row| sample.keeps(&records, *row)).count()
        };
        assert!((200..300).contains(&kept(json!({"rate": 0.25}))));
        assert_eq!(kept(json!({"rate": 0})), 0);
        assert_eq!(kept(json!({"rate": 1})), 1000);
        assert_eq!(kept(json!({"rate": 0, "keep_errors": true})), 10);
        assert_eq!(kept(json!({"rate": 0.5, "by": "user"})) % 100, 0);
    }

    proptest! {
        #[test]
        fn a_trace_in_a_share_is_in_every_larger_one(id: [u8; 16], a in 0.0..1.0, b in 0.0..1.0) {
            prop_assert!(!keeps_trace(&id, f64::min(a, b)) || keeps_trace(&id, f64::max(a, b)));
        }
    }
}
