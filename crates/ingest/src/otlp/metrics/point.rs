//! One data point of any type, as both encodings read it. One value is reused for all points of a request.

use model::Span;

/// An attribute: its texts are in the request's [`crate::rows::Texts`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) key: Span,
    pub(super) value: Span,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum { monotonic: bool, temporality: Temporality },
    Histogram(Temporality),
    Exponential(Temporality),
    Summary,
}

/// What a value is the total of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temporality {
    Unspecified,
    Delta,
    Cumulative,
}

impl Temporality {
    pub(super) fn of_code(code: u64) -> Self {
        match code {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

impl Kind {
    /// Gauges and summaries have none, which counts as cumulative: the points are stored as they are.
    pub(super) fn temporality(self) -> Temporality {
        match self {
            Self::Gauge | Self::Summary => Temporality::Cumulative,
            Self::Sum { temporality, .. } | Self::Histogram(temporality) | Self::Exponential(temporality) => {
                temporality
            }
        }
    }
}

/// What is said of a metric beside its points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) name: Span,
    pub(super) description: Span,
    pub(super) unit: Span,
    pub(super) kind: Kind,
}

/// An instrumentation scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) name: Span,
    pub(super) version: Span,
    pub(super) schema_url: Span,
    pub(super) attributes: Vec<Attribute>,
}

/// Buckets of one side of an exponential histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
}

/// An exemplar; its ids are hexadecimal, empty when it has none.
#[derive(Clone, Debug, Default)]
pub(super) struct ExemplarIn {
    pub(super) attributes: Vec<Attribute>,
    pub(super) time_ns: u64,
    pub(super) value: f64,
    pub(super) trace_id: String,
    pub(super) span_id: String,
}

/// The fields of all point types.
#[derive(Clone, Debug, Default)]
pub(super) struct PointIn {
    pub(super) attributes: Vec<Attribute>,
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    pub(super) flags: u64,
    /// Of numbers; `None` when neither kind of value is set.
    pub(super) value: Option<f64>,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    /// Of histograms, not cumulative.
    pub(super) bucket_counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) scale: i64,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Side,
    pub(super) negative: Side,
    /// Of summaries: quantile and value.
    pub(super) quantiles: Vec<(f64, f64)>,
    pub(super) exemplars: Vec<ExemplarIn>,
}

impl PointIn {
    /// Forgets the fields and keeps the memory.
    pub(super) fn clear(&mut self) {
        let Self { attributes, bucket_counts, bounds, positive, negative, quantiles, exemplars, .. } =
            std::mem::take(self);
        *self = Self {
            attributes,
            bucket_counts,
            bounds,
            positive,
            negative,
            quantiles,
            exemplars,
            ..Self::default()
        };
        self.attributes.clear();
        self.bucket_counts.clear();
        self.bounds.clear();
        self.quantiles.clear();
        self.exemplars.clear();
        for side in [&mut self.positive, &mut self.negative] {
            side.offset = 0;
            side.counts.clear();
        }
    }

    /// The flag that says "nothing was recorded": the series ends here.
    pub(super) fn is_stale(&self) -> bool {
        self.flags & 1 != 0
    }
}
