//! Go's literals: strings, characters and numbers.

use super::ast::Term;

/// The text of a quoted string. A string that is not UTF-8 after its escapes keeps replacement characters.
pub(super) fn string(quoted: &str) -> Option<String> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    unescape(inner, '"')
}

/// The code point of a character constant.
pub(super) fn character(quoted: &str) -> Option<i64> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if let Some(octal) =
        inner.strip_prefix('\\').filter(|o| o.len() == 3 && o.starts_with(|c: char| c.is_digit(8)))
    {
        return u8::from_str_radix(octal, 8).ok().map(i64::from);
    }
    let text = unescape(inner, '\'')?;
    let mut chars = text.chars();
    let one = chars.next()?;
    chars.next().is_none().then_some(one as i64)
}

fn unescape(inner: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let simple = match chars.next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            c if c == quote => c as u8,
            'x' => u8::try_from(digits(&mut chars, 2, 16)?).ok()?,
            'u' => {
                code_point(&mut bytes, digits(&mut chars, 4, 16)?)?;
                continue;
            }
            'U' => {
                code_point(&mut bytes, digits(&mut chars, 8, 16)?)?;
                continue;
            }
            c @ '0'..='7' => {
                let high = c.to_digit(8)?;
                u8::try_from(high * 64 + digits(&mut chars, 2, 8)?).ok()?
            }
            _ => return None,
        };
        bytes.push(simple);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

fn code_point(bytes: &mut Vec<u8>, value: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

/// An untyped constant, as Go's template gives it a type: whole numbers are integers, the others floats.
pub(super) fn number(text: &str) -> Result<Term, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let illegal = || format!("illegal number syntax: {text:?}");
    let hexadecimal = lower.starts_with("0x");
    let is_float = if hexadecimal { lower.contains(['.', 'p']) } else { lower.contains(['.', 'e']) };
    if is_float {
        if hexadecimal {
            return Err(format!("hexadecimal float {text:?} is not known here; write it as a decimal"));
        }
        let value: f64 = lower.replace('_', "").parse().map_err(|_| illegal())?;
        if value.is_infinite() {
            return Err(illegal());
        }
        return Ok(Term::Float(if negative { -value } else { value }));
    }
    let (radix, body) = if hexadecimal {
        (16, &lower[2..])
    } else if let Some(body) = lower.strip_prefix("0b") {
        (2, body)
    } else if let Some(body) = lower.strip_prefix("0o") {
        (8, body)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    let body = body.replace('_', "");
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return Err(illegal());
    }
    let overflow = || format!("integer overflow: {text:?}");
    let value = i128::from_str_radix(&body, radix).map_err(|_| overflow())?;
    i64::try_from(if negative { -value } else { value }).map(Term::Int).map_err(|_| overflow())
}
