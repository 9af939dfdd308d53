//! The `traceparent` header (W3C Trace Context).

use axum::http::HeaderValue;

use super::TraceContext;

/// Trace id and parent span id of a header, in hexadecimal; `None` for what the standard calls invalid.
pub(crate) fn parse_traceparent(header: &str) -> Option<(&str, &str)> {
    let mut parts = header.trim().split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    };
    let has_rest = parts.next().is_some();
    let valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace_id, 32)
        && is_hex(span_id, 16)
        && is_hex(flags, 2)
        && !(version == "00" && has_rest)
        && trace_id.bytes().any(|b| b != b'0')
        && span_id.bytes().any(|b| b != b'0');
    valid.then_some((trace_id, span_id))
}

/// The header that names a span.
pub(crate) fn traceparent(context: &TraceContext) -> HeaderValue {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let flags = u8::from(context.sampled);
    let text = format!("00-{}-{}-{flags:02x}", hex(&context.trace_id), hex(&context.span_id));
    HeaderValue::try_from(text).expect("hexadecimal digits and dashes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_allows_is_a_parent() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for (header, want) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("cc-{trace}-{span}-01-more"), true),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{trace}-{span}"), false),
            (String::new(), false),
        ] {
            assert_eq!(parse_traceparent(&header), want.then_some((trace, span)), "{header}");
        }
    }

    #[test]
    fn a_context_reads_back() {
        let context = TraceContext { trace_id: [0xab; 16], span_id: [1; 8], sampled: true };
        let header = traceparent(&context);
        let (trace, span) = parse_traceparent(header.to_str().unwrap()).unwrap();
        assert_eq!((trace, span), ("abababababababababababababababab", "0101010101010101"));
    }
}
