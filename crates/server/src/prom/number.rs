//! Numbers as Prometheus's JSON writes them.

/// Appends a sample value: shortest digits that read back, exponents only below 1e-6 and from 1e21 on,
/// `NaN`, `+Inf`, `-Inf`. Without quotes.
pub(crate) fn push_value(out: &mut Vec<u8>, value: f64) {
    use std::io::Write;
    let written = if value.is_nan() {
        out.extend_from_slice(b"NaN");
        Ok(())
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        Ok(())
    } else if value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21) {
        let text = format!("{value:e}");
        // Rust leaves out the plus sign of the exponent.
        let text = if text.contains("e-") { text } else { text.replace('e', "e+") };
        out.write_all(text.as_bytes())
    } else {
        write!(out, "{value}")
    };
    written.expect("writing to memory succeeds");
}

/// Appends a timestamp in seconds with as many of three decimals as it needs.
pub(crate) fn push_seconds(out: &mut Vec<u8>, t_ms: i64) {
    use std::io::Write;
    let (sign, t) = if t_ms < 0 { ("-", t_ms.unsigned_abs()) } else { ("", t_ms.unsigned_abs()) };
    let (seconds, millis) = (t / 1000, t % 1000);
    let written = match millis {
        0 => write!(out, "{sign}{seconds}"),
        m if m % 100 == 0 => write!(out, "{sign}{seconds}.{}", m / 100),
        m if m % 10 == 0 => write!(out, "{sign}{seconds}.{:02}", m / 10),
        m => write!(out, "{sign}{seconds}.{m:03}"),
    };
    written.expect("writing to memory succeeds");
}

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing to memory succeeds");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_upstream_writes_them() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (0.000001, "0.000001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            push_value(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), want);
        }
    }

    #[test]
    fn timestamps_keep_their_milliseconds() {
        for (t, want) in
            [(0, "0"), (1, "0.001"), (1500, "1.5"), (-1500, "-1.5"), (1_700_000_000_120, "1700000000.12")]
        {
            let mut out = Vec::new();
            push_seconds(&mut out, t);
            assert_eq!(String::from_utf8_lossy(&out), want);
        }
    }
}
