//! Which function a name stands for.

use std::f64::consts::PI;

use model::FloatHistogram;

use super::dates::Civil;
use crate::histogram;

/// Functions over range vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Absent,
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
    TsOfFirst,
    TsOfLast,
    TsOfMax,
    TsOfMin,
}

impl RangeFunction {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "absent_over_time" => Self::Absent,
            "avg_over_time" => Self::Avg,
            "changes" => Self::Changes,
            "count_over_time" => Self::Count,
            "delta" => Self::Delta,
            "deriv" => Self::Deriv,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "first_over_time" => Self::First,
            "idelta" => Self::Idelta,
            "increase" => Self::Increase,
            "irate" => Self::Irate,
            "last_over_time" => Self::Last,
            "mad_over_time" => Self::Mad,
            "max_over_time" => Self::Max,
            "min_over_time" => Self::Min,
            "predict_linear" => Self::PredictLinear,
            "present_over_time" => Self::Present,
            "quantile_over_time" => Self::Quantile,
            "rate" => Self::Rate,
            "resets" => Self::Resets,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "sum_over_time" => Self::Sum,
            "ts_of_first_over_time" => Self::TsOfFirst,
            "ts_of_last_over_time" => Self::TsOfLast,
            "ts_of_max_over_time" => Self::TsOfMax,
            "ts_of_min_over_time" => Self::TsOfMin,
            _ => return None,
        })
    }

    /// True when the value is still a value of the metric, so that the name stays.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// True when the value depends on the instant even where the samples do not.
    pub(crate) fn depends_on_instant(self) -> bool {
        self == Self::PredictLinear
    }
}

/// Functions that ranges with `anchored` make sense for.
pub(crate) const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];

/// Functions that ranges with `smoothed` make sense for.
pub(crate) const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Functions over instant vectors and scalars.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InstantFunction {
    Absent,
    Clamp,
    ClampMax,
    ClampMin,
    Date(fn(&Civil) -> i64),
    HistogramFraction,
    /// `buckets` when count and sum are not enough.
    HistogramMap {
        map: fn(&FloatHistogram) -> f64,
        buckets: bool,
    },
    HistogramQuantile,
    HistogramQuantiles,
    Info,
    LabelJoin,
    LabelReplace,
    Map(fn(f64) -> f64),
    MaxOf,
    MinOf,
    Round,
    Scalar,
    Sort {
        descending: bool,
    },
    SortByLabel {
        descending: bool,
    },
    Time,
    Timestamp,
    Vector,
}

impl InstantFunction {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if let Some(map) = float_map(name) {
            return Some(Self::Map(map));
        }
        let stat = |map| Self::HistogramMap { map, buckets: false };
        Some(match name {
            "absent" => Self::Absent,
            "clamp" => Self::Clamp,
            "clamp_max" => Self::ClampMax,
            "clamp_min" => Self::ClampMin,
            "day_of_month" => Self::Date(|c| c.day),
            "day_of_week" => Self::Date(|c| c.weekday),
            "day_of_year" => Self::Date(|c| c.day_of_year),
            "days_in_month" => Self::Date(Civil::days_in_month),
            "hour" => Self::Date(|c| c.second_of_day / 3600),
            "minute" => Self::Date(|c| c.second_of_day / 60 % 60),
            "month" => Self::Date(|c| c.month),
            "year" => Self::Date(|c| c.year),
            "histogram_avg" => stat(|h| h.sum / h.count),
            "histogram_count" => stat(|h| h.count),
            "histogram_sum" => stat(|h| h.sum),
            "histogram_stddev" => {
                Self::HistogramMap { map: |h| histogram::variance(h).sqrt(), buckets: true }
            }
            "histogram_stdvar" => Self::HistogramMap { map: histogram::variance, buckets: true },
            "histogram_fraction" => Self::HistogramFraction,
            "histogram_quantile" => Self::HistogramQuantile,
            "histogram_quantiles" => Self::HistogramQuantiles,
            "info" => Self::Info,
            "label_join" => Self::LabelJoin,
            "label_replace" => Self::LabelReplace,
            "max_of" => Self::MaxOf,
            "min_of" => Self::MinOf,
            "round" => Self::Round,
            "scalar" => Self::Scalar,
            "sort" => Self::Sort { descending: false },
            "sort_desc" => Self::Sort { descending: true },
            "sort_by_label" => Self::SortByLabel { descending: false },
            "sort_by_label_desc" => Self::SortByLabel { descending: true },
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "vector" => Self::Vector,
            _ => return None,
        })
    }

    /// True when the value depends on the instant even where the arguments do not.
    pub(crate) fn depends_on_instant(self) -> bool {
        matches!(self, Self::Time | Self::Timestamp | Self::Date(_))
    }
}

fn float_map(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |v| v * 180.0 / PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |v| v * PI / 180.0,
        "sgn" => |v| match v {
            v if v < 0.0 => -1.0,
            v if v > 0.0 => 1.0,
            v => v,
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// The greater of two, with infinity above NaN and NaN above all else.
pub(crate) fn max_of(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The lesser of two, with negative infinity below NaN and NaN below all else.
pub(crate) fn min_of(a: f64, b: f64) -> f64 {
    -max_of(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::functions::all;

    #[test]
    fn every_function_of_the_table_can_be_evaluated() {
        for function in all() {
            let folded = matches!(function.name, "pi" | "start" | "end" | "range" | "step");
            let known = RangeFunction::from_name(function.name).is_some()
                || InstantFunction::from_name(function.name).is_some();
            assert!(folded != known, "{}", function.name);
        }
    }

    #[test]
    fn extremes_treat_nan_and_infinity_as_upstream() {
        assert_eq!(max_of(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(min_of(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(max_of(f64::NAN, 1.0).is_nan() && min_of(1.0, f64::NAN).is_nan());
        assert_eq!((max_of(1.0, 2.0), min_of(1.0, 2.0)), (2.0, 1.0));
    }
}
