//! What all decoders of spans share: names of kinds and status codes, and the JSON of events and links.

use super::{write_hex, write_str};

/// Names of kinds, by OpenTelemetry's number.
pub(crate) const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
/// Names of status codes, by OpenTelemetry's number.
pub(crate) const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];

/// Events and links of one span as JSON arrays without their brackets. Reused from span to span.
#[derive(Debug, Default)]
pub(crate) struct SpanLists {
    pub(crate) events: Vec<u8>,
    pub(crate) links: Vec<u8>,
}

impl SpanLists {
    /// Begins another span.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.links.clear();
    }

    /// Begins an event; its attributes, an object, and [`Self::end`] follow.
    pub(crate) fn begin_event(&mut self, time_ns: i64, name: &[u8]) -> &mut Vec<u8> {
        let out = &mut self.events;
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend(b"{\"time\":");
        out.extend(time_ns.to_string().bytes());
        out.extend(b",\"name\":");
        write_str(out, name);
        out.extend(b",\"attributes\":");
        out
    }

    /// Begins a link, in the same way.
    pub(crate) fn begin_link(
        &mut self,
        trace_id: &[u8; 16],
        span_id: &[u8; 8],
        trace_state: &[u8],
    ) -> &mut Vec<u8> {
        let out = &mut self.links;
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend(b"{\"trace_id\":\"");
        write_hex(out, trace_id);
        out.extend(b"\",\"span_id\":\"");
        write_hex(out, span_id);
        out.push(b'"');
        if !trace_state.is_empty() {
            out.extend(b",\"trace_state\":");
            write_str(out, trace_state);
        }
        out.extend(b",\"attributes\":");
        out
    }

    /// Ends an event or link.
    pub(crate) fn end(out: &mut Vec<u8>, dropped_attributes: i64) {
        if dropped_attributes != 0 {
            out.extend(b",\"dropped_attributes_count\":");
            out.extend(dropped_attributes.to_string().bytes());
        }
        out.push(b'}');
    }
}
