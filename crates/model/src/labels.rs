//! A series' identity: a sorted set of name and value pairs in one allocation.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A sorted set of labels without empty values and without repeated names.
///
/// All pairs sit in one string, each text preceded by its length in base-64 digits below 0x80, so that the
/// whole is valid UTF-8, cloning is a counter, and equality and hashing are those of the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// No labels at all.
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// Sorts, drops labels with an empty value (absent and empty are the same), refuses repeated or empty names.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidLabels> {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for two in pairs.windows(2) {
            if two[0].0 == two[1].0 {
                return Err(InvalidLabels::Repeated(two[0].0.into()));
            }
        }
        if pairs.first().is_some_and(|p| p.0.is_empty()) {
            return Err(InvalidLabels::EmptyName);
        }
        Ok(Self::from_sorted(&pairs))
    }

    /// Packs pairs that are sorted by name and unique; empty values are dropped.
    fn from_sorted(pairs: &[(&str, &str)]) -> Self {
        let mut packed = String::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            push_text(&mut packed, name);
            push_text(&mut packed, value);
        }
        Self(packed.into())
    }

    /// Name and value pairs in name order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of a label, or `None` where the series has none of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The metric name, if there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// True when there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that this set takes in memory beside the handle.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The packed form: equal labels have equal bytes. What `store` hashes and writes.
    pub fn packed(&self) -> &str {
        &self.0
    }

    /// Reads back [`Labels::packed`], checking every rule of the type.
    pub fn from_packed(packed: &str) -> Result<Self, InvalidLabels> {
        let mut rest = packed;
        let mut last: Option<&str> = None;
        while !rest.is_empty() {
            let (name, after) = take_text(rest).ok_or(InvalidLabels::Malformed)?;
            let (value, after) = take_text(after).ok_or(InvalidLabels::Malformed)?;
            if name.is_empty() || value.is_empty() || last.is_some_and(|l| l >= name) {
                return Err(InvalidLabels::Malformed);
            }
            last = Some(name);
            rest = after;
        }
        Ok(Self(packed.into()))
    }

    /// A builder that starts from these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.into(), v.into())).collect() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Ord for Labels {
    /// Pair by pair in name order, then the shorter first, as Prometheus sorts series.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes a series: `name{label="value"}`; names that need it are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let plain = name.filter(|n| is_plain_metric_name(n));
        if let Some(name) = plain {
            f.write_str(name)?;
        }
        let mut rest = self.iter().filter(|(n, _)| *n != METRIC_NAME).peekable();
        if plain.is_some() && rest.peek().is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        let mut first = true;
        if let (Some(name), None) = (name, plain) {
            write!(f, "{name:?}")?;
            first = false;
        }
        for (label, value) in rest {
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            if is_plain_label_name(label) {
                write!(f, "{label}={value:?}")?;
            } else {
                write!(f, "{label:?}={value:?}")?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_plain_label_name(name: &str) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.as_bytes().iter().all(word)
}

fn is_plain_metric_name(name: &str) -> bool {
    is_plain_label_name(&name.replace(':', "_"))
}

/// Pairs of a [`Labels`] in name order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a str);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = take_text(self.0)?;
        let (value, rest) = take_text(rest)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// Changes labels; used where a query or a relabelling rewrites them.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => pair.1 = value.into(),
            None => self.pairs.push((name.into(), value.into())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// Keeps the labels whose name the predicate accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) -> &mut Self {
        self.pairs.retain(|(n, _)| keep(n));
        self
    }

    /// The current value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The finished set.
    pub fn build(&self) -> Labels {
        let mut pairs: Vec<(&str, &str)> = self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
        Labels::from_sorted(&pairs)
    }
}

/// Why a set of pairs is not a [`Labels`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// A label has no name.
    #[error("a label has an empty name")]
    EmptyName,
    /// Two labels share a name.
    #[error("label {0:?} is given more than once")]
    Repeated(String),
    /// Stored bytes that do not follow the packed form.
    #[error("packed labels are malformed")]
    Malformed,
}

/// Six bits a byte, least significant first; 0x40 says that more follow. Every byte is below 0x80.
fn push_text(out: &mut String, text: &str) {
    let mut len = text.len();
    while len >= 0x40 {
        out.push(char::from(0x40 | (len & 0x3f) as u8));
        len >>= 6;
    }
    out.push(char::from(len as u8));
    out.push_str(text);
}

fn take_text(packed: &str) -> Option<(&str, &str)> {
    let mut len = 0usize;
    for (i, byte) in packed.bytes().enumerate().take(6) {
        len |= usize::from(byte & 0x3f) << (6 * i);
        if byte & 0x40 == 0 {
            let end = (i + 1).checked_add(len)?;
            return Some((packed.get(i + 1..end)?, packed.get(end..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
    }

    #[test]
    fn pairs_come_back_sorted_and_without_empty_values() {
        let l = labels(&[("b", "2"), ("__name__", "up"), ("a", "1"), ("gone", "")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("__name__", "up"), ("a", "1"), ("b", "2")]);
        assert_eq!((l.get("b"), l.get("gone"), l.metric_name()), (Some("2"), None, Some("up")));
    }

    #[test]
    fn long_and_unicode_texts_round_trip_packed() {
        for len in [0, 1, 63, 64, 65, 4095, 4096, 300_000] {
            let value = "é".repeat(len) + "x";
            let l = labels(&[("ключ", &value), ("z", "y")]);
            assert_eq!(l.get("ключ"), Some(value.as_str()));
            assert_eq!(Labels::from_packed(l.packed()), Ok(l));
        }
    }

    #[test]
    fn malformed_packed_bytes_are_refused() {
        for bad in [
            "\u{1}",
            "\u{1}a",
            "\u{1}a\u{5}b",
            "\u{0}\u{1}a",
            "\u{1}a\u{0}",
            "\u{1}b\u{1}x\u{1}a\u{1}x",
            "@@@@@@@",
        ] {
            assert_eq!(Labels::from_packed(bad), Err(InvalidLabels::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn repeated_and_empty_names_are_refused() {
        assert_eq!(Labels::from_pairs([("a", "1"), ("a", "2")]), Err(InvalidLabels::Repeated("a".into())));
        assert_eq!(Labels::from_pairs([("", "1")]), Err(InvalidLabels::EmptyName));
    }

    #[test]
    fn order_is_by_pairs_not_by_packed_bytes() {
        let short = labels(&[("a", "b")]);
        let long = labels(&[("a", "aaaa")]);
        assert!(long < short);
    }

    #[test]
    fn display_is_promql() {
        let rows: [(&[(&str, &str)], &str); 5] = [
            (&[], "{}"),
            (&[("__name__", "up")], "up"),
            (&[("__name__", "up"), ("job", "a\"b")], "up{job=\"a\\\"b\"}"),
            (&[("job", "x")], "{job=\"x\"}"),
            (&[("__name__", "my.metric"), ("a.b", "c")], "{\"my.metric\", \"a.b\"=\"c\"}"),
        ];
        for (pairs, text) in rows {
            assert_eq!(labels(pairs).to_string(), text);
        }
    }
}
