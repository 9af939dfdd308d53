//! From `tracing` to the buffer.

use std::fmt::Debug;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{FieldValue, OwnLine, OwnSpan, OwnTelemetry, TraceContext};

/// The span of a served request. Its fields `trace_id` and `parent_id` (hexadecimal) come from the caller's
/// `traceparent`, where there is one.
pub(crate) const REQUEST: &str = "request";

/// Longest text of a field or message that is kept.
const TEXT_BYTES_MAX: usize = 4096;

/// Gathers log lines, and spans below requests.
pub struct Layer {
    own: OwnTelemetry,
}

/// What the layer remembers of an open span.
struct Open {
    context: TraceContext,
    parent: Option<[u8; 8]>,
    started: Instant,
    start_ns: i64,
    fields: Vec<(&'static str, FieldValue)>,
}

impl Layer {
    pub(super) fn new(own: OwnTelemetry) -> Self {
        Self { own }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.parent().and_then(|parent| open_above(&parent));
        let is_request = attributes.metadata().name() == REQUEST;
        if above.is_none() && !is_request {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (context, parent) = match above {
            Some(above) => {
                let span_id = random();
                (TraceContext { span_id, ..above }, Some(above.span_id))
            }
            None => {
                let trace_id = fields.take_id("trace_id").unwrap_or_else(random);
                let context =
                    TraceContext { trace_id, span_id: random(), sampled: self.own.keeps(&trace_id) };
                (context, fields.take_id("parent_id"))
            }
        };
        let open = Open { context, parent, started: Instant::now(), start_ns: now_ns(), fields: fields.0 };
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut fields = Fields(std::mem::take(&mut open.fields));
            values.record(&mut fields);
            open.fields = fields.0;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        if !open.context.sampled {
            return;
        }
        let mut fields = Fields(open.fields);
        let is_request = span.name() == REQUEST;
        // The name of a task is a field of the span that carries it.
        let name = fields.take_text("name").unwrap_or_else(|| span.name().to_owned());
        self.own.push_span(OwnSpan {
            start_ns: open.start_ns,
            duration_ns: i64::try_from(open.started.elapsed().as_nanos()).unwrap_or(i64::MAX),
            name,
            context: open.context,
            parent: open.parent,
            fields: fields.0,
            is_request,
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        // Lines about writing lines would never end.
        if metadata.target() == module_path!() {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take_text("message").unwrap_or_default();
        let of_span = context.event_span(event).and_then(|span| open_above(&span));
        self.own.push_line(OwnLine {
            time_ns: now_ns(),
            level: *metadata.level(),
            target: metadata.target(),
            message,
            fields: fields.0,
            context: of_span.filter(|context| context.sampled),
        });
    }
}

/// The context of the span itself or the nearest one around it that has one.
fn open_above<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<TraceContext> {
    span.scope().find_map(|span| span.extensions().get::<Open>().map(|open| open.context))
}

/// The trace that the current code runs in, for headers of answers and of requests to others.
pub(crate) fn context_of_current() -> Option<TraceContext> {
    let span = tracing::Span::current();
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>()?;
        open_above(&registry.span(id)?)
    })
    .flatten()
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// An id that nobody can guess; never all zeros, which means none.
fn random<const N: usize>() -> [u8; N] {
    let mut id = [0; N];
    if getrandom::fill(&mut id).is_err() || id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

#[derive(Default)]
struct Fields(Vec<(&'static str, FieldValue)>);

impl Fields {
    /// Sets a field; a later value replaces an earlier one.
    fn set(&mut self, field: &Field, value: FieldValue) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some(known) => known.1 = value,
            None => self.0.push((field.name(), value)),
        }
    }

    fn take_text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        match self.0.remove(at).1 {
            FieldValue::Text(text) => Some(text),
            _ => None,
        }
    }

    fn take_id<const N: usize>(&mut self, name: &str) -> Option<[u8; N]> {
        let text = self.take_text(name)?;
        let mut id = [0; N];
        if text.len() != 2 * N || !text.is_ascii() {
            return None;
        }
        for (at, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        (id != [0; N]).then_some(id)
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
    text
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, FieldValue::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, FieldValue::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, FieldValue::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, FieldValue::Double(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, FieldValue::Text(cut(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, FieldValue::Text(cut(format!("{value:?}"))));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn spans_below_a_request_and_lines_inside_them_share_its_trace() {
        let own = OwnTelemetry::default();
        let subscriber = tracing_subscriber::registry().with(own.layer());
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!(
                "request",
                trace_id = "0af7651916cd43dd8448eb211c80319c",
                parent_id = "b7ad6b7169203331",
                status = tracing::field::Empty
            );
            request.in_scope(|| {
                let context = context_of_current().expect("inside a request");
                assert_eq!(context.trace_id[0], 0x0a);
                tracing::debug_span!("task", name = "append").in_scope(|| tracing::info!(rows = 3, "stored"));
            });
            request.record("status", 200);
            tracing::debug_span!("task", name = "alone").in_scope(|| {});
        });
        let (lines, spans, _) = own.take();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["append", "request"]);
        assert_eq!(spans[0].parent, Some(spans[1].context.span_id));
        assert_eq!(spans[1].parent, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
        assert_eq!(spans[1].fields, [("status", FieldValue::Int(200))]);
        assert_eq!(lines[0].message, "stored");
        assert_eq!(lines[0].fields, [("rows", FieldValue::Int(3))]);
        assert_eq!(lines[0].context.map(|c| c.span_id), Some(spans[0].context.span_id));
    }
}
