//! Floats as Go's strconv writes them.

/// Digits beyond these are all zero in any float's decimal expansion.
const DIGITS_MAX: usize = 1_100;

/// `%g`: as short as possible with `None`, or with so many digits.
pub(in super::super) fn general(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let (digits, point) = decimal(value.abs(), precision.map(|p| p.max(1)));
    let mut threshold = precision.unwrap_or(0).max(1) as i64;
    if threshold > digits.len() as i64 && digits.len() as i64 >= point {
        threshold = digits.len() as i64;
    }
    if precision.is_none() {
        // Measured: 100000 is written out, 1e+06 and 1.23456789e+08 are not.
        threshold = 6;
    }
    let exponent = point - 1;
    let body = if exponent < -4 || exponent >= threshold {
        with_exponent(&digits, exponent, 'e')
    } else {
        plain(&digits, point)
    };
    sign(value, body)
}

/// `%e`: one digit, a point, and so many digits behind it.
pub(super) fn exponent(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let text = match precision {
        Some(precision) => pad(format!("{:.*e}", precision.min(DIGITS_MAX), value.abs()), precision),
        None => format!("{:e}", value.abs()),
    };
    let (mantissa, exponent) = text.split_once('e').expect("an exponent is always written");
    let exponent: i64 = exponent.parse().expect("an exponent is a whole number");
    sign(value, format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()))
}

/// `%f`: so many digits behind the point, or as few as tell the value.
pub(super) fn fixed(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let text = match precision {
        Some(precision) => {
            let mut text = format!("{:.*}", precision.min(DIGITS_MAX), value.abs());
            text.extend(std::iter::repeat_n('0', precision.saturating_sub(DIGITS_MAX)));
            text
        }
        None => format!("{}", value.abs()),
    };
    sign(value, text)
}

fn pad(text: String, precision: usize) -> String {
    let missing = precision.saturating_sub(DIGITS_MAX);
    match text.split_once('e') {
        Some((mantissa, exponent)) if missing > 0 => format!("{mantissa}{}e{exponent}", "0".repeat(missing)),
        _ => text,
    }
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("NaN".to_owned())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
    } else {
        None
    }
}

fn sign(value: f64, body: String) -> String {
    if value.is_sign_negative() { format!("-{body}") } else { body }
}

/// Significant digits without zeros at the end, and where the point stands before them: 0.5 is (5, 0), 50 is (5, 2).
fn decimal(value: f64, significant: Option<usize>) -> (String, i64) {
    let text = match significant {
        Some(count) => format!("{:.*e}", (count - 1).min(DIGITS_MAX), value),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').expect("an exponent is always written");
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    let exponent: i64 = exponent.parse().expect("an exponent is a whole number");
    if digits.is_empty() { ("0".to_owned(), 1) } else { (digits.to_owned(), exponent + 1) }
}

fn with_exponent(digits: &str, exponent: i64, letter: char) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}{letter}{sign}{:02}", exponent.abs())
}

fn plain(digits: &str, point: i64) -> String {
    if point <= 0 {
        return format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    if digits.len() <= point {
        return format!("{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{}.{}", &digits[..point], &digits[point..])
}
