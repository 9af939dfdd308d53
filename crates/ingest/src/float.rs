//! Numbers as label values, spelled as Go spells them, because that is what existing dashboards match.

/// Shortest decimal that reads back the same, never with an exponent: `0.005`, `100000000`, `+Inf`.
/// OTLP's `le` and `quantile` labels look like this.
pub(crate) fn plain(value: f64) -> String {
    special(value).map_or_else(|| value.to_string(), Into::into)
}

/// As [`plain`] but with an exponent for large and small numbers, and `.0` where nothing else says that it
/// is a float: `1.0`, `1e+06`. What Prometheus makes of `le` and `quantile` labels when it scrapes.
pub(crate) fn open_metrics(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.into();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the format's exponent is an integer");
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_spelled_as_go_does() {
        for (value, plain_text, open_metrics_text) in [
            (1.0, "1", "1.0"),
            (0.0, "0", "0.0"),
            (-1.0, "-1", "-1.0"),
            (0.005, "0.005", "0.005"),
            (2.5, "2.5", "2.5"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1000000", "1e+06"),
            (123_456_789.0, "123456789", "1.23456789e+08"),
            (2.5e9, "2500000000", "2.5e+09"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_01, "0.00001", "1e-05"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(plain(value), plain_text);
            assert_eq!(open_metrics(value), open_metrics_text, "{value}");
        }
    }
}
