//! Items of a request: a record, span or point that cannot be read is refused alone.
//!
//! A request is read in one go, and a second time item by item only where the first reading failed, so that what
//! every sender sends is scanned once.

use std::marker::PhantomData;

use model::Reason;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::DecodeError;
use crate::otlp::sink::BadItem;

/// How items of a request are read. (Serde's derive knows no constant parameters.)
pub(in crate::otlp) trait Mode: Default {
    /// Each from its own text, so that what is wrong with one is no matter of its neighbours.
    const ALONE: bool;
}

/// With the request.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::otlp) struct Whole;

/// One by one.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::otlp) struct Alone;

impl Mode for Whole {
    const ALONE: bool = false;
}

impl Mode for Alone {
    const ALONE: bool = true;
}

/// An item as it was read, or why it could not be.
#[derive(Debug)]
pub(in crate::otlp) struct Item<T, M> {
    read: Result<T, Bad>,
    mode: PhantomData<M>,
}

#[derive(Debug)]
struct Bad {
    /// The field at fault.
    field: String,
    /// What was expected there.
    message: String,
}

impl<T, M> Item<T, M> {
    /// The item, or why it is refused.
    pub(in crate::otlp) fn get(&self) -> Result<&T, BadItem> {
        let bad = |Bad { field, message }: &Bad| {
            let (field, message) = (field.clone(), message.clone());
            BadItem { field, reason: Reason::InvalidValue, message }
        };
        self.read.as_ref().map_err(bad)
    }
}

impl<'de, T: Deserialize<'de>, M: Mode> Deserialize<'de> for Item<T, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mode = PhantomData;
        if !M::ALONE {
            return T::deserialize(deserializer).map(|item| Self { read: Ok(item), mode });
        }
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let mut one = serde_json::Deserializer::from_str(text);
        let read = serde_path_to_error::deserialize(&mut one)
            .map_err(|error| Bad { field: error.path().to_string(), message: error.inner().to_string() });
        Ok(Self { read, mode })
    }
}

/// Reads a request: `whole` in one go, or `alone` item by item, which are the same shape with items of either kind.
pub(in crate::otlp) fn read<'a, W: Deserialize<'a>, A: Deserialize<'a>, T>(
    body: &'a [u8],
    whole: impl FnOnce(W) -> Result<T, DecodeError>,
    alone: impl FnOnce(A) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    super::check(body)?;
    let malformed = |error| DecodeError::Malformed(format!("not OTLP/JSON: {error}"));
    match serde_json::from_slice(body) {
        Ok(request) => whole(request),
        Err(error) if error.is_data() => alone(serde_json::from_slice(body).map_err(malformed)?),
        Err(error) => Err(malformed(error)),
    }
}
