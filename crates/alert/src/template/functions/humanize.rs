//! Numbers for people, as Prometheus writes them.

use super::super::format::general;

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// Four significant digits.
fn four(value: f64) -> String {
    general(value, Some(4))
}

fn grow(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

fn shrink(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// `1.235M`.
pub(super) fn metric(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 { grow(value, 1000.0, LARGE) } else { shrink(value) };
    format!("{}{prefix}", four(value))
}

/// `1.178Mi`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = grow(value, 1024.0, BINARY);
    format!("{}{prefix}", four(value))
}

/// `12.35%` of a ratio.
pub(super) fn percentage(value: f64) -> String {
    format!("{}%", four(value * 100.0))
}

/// `2d 5h 3m 1s` of seconds.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return four(value);
    }
    if value == 0.0 {
        return format!("{}s", four(value));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = shrink(value);
        return format!("{}{prefix}s", four(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four(value))
    }
}

/// A Prometheus duration as seconds.
pub(in super::super) fn parse_duration(text: &str) -> Result<f64, String> {
    crate::prom::parse_duration(text)
        .map(|duration| duration.as_millis() as f64 / 1e3)
        .map_err(|e| e.to_string())
}
