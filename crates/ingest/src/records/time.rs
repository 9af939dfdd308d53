//! Times of senders as nanoseconds since the Unix epoch.

/// A number of seconds, milliseconds, microseconds or nanoseconds since the Unix epoch, told apart by size:
/// each unit covers the years 1973 to 5138 of its own. `None` for what nanoseconds in 64 bits cannot hold.
pub fn ns_of_epoch(number: f64) -> Option<i64> {
    let size = number.abs();
    let scale = match () {
        () if size < 1e11 => 1e9,
        () if size < 1e14 => 1e6,
        () if size < 1e17 => 1e3,
        () => 1.0,
    };
    let ns = number * scale;
    // A double has 53 bits: whole units must not lose their last digits to the multiplication.
    let exact = number.fract() == 0.0 && size < 9e15;
    if exact {
        return (number as i64).checked_mul(scale as i64);
    }
    (ns.abs() < 9.2e18).then_some(ns as i64)
}

/// A date and time with an offset, as RFC 3339 and ISO 8601 write it; a space may stand for the `T`.
pub fn ns_of_rfc3339(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// A time in a text: a date, or a number as [`ns_of_epoch`] reads it.
pub fn ns_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        // Nanoseconds of today need more bits than a double has.
        return if number.unsigned_abs() >= 100_000_000_000_000_000 {
            Some(number)
        } else {
            ns_of_epoch(number as f64)
        };
    }
    match text.parse::<f64>() {
        // Seconds with a fraction: the digits behind the point are kept as they are.
        Ok(number) if number.is_finite() => decimal_seconds(text).or_else(|| ns_of_epoch(number)),
        _ => ns_of_rfc3339(text),
    }
}

/// `1700000000.123456789` without the rounding of a double.
fn decimal_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = fraction.len();
    if whole.starts_with('-') || digits == 0 || digits > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok().filter(|seconds| *seconds < 100_000_000_000)?;
    let fraction: i64 = fraction.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction * 10_i64.pow(9 - digits as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart_by_size() {
        const NS: i64 = 1_700_000_000_123_456_789;
        for (text, want) in [
            ("1700000000", Some(1_700_000_000_000_000_000)),
            ("1700000000123", Some(1_700_000_000_123_000_000)),
            ("1700000000123456", Some(1_700_000_000_123_456_000)),
            ("1700000000123456789", Some(NS)),
            ("1700000000.123456789", Some(NS)),
            ("1700000000.5", Some(1_700_000_000_500_000_000)),
            ("1.7e9", Some(1_700_000_000_000_000_000)),
            ("2023-11-14T22:13:20.123456789Z", Some(NS)),
            ("2023-11-14 23:13:20.123456789+01:00", Some(NS)),
            ("0", Some(0)),
            ("2023-11-14", None),
            ("9999-01-01T00:00:00Z", None),
            ("1e300", None),
            ("NaN", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(ns_of_text(text), want, "{text}");
        }
        assert_eq!(ns_of_epoch(1.5), Some(1_500_000_000));
        assert_eq!(ns_of_epoch(f64::INFINITY), None);
        assert_eq!(ns_of_epoch(-1.0), Some(-1_000_000_000));
    }
}
