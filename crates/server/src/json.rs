//! JSON bodies of our own API: every malformed one is answered with the path of the field at fault. And answers
//! that nobody keeps.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body;
use crate::error::Fault;

/// Largest body of a control request.
const BYTES_MAX: usize = 1 << 20;

/// A body that was read whole and fits its type.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Response> {
        let bytes = body::read(request.into_body(), BYTES_MAX).await.map_err(|fault| fault.api())?;
        parse(&bytes).map(Self).map_err(|fault| fault.api().into_response())
    }
}

/// A body that may be left out.
pub(crate) struct Optional<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Optional<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Response> {
        let bytes = body::read(request.into_body(), BYTES_MAX).await.map_err(|fault| fault.api())?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        parse(&bytes).map(|read| Self(Some(read))).map_err(|fault| fault.api().into_response())
    }
}

/// An answer that is shown once, and so not for a cache.
pub(crate) struct Unkept<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Unkept<T> {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(self.0)).into_response()
    }
}

/// Parses a body; the error names line and column, which for our small bodies leads to the field.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    if has_nul(bytes) {
        return Err(Fault::invalid("", "texts must not hold the character U+0000"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Fault::invalid(&error.path().to_string(), error.inner().to_string()))
}

/// Whether a text of the JSON holds U+0000, which only an escape can write and which no database of ours stores.
fn has_nul(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        if bytes[at..].starts_with(br"\u0000") {
            return true;
        }
        // What is escaped may be a backslash itself.
        at = (at + 2).min(bytes.len());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_escaped_zero_is_one() {
        for (text, want) in [
            (r#"{"a":"x"}"#, false),
            (r#"{"a":"x\u0000"}"#, true),
            (r#"{"a\u0000":1}"#, true),
            (r#"{"a":"\\u0000"}"#, false),
            (r#"{"a":"\\\u0000"}"#, true),
            (r#"{"a":"\u0001\n\u00000"}"#, true),
            (r#"{"a":"\u00010000"}"#, false),
            (r"\", false),
            (r"", false),
        ] {
            assert_eq!(has_nul(text.as_bytes()), want, "{text}");
        }
    }
}
