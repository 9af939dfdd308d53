//! How values are written: durations as `30d`, `12h`, `1h30m`, `100ms`; sizes as `64MiB` or `1GB`; whatever
//! can be absent as `off`.
//!
//! Environment and flags carry only text, so every type also reads itself from a string.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

/// A type of option.
pub trait Setting: Sized + Clone + PartialEq {
    /// Reads a value from a file, or from text. The error completes a sentence that begins with the key.
    fn read(raw: &Value) -> Result<Self, String>;

    /// The value as it would be written, secrets masked.
    fn show(&self) -> String;

    /// True for a value that stands for none, which no range applies to.
    fn is_off(&self) -> bool {
        false
    }
}

/// A value in an error message: short, and never a secret as a whole.
pub(crate) fn quote(raw: &Value) -> String {
    let text = match raw {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl Setting for bool {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            other => Err(format!("{} is not true or false", quote(other))),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Numbers read themselves from a number that fits, or from its text.
macro_rules! number {
    ($($type:ty, $as:ident, $what:literal;)+) => {$(
        impl Setting for $type {
            fn read(raw: &Value) -> Result<Self, String> {
                let number = match raw {
                    Value::String(text) => text.trim().parse::<Self>().ok(),
                    other => other.$as().and_then(|n| Self::try_from(n).ok()),
                };
                number.ok_or_else(|| format!("{} is not {}", quote(raw), $what))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

number! {
    u32, as_u64, "a whole number from 0 to 4294967295";
    u64, as_u64, "a whole number, zero or more";
}

impl Setting for f64 {
    fn read(raw: &Value) -> Result<Self, String> {
        let number = match raw {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        number.filter(|n: &Self| n.is_finite()).ok_or_else(|| format!("{} is not a number", quote(raw)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(format!("{} is not text", quote(other))),
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// A secret of the configuration. It is never shown, only whether there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Setting for Password {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw {
            Value::String(text) => Ok(Self(text.clone())),
            Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err("is not text".to_owned()),
        }
    }

    fn show(&self) -> String {
        if self.0.is_empty() { String::new() } else { "***".to_owned() }
    }
}

impl Setting for Vec<String> {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw {
            Value::Array(items) => items.iter().map(String::read).collect(),
            Value::String(text) if text.trim_start().starts_with('[') => {
                let list: Value = serde_json::from_str(text)
                    .map_err(|error| format!("{} is not a JSON list: {error}", quote(raw)))?;
                Self::read(&list)
            }
            Value::String(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            other => Err(format!("{} is not a list of texts", quote(other))),
        }
    }

    fn show(&self) -> String {
        Value::from(self.clone()).to_string()
    }
}

/// Structured values whose shape belongs to the service that reads them.
impl Setting for Value {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw {
            Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
                serde_json::from_str(text).map_err(|error| format!("{} is not JSON: {error}", quote(raw)))
            }
            other => Ok(other.clone()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for SocketAddr {
    fn read(raw: &Value) -> Result<Self, String> {
        let text = String::read(raw)?;
        // `:4300` and `localhost:4300` are what people type; resolving any other name belongs to nobody here.
        let spelled = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None if text.starts_with(':') => format!("0.0.0.0{text}"),
            None => text,
        };
        spelled
            .parse()
            .map_err(|_| format!("{} is not an address and port such as 127.0.0.1:4300", quote(raw)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
    ("y", 365 * 86_400_000),
];

/// Reads `30d`, `12h`, `5m`, `15s`, `100ms`, `2w`, `1y` (365 days) and sums such as `1h30m`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == &rest[..end])?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration in the largest unit up to days that holds it exactly.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let exact = UNITS[..5].iter().rev().find(|(_, unit)| ms.is_multiple_of(u128::from(*unit)));
    match exact {
        Some((name, unit)) if ms > 0 => format!("{}{name}", ms / u128::from(*unit)),
        _ => format!("{ms}ms"),
    }
}

impl Setting for Duration {
    fn read(raw: &Value) -> Result<Self, String> {
        let read = raw.as_str().and_then(parse_duration);
        read.ok_or_else(|| {
            format!(
                "{} is not a duration; write a number with its unit, such as 30d, 12h, 5m, 15s, 100ms",
                quote(raw)
            )
        })
    }

    fn show(&self) -> String {
        show_duration(*self)
    }
}

/// A duration that may be written as a plain number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

impl Setting for Seconds {
    fn read(raw: &Value) -> Result<Self, String> {
        match u64::read(raw) {
            Ok(seconds) => Ok(Self(Duration::from_secs(seconds))),
            Err(_) => Duration::read(raw).map(Self).map_err(|_| {
                format!("{} is not a number of seconds, nor a duration such as 60s or 5m", quote(raw))
            }),
        }
    }

    fn show(&self) -> String {
        show_duration(self.0)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Setting for ByteSize {
    fn read(raw: &Value) -> Result<Self, String> {
        let parse = |text: &str| {
            let text = text.trim();
            let (number, unit) = match SIZES.iter().find(|(name, _)| text.ends_with(name)) {
                Some((name, unit)) => (text[..text.len() - name.len()].trim_end(), *unit),
                None => (text, 1),
            };
            number.parse::<u64>().ok()?.checked_mul(unit)
        };
        let bytes = match raw {
            Value::String(text) => parse(text),
            other => other.as_u64(),
        };
        bytes.map(Self).ok_or_else(|| {
            format!(
                "{} is not a size; write bytes, or a number with its unit, such as 64MiB or 1GB",
                quote(raw)
            )
        })
    }

    fn show(&self) -> String {
        let exact = SIZES.iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit) && *unit > 1);
        match exact {
            Some((name, unit)) => format!("{}{name}", self.0 / unit),
            None => self.0.to_string(),
        }
    }
}

/// `off` or a value.
impl<T: Setting> Setting for Option<T> {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw.as_str() {
            Some("off") => Ok(None),
            _ => T::read(raw).map(Some).map_err(|error| format!("{error}, or off")),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "off".to_owned(), Setting::show)
    }

    fn is_off(&self) -> bool {
        self.is_none()
    }
}

/// `auto` or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Auto<T> {
    /// The program finds out.
    Auto,
    /// Someone decided.
    Set(T),
}

impl<T> Auto<T> {
    /// The value, if someone decided.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T: Setting> Setting for Auto<T> {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw.as_str() {
            Some("auto") => Ok(Self::Auto),
            _ => T::read(raw).map(Self::Set).map_err(|error| format!("{error}, or auto")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Set(value) => value.show(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check<T: Setting>(raw: Value, want: Option<&str>) {
        assert_eq!(T::read(&raw).ok().map(|value| value.show()).as_deref(), want, "{raw}");
    }

    #[test]
    fn durations_carry_their_unit() {
        for (text, want) in [
            ("30d", Some("30d")),
            ("720h", Some("30d")),
            ("1h30m", Some("90m")),
            ("100ms", Some("100ms")),
            ("0s", Some("0ms")),
            ("2w", Some("14d")),
            ("1y", Some("365d")),
            ("5", None),
            ("", None),
            ("5x", None),
            ("-5s", None),
            ("5 s", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
            ("é", None),
        ] {
            check::<Duration>(json!(text), want);
        }
        check::<Duration>(json!(30), None);
        check::<Seconds>(json!(30), Some("30s"));
        check::<Seconds>(json!("2"), Some("2s"));
        check::<Seconds>(json!("5m"), Some("5m"));
    }

    #[test]
    fn sizes_are_binary_or_decimal_by_their_unit() {
        for (text, want) in [
            ("64MiB", Some("64MiB")),
            ("1GB", Some("1GB")),
            ("1024", Some("1KiB")),
            ("10 KB", Some("10kB")),
            ("10KB", Some("10kB")),
            ("3B", Some("3")),
            ("64M", None),
            ("-1", None),
            ("99999999TiB", None),
        ] {
            check::<ByteSize>(json!(text), want);
        }
        check::<ByteSize>(json!(5), Some("5"));
        check::<ByteSize>(json!(-5), None);
    }

    #[test]
    fn text_serves_for_every_type() {
        check::<bool>(json!("true"), Some("true"));
        check::<bool>(json!("yes"), None);
        check::<u32>(json!("8"), Some("8"));
        check::<u32>(json!(4294967296u64), None);
        check::<f64>(json!("0.5"), Some("0.5"));
        check::<f64>(json!("NaN"), None);
        check::<Vec<String>>(json!("a, b"), Some(r#"["a","b"]"#));
        check::<Vec<String>>(json!(r#"["a,b"]"#), Some(r#"["a,b"]"#));
        check::<Option<SocketAddr>>(json!("off"), Some("off"));
        check::<Option<SocketAddr>>(json!("localhost:4317"), Some("127.0.0.1:4317"));
        check::<Option<SocketAddr>>(json!("example.com"), None);
        check::<Auto<ByteSize>>(json!("auto"), Some("auto"));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ms in 0u64..10_000_000_000_000, bytes: u64) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(Duration::read(&json!(duration.show())), Ok(duration));
            prop_assert_eq!(ByteSize::read(&json!(ByteSize(bytes).show())), Ok(ByteSize(bytes)));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            let raw = json!(text);
            let _ = (Duration::read(&raw), ByteSize::read(&raw), SocketAddr::read(&raw), Vec::<String>::read(&raw));
        }
    }
}
