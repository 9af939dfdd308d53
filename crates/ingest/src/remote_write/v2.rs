//! `io.prometheus.write.v2.Request`: series refer to a table of symbols.

use model::{LabelSpan, Metadata, MetricBatch, MetricType, Point, Reason, Refusals, Span};

use super::{Context, Fault, histogram};
use crate::rows::{self, CopyBudget};
use crate::wire::{self, Reader, WireError};
use crate::{DecodeError, Decoded};

/// How much label text (as later readers see it, references followed) a request may stand for, as a
/// multiple of its size. Real senders reach about 20; what is beyond is meant to keep the server hashing.
const LABEL_TEXT_RATIO_MAX: usize = 64;
/// Added to that, so that small requests are free of it.
const LABEL_TEXT_FREE: usize = 16 << 20;

const SYMBOLS: u32 = wire::bytes(4);
const TIMESERIES: u32 = wire::bytes(5);

/// Decodes a decompressed body. A series that breaks a rule is refused alone.
///
/// Start timestamps are read from the samples, where the protocol has them, and from the field of the series
/// where its drafts had them (`created_timestamp`).
pub fn decode(body: Vec<u8>, _context: &Context) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    Request::new(&body)?.walk(&mut decoded)?;
    decoded.batch.text = body;
    Ok(decoded)
}

struct Request<'a> {
    body: &'a [u8],
    symbols: Vec<Span>,
    /// One bit per symbol: its metadata was seen as the name of a metric.
    described: Vec<u64>,
    /// Bytes of label text that may still be referred to.
    label_text_left: usize,
    budget: CopyBudget,
}

impl<'a> Request<'a> {
    /// Reads the table of symbols, wherever in the request it is.
    fn new(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut request = Reader::new(body)?;
        let mut symbols = Vec::new();
        while let Some(key) = request.key()? {
            match key {
                SYMBOLS => symbols.push(request.span()?),
                other => request.skip(other)?,
            }
        }
        let described = vec![0; symbols.len().div_ceil(64)];
        let label_text_left = LABEL_TEXT_RATIO_MAX * body.len() + LABEL_TEXT_FREE;
        Ok(Self { body, symbols, described, label_text_left, budget: CopyBudget::new(body.len()) })
    }

    fn walk(mut self, decoded: &mut Decoded) -> Result<(), DecodeError> {
        let mut request = Reader::new(self.body)?;
        let mut index = 0;
        decoded.batch.series.reserve(self.body.len() / 64);
        decoded.batch.points.reserve(self.body.len() / 64);
        decoded.batch.labels.reserve(self.body.len() / 8);
        while let Some(key) = request.key()? {
            match key {
                TIMESERIES => {
                    self.series(request.message()?, index, decoded);
                    index += 1;
                }
                other => request.skip(other)?,
            }
            if self.label_text_left == 0 {
                let text = format!("its labels repeat over {LABEL_TEXT_RATIO_MAX} times its size of text");
                return Err(DecodeError::TooLarge(text));
            }
        }
        Ok(())
    }

    fn series(&mut self, message: Reader<'_>, index: u32, decoded: &mut Decoded) {
        let Decoded { batch, refusals, .. } = decoded;
        let row = rows::begin(batch, index);
        match self.series_fields(message, index, batch, refusals) {
            Ok(_) if rows::is_bare(batch, &row) => rows::undo(batch, &row),
            Ok(created_ms) => {
                rows::end(batch, row);
                if created_ms != 0 {
                    rows::fill_starts(batch, created_ms);
                }
            }
            Err(fault) => {
                rows::undo(batch, &row);
                refusals.push(fault.refusal(index, count_samples(message).max(1)));
            }
        }
    }

    /// Reads a series into the batch and returns its created timestamp (0 when there is none).
    fn series_fields(
        &mut self,
        mut message: Reader<'_>,
        index: u32,
        batch: &mut MetricBatch,
        refusals: &mut Refusals,
    ) -> Result<i64, Fault> {
        const LABELS_REFS: u32 = wire::bytes(1);
        const LABELS_REF: u32 = wire::varint(1);
        const SAMPLES: u32 = wire::bytes(2);
        const HISTOGRAMS: u32 = wire::bytes(3);
        const EXEMPLARS: u32 = wire::bytes(4);
        const METADATA: u32 = wire::bytes(5);
        const CREATED: u32 = wire::varint(6);
        let mut created_ms = 0;
        let first_label = batch.labels.len();
        let mut unpacked = Vec::new();
        while let Some(key) = message.key()? {
            match key {
                LABELS_REFS => {
                    let mut refs = message.message()?;
                    while !refs.is_empty() {
                        let name = self.symbol(refs.varint()?)?;
                        if refs.is_empty() {
                            return Err(odd_refs());
                        }
                        let value = self.symbol(refs.varint()?)?;
                        self.charge(name, value);
                        batch.labels.push(LabelSpan { name, value });
                    }
                }
                LABELS_REF => unpacked.push(message.varint()?),
                SAMPLES => {
                    let (point, start_ms) = sample(message.message()?)?;
                    rows::push_point(batch, point, start_ms);
                }
                HISTOGRAMS => {
                    let sample = histogram::decode(message.message()?)?;
                    rows::push_histogram(batch, sample.t_ms, sample.histogram, sample.start_ms);
                }
                EXEMPLARS => {
                    if let Err(fault) = self.exemplar(message.message()?, batch) {
                        refusals.push(fault.refusal(index, 0));
                    }
                }
                METADATA => {
                    if let Some(metadata) = self.metadata(message.message()?, &batch.labels[first_label..])? {
                        batch.metadata.push(metadata);
                    }
                }
                CREATED => created_ms = message.varint()? as i64,
                other => message.skip(other)?,
            }
        }
        if !unpacked.is_empty() {
            let (pairs, []) = unpacked.as_chunks::<2>() else { return Err(odd_refs()) };
            for [name, value] in pairs {
                let (name, value) = (self.symbol(*name)?, self.symbol(*value)?);
                self.charge(name, value);
                batch.labels.push(LabelSpan { name, value });
            }
        }
        Ok(created_ms)
    }

    #[inline]
    fn symbol(&self, reference: u64) -> Result<Span, Fault> {
        usize::try_from(reference).ok().and_then(|i| self.symbols.get(i)).copied().ok_or_else(|| {
            let known = self.symbols.len();
            let text = format!("symbol {reference} is not in the table of {known} symbols");
            Fault::new("labels_refs", Reason::InvalidLabels, text)
        })
    }

    #[inline]
    fn charge(&mut self, name: Span, value: Span) {
        let bytes = name.len as usize + value.len as usize;
        self.label_text_left = self.label_text_left.saturating_sub(bytes);
    }

    fn exemplar(&mut self, mut message: Reader<'_>, batch: &mut MetricBatch) -> Result<(), Fault> {
        const LABELS_REFS: u32 = wire::bytes(1);
        const LABELS_REF: u32 = wire::varint(1);
        const VALUE: u32 = wire::fixed64(2);
        const TIMESTAMP: u32 = wire::varint(3);
        let (mut refs, mut value, mut t_ms) = (Vec::new(), 0.0, 0);
        while let Some(key) = message.key()? {
            match key {
                LABELS_REFS => {
                    let mut list = message.message()?;
                    while !list.is_empty() {
                        refs.push(self.symbol(list.varint()?)?);
                    }
                }
                LABELS_REF => refs.push(self.symbol(message.varint()?)?),
                VALUE => value = message.double()?,
                TIMESTAMP => t_ms = message.varint()? as i64,
                other => message.skip(other)?,
            }
        }
        let (pairs, []) = refs.as_chunks::<2>() else { return Err(odd_refs()) };
        let pairs = pairs.iter().map(|[name, value]| (name.of(self.body), value.of(self.body)));
        let labels = super::exemplar_labels(pairs, &mut self.budget)?;
        rows::push_exemplar(batch, t_ms, value, labels);
        Ok(())
    }

    /// The metadata of a series whose name has none yet in this request. Every series of a family repeats
    /// it, so a name that was seen costs one bit.
    fn metadata(&mut self, mut message: Reader<'_>, labels: &[LabelSpan]) -> Result<Option<Metadata>, Fault> {
        const TYPE: u32 = wire::varint(1);
        const HELP_REF: u32 = wire::varint(3);
        const UNIT_REF: u32 = wire::varint(4);
        if message.is_empty() {
            return Ok(None);
        }
        let body = self.body;
        let Some(name) = labels.iter().find(|l| l.name.of(body) == b"__name__").map(|l| l.value) else {
            return Ok(None);
        };
        if self.is_described(name) {
            return Ok(None);
        }
        let (mut kind, mut help, mut unit) = (MetricType::Unknown, Span::default(), Span::default());
        while let Some(key) = message.key()? {
            match key {
                TYPE => kind = super::metric_type(message.varint()?),
                HELP_REF => help = self.symbol(message.varint()?)?,
                UNIT_REF => unit = self.symbol(message.varint()?)?,
                other => message.skip(other)?,
            }
        }
        if kind == MetricType::Unknown && help.len == 0 && unit.len == 0 {
            return Ok(None);
        }
        let metadata = Metadata {
            metric: rows::metadata_text(family(name.of(body), kind)),
            kind,
            unit: rows::metadata_text(unit.of(body)),
            help: rows::metadata_text(help.of(body)),
        };
        let bytes = metadata.metric.len() + metadata.help.len() + metadata.unit.len();
        Ok(self.budget.take(bytes).then_some(metadata))
    }

    /// Whether a name's metadata was asked for before. Symbols are in the order of their offsets.
    fn is_described(&mut self, name: Span) -> bool {
        let Ok(symbol) = self.symbols.binary_search_by_key(&name.start, |s| s.start) else { return false };
        let (word, bit) = (symbol / 64, 1 << (symbol % 64));
        let seen = self.described[word] & bit != 0;
        self.described[word] |= bit;
        seen
    }
}

/// The family that a series of this type belongs to.
fn family(name: &[u8], kind: MetricType) -> &[u8] {
    let suffixes: &[&[u8]] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => &[b"_bucket", b"_count", b"_sum"],
        MetricType::Summary => &[b"_count", b"_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name)
}

fn odd_refs() -> Fault {
    Fault::new("labels_refs", Reason::InvalidLabels, "symbol references must come in pairs of name and value")
}

#[inline]
fn sample(mut message: Reader<'_>) -> Result<(Point, i64), WireError> {
    const VALUE: u32 = wire::fixed64(1);
    const TIMESTAMP: u32 = wire::varint(2);
    const START: u32 = wire::varint(3);
    let (mut point, mut start_ms) = (Point { t_ms: 0, value: 0.0 }, 0);
    while let Some(key) = message.key()? {
        match key {
            VALUE => point.value = message.double()?,
            TIMESTAMP => point.t_ms = message.varint()? as i64,
            START => start_ms = message.varint()? as i64,
            other => message.skip(other)?,
        }
    }
    Ok((point, start_ms))
}

/// Samples in a series that is being refused, as far as it can be read.
fn count_samples(mut message: Reader<'_>) -> usize {
    let mut count = 0;
    while let Ok(Some(key)) = message.key() {
        count += usize::from(key == wire::bytes(2) || key == wire::bytes(3));
        if message.skip(key).is_err() {
            break;
        }
    }
    count
}
