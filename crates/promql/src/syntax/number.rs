//! Numbers as text, in the forms that upstream's messages and printers use.

/// The fewest digits that read back as the same number, never with an exponent: `1000000`, `0.00001`, `+Inf`.
pub fn format_plain(value: f64) -> String {
    non_finite(value).map_or_else(|| value.to_string(), str::to_owned)
}

/// The fewest digits that read back as the same number, with an exponent of two digits or more below 1e-4
/// and from 1e6 up: `1e-05`, `1e+06`, `+Inf`. Go's `%g`.
pub fn format_compact(value: f64) -> String {
    if let Some(text) = non_finite(value) {
        return text.into();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn non_finite(value: f64) -> Option<&'static str> {
    match value {
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        value if value.is_nan() => Some("NaN"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_upstream_prints_them() {
        for (value, plain, compact) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.5, "1.5", "1.5"),
            (1e6, "1000000", "1e+06"),
            (123456.0, "123456", "123456"),
            (1e-5, "0.00001", "1e-05"),
            (0.0001, "0.0001", "0.0001"),
            (-2.5e100, &format!("-25{}", "0".repeat(99)), "-2.5e+100"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!((format_plain(value).as_str(), format_compact(value).as_str()), (plain, compact));
        }
    }
}
