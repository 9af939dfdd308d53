//! Request bodies: bounded before and after decompression, and accounted while they are in memory.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::Fault;

/// Reads a body of at most `limit` bytes as it came over the wire.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Fault> {
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            Fault::TooLarge(format!("the body is over {limit} bytes: send smaller batches"))
        } else {
            Fault::invalid("body", "the request ended before its body did")
        }
    })?;
    Ok(collected.to_bytes().into())
}

/// The declared content encoding; empty when there is none.
pub(crate) fn encoding(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("")
}

/// The declared content type without its parameters, and whole.
pub(crate) fn content_type(headers: &HeaderMap) -> (&str, &str) {
    let whole = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    (whole.split(';').next().unwrap_or("").trim(), whole)
}
