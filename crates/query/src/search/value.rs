//! Numbers, durations, levels, times and identifiers as people write them.

use model::Scalar;

/// Names of the six levels of OpenTelemetry, each with the first of its four numbers.
pub const LEVELS: [(&str, i64); 6] =
    [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)];

/// First and last severity number of a level by any of its usual names, in any case, or by its number.
pub fn level_of(text: &str) -> Option<(i64, i64)> {
    if let Ok(number @ 1..=24) = text.parse() {
        return Some((number, number));
    }
    let lower = text.to_ascii_lowercase();
    let name = match lower.as_str() {
        "information" | "informational" | "notice" => "info",
        "warning" => "warn",
        "err" => "error",
        "critical" | "crit" | "panic" | "alert" | "emergency" | "emerg" => "fatal",
        other => other,
    };
    LEVELS.iter().find(|level| level.0 == name).map(|level| (level.1, level.1 + 3))
}

/// A number that reads back as written; `007` and `1.10` are texts.
pub(super) fn number(text: &str) -> Option<Scalar> {
    if let Ok(int) = text.parse::<i64>() {
        return (int.to_string() == text).then_some(Scalar::Int(int));
    }
    let double: f64 = text.parse().ok()?;
    (double.is_finite() && double.to_string() == text).then_some(Scalar::Double(double))
}

/// Any finite number, however it is written.
pub(super) fn any_number(text: &str) -> Option<Scalar> {
    if let Ok(int) = text.parse() {
        return Some(Scalar::Int(int));
    }
    text.parse().ok().filter(|double: &f64| double.is_finite()).map(Scalar::Double)
}

/// Nanoseconds of a length of time such as `300ms`, `1.5s`, `1h30m` or `250` (nanoseconds). Units are `ns`, `us`
/// (`µs`), `ms`, `s`, `m`, `h` and `d`.
pub fn duration_ns(text: &str) -> Option<i64> {
    if let Ok(ns) = text.parse::<i64>() {
        return (ns >= 0).then_some(ns);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            _ => return None,
        };
        total += amount * unit;
        rest = &rest[letters..];
    }
    (!text.is_empty() && total < i64::MAX as f64).then_some(total.round() as i64)
}

/// Nanoseconds since the Unix epoch of an RFC 3339 time, a date, or a number of seconds, milliseconds,
/// microseconds or nanoseconds, told apart by size.
pub fn time_ns(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        let scale = match number.unsigned_abs() {
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return number.checked_mul(scale);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let ns = seconds * 1e9;
        return (ns.abs() < i64::MAX as f64).then_some(ns.round() as i64);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(time.as_nanosecond()).ok();
    }
    // Without a zone it is UTC.
    let time: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}

/// An identifier of so many bytes from hexadecimal; a short trace id has its zeros put before it.
pub(super) fn id(text: &str, bytes: usize) -> Option<Scalar> {
    let is_short = bytes == 16 && text.len() == 16;
    if !text.is_ascii() || !(text.len() == 2 * bytes || is_short) {
        return None;
    }
    let padded = format!("{text:0>width$}", width = 2 * bytes);
    let pairs = padded.as_bytes().chunks_exact(2);
    let decoded: Option<Vec<u8>> =
        pairs.map(|pair| Some((nibble(pair[0])? << 4) | nibble(pair[1])?)).collect();
    decoded.map(|bytes| Scalar::Bytes(bytes.into()))
}

fn nibble(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).map(|digit| digit as u8)
}
