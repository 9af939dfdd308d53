//! Times in fields, for the `timestamp` processor.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 3339 (UTC where it has no zone), or a number whose size tells its unit.
    Auto,
    /// A number of units since 1970, each of so many nanoseconds.
    Unix(i64),
    /// `strftime`'s directives; UTC where they have no zone.
    Strftime(String),
}

impl Format {
    /// Reads `auto`, `rfc3339`, `unix`, `unix_ms`, `unix_us`, `unix_ns`, or directives.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" | "rfc3339" => Self::Auto,
            "unix" => Self::Unix(1_000_000_000),
            "unix_ms" => Self::Unix(1_000_000),
            "unix_us" => Self::Unix(1_000),
            "unix_ns" => Self::Unix(1),
            directives if directives.contains('%') => {
                // What the directives cannot write, they cannot read either.
                let sample = BrokenDownTime::from(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
                let mut written = String::new();
                sample
                    .format(directives, &mut written)
                    .map_err(|error| format!("cannot be used: {error}"))?;
                Self::Strftime(directives.to_owned())
            }
            _ => {
                return Err(
                    "is none of auto, rfc3339, unix, unix_ms, unix_us, unix_ns, nor directives such as \
                            %Y-%m-%d %H:%M:%S"
                        .into(),
                );
            }
        })
    }

    /// Nanoseconds since 1970 of a text in this format.
    pub(crate) fn read(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        match self {
            Self::Auto => auto(text),
            Self::Unix(unit_ns) => scaled(text, *unit_ns),
            Self::Strftime(directives) => {
                let time = BrokenDownTime::parse(directives, text).ok()?;
                let time = time.to_timestamp().ok().or_else(|| utc(time.to_datetime().ok()?));
                i64::try_from(time?.as_nanosecond()).ok()
            }
        }
    }
}

fn utc(time: DateTime) -> Option<Timestamp> {
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn auto(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        // Each unit covers the years from 1973 to 5138 of its own.
        let unit_ns = match number.abs() {
            ..1e11 => 1_000_000_000,
            1e11..1e14 => 1_000_000,
            1e14..1e17 => 1_000,
            _ => 1,
        };
        return scaled(text, unit_ns);
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| utc(text.parse().ok()?))?;
    i64::try_from(time.as_nanosecond()).ok()
}

fn scaled(text: &str, unit_ns: i64) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(unit_ns);
    }
    let ns = text.parse::<f64>().ok()? * unit_ns as f64;
    (ns.abs() < 9.2e18).then_some(ns.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_format() {
        for (format, text, want) in [
            ("auto", "1970-01-01T00:00:01.5Z", Some(1_500_000_000)),
            ("auto", "1970-01-01 00:00:01,5", Some(1_500_000_000)),
            ("auto", "1700000000", Some(1_700_000_000_000_000_000)),
            ("auto", "1700000000123456789", Some(1_700_000_000_123_456_789)),
            ("auto", "soon", None),
            ("auto", "NaN", None),
            ("unix", "1.5", Some(1_500_000_000)),
            ("unix_ms", "1500", Some(1_500_000_000)),
            ("unix_ns", "7", Some(7)),
            ("unix", "9999999999999999", None),
            ("%d/%b/%Y:%H:%M:%S %z", "02/Jan/1970:01:00:00 +0100", Some(86_400_000_000_000)),
            ("%Y-%m-%d %H:%M:%S", "1970-01-02 00:00:00", Some(86_400_000_000_000)),
            ("%Y-%m-%d", "1970-01-02", Some(86_400_000_000_000)),
            ("%Y-%m-%d %H:%M:%S", "yesterday", None),
        ] {
            assert_eq!(Format::new(format).expect("a format").read(text), want, "{format} {text}");
        }
        assert!(Format::new("sometimes").is_err_and(|remedy| remedy.contains("unix_ms")));
        assert!(Format::new("%Q%!").is_err());
    }
}
