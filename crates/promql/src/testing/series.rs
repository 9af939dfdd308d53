//! Series descriptions: `metric{a="b"} 1+2x3 _ stale {{schema:0 sum:5 buckets:[1 2]}}`.

use std::sync::Arc;

use model::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, HistogramSpan, Labels, STALE_NAN};

use crate::histogram;
use crate::syntax::{ParseError, parse_number, parse_series_labels};

/// Most values of one description, so that a repetition cannot take the memory.
const VALUES_MAX: usize = 1_000_000;

/// One place in a sequence of values.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// `_`: nothing.
    Omitted,
    /// A number; `stale` is the stale marker.
    Float(f64),
    /// A histogram, and whether its counter reset hint was written: where not, any hint is expected.
    Histogram(Arc<FloatHistogram>, bool),
}

/// A series with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDescription {
    /// The labels, the name included.
    pub labels: Labels,
    /// The values, one for each step.
    pub values: Vec<SequenceValue>,
}

/// Reads a description. Errors say where in the text.
pub fn parse_series_description(text: &str) -> Result<SeriesDescription, ParseError> {
    let (pairs, offset) = parse_series_labels(text)?;
    let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .map_err(|error| ParseError::at(text, 0, error.to_string()))?;
    let mut cursor = Cursor { text, pos: offset };
    let mut values = Vec::new();
    loop {
        let spaces = cursor.take_while(|c| matches!(c, ' ' | '\t'));
        if cursor.rest().is_empty() {
            return Ok(SeriesDescription { labels, values });
        }
        if spaces.is_empty() {
            return Err(cursor.unexpected("series values"));
        }
        cursor.item(&mut values)?;
    }
}

/// The labels alone of a description without values.
pub(super) fn parse_labels(text: &str) -> Result<Labels, ParseError> {
    parse_series_description(text).map(|series| series.labels)
}

struct Cursor<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.pos += end;
        &rest[..end]
    }

    fn accept(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.pos += prefix.len();
        }
        found
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, self.pos, message))
    }

    fn unexpected(&self, context: &str) -> ParseError {
        let message = match self.rest().chars().next() {
            Some(c) => format!("unexpected {c:?} in {context}"),
            None => format!("unexpected end of input in {context}"),
        };
        ParseError::at(self.text, self.pos, message)
    }

    /// One item: a value, or a value repeated, or a progression.
    fn item(&mut self, out: &mut Vec<SequenceValue>) -> Result<(), ParseError> {
        if self.accept("_") {
            let times = self.times()?.unwrap_or(1);
            return self.extend(out, times, std::iter::repeat(SequenceValue::Omitted));
        }
        if self.rest().starts_with("{{") {
            return self.histogram_item(out);
        }
        if self.accept("stale") {
            return self.extend(out, 1, std::iter::once(SequenceValue::Float(STALE_NAN)));
        }
        let start = self.signed_number()?;
        let step = match self.rest().chars().next() {
            Some('+' | '-') => Some(self.signed_number()?),
            _ => None,
        };
        match (step, self.times()?) {
            (Some(_), None) => Err(self.unexpected("series values")),
            (None, None) => self.extend(out, 1, std::iter::once(SequenceValue::Float(start))),
            // The first value stands before the repetitions.
            (step, Some(times)) => {
                let mut next = start;
                let values = std::iter::from_fn(|| {
                    let value = next;
                    next += step.unwrap_or(0.0);
                    Some(SequenceValue::Float(value))
                });
                self.extend(out, times.saturating_add(1), values)
            }
        }
    }

    fn extend(
        &self,
        out: &mut Vec<SequenceValue>,
        count: usize,
        values: impl Iterator<Item = SequenceValue>,
    ) -> Result<(), ParseError> {
        if count > VALUES_MAX - out.len().min(VALUES_MAX) {
            return self.error(format!("more than {VALUES_MAX} values in a series; repeat fewer"));
        }
        out.extend(values.take(count));
        Ok(())
    }

    /// `xN`.
    fn times(&mut self) -> Result<Option<usize>, ParseError> {
        if !self.accept("x") {
            return Ok(None);
        }
        let digits = self.take_while(|c| c.is_ascii_digit());
        match digits.parse() {
            Ok(times) => Ok(Some(times)),
            Err(error) => self.error(format!("invalid repetition in series values: {digits:?}: {error}")),
        }
    }

    fn signed_number(&mut self) -> Result<f64, ParseError> {
        let negative = self.accept("-");
        if !negative {
            self.accept("+");
        }
        let value = self.number()?;
        Ok(if negative { -value } else { value })
    }

    /// A number without a sign; hexadecimal ones would be ambiguous with repetitions.
    fn number(&mut self) -> Result<f64, ParseError> {
        let start = self.pos;
        if self.rest().starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.take_while(|c| c.is_ascii_alphanumeric());
        } else {
            self.take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
            if self.accept("e") || self.accept("E") {
                let _ = self.accept("+") || self.accept("-");
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        match parse_number(&self.text[start..self.pos]) {
            Some(value) => Ok(value),
            None => {
                self.pos = start;
                Err(self.unexpected("series values"))
            }
        }
    }

    fn histogram_item(&mut self, out: &mut Vec<SequenceValue>) -> Result<(), ParseError> {
        let (base, hinted) = self.histogram()?;
        let add = match self.rest().chars().next() {
            Some('+') => true,
            Some('-') => false,
            _ => {
                let times = self.times()?.map_or(1, |times| times.saturating_add(1));
                let value = SequenceValue::Histogram(Arc::new(base), hinted);
                return self.extend(out, times, std::iter::repeat(value));
            }
        };
        self.pos += 1;
        let (step, hinted) = self.histogram()?;
        let Some(times) = self.times()? else { return Err(self.unexpected("series values")) };
        if base.schema > step.schema {
            return self.error(format!(
                "error combining histograms: cannot merge from schema {} to {}",
                step.schema, base.schema
            ));
        }
        if base.uses_custom_buckets() != step.uses_custom_buckets() {
            return self.error("cannot combine an exponential histogram with custom buckets");
        }
        let mut next = base;
        let values = std::iter::from_fn(|| {
            let value = next.clone();
            // Compatible, as seen above.
            let _ = if add { histogram::add(&mut next, &step) } else { histogram::sub(&mut next, &step) };
            Some(SequenceValue::Histogram(Arc::new(value), hinted))
        });
        self.extend(out, times.saturating_add(1), values)
    }

    /// `{{…}}`, and whether it names its hint.
    fn histogram(&mut self) -> Result<(FloatHistogram, bool), ParseError> {
        const CONTEXT: &str = "histogram description";
        if !self.accept("{{") {
            return Err(self.unexpected(CONTEXT));
        }
        let mut h = FloatHistogram::default();
        let (mut offset, mut negative_offset) = (0, 0);
        let mut seen: Vec<&str> = Vec::new();
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t'));
            if self.accept("}}") {
                break;
            }
            let key = self.take_while(|c| c.is_ascii_alphabetic() || c == '_');
            if !self.accept(":") {
                return Err(self.unexpected(CONTEXT));
            }
            if seen.contains(&key) {
                return self.error(format!("duplicate key {key:?} in histogram"));
            }
            seen.push(key);
            match key {
                "schema" => h.schema = self.integer::<i8>()?,
                "offset" => offset = self.integer::<i32>()?,
                "n_offset" => negative_offset = self.integer::<i32>()?,
                "sum" => h.sum = self.signed_number()?,
                "count" => h.count = self.signed_number()?,
                "z_bucket" => h.zero_count = self.signed_number()?,
                "z_bucket_w" => h.zero_threshold = self.number()?,
                "custom_values" => h.custom_bounds = self.list()?.into(),
                "buckets" => h.positive_buckets = self.list()?,
                "n_buckets" => h.negative_buckets = self.list()?,
                "counter_reset_hint" => h.counter_reset_hint = self.hint()?,
                _ => return self.error(format!("bad histogram descriptor found: {key:?}")),
            }
        }
        if !(-4..=8).contains(&h.schema) && h.schema != CUSTOM_BUCKETS_SCHEMA {
            return self.error(format!("histogram schema {} is not between -4 and 8, nor -53", h.schema));
        }
        h.positive_spans = spans(offset, &h.positive_buckets);
        h.negative_spans = spans(negative_offset, &h.negative_buckets);
        Ok((h, seen.contains(&"counter_reset_hint")))
    }

    fn integer<T: std::str::FromStr>(&mut self) -> Result<T, ParseError> {
        let text = self.take_while(|c| c.is_ascii_digit() || c == '-');
        match text.parse() {
            Ok(value) => Ok(value),
            Err(_) => self.error(format!("{text:?} is not a whole number in range")),
        }
    }

    fn list(&mut self) -> Result<Vec<f64>, ParseError> {
        const CONTEXT: &str = "histogram buckets";
        if !self.accept("[") {
            return Err(self.unexpected(CONTEXT));
        }
        let mut values = Vec::new();
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t'));
            if self.accept("]") {
                return Ok(values);
            }
            values.push(self.signed_number()?);
        }
    }

    fn hint(&mut self) -> Result<CounterResetHint, ParseError> {
        let word = self.take_while(|c| c.is_ascii_alphabetic() || c == '_');
        match word {
            "unknown" => Ok(CounterResetHint::Unknown),
            "reset" => Ok(CounterResetHint::Reset),
            "not_reset" => Ok(CounterResetHint::NotReset),
            "gauge" => Ok(CounterResetHint::Gauge),
            _ => self.error(format!("error parsing counter_reset_hint: unknown value {word:?}")),
        }
    }
}

fn spans(offset: i32, buckets: &[f64]) -> Vec<HistogramSpan> {
    match u32::try_from(buckets.len()) {
        Ok(length) if length > 0 => vec![HistogramSpan { offset, length }],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SequenceValue::{Float, Omitted};

    #[track_caller]
    fn floats(text: &str, want: &[SequenceValue]) {
        let got = parse_series_description(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(format!("{:?}", got.values), format!("{want:?}"), "{text}");
    }

    #[test]
    fn sequences_expand() {
        floats("m 1 -2 +3.5 1e3", &[Float(1.0), Float(-2.0), Float(3.5), Float(1000.0)]);
        floats("m _ _x2 1x1", &[Omitted, Omitted, Omitted, Float(1.0), Float(1.0)]);
        floats("m 1+2x2 1-1x1", &[Float(1.0), Float(3.0), Float(5.0), Float(1.0), Float(0.0)]);
    }

    #[test]
    fn labels_are_read_in_every_form() {
        for (text, want) in [
            ("m 1", "m"),
            ("{} 1", "{}"),
            ("m{a=\"b\",c='d'} 1", "m{a=\"b\", c=\"d\"}"),
            ("{\"my.m\", \"a.b\"=\"c\"} 1", "{\"my.m\", \"a.b\"=\"c\"}"),
            ("sum{by=\"x\"} 1", "sum{by=\"x\"}"),
            ("a:b 1", "a:b"),
            ("m{a=\"b\"}", "m{a=\"b\"}"),
        ] {
            assert_eq!(parse_series_description(text).expect(text).labels.to_string(), want);
        }
    }

    #[test]
    fn histograms_are_read_and_print_back() {
        for text in [
            "{{}}",
            "{{count:3 sum:-5 z_bucket:1 z_bucket_w:0.5 offset:-2 buckets:[1 0 2] n_offset:1 n_buckets:[4]}}",
            "{{schema:-53 count:3 sum:5 custom_values:[-1 2.5] buckets:[1 2]}}",
            "{{schema:3 sum:+Inf counter_reset_hint:gauge}}",
            "{{sum:NaN counter_reset_hint:not_reset buckets:[1]}}",
        ] {
            let series = parse_series_description(&format!("m {text}")).expect(text);
            let SequenceValue::Histogram(h, _) = &series.values[0] else { panic!("{text}") };
            assert_eq!(histogram::test_expression(h), text);
        }
        let series =
            parse_series_description("m {{count:1 buckets:[1]}}+{{count:2 buckets:[1 1]}}x2").expect("reads");
        let texts: Vec<_> = series
            .values
            .iter()
            .map(|value| match value {
                SequenceValue::Histogram(h, _) => histogram::test_expression(h),
                _ => String::new(),
            })
            .collect();
        assert_eq!(
            texts,
            ["{{count:1 buckets:[1]}}", "{{count:3 buckets:[2 1]}}", "{{count:5 buckets:[3 2]}}"]
        );
    }

    #[test]
    fn wrong_descriptions_are_refused() {
        for bad in [
            "m 1x",
            "m 1+2",
            "m x",
            "m 1 2x99999999999",
            "m 1x2000000",
            "m {{",
            "m {{foo:1}}",
            "m {{sum:1 sum:2}}",
            "m {{schema:99}}",
            "m {{buckets:[1 2}}",
            "m {{schema:1}}+{{schema:0}}x2",
            "m{a=b} 1",
            "m{a=\"b\" 1",
            "m{a=\"b\",a=\"c\"} 1",
            "m staleness",
            "",
        ] {
            assert!(parse_series_description(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[m{}=\"a, 0-9x+_.:\\[\\]a-z-]{0,60}", key in "(schema|sum|buckets|offset|n_buckets|custom_values)") {
            let _ = parse_series_description(&text);
            let _ = parse_series_description(&format!("m {{{{{key}:{text}}}}}x3"));
            let _ = crate::testing::parse_script(&format!("load 1m\n{text}\n m@st {text}\n m {text}"));
        }
    }
}
