//! Our own JSON: `POST /api/metrics` takes `{"metrics":[M],"transaction":bool}` or `[M]`, and
//! `POST /api/v1/monitoring/metrics/custom` one M.
//!
//! M is `{"name", "value", "type"?, "timestamp"?, "unit"?, "tags"?}`:
//!
//! - `name`: letters, digits, `_` and `:`, not beginning with a digit; `.` and `-` become `_`, anything else is
//!   refused, so that one metric has one spelling (tag names likewise, without `:`).
//! - `type`: `gauge` (the default), `counter`, `histogram` or `summary`.
//! - `value`: a number. Of a counter it is an increment, of a histogram or summary one observation. A
//!   histogram may instead be `{"count", "sum", "buckets": {"0.1": n, …}}` with cumulative buckets, and a summary
//!   `{"count", "sum", "quantiles": {"0.5": x, …}}`: running totals, stored as they are.
//! - `timestamp`: milliseconds, or RFC 3339; the server's clock by default.
//!
//! Increments and observations are marked in [`Decoded::deltas`]. A refusal's index is the item's place, its
//! field the member at fault. Items are read one by one, so memory stays that of the largest.

mod item; // one metric to series
mod total; // histograms and summaries given as totals

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::{DecodeError, Decoded};

/// What the decoder needs to know beside the body.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The server's clock when the request came, milliseconds.
    pub received_at_ms: i64,
    /// How far ahead of it a timestamp may be, milliseconds.
    pub future_ms_max: i64,
    /// Tags that every metric gets unless it has its own.
    pub default_tags: Vec<(String, String)>,
}

/// A batch as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The readable items.
    pub decoded: Decoded,
    /// Items in all, refused ones included.
    pub items: usize,
    /// Whether one refusal must refuse everything.
    pub transaction: bool,
}

/// Decodes a batch.
pub fn decode(body: &[u8], context: &Context) -> Result<Request, DecodeError> {
    let mut request = Request::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let batch = Batch { request: &mut request, context };
    json.deserialize_any(batch).and_then(|()| json.end()).map_err(malformed)?;
    Ok(request)
}

/// Decodes one metric that is not in a list.
pub fn decode_one(body: &[u8], context: &Context) -> Result<Decoded, DecodeError> {
    let item: Value = serde_json::from_slice(body).map_err(malformed)?;
    let mut decoded = Decoded::default();
    item::push(&mut decoded, 0, &item, context);
    Ok(decoded)
}

fn malformed(error: serde_json::Error) -> DecodeError {
    DecodeError::Malformed(format!("not a batch of metrics in JSON: {error}"))
}

/// Either form of a batch.
struct Batch<'r> {
    request: &'r mut Request,
    context: &'r Context,
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"metrics\": [...]} or a list of metrics")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Value>()? {
            item::push(&mut self.request.decoded, self.request.items, &item, self.context);
            self.request.items += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metrics" => {
                    found = true;
                    map.next_value_seed(List { request: self.request, context: self.context })?;
                }
                "transaction" => self.request.transaction = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if found { Ok(()) } else { Err(serde::de::Error::missing_field("metrics")) }
    }
}

/// The list inside the object, which must be one.
struct List<'r> {
    request: &'r mut Request,
    context: &'r Context,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(Batch { request: self.request, context: self.context })
    }
}
