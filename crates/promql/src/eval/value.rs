//! What a query answers.

use std::sync::Arc;

use model::{FloatHistogram, Labels, Point};

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// A series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series' labels.
    pub labels: Labels,
    /// The instant of the evaluation, milliseconds.
    pub t_ms: i64,
    /// Its value.
    pub value: SampleValue,
}

/// A series over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixSeries {
    /// The series' labels.
    pub labels: Labels,
    /// Its floats, by time.
    pub floats: Vec<Point>,
    /// Its histograms, by time in milliseconds.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number at the instant asked for.
    Scalar(Point),
    /// A text at the instant asked for.
    String {
        /// The instant, milliseconds.
        t_ms: i64,
        /// The text.
        value: String,
    },
    /// Series at the instant asked for, in the order the query gives them.
    Vector(Vec<VectorSample>),
    /// Series over time, sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// As the HTTP API names the type of a result.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples read from storage; a histogram counts for as many as it takes memory.
    pub samples_read: u64,
    /// Series that selectors found.
    pub series: u64,
    /// Most samples held in memory at a time.
    pub samples_peak: u64,
}

/// A value with what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// Texts beginning with `PromQL warning:`, sorted, each once.
    pub warnings: Vec<String>,
    /// Texts beginning with `PromQL info:`, sorted, each once.
    pub infos: Vec<String>,
    /// The cost.
    pub stats: QueryStats,
}
