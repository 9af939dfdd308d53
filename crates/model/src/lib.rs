//! The nouns of the product: what every other crate talks about.
//!
//! No I/O, no clock, no serialisation: wire bytes belong to `ingest`, `api` and `server`, stored bytes
//! to `store` and `control`. Times of metrics are milliseconds since the Unix epoch and may be negative.

mod batch; // one decoded write of metrics, on its way to the store
mod histogram; // native histograms
mod labels; // a series' identity
mod limits; // what a tenant may send
mod matcher; // how a query names series
mod metadata; // type, unit and help of a metric; exemplars
mod outcome; // accepted, refused, dropped
pub mod predicate; // which rows a search or delete means
pub mod record; // decoded logs, spans and events, on their way to the store
mod sample; // one point, columns of points, the stale marker
mod tenant; // whose data it is

pub use batch::{LabelSpan, MetricBatch, SeriesRow, Span};
pub use histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, HistogramError, HistogramSpan};
pub use labels::{InvalidLabels, Labels, LabelsBuilder, METRIC_NAME};
pub use limits::MetricLimits;
pub use matcher::{InvalidMatcher, MatchOp, Matcher};
pub use metadata::{Exemplar, Metadata, MetricType};
pub use outcome::{Reason, Refusal, Refusals};
pub use predicate::{Field, Order, Predicate, Scalar, Test, TextMatch};
pub use record::{Attr, FixedColumn, FixedKind, RecordLimits, RecordRow, Records, Value};
pub use sample::{Point, STALE_NAN, SampleColumns, TimeRange, is_stale};
pub use tenant::{InvalidTenantId, Signal, TenantId};
