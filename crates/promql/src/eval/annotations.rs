//! Warnings and infos that accompany a value, in upstream's words.
//!
//! An annotation is known by its text: the first place that raised it is the one shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::format::{line_column, quote, rfc3339, shortest, two_digits};
use crate::syntax::ast::Pos;

/// Annotations of one kind that a result carries at most; more are counted in one last line.
pub const ANNOTATIONS_MAX: usize = 10;

/// What arithmetic on histograms an annotation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl fmt::Display for HistogramOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        })
    }
}

/// A note about a value. Names are metric names.
#[derive(Clone, Debug)]
pub(crate) enum Note<'a> {
    InvalidQuantile(f64),
    InvalidRatio { ratio: f64, cap: f64 },
    BadBucketLabel { name: &'a str, label: &'a str },
    MixedFloatsHistograms(&'a str),
    MixedFloatsHistogramsAggregation,
    MixedClassicNative(&'a str),
    NotCounter(&'a str),
    NotGauge(&'a str),
    MixedExponentialCustom(&'a str),
    IncompatibleBucketLayout(&'a str),
    CounterResetCollision(HistogramOperation),
    SortInRangeQuery,
    PossibleNonCounter(&'a str),
    PossibleNonCounterLabel { name: &'a str, kind: &'a str },
    IncompatibleTypes { left: &'a str, op: &'a str, right: &'a str },
    IgnoredInAggregation(&'a str),
    IgnoredInMixedRange(&'a str),
    QuantileNanResult(&'a str),
    QuantileNanSkew(&'a str),
    FractionNans(&'a str),
    MismatchedCustomBuckets(HistogramOperation),
    ForcedMonotonicity(&'a str),
}

impl Note<'_> {
    fn is_warning(&self) -> bool {
        match self {
            Self::InvalidQuantile(_)
            | Self::InvalidRatio { .. }
            | Self::BadBucketLabel { .. }
            | Self::MixedFloatsHistograms(_)
            | Self::MixedFloatsHistogramsAggregation
            | Self::MixedClassicNative(_)
            | Self::NotCounter(_)
            | Self::NotGauge(_)
            | Self::MixedExponentialCustom(_)
            | Self::IncompatibleBucketLayout(_)
            | Self::CounterResetCollision(_)
            | Self::SortInRangeQuery => true,
            Self::PossibleNonCounter(_)
            | Self::PossibleNonCounterLabel { .. }
            | Self::IncompatibleTypes { .. }
            | Self::IgnoredInAggregation(_)
            | Self::IgnoredInMixedRange(_)
            | Self::QuantileNanResult(_)
            | Self::QuantileNanSkew(_)
            | Self::FractionNans(_)
            | Self::MismatchedCustomBuckets(_)
            | Self::ForcedMonotonicity(_) => false,
        }
    }
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_warning() { "PromQL warning" } else { "PromQL info" };
        write!(f, "{kind}: ")?;
        match self {
            Self::InvalidQuantile(q) => {
                write!(f, "quantile value should be between 0 and 1, got {}", shortest(*q))
            }
            Self::InvalidRatio { ratio, cap } => write!(
                f,
                "ratio value should be between -1 and 1, got {}, capping to {}",
                shortest(*ratio),
                shortest(*cap)
            ),
            Self::BadBucketLabel { name, label } => {
                let label = quote(label);
                write!(f, "bucket label \"le\" is missing or has a malformed value of {label}")?;
                for_metric(f, name)
            }
            Self::MixedFloatsHistograms(name) => {
                write!(f, "encountered a mix of histograms and floats for metric name {}", quote(name))
            }
            Self::MixedFloatsHistogramsAggregation => {
                f.write_str("encountered a mix of histograms and floats for aggregation")
            }
            Self::MixedClassicNative(name) => {
                f.write_str("vector contains a mix of classic and native histograms")?;
                for_metric(f, name)
            }
            Self::NotCounter(name) => {
                write!(f, "this native histogram metric is not a counter: {}", quote(name))
            }
            Self::NotGauge(name) => {
                write!(f, "this native histogram metric is not a gauge: {}", quote(name))
            }
            Self::MixedExponentialCustom(name) => write!(
                f,
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                quote(name)
            ),
            Self::IncompatibleBucketLayout(op) => {
                write!(f, "incompatible bucket layout encountered for binary operator {op}")
            }
            Self::CounterResetCollision(operation) => {
                write!(f, "conflicting counter resets during histogram {operation}")
            }
            Self::SortInRangeQuery => f.write_str(
                "sort is ineffective for range queries since results are always ordered by labels",
            ),
            Self::PossibleNonCounter(name) => write!(
                f,
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                quote(name)
            ),
            Self::PossibleNonCounterLabel { name, kind } => write!(
                f,
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                quote(kind),
                quote(name)
            ),
            Self::IncompatibleTypes { left, op, right } => write!(
                f,
                "incompatible sample types encountered for binary operator {}: {left} {op} {right}",
                quote(op)
            ),
            Self::IgnoredInAggregation(op) => write!(f, "ignored histogram in {op} aggregation"),
            Self::IgnoredInMixedRange(name) => write!(
                f,
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                quote(name)
            ),
            Self::QuantileNanResult(name) => {
                f.write_str("input to histogram_quantile has NaN observations, result is NaN")?;
                for_metric(f, name)
            }
            Self::QuantileNanSkew(name) => {
                f.write_str("input to histogram_quantile has NaN observations, result is skewed higher")?;
                for_metric(f, name)
            }
            Self::FractionNans(name) => {
                f.write_str(
                    "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                )?;
                for_metric(f, name)
            }
            Self::MismatchedCustomBuckets(operation) => {
                write!(f, "mismatched custom buckets were reconciled during {operation}")
            }
            Self::ForcedMonotonicity(name) => {
                f.write_str(
                    "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                )?;
                for_metric(f, name)
            }
        }
    }
}

fn for_metric(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if name.is_empty() { Ok(()) } else { write!(f, " for metric name {}", quote(name)) }
}

/// Where and how far bucket counts of classic histograms had to be raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ForcedBuckets {
    pub(crate) t_ms: (i64, i64),
    pub(crate) bounds: (f64, f64),
    pub(crate) diff_max: f64,
    pub(crate) samples: u64,
}

impl ForcedBuckets {
    /// Unites two.
    pub(crate) fn widen(&mut self, other: &Self) {
        self.t_ms = (self.t_ms.0.min(other.t_ms.0), self.t_ms.1.max(other.t_ms.1));
        self.bounds = (self.bounds.0.min(other.bounds.0), self.bounds.1.max(other.bounds.1));
        self.diff_max = self.diff_max.max(other.diff_max);
        self.samples += other.samples;
    }
}

impl fmt::Display for ForcedBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            shortest(self.bounds.0),
            shortest(self.bounds.1),
            two_digits(self.diff_max),
            self.samples,
            rfc3339(self.t_ms.0),
            rfc3339(self.t_ms.1)
        )
    }
}

#[derive(Debug)]
struct Entry {
    pos: Pos,
    warning: bool,
    forced: Option<ForcedBuckets>,
}

/// The annotations of a query in progress; shared by the threads that work on it.
#[derive(Debug, Default)]
pub(crate) struct Annotations(Mutex<BTreeMap<String, Entry>>);

impl Annotations {
    /// Adds a note raised by the node at a place.
    pub(crate) fn add(&self, pos: Pos, note: Note<'_>) {
        self.insert(note.to_string(), Entry { pos, warning: note.is_warning(), forced: None });
    }

    /// Adds the note that bucket counts were raised; details of equal notes are united.
    pub(crate) fn add_forced(&self, pos: Pos, name: &str, forced: ForcedBuckets) {
        let note = Note::ForcedMonotonicity(name);
        self.insert(note.to_string(), Entry { pos, warning: false, forced: Some(forced) });
    }

    fn insert(&self, text: String, entry: Entry) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&text) {
            Some(known) => {
                if let (Some(a), Some(b)) = (&mut known.forced, &entry.forced) {
                    a.widen(b);
                }
            }
            None => {
                all.insert(text, entry);
            }
        }
    }

    /// Warnings and infos as texts with places in the query, sorted.
    pub(crate) fn render(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = |warnings: bool| -> Vec<String> {
            let mut texts: Vec<String> = all
                .iter()
                .filter(|(_, entry)| entry.warning == warnings)
                .map(|(text, entry)| entry.text(text, query))
                .collect();
            if texts.len() > ANNOTATIONS_MAX {
                let more = texts.len() - ANNOTATIONS_MAX;
                let kind = if warnings { "warning" } else { "info" };
                texts.truncate(ANNOTATIONS_MAX);
                texts.push(format!("{more} more {kind} annotations omitted"));
            }
            texts
        };
        (texts(true), texts(false))
    }
}

impl Entry {
    fn text(&self, text: &str, query: &str) -> String {
        if query.is_empty() {
            return text.into();
        }
        let forced = self.forced.map(|f| f.to_string()).unwrap_or_default();
        format!("{text}{forced} ({})", line_column(query, self.pos.start as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_notes_are_one_at_the_first_place() {
        let all = Annotations::default();
        let pos = |start| Pos { start, end: start + 1 };
        all.add(pos(6), Note::NotCounter("x"));
        all.add(pos(20), Note::NotCounter("x"));
        all.add(pos(0), Note::PossibleNonCounter("x"));
        let (warnings, infos) = all.render("rate(\nx[5m])");
        assert_eq!(warnings, ["PromQL warning: this native histogram metric is not a counter: \"x\" (2:1)"]);
        assert_eq!(
            infos,
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:1)"
            ]
        );
    }

    #[test]
    fn forced_buckets_unite_their_details() {
        let all = Annotations::default();
        let pos = Pos { start: 1, end: 2 };
        for (t, bound, diff_max) in [(60_000, 1.0, 2.0), (0, 5.0, 1.0)] {
            let forced = ForcedBuckets { t_ms: (t, t), bounds: (bound, bound), diff_max, samples: 1 };
            all.add_forced(pos, "", forced);
        }
        let (_, infos) = all.render("ab");
        assert!(
            infos[0].ends_with(
                ", from buckets 1 to 5, with a max diff of 2, over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:2)"
            ),
            "{infos:?}"
        );
    }
}
