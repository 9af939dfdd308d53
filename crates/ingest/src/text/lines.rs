//! A whole text: comment lines that describe families, sample lines, and the end.

use model::{LabelSpan, Metadata, MetricType, Point, Reason, Refusal, Span};

use super::created::Created;
use super::line::{Cursor, ExemplarLine, Line, number};
use super::{Context, Format};
use crate::decoded::shown;
use crate::rows::{self, CopyBudget, Texts};
use crate::wire::Reader;
use crate::{DecodeError, Decoded};

/// The family that comment lines have begun.
#[derive(Debug, Default)]
struct Family {
    name: Vec<u8>,
    metadata: Metadata,
}

struct Decoder<'a> {
    body: &'a [u8],
    context: &'a Context,
    texts: Texts<'a>,
    decoded: Decoded,
    budget: CopyBudget,
    metric_name: Span,
    family: Family,
    created: Created,
    line: Line,
    at_end: bool,
}

pub(super) fn decode(body: Vec<u8>, context: &Context) -> Result<Decoded, DecodeError> {
    // Spans bound the size of a text as they do that of a message.
    Reader::new(&body)?;
    let mut texts = Texts::new(&body);
    let metric_name = texts.push(b"__name__");
    let mut decoder = Decoder {
        body: &body,
        context,
        texts,
        decoded: Decoded::default(),
        budget: CopyBudget::new(body.len()),
        metric_name,
        family: Family::default(),
        created: Created::default(),
        line: Line::default(),
        at_end: false,
    };
    decoder.run()?;
    let mut decoded = decoder.decoded;
    let made = decoder.texts.finish();
    decoded.batch.text = body;
    decoded.batch.text.extend(made);
    Ok(decoded)
}

impl Decoder<'_> {
    fn run(&mut self) -> Result<(), DecodeError> {
        let body = self.body;
        let (mut start, mut index) = (0, 0);
        for line in body.split(|b| *b == b'\n') {
            index += 1;
            let range = start..start + line.trim_ascii_end().len();
            start += line.len() + 1;
            if let Err(reason) = self.any_line(range.clone(), index) {
                let text = format!("line {index}: {reason}: {}", shown(&body[range]));
                if self.context.strict {
                    return Err(DecodeError::Malformed(text));
                }
                self.refuse(index, "line", text, 1);
            }
        }
        self.end_family();
        if self.context.format == Format::OpenMetrics && !self.at_end {
            let text = "the text does not end with '# EOF'; it may have been cut short".to_owned();
            if self.context.strict {
                return Err(DecodeError::Malformed(text));
            }
            self.refuse(index, "# EOF", text, 0);
        }
        Ok(())
    }

    fn refuse(&mut self, index: u32, field: &str, message: String, items: usize) {
        let (index, field, reason) = (index as usize, field.into(), Reason::Malformed);
        self.decoded.refusals.push(Refusal { index, field, reason, message, items });
    }

    fn any_line(&mut self, range: std::ops::Range<usize>, index: u32) -> Result<(), &'static str> {
        let mut cursor = Cursor::new(self.body, range.clone());
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return Ok(());
        }
        if self.at_end {
            return Err("nothing may come behind '# EOF'");
        }
        let line = self.body[range].trim_ascii_start();
        match line.strip_prefix(b"#") {
            Some(b" EOF") if self.context.format == Format::OpenMetrics => self.at_end = true,
            Some(_) => {
                cursor.word();
                self.comment(cursor)?;
            }
            None => {
                let open_metrics = self.context.format == Format::OpenMetrics;
                let mut line = std::mem::take(&mut self.line);
                let result = line.read(&mut cursor, &mut self.texts, open_metrics);
                let result = result.and_then(|()| self.sample(&line, index));
                self.line = line;
                result?;
            }
        }
        Ok(())
    }

    /// `# TYPE name type`, `# HELP name text`, `# UNIT name unit`; any other comment says nothing.
    fn comment(&mut self, mut cursor: Cursor<'_>) -> Result<(), &'static str> {
        cursor.skip_blanks();
        let keyword = cursor.word().of(self.body);
        if ![b"TYPE".as_slice(), b"HELP", b"UNIT"].contains(&keyword) {
            return Ok(());
        }
        cursor.skip_blanks();
        let name = cursor.family(&mut self.texts)?;
        let name = self.texts.of(name);
        if name.is_empty() {
            return Err("a comment that describes a metric needs its name");
        }
        if self.family.name != name {
            let name = name.to_vec();
            self.end_family();
            self.family.name = name;
            self.created.begin_family(&self.decoded.batch);
        }
        cursor.skip_blanks();
        let text = cursor.rest().of(self.body);
        let metadata = &mut self.family.metadata;
        match keyword {
            b"TYPE" => {
                let kind = std::str::from_utf8(text).ok().and_then(MetricType::parse);
                metadata.kind = kind.ok_or("the type of a metric is not known")?;
            }
            b"HELP" => metadata.help = help(text, self.context.format),
            _ => metadata.unit = rows::metadata_text(text),
        }
        Ok(())
    }

    fn end_family(&mut self) {
        let Family { name, mut metadata } = std::mem::take(&mut self.family);
        if name.is_empty() {
            return;
        }
        metadata.metric = rows::metadata_text(&name);
        if self.context.format == Format::OpenMetrics {
            metadata.metric += match metadata.kind {
                MetricType::Counter => "_total",
                MetricType::Info => "_info",
                _ => "",
            };
        }
        if self.budget.take(metadata.metric.len() + metadata.help.len() + metadata.unit.len()) {
            self.decoded.batch.metadata.push(metadata);
        }
    }

    fn sample(&mut self, line: &Line, index: u32) -> Result<(), &'static str> {
        let t_ms = match line.time {
            Some(time) => self.time_ms(time)?,
            None => self.context.default_t_ms,
        };
        let t_ms = if self.context.honor_timestamps { t_ms } else { self.context.default_t_ms };
        if self.is_created(line.name) {
            let start_ms = seconds_to_ms(line.value)?;
            self.created.take(&mut self.decoded.batch, &self.texts, &line.labels, start_ms);
            return Ok(());
        }
        let start_ms = self.created.start_of(&self.texts, &line.labels);
        let row = rows::begin(&self.decoded.batch, index);
        rows::push_label(&mut self.decoded.batch, self.metric_name, line.name);
        for label in &line.labels {
            let label = self.with_float_spelling(*label);
            self.decoded.batch.labels.push(label);
        }
        rows::push_point(&mut self.decoded.batch, Point { t_ms, value: line.value }, start_ms);
        if let Some(exemplar) = &line.exemplar
            && let Err(message) = self.exemplar(exemplar, t_ms)
        {
            self.refuse(index, "exemplar", message, 0);
        }
        rows::end(&mut self.decoded.batch, row);
        Ok(())
    }

    fn exemplar(&mut self, exemplar: &ExemplarLine, sample_ms: i64) -> Result<(), String> {
        let t_ms = match exemplar.time {
            Some(time) => self.time_ms(time)?,
            None => sample_ms,
        };
        let texts = &self.texts;
        let pairs = exemplar.labels.iter().map(|l| (texts.of(l.name), texts.of(l.value)));
        let labels = rows::exemplar_labels(pairs, &mut self.budget)?;
        rows::push_exemplar(&mut self.decoded.batch, t_ms, exemplar.value, labels);
        Ok(())
    }

    /// Milliseconds in the text format, seconds in OpenMetrics.
    fn time_ms(&self, time: Span) -> Result<i64, &'static str> {
        let word = time.of(self.body);
        if self.context.format == Format::OpenMetrics {
            return seconds_to_ms(number(word)?);
        }
        let text = std::str::from_utf8(word).ok();
        text.and_then(|t| t.parse().ok()).ok_or("a time is not a number of milliseconds")
    }

    fn is_created(&self, name: Span) -> bool {
        let cumulative = matches!(
            self.family.metadata.kind,
            MetricType::Counter | MetricType::Histogram | MetricType::Summary
        );
        self.context.format == Format::OpenMetrics
            && cumulative
            && self.texts.of(name).strip_suffix(b"_created") == Some(&self.family.name)
    }

    /// `le` of histograms and `quantile` of summaries as floats: `1` and `1.0` are one bucket.
    fn with_float_spelling(&mut self, label: LabelSpan) -> LabelSpan {
        let wanted: &[u8] = match self.family.metadata.kind {
            MetricType::Histogram | MetricType::GaugeHistogram => b"le",
            MetricType::Summary => b"quantile",
            _ => return label,
        };
        if self.texts.of(label.name) != wanted {
            return label;
        }
        let Ok(value) = number(self.texts.of(label.value)) else { return label };
        let text = crate::float::open_metrics(value);
        if text.as_bytes() == self.texts.of(label.value) {
            return label;
        }
        LabelSpan { name: label.name, value: self.texts.push(text.as_bytes()) }
    }
}

/// A help text without its escapes.
fn help(text: &[u8], format: Format) -> String {
    let text = rows::metadata_text(text);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let replaced = match (c, chars.peek()) {
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('\\')) => Some('\\'),
            ('\\', Some('"')) if format == Format::OpenMetrics => Some('"'),
            _ => None,
        };
        if replaced.is_some() {
            chars.next();
        }
        out.push(replaced.unwrap_or(c));
    }
    out
}

/// Milliseconds of a time in seconds.
fn seconds_to_ms(seconds: f64) -> Result<i64, &'static str> {
    let ms = (seconds * 1000.0).round();
    // Times beyond what fits are a million years away; the sender meant something else.
    if ms.abs() < i64::MAX as f64 { Ok(ms as i64) } else { Err("a time is not a number of seconds") }
}
