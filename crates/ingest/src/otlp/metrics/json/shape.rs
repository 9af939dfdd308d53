//! The messages of `ExportMetricsServiceRequest` as JSON names their fields.

use serde::{Deserialize, Deserializer};

use super::super::point::Temporality;
use crate::otlp::json::{F64, I64, Item, Mode, Scalar, U64};

/// An aggregation temporality by number, or by name as lenient senders write it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregation(pub(super) Temporality);

impl Default for Aggregation {
    fn default() -> Self {
        Self(Temporality::Unspecified)
    }
}

impl<'de> Deserialize<'de> for Aggregation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = match Scalar::deserialize(deserializer)? {
            Scalar::Unsigned(code) => code,
            Scalar::Text(text) if text == "AGGREGATION_TEMPORALITY_DELTA" => 1,
            Scalar::Text(text) if text == "AGGREGATION_TEMPORALITY_CUMULATIVE" => 2,
            _ => 0,
        };
        Ok(Self(Temporality::of_code(code)))
    }
}

/// `null` stands for a field's default.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
pub(super) struct Request<M> {
    #[serde(deserialize_with = "or_default")]
    pub(super) resource_metrics: Vec<ResourceMetrics<M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
pub(super) struct ResourceMetrics<M> {
    #[serde(deserialize_with = "or_default")]
    pub(super) resource: Resource,
    #[serde(deserialize_with = "or_default")]
    pub(super) scope_metrics: Vec<ScopeMetrics<M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(deserialize_with = "or_default")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
pub(super) struct ScopeMetrics<M> {
    #[serde(deserialize_with = "or_default")]
    pub(super) scope: Scope,
    #[serde(deserialize_with = "or_default")]
    pub(super) metrics: Vec<Metric<M>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) schema_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Scope {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) version: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
pub(super) struct Metric<M> {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) description: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) unit: String,
    pub(super) gauge: Option<Points<NumberPoint, M>>,
    pub(super) sum: Option<Points<NumberPoint, M>>,
    pub(super) histogram: Option<Points<HistogramPoint, M>>,
    pub(super) exponential_histogram: Option<Points<ExponentialPoint, M>>,
    pub(super) summary: Option<Points<SummaryPoint, M>>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "P: Deserialize<'de>, M: Mode")]
pub(super) struct Points<P, M> {
    #[serde(deserialize_with = "or_default")]
    pub(super) data_points: Vec<Item<P, M>>,
    pub(super) aggregation_temporality: Aggregation,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_monotonic: bool,
}

impl<P, M> Default for Points<P, M> {
    fn default() -> Self {
        Self { data_points: Vec::new(), aggregation_temporality: Aggregation::default(), is_monotonic: false }
    }
}

/// Fields that all points have, borrowed from one.
pub(super) struct Common<'a> {
    pub(super) attributes: &'a [KeyValue],
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    pub(super) flags: u64,
    pub(super) exemplars: &'a [Exemplar],
}

/// A point of any type.
pub(super) trait DataPoint {
    /// The fields that all have.
    fn common(&self) -> Common<'_>;
}

/// Declares a point type: the common fields, and its own. (Serde's `flatten` would buffer every point.)
macro_rules! point {
    ($name:ident { $($field:ident: $type:ty,)* }) => {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name {
            #[serde(deserialize_with = "or_default")]
            attributes: Vec<KeyValue>,
            start_time_unix_nano: U64,
            time_unix_nano: U64,
            flags: U64,
            #[serde(deserialize_with = "or_default")]
            exemplars: Vec<Exemplar>,
            $(
                #[serde(deserialize_with = "or_default")]
                pub(super) $field: $type,
            )*
        }

        impl DataPoint for $name {
            fn common(&self) -> Common<'_> {
                Common {
                    attributes: &self.attributes,
                    start_ns: self.start_time_unix_nano.0,
                    time_ns: self.time_unix_nano.0,
                    flags: self.flags.0,
                    exemplars: &self.exemplars,
                }
            }
        }
    };
}

point!(NumberPoint {
    as_double: Option<F64>,
    as_int: Option<I64>,
});

point!(HistogramPoint {
    count: U64,
    sum: Option<F64>,
    bucket_counts: Vec<U64>,
    explicit_bounds: Vec<F64>,
});

point!(ExponentialPoint {
    count: U64,
    sum: Option<F64>,
    scale: I64,
    zero_count: U64,
    zero_threshold: F64,
    positive: Side,
    negative: Side,
});

point!(SummaryPoint {
    count: U64,
    sum: Option<F64>,
    quantile_values: Vec<Quantile>,
});

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Side {
    pub(super) offset: I64,
    #[serde(deserialize_with = "or_default")]
    pub(super) bucket_counts: Vec<U64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Quantile {
    pub(super) quantile: F64,
    pub(super) value: F64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exemplar {
    #[serde(deserialize_with = "or_default")]
    pub(super) filtered_attributes: Vec<KeyValue>,
    pub(super) time_unix_nano: U64,
    pub(super) as_double: Option<F64>,
    pub(super) as_int: Option<I64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) trace_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) span_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) value: AnyValue,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnyValue {
    pub(super) string_value: Option<String>,
    pub(super) bool_value: Option<bool>,
    pub(super) int_value: Option<I64>,
    pub(super) double_value: Option<F64>,
    pub(super) array_value: Option<List<AnyValue>>,
    pub(super) kvlist_value: Option<List<KeyValue>>,
    pub(super) bytes_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(default, bound = "T: Deserialize<'de>")]
pub(super) struct List<T> {
    #[serde(deserialize_with = "or_default")]
    pub(super) values: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}
