//! `printf`: Go's verbs, flags, widths, precisions and argument indexes, with Go's texts for what does not fit.

use super::super::value::Value;
use super::walk::{inside, own_text};
use super::{Sink, float, print, quote, write};

/// Largest width and precision, as in Go.
const NUMBER_MAX: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    /// Fields of structs by name.
    names: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Writes `arguments` by `format`.
pub(in super::super) fn printf(out: &mut Sink, format: &str, arguments: &[Value]) {
    let mut printer = Printer { arguments, next: 0, reordered: false, good_index: true };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = printer.verb(out, &rest[at + 1..]);
        if out.is_full() {
            return;
        }
    }
    out.push_str(rest);
    if !printer.reordered && printer.next < arguments.len() {
        out.push_str("%!(EXTRA ");
        for (i, argument) in arguments[printer.next..].iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            match argument {
                Value::Nil => out.push_str("<nil>"),
                _ => {
                    out.push_str(argument.type_name());
                    out.push('=');
                    write(out, argument);
                }
            }
        }
        out.push(')');
    }
}

struct Printer<'a> {
    arguments: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
}

impl Printer<'_> {
    /// One verb, from behind its percent sign; gives what follows it.
    fn verb<'f>(&mut self, out: &mut Sink, text: &'f str) -> &'f str {
        let mut flags = Flags::default();
        let mut rest = text;
        self.good_index = true;
        let mut after_index = false;
        loop {
            match rest.as_bytes().first() {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = !flags.minus,
                Some(b'+') => flags.plus = true,
                Some(b'-') => {
                    flags.minus = true;
                    flags.zero = false;
                }
                Some(b' ') => flags.space = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        rest = self.index(rest, &mut after_index);
        if let Some(behind) = rest.strip_prefix('*') {
            rest = behind;
            match self.whole() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.zero &= !flags.minus;
                    flags.width = Some(width.unsigned_abs() as usize);
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            let (width, behind) = number(rest);
            if width.is_some() && after_index {
                self.good_index = false;
            }
            flags.width = width;
            rest = behind;
        }
        if let Some(behind) = rest.strip_prefix('.') {
            if after_index {
                self.good_index = false;
            }
            rest = self.index(behind, &mut after_index);
            if let Some(behind) = rest.strip_prefix('*') {
                rest = behind;
                match self.whole() {
                    Some(precision) if precision >= 0 => flags.precision = Some(precision as usize),
                    Some(_) => flags.precision = None,
                    None => out.push_str("%!(BADPREC)"),
                }
                after_index = false;
            } else {
                let (precision, behind) = number(rest);
                flags.precision = Some(precision.unwrap_or(0));
                rest = behind;
            }
        }
        if !after_index {
            rest = self.index(rest, &mut after_index);
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            return "";
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
        } else if !self.good_index {
            out.push_str("%!");
            out.push(verb);
            out.push_str("(BADINDEX)");
        } else if let Some(argument) = self.arguments.get(self.next) {
            self.next += 1;
            // With %v a plus asks for the names of fields, not for signs.
            let names = verb == 'v' && flags.plus;
            let flags = Flags { names, plus: flags.plus && !names, ..flags };
            format_one(out, argument, verb, &flags);
        } else {
            out.push_str("%!");
            out.push(verb);
            out.push_str("(MISSING)");
        }
        rest
    }

    /// `[3]`: the number of the next argument.
    fn index<'f>(&mut self, text: &'f str, found: &mut bool) -> &'f str {
        let Some(inner) = text.strip_prefix('[') else {
            return text;
        };
        self.reordered = true;
        let Some(end) = inner.find(']') else {
            self.good_index = false;
            return inner;
        };
        match inner[..end].parse::<usize>() {
            Ok(index) if (1..=self.arguments.len()).contains(&index) => {
                self.next = index - 1;
                *found = true;
            }
            _ => self.good_index = false,
        }
        &inner[end + 1..]
    }

    /// An argument that gives a width or a precision.
    fn whole(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        match argument {
            Value::Int(value) if value.abs() <= NUMBER_MAX => Some(*value),
            _ => None,
        }
    }
}

/// Digits at the beginning; a number too large counts as none.
fn number(text: &str) -> (Option<usize>, &str) {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let value = text[..digits].parse::<i64>().ok().filter(|n| *n <= NUMBER_MAX);
    (value.map(|n| n as usize), &text[digits..])
}

fn format_one(out: &mut Sink, value: &Value, verb: char, flags: &Flags) {
    if verb == 'T' {
        return text(out, value.type_name(), flags);
    }
    if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
        && let Some(own) = own_text(value)
    {
        return string(out, value, &own, verb, flags);
    }
    match value {
        Value::Nil if verb == 'v' => text(out, "<nil>", flags),
        Value::Nil => bad(out, value, verb),
        Value::Bool(yes) if matches!(verb, 't' | 'v') => {
            text(out, if *yes { "true" } else { "false" }, flags)
        }
        Value::Int(n) | Value::Duration(n) => integer(out, value, *n, verb, flags),
        Value::Float(n) => floating(out, value, *n, verb, flags),
        Value::Str(own) | Value::Safe(_, own) => string(out, value, own, verb, flags),
        // Depth is bounded by the values' own, see `Value::depth`.
        Value::List(_) | Value::Map(_) | Value::Object(_) => {
            inside(out, value, flags.names, &mut |out, item| format_one(out, item, verb, flags));
        }
        Value::Bool(_) | Value::Time(_) => bad(out, value, verb),
    }
}

fn bad(out: &mut Sink, value: &Value, verb: char) {
    out.push_str("%!");
    out.push(verb);
    out.push('(');
    if !matches!(value, Value::Nil) {
        out.push_str(value.type_name());
        out.push('=');
    }
    print(out, std::slice::from_ref(value));
    out.push(')');
}

fn string(out: &mut Sink, value: &Value, own: &str, verb: char, flags: &Flags) {
    let cut = match flags.precision {
        Some(precision) => own.char_indices().nth(precision).map_or(own, |(end, _)| &own[..end]),
        None => own,
    };
    match verb {
        'v' if flags.sharp => text(out, &quote::double(own, false), flags),
        'v' | 's' => text(out, cut, flags),
        'q' if flags.sharp && quote::can_backquote(cut) => text(out, &format!("`{cut}`"), flags),
        'q' => text(out, &quote::double(cut, flags.plus), flags),
        'x' | 'X' => {
            let bytes = own.as_bytes();
            let bytes = &bytes[..flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
            let separator = if flags.space { " " } else { "" };
            let prefix = if flags.sharp { if verb == 'x' { "0x" } else { "0X" } } else { "" };
            let one = |b: &u8| if verb == 'x' { format!("{b:02x}") } else { format!("{b:02X}") };
            let parts: Vec<String> = bytes.iter().map(one).collect();
            let whole = if flags.space {
                parts.iter().map(|p| format!("{prefix}{p}")).collect::<Vec<_>>().join(separator)
            } else if parts.is_empty() {
                String::new()
            } else {
                format!("{prefix}{}", parts.concat())
            };
            text(out, &whole, flags);
        }
        _ => bad(out, value, verb),
    }
}

fn integer(out: &mut Sink, value: &Value, n: i64, verb: char, flags: &Flags) {
    let magnitude = n.unsigned_abs();
    let digits = match verb {
        'v' | 'd' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' | 'q' | 'U' => {
            let c = u32::try_from(n).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            let shown = match verb {
                'c' => c.to_string(),
                'q' => quote::single(c, flags.plus),
                _ if flags.sharp => format!("U+{magnitude:04X} '{c}'"),
                _ => format!("U+{magnitude:04X}"),
            };
            return text(out, &shown, &Flags { zero: false, ..*flags });
        }
        _ => return bad(out, value, verb),
    };
    if flags.precision == Some(0) && n == 0 {
        return text(out, "", &Flags { zero: false, ..*flags });
    }
    let sign = if n < 0 {
        "-"
    } else if flags.plus {
        "+"
    } else if flags.space {
        " "
    } else {
        ""
    };
    let prefix = match verb {
        'O' => "0o",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        'b' if flags.sharp => "0b",
        'o' if flags.sharp => "0",
        _ => "",
    };
    let least = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let mut body = Sink::new(NUMBER_MAX as usize + 128);
    body.push_str(sign);
    body.push_str(prefix);
    body.fill('0', least.saturating_sub(digits.len()));
    body.push_str(&digits);
    text(out, body.as_str(), &Flags { zero: false, ..*flags });
}

fn floating(out: &mut Sink, value: &Value, n: f64, verb: char, flags: &Flags) {
    let six = Some(flags.precision.unwrap_or(6));
    let plain = match verb {
        'v' | 'g' => float::general(n, flags.precision),
        'G' => float::general(n, flags.precision).replace('e', "E"),
        'e' => float::exponent(n, six),
        'E' => float::exponent(n, six).replace('e', "E"),
        'f' | 'F' => float::fixed(n, six),
        _ => return bad(out, value, verb),
    };
    let (sign, body) = match plain.strip_prefix(['-', '+']) {
        Some(body) if plain.starts_with('-') => ("-", body),
        // Infinity always has its sign.
        Some(body) => ("+", body),
        None if flags.plus => ("+", plain.as_str()),
        None if flags.space => (" ", plain.as_str()),
        None => ("", plain.as_str()),
    };
    let zeros = match flags.width {
        Some(width) if flags.zero && n.is_finite() => width.saturating_sub(sign.len() + body.len()),
        _ => 0,
    };
    let mut whole = Sink::new(2 * NUMBER_MAX as usize);
    whole.push_str(sign);
    whole.fill('0', zeros);
    whole.push_str(body);
    text(out, whole.as_str(), &Flags { zero: false, ..*flags });
}

/// A finished text, brought to its width.
fn text(out: &mut Sink, shown: &str, flags: &Flags) {
    let missing = flags.width.unwrap_or(0).saturating_sub(shown.chars().count());
    if flags.minus {
        out.push_str(shown);
        out.fill(' ', missing);
    } else {
        out.fill(if flags.zero { '0' } else { ' ' }, missing);
        out.push_str(shown);
    }
}
