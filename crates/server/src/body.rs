//! Request bodies: bounded before and after decompression, and accounted while they are in memory.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;

use crate::error::Fault;

/// How long a client may take to send a body. What is reserved for it is held that long at most.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads a body of at most `limit` bytes as it came over the wire.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Fault> {
    read_with(body, limit, |_| Ok(())).await
}

/// The same; `account` hears how many bytes there will be before they are kept, and may refuse.
pub(crate) async fn read_with(
    mut body: Body,
    limit: usize,
    mut account: impl FnMut(usize) -> Result<(), Fault>,
) -> Result<Vec<u8>, Fault> {
    // As much as was declared, and therefore accounted; pages are not touched before bytes come.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes: Vec<u8> = Vec::with_capacity(declared.min(limit));
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Fault::invalid("body", "the request ended before its body did"))?;
            let Ok(data) = frame.into_data() else { continue };
            let total = bytes.len() + data.len();
            if total > limit {
                return Err(too_large(limit));
            }
            account(total)?;
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(BODY_TIMEOUT, reading)
        .await
        .map_err(|_| Fault::Timeout(format!("the body did not arrive within {BODY_TIMEOUT:?}")))??;
    Ok(bytes)
}

/// A body over the limit.
pub(crate) fn too_large(limit: usize) -> Fault {
    Fault::TooLarge(format!("the body is over {limit} bytes: send smaller batches"))
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
