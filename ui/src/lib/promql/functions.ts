/** The functions and aggregations of PromQL, with what completion shows for each. */

/** A callable name, its signature and one line of help. */
export interface Callable {
  name: string;
  signature: string;
  help: string;
}

type Row = readonly [name: string, signature: string, help: string];

const toCallable = ([name, signature, help]: Row): Callable => ({ name, signature, help });

const FUNCTION_ROWS: readonly Row[] = [
  ["abs", "abs(v instant-vector)", "The absolute value of every sample"],
  ["absent", "absent(v instant-vector)", "1 when the vector is empty, nothing otherwise"],
  ["absent_over_time", "absent_over_time(v range-vector)", "1 when the range has no samples"],
  ["acos", "acos(v instant-vector)", "Arccosine"],
  ["acosh", "acosh(v instant-vector)", "Inverse hyperbolic cosine"],
  ["asin", "asin(v instant-vector)", "Arcsine"],
  ["asinh", "asinh(v instant-vector)", "Inverse hyperbolic sine"],
  ["atan", "atan(v instant-vector)", "Arctangent"],
  ["atanh", "atanh(v instant-vector)", "Inverse hyperbolic tangent"],
  ["avg_over_time", "avg_over_time(v range-vector)", "The mean of all samples in the range"],
  ["ceil", "ceil(v instant-vector)", "Rounds up to the next integer"],
  ["changes", "changes(v range-vector)", "How often the value changed in the range"],
  ["clamp", "clamp(v instant-vector, min scalar, max scalar)", "Limits values to between min and max"],
  ["clamp_max", "clamp_max(v instant-vector, max scalar)", "Limits values to at most max"],
  ["clamp_min", "clamp_min(v instant-vector, min scalar)", "Limits values to at least min"],
  ["cos", "cos(v instant-vector)", "Cosine"],
  ["cosh", "cosh(v instant-vector)", "Hyperbolic cosine"],
  ["count_over_time", "count_over_time(v range-vector)", "How many samples the range holds"],
  ["day_of_month", "day_of_month(v=vector(time()) instant-vector)", "Day of the month in UTC, 1 to 31"],
  ["day_of_week", "day_of_week(v=vector(time()) instant-vector)", "Day of the week in UTC, 0 is Sunday"],
  ["day_of_year", "day_of_year(v=vector(time()) instant-vector)", "Day of the year in UTC, 1 to 366"],
  ["days_in_month", "days_in_month(v=vector(time()) instant-vector)", "Number of days in the month, in UTC"],
  ["deg", "deg(v instant-vector)", "Radians to degrees"],
  ["delta", "delta(v range-vector)", "Difference between first and last value of a gauge, extrapolated"],
  ["deriv", "deriv(v range-vector)", "Per-second derivative of a gauge by linear regression"],
  ["double_exponential_smoothing", "double_exponential_smoothing(v range-vector, sf scalar, tf scalar)", "Smoothed value of a gauge; sf smooths, tf weighs the trend"],
  ["exp", "exp(v instant-vector)", "e to the power of every sample"],
  ["floor", "floor(v instant-vector)", "Rounds down to the next integer"],
  ["histogram_avg", "histogram_avg(v instant-vector)", "Mean of the observations in each native histogram"],
  ["histogram_count", "histogram_count(v instant-vector)", "Number of observations in each native histogram"],
  ["histogram_fraction", "histogram_fraction(lower scalar, upper scalar, b instant-vector)", "Share of observations between two bounds"],
  ["histogram_quantile", "histogram_quantile(φ scalar, b instant-vector)", "The φ-quantile of a histogram, 0 ≤ φ ≤ 1"],
  ["histogram_stddev", "histogram_stddev(v instant-vector)", "Estimated standard deviation of a native histogram"],
  ["histogram_stdvar", "histogram_stdvar(v instant-vector)", "Estimated variance of a native histogram"],
  ["histogram_sum", "histogram_sum(v instant-vector)", "Sum of the observations in each native histogram"],
  ["hour", "hour(v=vector(time()) instant-vector)", "Hour of the day in UTC, 0 to 23"],
  ["idelta", "idelta(v range-vector)", "Difference between the last two samples"],
  ["increase", "increase(v range-vector)", "Increase of a counter over the range, extrapolated"],
  ["info", "info(v instant-vector, [label-selector])", "Adds labels of the matching info series"],
  ["irate", "irate(v range-vector)", "Per-second rate of a counter from its last two samples"],
  ["label_join", "label_join(v instant-vector, dst string, separator string, src string, …)", "Joins label values into a new label"],
  ["label_replace", "label_replace(v instant-vector, dst string, replacement string, src string, regex string)", "Sets a label from a regular expression over another"],
  ["last_over_time", "last_over_time(v range-vector)", "The latest sample in the range"],
  ["ln", "ln(v instant-vector)", "Natural logarithm"],
  ["log10", "log10(v instant-vector)", "Decimal logarithm"],
  ["log2", "log2(v instant-vector)", "Binary logarithm"],
  ["mad_over_time", "mad_over_time(v range-vector)", "Median absolute deviation of the samples in the range"],
  ["max_over_time", "max_over_time(v range-vector)", "The largest sample in the range"],
  ["min_over_time", "min_over_time(v range-vector)", "The smallest sample in the range"],
  ["minute", "minute(v=vector(time()) instant-vector)", "Minute of the hour in UTC, 0 to 59"],
  ["month", "month(v=vector(time()) instant-vector)", "Month of the year in UTC, 1 to 12"],
  ["pi", "pi()", "π"],
  ["predict_linear", "predict_linear(v range-vector, t scalar)", "The value of a gauge t seconds from now, by linear regression"],
  ["present_over_time", "present_over_time(v range-vector)", "1 for every series with samples in the range"],
  ["quantile_over_time", "quantile_over_time(φ scalar, v range-vector)", "The φ-quantile of the samples in the range"],
  ["rad", "rad(v instant-vector)", "Degrees to radians"],
  ["rate", "rate(v range-vector)", "Average per-second rate of a counter over the range"],
  ["resets", "resets(v range-vector)", "How often a counter was reset in the range"],
  ["round", "round(v instant-vector, to_nearest=1 scalar)", "Rounds to the nearest multiple"],
  ["scalar", "scalar(v instant-vector)", "The one sample of a vector as a scalar, else NaN"],
  ["sgn", "sgn(v instant-vector)", "The sign: 1, 0 or -1"],
  ["sin", "sin(v instant-vector)", "Sine"],
  ["sinh", "sinh(v instant-vector)", "Hyperbolic sine"],
  ["sort", "sort(v instant-vector)", "Sorts by value, smallest first"],
  ["sort_by_label", "sort_by_label(v instant-vector, label string, …)", "Sorts by label values"],
  ["sort_by_label_desc", "sort_by_label_desc(v instant-vector, label string, …)", "Sorts by label values, descending"],
  ["sort_desc", "sort_desc(v instant-vector)", "Sorts by value, largest first"],
  ["sqrt", "sqrt(v instant-vector)", "Square root"],
  ["stddev_over_time", "stddev_over_time(v range-vector)", "Standard deviation of the samples in the range"],
  ["stdvar_over_time", "stdvar_over_time(v range-vector)", "Variance of the samples in the range"],
  ["sum_over_time", "sum_over_time(v range-vector)", "The sum of all samples in the range"],
  ["tan", "tan(v instant-vector)", "Tangent"],
  ["tanh", "tanh(v instant-vector)", "Hyperbolic tangent"],
  ["time", "time()", "Evaluation time in seconds since the epoch"],
  ["timestamp", "timestamp(v instant-vector)", "Timestamp of every sample, in seconds since the epoch"],
  ["vector", "vector(s scalar)", "A scalar as a vector without labels"],
  ["year", "year(v=vector(time()) instant-vector)", "Year in UTC"],
];

const AGGREGATION_ROWS: readonly Row[] = [
  ["avg", "avg by (…) (v)", "Mean over the group"],
  ["bottomk", "bottomk(k, v)", "The k smallest elements"],
  ["count", "count by (…) (v)", "Number of elements in the group"],
  ["count_values", "count_values(\"label\", v)", "Number of elements with the same value"],
  ["group", "group by (…) (v)", "1 for every group"],
  ["limit_ratio", "limit_ratio(r, v)", "A stable sample of a share r of the elements"],
  ["limitk", "limitk(k, v)", "Any k elements, stable over time"],
  ["max", "max by (…) (v)", "Largest value of the group"],
  ["min", "min by (…) (v)", "Smallest value of the group"],
  ["quantile", "quantile(φ, v)", "The φ-quantile over the group"],
  ["stddev", "stddev by (…) (v)", "Standard deviation over the group"],
  ["stdvar", "stdvar by (…) (v)", "Variance over the group"],
  ["sum", "sum by (…) (v)", "Sum over the group"],
  ["topk", "topk(k, v)", "The k largest elements"],
];

export const FUNCTIONS: readonly Callable[] = FUNCTION_ROWS.map(toCallable);
export const AGGREGATIONS: readonly Callable[] = AGGREGATION_ROWS.map(toCallable);

/** Words with a meaning of their own between operands. */
export const KEYWORDS: readonly string[] = [
  "and", "bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "or", "unless", "without", "atan2",
];

const CALLABLE_NAMES = new Set([...FUNCTIONS, ...AGGREGATIONS].map((f) => f.name));
const KEYWORD_NAMES = new Set(KEYWORDS);

export const isCallable = (name: string): boolean => CALLABLE_NAMES.has(name);
export const isKeyword = (name: string): boolean => KEYWORD_NAMES.has(name.toLowerCase());

/** The callable of that name, for a hint while its arguments are written. */
export function callable(name: string): Callable | undefined {
  return FUNCTIONS.find((f) => f.name === name) ?? AGGREGATIONS.find((f) => f.name === name);
}
