//! Numbers, texts and times as upstream's messages print them.

use super::dates;

/// `%g` and `%v`: the shortest digits that read back, with an exponent below 1e-4 and from 1e6 on.
pub(crate) fn shortest(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.into();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("a small integer");
    if !(-4..6).contains(&exponent) {
        return format!("{mantissa}e{}", signed(exponent));
    }
    format!("{value}")
}

/// `%.2g`: two significant digits, trailing zeros cut.
pub(crate) fn two_digits(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let text = format!("{value:.1e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("a small integer");
    if (-4..2).contains(&exponent) {
        let fixed = format!("{value:.*}", (1 - exponent).max(0) as usize);
        return trim_zeros(&fixed);
    }
    format!("{}e{}", trim_zeros(mantissa), signed(exponent))
}

/// `%f` without limit: all digits, no exponent; what `count_values` writes.
pub(crate) fn plain(value: f64) -> String {
    special(value).map_or_else(|| format!("{value}"), Into::into)
}

/// `%f`: six decimals.
pub(crate) fn fixed(value: f64) -> String {
    special(value).map_or_else(|| format!("{value:.6}"), Into::into)
}

/// As OpenMetrics writes label values: integers get `.0`.
pub(crate) fn open_metrics(value: f64) -> String {
    let text = shortest(value);
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') { text + ".0" } else { text }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

fn signed(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.abs())
}

fn trim_zeros(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text.into() }
}

pub(crate) use crate::syntax::quote;

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(t_ms: i64) -> String {
    let at = dates::Civil::from_unix(t_ms / 1000);
    let (h, m, s) = (at.second_of_day / 3600, at.second_of_day / 60 % 60, at.second_of_day % 60);
    format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}Z", at.year, at.month, at.day)
}

/// Line and column (from 1, in bytes) of a place in a text.
pub(crate) fn line_column(text: &str, at: usize) -> String {
    if at > text.len() {
        return "invalid position".into();
    }
    let before = &text.as_bytes()[..at];
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let column = at - before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_upstream_messages() {
        for (value, want) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (-1.1, "-1.1"),
            (100000.0, "100000"),
            (1e6, "1e+06"),
            (123456789.0, "1.23456789e+08"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e21, "1e+21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(shortest(value), want);
        }
        for (value, want) in
            [(0.0, "0"), (100.0, "1e+02"), (12.34, "12"), (0.5, "0.5"), (1.26, "1.3"), (0.00001, "1e-05")]
        {
            assert_eq!(two_digits(value), want);
        }
        assert_eq!((open_metrics(1.0), open_metrics(0.5)), ("1.0".into(), "0.5".into()));
    }

    #[test]
    fn texts_are_quoted_and_places_counted() {
        assert_eq!(quote("a\"\\\n\u{1}é"), "\"a\\\"\\\\\\n\\x01é\"");
        assert_eq!(line_column("ab\ncd", 4), "2:2");
        assert_eq!(line_column("ab", 0), "1:1");
        assert_eq!(rfc3339(1_600_000_000_123), "2020-09-13T12:26:40Z");
    }
}
