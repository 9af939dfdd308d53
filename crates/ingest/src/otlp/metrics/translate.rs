//! Resources, scopes and metrics to names and labels. The points themselves are turned into series in
//! `series`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use model::{LabelSpan, Metadata, MetricType, Point, Reason, Refusal, Span};

use super::names;
use super::point::{Attribute, Descriptor, Kind, Scope, Temporality};
use super::{Context, Settings, Translation};
use crate::decoded::shown;
use crate::rows::{self, CopyBudget, LabelBudget, Texts};
use crate::{Decoded, DeltaKind};

/// Attributes of one point, scope or resource; a tenant's limit of labels is far below.
const ATTRIBUTES_MAX: usize = 512;

const SERVICE_NAME: &[u8] = b"service.name";
const SERVICE_NAMESPACE: &[u8] = b"service.namespace";
const SERVICE_INSTANCE: &[u8] = b"service.instance.id";

/// Label names that every request needs.
pub(super) struct Known {
    pub(super) metric_name: Span,
    pub(super) job: Span,
    pub(super) instance: Span,
    pub(super) le: Span,
    pub(super) quantile: Span,
}

/// A metric whose points are being read.
pub(super) struct Family {
    /// Empty when the metric has no usable name.
    pub(super) name: Span,
    /// `_bucket`, `_sum` and `_count`; empty for kinds without them.
    pub(super) bucket: Span,
    pub(super) sum: Span,
    pub(super) count: Span,
    pub(super) kind: Kind,
    /// Why all points are refused, if they are.
    pub(super) fault: Option<(&'static str, Reason, String)>,
}

/// Turns what either encoding reads into rows of a batch.
pub(super) struct Translator<'a> {
    pub(super) texts: Texts<'a>,
    pub(super) decoded: Decoded,
    pub(super) budget: CopyBudget,
    pub(super) known: Known,
    /// Labels of the point at hand, the metric's name left out.
    pub(super) base: Vec<LabelSpan>,
    pub(super) received_at_ms: i64,
    settings: &'a Settings,
    /// Attribute keys to label names, and label names to their one span, so that spans compare by place.
    labels: HashMap<Box<[u8]>, Span>,
    interned: HashMap<Box<[u8]>, Span>,
    /// `le` and `quantile` values by their bits.
    numbers: HashMap<u64, Span>,
    /// Labels that the resource gives to each of its series: promoted attributes yield to the point's own,
    /// `job` and `instance` do not.
    promoted: Vec<LabelSpan>,
    identity: Vec<LabelSpan>,
    scope: Vec<LabelSpan>,
    resource: Vec<Attribute>,
    /// Latest point of the resource, milliseconds.
    pub(super) latest_ms: Option<i64>,
    /// Data points met so far.
    pub(super) index: usize,
    label_budget: LabelBudget,
}

impl<'a> Translator<'a> {
    /// Over a request of `bytes` bytes whose spans point into `body` (which is empty where every text is
    /// copied).
    pub(super) fn new(body: &'a [u8], bytes: usize, context: &'a Context) -> Self {
        let mut texts = Texts::new(body);
        let mut interned = HashMap::new();
        let mut intern = |name: &str| {
            let span = texts.push(name.as_bytes());
            interned.insert(name.as_bytes().into(), span);
            span
        };
        let known = Known {
            metric_name: intern("__name__"),
            job: intern("job"),
            instance: intern("instance"),
            le: intern("le"),
            quantile: intern("quantile"),
        };
        Self {
            budget: CopyBudget::new(bytes),
            texts,
            decoded: Decoded::default(),
            known,
            base: Vec::new(),
            received_at_ms: context.received_at_ms,
            settings: &context.settings,
            labels: HashMap::new(),
            interned,
            numbers: HashMap::new(),
            promoted: Vec::new(),
            identity: Vec::new(),
            scope: Vec::new(),
            resource: Vec::new(),
            latest_ms: None,
            index: 0,
            label_budget: LabelBudget::new(bytes),
        }
    }

    /// The result; its text is only what was made and belongs behind the body.
    pub(super) fn finish(self) -> Decoded {
        let mut decoded = self.decoded;
        decoded.batch.text = self.texts.finish();
        decoded
    }

    /// Milliseconds of a point's time; the server's clock where none is stated.
    pub(super) fn point_ms(&mut self, time_ns: u64) -> i64 {
        let t_ms = if time_ns == 0 { self.received_at_ms } else { (time_ns / 1_000_000) as i64 };
        self.latest_ms = self.latest_ms.max(Some(t_ms));
        t_ms
    }

    /// Refuses the point at hand.
    pub(super) fn refuse(&mut self, field: &str, reason: Reason, message: String) {
        let refusal = Refusal { index: self.index, field: field.into(), reason, message, items: 1 };
        self.decoded.refusals.push(refusal);
    }

    /// Begins a resource.
    pub(super) fn begin_resource(&mut self, mut attributes: Vec<Attribute>) {
        attributes.truncate(ATTRIBUTES_MAX);
        self.sort(&mut attributes);
        self.latest_ms = None;
        self.identity.clear();
        let find = |texts: &Texts<'_>, key: &[u8]| {
            attributes.iter().find(|a| texts.of(a.key) == key).map(|a| a.value)
        };
        let name = find(&self.texts, SERVICE_NAME);
        let namespace = find(&self.texts, SERVICE_NAMESPACE);
        if let Some(mut job) = name {
            if let Some(namespace) = namespace {
                let text = [self.texts.of(namespace), b"/", self.texts.of(job)].concat();
                job = self.texts.push(&text);
            }
            self.identity.push(LabelSpan { name: self.known.job, value: job });
        }
        if let Some(value) = find(&self.texts, SERVICE_INSTANCE) {
            self.identity.push(LabelSpan { name: self.known.instance, value });
        }
        self.promoted.clear();
        for attribute in &attributes {
            let key = self.texts.of(attribute.key);
            let wanted = self.settings.promote_all
                || self.settings.promoted_attributes.iter().any(|p| p.as_bytes() == key);
            if wanted {
                let name = self.label(attribute.key);
                self.promoted.push(LabelSpan { name, value: attribute.value });
            }
        }
        self.resource = attributes;
    }

    /// Begins a scope of the resource.
    pub(super) fn begin_scope(&mut self, mut scope: Scope) {
        self.scope.clear();
        if !self.settings.promote_scope || scope.name.len == 0 {
            return;
        }
        scope.attributes.truncate(ATTRIBUTES_MAX);
        for (name, value) in [
            ("otel_scope_name", scope.name),
            ("otel_scope_version", scope.version),
            ("otel_scope_schema_url", scope.schema_url),
        ] {
            let name = self.intern(name.as_bytes());
            self.scope.push(LabelSpan { name, value });
        }
        for attribute in scope.attributes {
            let key = [b"otel_scope_", self.texts.of(attribute.key)].concat();
            let name = match self.settings.translation {
                Translation::UnderscoresAndSuffixes => {
                    names::label(&String::from_utf8_lossy(&key)).into_bytes()
                }
                Translation::Off => key,
            };
            let name = self.intern(&name);
            self.scope.push(LabelSpan { name, value: attribute.value });
        }
    }

    /// Begins a metric: its name, and its metadata once.
    pub(super) fn begin_metric(&mut self, descriptor: &Descriptor) -> Family {
        let Descriptor { name, description, unit, kind } = *descriptor;
        let (raw, unit_text) = (self.texts.of(name), String::from_utf8_lossy(self.texts.of(unit)));
        let (prom, prom_unit) = match (std::str::from_utf8(raw), self.settings.translation) {
            (Err(_), _) => (String::new(), String::new()),
            (Ok(raw), Translation::Off) => (raw.to_owned(), unit_text.clone().into_owned()),
            (Ok(raw), Translation::UnderscoresAndSuffixes) => {
                (names::metric(raw, &unit_text, kind), names::unit(&unit_text))
            }
        };
        let fault = if prom.is_empty() {
            let text = format!("metric name {} has no character that a name may have", shown(raw));
            Some(("name", Reason::InvalidLabels, text))
        } else if kind.temporality() == Temporality::Unspecified {
            let text =
                format!("metric {} states no aggregation temporality; set delta or cumulative", shown(raw));
            Some(("aggregation_temporality", Reason::InvalidValue, text))
        } else {
            None
        };
        let help = rows::metadata_text(self.texts.of(description));
        if fault.is_none() && self.budget.take(prom.len() + prom_unit.len() + help.len()) {
            let kind = metric_type(kind);
            let metadata = Metadata { metric: prom.clone(), kind, unit: prom_unit, help };
            self.decoded.batch.metadata.push(metadata);
        }
        let name = self.texts.push(prom.as_bytes());
        let mut suffixed = |suffix: &str, wanted: bool| {
            if wanted { self.texts.join(&[prom.as_bytes(), suffix.as_bytes()]) } else { Span::default() }
        };
        let classic = matches!(kind, Kind::Histogram(_));
        Family {
            name,
            bucket: suffixed("_bucket", classic),
            sum: suffixed("_sum", classic || kind == Kind::Summary),
            count: suffixed("_count", classic || kind == Kind::Summary),
            kind,
            fault,
        }
    }

    /// Ends a resource with its `target_info`, where it has both an identity and something to say.
    pub(super) fn end_resource(&mut self) {
        let attributes = std::mem::take(&mut self.resource);
        let (Some(t_ms), false) = (self.latest_ms, self.identity.is_empty()) else { return };
        let others: Vec<Attribute> = attributes
            .into_iter()
            .filter(|a| ![SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE].contains(&self.texts.of(a.key)))
            .collect();
        if others.is_empty() {
            return;
        }
        self.promoted.clear();
        self.scope.clear();
        self.set_base(&others);
        let name = self.intern(b"target_info");
        self.emit(name, None, Point { t_ms, value: 1.0 }, 0);
    }

    /// Works out the labels of a point that makes `rows` series, or says why they are too many.
    pub(super) fn begin_point(&mut self, attributes: &mut [Attribute], rows: usize) -> Result<(), String> {
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(format!("{} attributes; drop those that nobody groups by", attributes.len()));
        }
        self.sort(attributes);
        self.set_base(attributes);
        if !self.label_budget.take(rows, &self.base) {
            return Err(
                "attributes and buckets of this request multiply to too many labels; send fewer".into()
            );
        }
        Ok(())
    }

    /// Attributes in order of their keys: keys that collide as labels then merge the same way every time.
    fn sort(&self, attributes: &mut [Attribute]) {
        attributes.sort_by(|a, b| self.texts.of(a.key).cmp(self.texts.of(b.key)));
    }

    fn set_base(&mut self, attributes: &[Attribute]) {
        let mut base = std::mem::take(&mut self.base);
        base.clear();
        // Joined once at the end: joining pair by pair would copy the first value for each further one.
        let mut joined: Vec<(usize, Vec<u8>)> = Vec::new();
        for attribute in attributes {
            let name = self.label(attribute.key);
            let Some(at) = base.iter().position(|label: &LabelSpan| label.name == name) else {
                base.push(LabelSpan { name, value: attribute.value });
                continue;
            };
            let more = self.texts.of(attribute.value);
            match joined.iter_mut().find(|(label, _)| *label == at) {
                Some((_, text)) => text.extend([b";", more].concat()),
                None => joined.push((at, [self.texts.of(base[at].value), b";", more].concat())),
            }
        }
        for (at, text) in joined {
            base[at].value = self.texts.push(&text);
        }
        for label in &self.promoted {
            if base.iter().all(|b| b.name != label.name) {
                base.push(*label);
            }
        }
        for label in self.scope.iter().chain(&self.identity) {
            match base.iter_mut().find(|b| b.name == label.name) {
                Some(own) => *own = *label,
                None => base.push(*label),
            }
        }
        self.base = base;
    }

    /// The label that an attribute's key becomes.
    fn label(&mut self, key: Span) -> Span {
        let raw = self.texts.of(key);
        if let Some(span) = self.labels.get(raw) {
            return *span;
        }
        let raw: Box<[u8]> = raw.into();
        let span = match self.settings.translation {
            Translation::UnderscoresAndSuffixes => {
                let name = names::label(&String::from_utf8_lossy(&raw));
                self.intern(name.as_bytes())
            }
            Translation::Off => self.intern(&raw),
        };
        self.labels.insert(raw, span);
        span
    }

    fn intern(&mut self, name: &[u8]) -> Span {
        match self.interned.entry(name.into()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(self.texts.push(name)),
        }
    }

    /// A bound or quantile as a label's value.
    pub(super) fn number(&mut self, value: f64) -> Span {
        match self.numbers.entry(value.to_bits()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(self.texts.push(crate::float::plain(value).as_bytes())),
        }
    }

    /// Adds a series with the base labels, a name and perhaps one more label; the caller pushes samples.
    pub(super) fn begin_row(&mut self, name: Span, extra: Option<LabelSpan>) -> model::SeriesRow {
        let batch = &mut self.decoded.batch;
        let row = rows::begin(batch, self.index as u32);
        rows::push_label(batch, self.known.metric_name, name);
        for label in &self.base {
            let replaced =
                extra.is_some_and(|e| e.name == label.name) || label.name == self.known.metric_name;
            if !replaced {
                batch.labels.push(*label);
            }
        }
        batch.labels.extend(extra);
        row
    }

    /// Adds a series with one float sample.
    pub(super) fn emit(&mut self, name: Span, extra: Option<LabelSpan>, point: Point, start_ms: i64) {
        let row = self.begin_row(name, extra);
        rows::push_point(&mut self.decoded.batch, point, start_ms);
        rows::end(&mut self.decoded.batch, row);
    }

    /// Marks the rows since `first` as increments if the metric's are.
    pub(super) fn mark(&mut self, first: u32, kind: Kind) {
        if kind.temporality() == Temporality::Delta {
            self.decoded.mark_delta(first, DeltaKind::Interval);
        }
    }
}

fn metric_type(kind: Kind) -> MetricType {
    match kind {
        Kind::Gauge | Kind::Sum { monotonic: false, .. } => MetricType::Gauge,
        Kind::Sum { monotonic: true, .. } => MetricType::Counter,
        Kind::Histogram(_) | Kind::Exponential(_) => MetricType::Histogram,
        Kind::Summary => MetricType::Summary,
    }
}
