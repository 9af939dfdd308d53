//! What happens to rows between decoding and storing: parsing, renaming, redaction, sampling, and the figures
//! of spans.
//!
//! Pure: no I/O and no clock; whoever owns a pipeline gives it the time.
