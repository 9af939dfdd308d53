//! The values of literals: numbers, durations, quoted texts.

/// Reads a number as Go's base-0 integers and floats: decimal, `0x` and leading-0 octal integers,
/// exponents, underscores between digits, `Inf` and `NaN` in any case.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = match digits.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => return Some(f64::NAN),
        lower => parse_unsigned(lower)?,
    };
    Some(if negative { -value } else { value })
}

fn parse_unsigned(text: &str) -> Option<f64> {
    if let Some(hex) = text.strip_prefix("0x") {
        let hex = without_underscores(hex.strip_prefix('_').unwrap_or(hex))?;
        return i64::from_str_radix(&hex, 16).ok().filter(|n| *n >= 0).map(|n| n as f64);
    }
    let plain = without_underscores(text)?;
    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if plain.len() > 1
        && plain.starts_with('0')
        && let Ok(octal) = i64::from_str_radix(&plain, 8)
    {
        return Some(octal as f64);
    }
    plain.parse().ok()
}

/// Drops underscores, each of which must stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_hexdigit);
    let misplaced =
        bytes.iter().enumerate().any(|(i, b)| *b == b'_' && !(digit(i.checked_sub(1)) && digit(Some(i + 1))));
    (!misplaced && !text.is_empty()).then(|| text.replace('_', ""))
}

/// Milliseconds of each unit, in the order in which a duration may name them.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Longest duration, milliseconds: what fits in 63 bits of nanoseconds, as upstream.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Reads a duration such as `1h30m`, in milliseconds: units from the largest to the smallest, each once. `0`
/// needs no unit. The error is a message for people.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    match text {
        "" => return Err("empty duration string".into()),
        "0" => return Ok(0),
        _ => {}
    }
    let wrong = || format!("not a valid duration string: {}", super::token::quote(text));
    let (mut rest, mut units, mut total) = (text, &UNITS[..], 0i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0).ok_or_else(wrong)?;
        let letters = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len() - digits);
        let unit = &rest[digits..digits + letters];
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let out_of_range = || String::from("duration out of range");
        let number: i64 = rest[..digits].parse().map_err(|_| out_of_range())?;
        total = number
            .checked_mul(units[at].1)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= DURATION_MS_MAX)
            .ok_or_else(out_of_range)?;
        units = &units[at + 1..];
        rest = &rest[digits + letters..];
    }
    Ok(total)
}

/// Writes milliseconds as `1h30m`: years and weeks only where nothing is left over, days where whole.
pub fn format_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    if ms < 0 {
        out.push('-');
    }
    let mut rest = ms.unsigned_abs();
    // Years, weeks and days round off times people wrote in hours unless they divide exactly.
    let exact = [true, true, false, false, false, false, false];
    for ((unit, size), exact) in UNITS.into_iter().zip(exact) {
        let size = size.unsigned_abs();
        if (exact && !rest.is_multiple_of(size)) || rest / size == 0 {
            continue;
        }
        out.push_str(&format!("{}{unit}", rest / size));
        rest %= size;
    }
    out
}

/// Where the bytes of a text that are no UTF-8 are kept: the last characters of a private plane, which nobody
/// uses, since a text must be UTF-8 here. They match no label, are refused in names, and print as `\xff`.
const RAW_BYTES: u32 = 0x0010_fe00;

/// The byte that stands behind such a character.
pub(crate) fn raw_byte(c: char) -> Option<u8> {
    (c as u32).checked_sub(RAW_BYTES).and_then(|byte| u8::try_from(byte).ok()).filter(|byte| *byte >= 0x80)
}

/// True for texts that were written with bytes that are no UTF-8, which no name may hold.
pub fn holds_raw_bytes(text: &str) -> bool {
    text.chars().any(|c| raw_byte(c).is_some())
}

/// The value of a quoted text as the lexer accepted it.
pub(crate) fn unquote(quoted: &str) -> String {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or("");
    if quoted.starts_with('`') {
        return inner.replace('\r', "");
    }
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            push_char(&mut bytes, c);
            continue;
        }
        let Some(c) = chars.next() else { break };
        let mut number = |digits: usize, base: u32, first: Option<char>| {
            first
                .into_iter()
                .chain(chars.by_ref())
                .take(digits)
                .fold(0u32, |n, c| n.wrapping_mul(base).wrapping_add(c.to_digit(base).unwrap_or(0)))
        };
        match c {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            'x' => bytes.push(number(2, 16, None) as u8),
            'u' => push_char(&mut bytes, char::from_u32(number(4, 16, None)).unwrap_or('\u{fffd}')),
            'U' => push_char(&mut bytes, char::from_u32(number(8, 16, None)).unwrap_or('\u{fffd}')),
            '0'..='7' => bytes.push(number(3, 8, Some(c)) as u8),
            other => push_char(&mut bytes, other),
        }
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(RAW_BYTES + u32::from(*byte))));
    }
    out
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_reads_them() {
        for (text, want) in [
            ("1", 1.0),
            ("-1.5e3", -1500.0),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("0x1F", 31.0),
            ("017", 15.0),
            ("08", 8.0),
            ("1_000_000", 1e6),
            ("0x_ff", 255.0),
            ("99999999999999999999", 1e20),
            ("-Inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse_number(text), Some(want), "{text}");
        }
        assert!(parse_number("nan").is_some_and(f64::is_nan));
        for bad in ["", "x", "1_", "_1", "0x", "0xffffffffffffffffff", "1e", "--1", "e5"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_read_and_print() {
        for (text, ms, printed) in [
            ("0", 0, "0s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
            ("14d", 1_209_600_000, "2w"),
            ("365d", 31_536_000_000, "1y"),
            ("36h", 129_600_000, "1d12h"),
        ] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
            assert_eq!(format_duration(ms), printed, "{text}");
        }
        for bad in ["", "5", "m", "5m5h", "1m1m", "5x", "-5m", "1.5m", "300y", "99999999999999999999s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_lose_their_quotes_and_escapes() {
        for (quoted, want) in [
            (r#""a\"b\n\x41\101\u00e9\U0001F600""#, "a\"b\nAA\u{e9}\u{1F600}"),
            (r#"'it\'s'"#, "it's"),
            (r"`raw\n`", r"raw\n"),
            (r#""\xc3\xa9""#, "\u{e9}"),
            (r#""a\xffb""#, "a\u{10feff}b"),
        ] {
            assert_eq!(unquote(quoted), want, "{quoted}");
            assert_eq!(holds_raw_bytes(want), quoted.contains("xff"), "{quoted}");
        }
    }
}
