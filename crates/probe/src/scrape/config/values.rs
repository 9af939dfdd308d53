//! Values as `prometheus.yml` writes them: durations, sizes, secrets, names of protocols.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration such as `1h30m`: units `y w d h m s ms`, each at most once and from large to small; or `0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Milliseconds of each unit, from large to small.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Period {
    /// From whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads Prometheus's notation.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let bad = || InvalidValue(format!("{:?} is not a duration; write it like 15s or 1h30m", short(text)));
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut units = UNITS.iter();
        let (mut rest, mut total) = (text, 0u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let (number, tail) = rest.split_at(digits);
            let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let millis = units.find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
            let number: u64 = number.parse().map_err(|_| bad())?;
            total = number.checked_mul(millis).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
            rest = tail;
        }
        if text.is_empty() {
            return Err(bad());
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    /// The shortest notation, as Prometheus shows it: `1m30s`; weeks and years only where they fit exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis() as u64;
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            let exact = matches!(unit, "y" | "w");
            if millis >= size && (!exact || millis.is_multiple_of(size)) {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(Self::parse))
    }
}

/// A size such as `10MB`; every unit is a power of 1024, as Prometheus counts. 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(Self::parse))
    }
}

impl ByteSize {
    /// Reads Prometheus's notation.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let bad = || InvalidValue(format!("{:?} is not a size; write it like 10MB", short(text)));
        let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let letters = ["", "K", "M", "G", "T", "P", "E"];
        let stem = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B')).unwrap_or(unit);
        let power = letters.iter().position(|letter| *letter == stem).ok_or_else(bad)?;
        let number: f64 = number.parse().map_err(|_| bad())?;
        if unit.is_empty() && number != 0.0 {
            return Err(bad());
        }
        Ok(Self((number * 1024f64.powi(power as i32)) as u64))
    }
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the request that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A way to write metrics that a target may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum ScrapeProtocol {
    /// Length-delimited protobuf; the only one with native histograms.
    PrometheusProto,
    /// OpenMetrics text 1.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText1_0_0,
    /// OpenMetrics text before 1.0.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText0_0_1,
    /// Prometheus's text with quoted UTF-8 names.
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText1_0_0,
    /// Prometheus's text.
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText0_0_4,
}

impl ScrapeProtocol {
    /// What is asked for by default, best first.
    pub const DEFAULT: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The same where native histograms are not wanted.
    pub const TEXT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// Its media type, without parameters that depend on settings.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }

    /// True where a target may be told how to write names that are not plain words.
    pub fn knows_escaping(self) -> bool {
        matches!(self, Self::PrometheusProto | Self::OpenMetricsText1_0_0 | Self::PrometheusText1_0_0)
    }
}

/// Which names of metrics and labels are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameScheme {
    /// Any UTF-8 text.
    #[default]
    Utf8,
    /// Letters, digits and underscores (and colons in metric names).
    Legacy,
}

impl NameScheme {
    /// True for a valid label name.
    pub fn is_label(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_word(name, |b| b.is_ascii_alphanumeric() || b == b'_'),
        }
    }

    /// True for a valid metric name.
    pub fn is_metric(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_word(name, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')),
        }
    }
}

fn is_word(name: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(allowed)
}

/// How a target is asked to write names that are not plain words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameEscaping {
    /// As they are.
    #[default]
    AllowUtf8,
    /// Every other character as `_`.
    Underscores,
    /// Dots as `_dot_`.
    Dots,
    /// Reversibly, behind `U__`.
    Values,
}

impl NameEscaping {
    /// As the `escaping` parameter of a media type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// A value that cannot be read; says what was given and what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub(crate) String);

/// Reads a value from a text inside the parser, which then knows the line of an error.
pub(crate) struct TextVisitor<T>(pub(crate) fn(&str) -> Result<T, InvalidValue>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

/// The start of a text from a file, fit for a message.
pub(crate) fn short(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_as_prometheus_does() {
        let rows = [
            ("15s", Some((15_000, "15s"))),
            ("1h30m", Some((5_400_000, "1h30m"))),
            ("90s", Some((90_000, "1m30s"))),
            ("500ms", Some((500, "500ms"))),
            ("1w", Some((604_800_000, "1w"))),
            ("8d", Some((691_200_000, "8d"))),
            ("0", Some((0, "0s"))),
            ("0s", Some((0, "0s"))),
            ("", None),
            ("15", None),
            ("1s1h", None),
            ("1s1s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("9999999999y", None),
        ];
        for (text, want) in rows {
            let got = Period::parse(text).ok().map(|p| (p.0.as_millis(), p.to_string()));
            assert_eq!(got, want.map(|(ms, shown)| (ms, shown.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        let rows = [
            ("10MB", Some(10 << 20)),
            ("10MiB", Some(10 << 20)),
            ("1.5KB", Some(1536)),
            ("7B", Some(7)),
            ("0", Some(0)),
            ("5", None),
            ("MB", None),
            ("1XB", None),
        ];
        for (text, want) in rows {
            assert_eq!(ByteSize::parse(text).ok().map(|s| s.0), want, "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "<secret>");
    }
}
