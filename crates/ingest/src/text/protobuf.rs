//! Delimited `io.prometheus.client.MetricFamily` messages: the only exposition with native histograms.

mod message; // summaries, histograms, labels

use model::{CounterResetHint, LabelSpan, Metadata, MetricType, Point, Reason, Refusal, Span};

use super::Context;
use crate::rows::{self, CopyBudget, LabelBudget, Texts};
use crate::wire::{self, Reader, WireError};
use crate::{DecodeError, Decoded};
use message::{Bucket, Histogram, Summary, label, timestamp_ms};

pub(super) fn decode(body: Vec<u8>, context: &Context) -> Result<Decoded, DecodeError> {
    let mut messages = Reader::new(&body)?;
    let mut texts = Texts::new(&body);
    let (metric_name, le, quantile) = (texts.push(b"__name__"), texts.push(b"le"), texts.push(b"quantile"));
    let mut decoder = Decoder {
        body: &body,
        context,
        texts,
        decoded: Decoded::default(),
        budget: CopyBudget::new(body.len()),
        labels: LabelBudget::new(body.len()),
        metric_name,
        le,
        quantile,
        index: 0,
    };
    while !messages.is_empty() {
        decoder.family(messages.message()?)?;
    }
    let mut decoded = decoder.decoded;
    let made = decoder.texts.finish();
    decoded.batch.text = body;
    decoded.batch.text.extend(made);
    Ok(decoded)
}

struct Decoder<'a> {
    body: &'a [u8],
    context: &'a Context,
    texts: Texts<'a>,
    decoded: Decoded,
    budget: CopyBudget,
    labels: LabelBudget,
    metric_name: Span,
    le: Span,
    quantile: Span,
    index: u32,
}

/// Names that the series of one family have.
struct Names {
    plain: Span,
    bucket: Span,
    sum: Span,
    count: Span,
    kind: MetricType,
}

/// What a metric has beside its value.
#[derive(Default)]
struct Frame {
    labels: Vec<LabelSpan>,
    t_ms: i64,
    start_ms: i64,
}

/// Why one metric is refused.
type Fault = (Reason, String);

fn malformed(error: WireError) -> Fault {
    (Reason::Malformed, format!("not valid protobuf: {error}"))
}

impl Decoder<'_> {
    fn family(&mut self, message: Reader<'_>) -> Result<(), DecodeError> {
        const NAME: u32 = wire::bytes(1);
        const HELP: u32 = wire::bytes(2);
        const TYPE: u32 = wire::varint(3);
        const METRIC: u32 = wire::bytes(4);
        const UNIT: u32 = wire::bytes(5);
        let (mut name, mut metadata) =
            (Span::default(), Metadata { kind: MetricType::Counter, ..Metadata::default() });
        let mut fields = message;
        while let Some(key) = fields.key()? {
            match key {
                NAME => name = fields.span()?,
                HELP => metadata.help = rows::metadata_text(fields.bytes()?),
                TYPE => {
                    metadata.kind = match fields.varint()? {
                        0 => MetricType::Counter,
                        1 => MetricType::Gauge,
                        2 => MetricType::Summary,
                        4 => MetricType::Histogram,
                        5 => MetricType::GaugeHistogram,
                        _ => MetricType::Unknown,
                    };
                }
                UNIT => metadata.unit = rows::metadata_text(fields.bytes()?),
                other => fields.skip(other)?,
            }
        }
        let text = name.of(self.body);
        let names = Names {
            plain: name,
            bucket: self.texts.join(&[text, b"_bucket"]),
            sum: self.texts.join(&[text, b"_sum"]),
            count: self.texts.join(&[text, b"_count"]),
            kind: metadata.kind,
        };
        metadata.metric = rows::metadata_text(text);
        if self.budget.take(metadata.metric.len() + metadata.help.len() + metadata.unit.len()) {
            self.decoded.batch.metadata.push(metadata);
        }
        let mut fields = message;
        while let Some(key) = fields.key()? {
            match key {
                METRIC => self.metric(&names, fields.message()?)?,
                other => fields.skip(other)?,
            }
        }
        Ok(())
    }

    fn metric(&mut self, names: &Names, message: Reader<'_>) -> Result<(), DecodeError> {
        let before = rows::begin(&self.decoded.batch, self.index);
        let series = self.decoded.batch.series.len();
        if let Err((reason, text)) = self.metric_fields(names, message) {
            if self.context.strict {
                let name = crate::decoded::shown(names.plain.of(self.body));
                return Err(DecodeError::Malformed(format!("a metric of {name}: {text}")));
            }
            self.decoded.batch.series.truncate(series);
            rows::undo(&mut self.decoded.batch, &before);
            let (index, field) = (self.index as usize, "metric".into());
            self.decoded.refusals.push(Refusal { index, field, reason, message: text, items: 1 });
        }
        self.index += 1;
        Ok(())
    }

    fn metric_fields(&mut self, names: &Names, message: Reader<'_>) -> Result<(), Fault> {
        const LABEL: u32 = wire::bytes(1);
        const GAUGE: u32 = wire::bytes(2);
        const COUNTER: u32 = wire::bytes(3);
        const SUMMARY: u32 = wire::bytes(4);
        const UNTYPED: u32 = wire::bytes(5);
        const TIMESTAMP: u32 = wire::varint(6);
        const HISTOGRAM: u32 = wire::bytes(7);
        let mut frame = Frame { t_ms: self.context.default_t_ms, ..Frame::default() };
        let mut value = None;
        let mut fields = message;
        while let Some(key) = fields.key().map_err(malformed)? {
            match key {
                LABEL => frame.labels.push(label(fields.message().map_err(malformed)?).map_err(malformed)?),
                GAUGE | COUNTER | SUMMARY | UNTYPED | HISTOGRAM => {
                    value = Some((key, fields.message().map_err(malformed)?));
                }
                TIMESTAMP => {
                    let t_ms = fields.varint().map_err(malformed)? as i64;
                    if self.context.honor_timestamps && t_ms != 0 {
                        frame.t_ms = t_ms;
                    }
                }
                other => fields.skip(other).map_err(malformed)?,
            }
        }
        match value {
            None => Ok(()),
            Some((SUMMARY, message)) => self.summary(names, frame, message),
            Some((HISTOGRAM, message)) => self.histogram(names, frame, message),
            Some((_, message)) => self.number(names, frame, message).map_err(malformed),
        }
    }

    /// Gauges, counters and untyped metrics number their fields alike.
    fn number(&mut self, names: &Names, mut frame: Frame, mut message: Reader<'_>) -> Result<(), WireError> {
        const VALUE: u32 = wire::fixed64(1);
        const EXEMPLAR: u32 = wire::bytes(2);
        const CREATED: u32 = wire::bytes(3);
        let (mut value, mut exemplar) = (0.0, None);
        while let Some(key) = message.key()? {
            match key {
                VALUE => value = message.double()?,
                EXEMPLAR => exemplar = Some(message.message()?),
                CREATED => frame.start_ms = timestamp_ms(message.message()?)?,
                other => message.skip(other)?,
            }
        }
        let row = self.begin(names.plain, &frame, None);
        let point = Point { t_ms: frame.t_ms, value };
        rows::push_point(&mut self.decoded.batch, point, frame.start_ms);
        if let Some(exemplar) = exemplar {
            self.exemplar(exemplar, frame.t_ms)?;
        }
        rows::end(&mut self.decoded.batch, row);
        Ok(())
    }

    fn summary(&mut self, names: &Names, mut frame: Frame, message: Reader<'_>) -> Result<(), Fault> {
        let Summary { count, sum, quantiles } = Summary::read(message, &mut frame).map_err(malformed)?;
        self.reserve(quantiles.len(), &frame)?;
        self.emit(names.count, &frame, None, count);
        self.emit(names.sum, &frame, None, sum);
        for (quantile, value) in quantiles {
            let text = self.texts.push(crate::float::open_metrics(quantile).as_bytes());
            self.emit(names.plain, &frame, Some(LabelSpan { name: self.quantile, value: text }), value);
        }
        Ok(())
    }

    fn histogram(&mut self, names: &Names, mut frame: Frame, message: Reader<'_>) -> Result<(), Fault> {
        let mut read = Histogram::read(message, &mut frame).map_err(malformed)?;
        if names.kind == MetricType::GaugeHistogram {
            read.native.counter_reset_hint = CounterResetHint::Gauge;
        }
        let is_native = read.is_native();
        if is_native {
            let native = read.finish_native().map_err(|text| (Reason::InvalidHistogram, text))?;
            let row = self.begin(names.plain, &frame, None);
            rows::push_histogram(&mut self.decoded.batch, frame.t_ms, native, frame.start_ms);
            // Exemplars of the native form; older clients have them in the classic buckets alone.
            let of_buckets = read.buckets.iter().filter_map(|bucket| bucket.exemplar);
            let own = read.exemplars.iter().copied();
            let exemplars: Vec<_> =
                if read.exemplars.is_empty() { of_buckets.collect() } else { own.collect() };
            for exemplar in exemplars {
                self.exemplar(exemplar, frame.t_ms).map_err(malformed)?;
            }
            rows::end(&mut self.decoded.batch, row);
        }
        if !is_native || (self.context.keep_classic && !read.buckets.is_empty()) {
            self.reserve(read.buckets.len(), &frame)?;
            self.classic(names, &frame, &read).map_err(malformed)?;
        }
        Ok(())
    }

    fn classic(&mut self, names: &Names, frame: &Frame, read: &Histogram<'_>) -> Result<(), WireError> {
        self.emit(names.count, frame, None, read.count);
        self.emit(names.sum, frame, None, read.sum);
        let infinite = Bucket { bound: f64::INFINITY, count: read.count, exemplar: None };
        let has_infinite = read.buckets.iter().any(|b| b.bound == f64::INFINITY);
        for bucket in read.buckets.iter().chain((!has_infinite).then_some(&infinite)) {
            let value = self.texts.push(crate::float::open_metrics(bucket.bound).as_bytes());
            let row = self.begin(names.bucket, frame, Some(LabelSpan { name: self.le, value }));
            let point = Point { t_ms: frame.t_ms, value: bucket.count };
            rows::push_point(&mut self.decoded.batch, point, frame.start_ms);
            if let Some(exemplar) = bucket.exemplar {
                self.exemplar(exemplar, frame.t_ms)?;
            }
            rows::end(&mut self.decoded.batch, row);
        }
        Ok(())
    }

    /// Asks for the labels of a metric with so many buckets or quantiles.
    fn reserve(&mut self, parts: usize, frame: &Frame) -> Result<(), Fault> {
        if self.labels.take(parts + 3, &frame.labels) {
            return Ok(());
        }
        let text = "labels and buckets of this body multiply to too many labels; expose fewer";
        Err((Reason::TooManyLabels, text.into()))
    }

    fn begin(&mut self, name: Span, frame: &Frame, extra: Option<LabelSpan>) -> model::SeriesRow {
        let batch = &mut self.decoded.batch;
        let row = rows::begin(batch, self.index);
        rows::push_label(batch, self.metric_name, name);
        batch.labels.extend_from_slice(&frame.labels);
        batch.labels.extend(extra);
        row
    }

    fn emit(&mut self, name: Span, frame: &Frame, extra: Option<LabelSpan>, value: f64) {
        let row = self.begin(name, frame, extra);
        rows::push_point(&mut self.decoded.batch, Point { t_ms: frame.t_ms, value }, frame.start_ms);
        rows::end(&mut self.decoded.batch, row);
    }

    fn exemplar(&mut self, mut message: Reader<'_>, sample_ms: i64) -> Result<(), WireError> {
        const LABEL: u32 = wire::bytes(1);
        const VALUE: u32 = wire::fixed64(2);
        const TIMESTAMP: u32 = wire::bytes(3);
        let (mut labels, mut value, mut t_ms) = (Vec::new(), 0.0, sample_ms);
        while let Some(key) = message.key()? {
            match key {
                LABEL => labels.push(label(message.message()?)?),
                VALUE => value = message.double()?,
                TIMESTAMP => t_ms = timestamp_ms(message.message()?)?,
                other => message.skip(other)?,
            }
        }
        let pairs = labels.iter().map(|l| (l.name.of(self.body), l.value.of(self.body)));
        match rows::exemplar_labels(pairs, &mut self.budget) {
            Ok(labels) => rows::push_exemplar(&mut self.decoded.batch, t_ms, value, labels),
            Err(message) => {
                let (index, field) = (self.index as usize, "exemplar".into());
                let reason = Reason::InvalidLabels;
                self.decoded.refusals.push(Refusal { index, field, reason, message, items: 0 });
            }
        }
        Ok(())
    }
}
