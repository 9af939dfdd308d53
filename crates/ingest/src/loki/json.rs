//! `{"streams":[{"stream":{…},"values":[[time,line,{…}?]]}]}`, and the first generation's
//! `{"streams":[{"labels":"{…}","entries":[{"ts","line"}]}]}`. Entries are read one by one.

use std::borrow::Cow;
use std::fmt;

use model::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{Push, labels};
use crate::DecodeError;
use crate::decoded::shown;
use crate::records::{Context, DecodedRecords, ns_of_rfc3339};

/// Decodes a decompressed body.
pub(super) fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let mut push = Push::new(context);
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Request(&mut push).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| DecodeError::Malformed(format!("not a push of Loki in JSON: {error}")))?;
    Ok(push.decoded)
}

/// The request.
struct Request<'p, 'c>(&'p mut Push<'c>);
/// Its list of streams.
struct Streams<'p, 'c>(&'p mut Push<'c>);
/// One of them.
struct Stream<'p, 'c>(&'p mut Push<'c>);
/// The entries of a stream.
struct Entries<'p, 'c>(&'p mut Push<'c>);

/// Implements the seed of a visitor by the method that its form asks for.
macro_rules! seed {
    ($name:ident, $method:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, '_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.$method(self)
            }
        }
    };
}

seed!(Request, deserialize_map);
seed!(Streams, deserialize_seq);
seed!(Stream, deserialize_map);
seed!(Entries, deserialize_seq);

impl<'de> Visitor<'de> for Request<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"streams\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key == "streams" {
                found = true;
                map.next_value_seed(Streams(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("streams")) }
    }
}

impl<'de> Visitor<'de> for Streams<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of streams")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut streams: A) -> Result<(), A::Error> {
        while streams.next_element_seed(Stream(self.0))?.is_some() {}
        Ok(())
    }
}

impl<'de> Visitor<'de> for Stream<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"stream\" and \"values\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(push) = self;
        let mut given = None;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "stream" => given = Some(("stream", map.next_value::<Json>()?)),
                "labels" => given = Some(("labels", map.next_value()?)),
                "values" | "entries" => map.next_value_seed(Entries(push))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let (field, given) = given.unwrap_or(("stream", Json::Null));
        let first_attr = push.records().attrs.len() as u32;
        match push_labels(push, &given) {
            Ok(()) => push.end_stream(first_attr),
            Err(message) => {
                push.records().attrs.truncate(first_attr as usize);
                push.refuse_stream(field, message);
            }
        }
        Ok(())
    }
}

fn push_labels(push: &mut Push<'_>, given: &Json) -> Result<(), String> {
    let labels = match given {
        Json::Object(labels) => labels,
        Json::String(text) => return labels::push(push.records(), text),
        other => return Err(format!("{} is not an object of labels", brief(other))),
    };
    for (name, value) in labels {
        let Some(value) = scalar(value) else {
            let (name, value) = (shown(name.as_bytes()), brief(value));
            return Err(format!("label {name} must be a text but is {value}"));
        };
        let value = Value::Text(push.records().push_text(&*value));
        push.records().push_attr(name, value);
    }
    Ok(())
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self(push) = self;
        while let Some(entry) = entries.next_element::<Json>()? {
            let first_attr = push.records().attrs.len() as u32;
            match push_entry(push, &entry, first_attr) {
                Ok(()) => {}
                Err((field, message)) => push.refuse_entry(field, message, first_attr),
            }
        }
        Ok(())
    }
}

fn push_entry(push: &mut Push<'_>, entry: &Json, first_attr: u32) -> Result<(), (&'static str, String)> {
    let (field, time, line, metadata) = match entry {
        Json::Array(entry) => match entry.as_slice() {
            [time, line] => ("values", time, line, &Json::Null),
            [time, line, metadata] => ("values", time, line, metadata),
            _ => return Err(("values", "an entry is [\"<nanoseconds>\", \"<line>\", {metadata}?]".into())),
        },
        Json::Object(entry) => {
            let of = |name: &str| entry.get(name).unwrap_or(&Json::Null);
            let time = entry.get("ts").unwrap_or_else(|| of("timestamp"));
            ("entries", time, of("line"), of("structuredMetadata"))
        }
        other => return Err(("values", format!("{} is not an entry", brief(other)))),
    };
    let time_ns = time_ns(time)
        .ok_or_else(|| (field, format!("time {} must be nanoseconds since 1970 as a text", brief(time))))?;
    let Json::String(line) = line else {
        return Err((field, format!("line {} must be a text", brief(line))));
    };
    match metadata {
        Json::Null => {}
        Json::Object(metadata) => {
            for (name, value) in metadata {
                let Some(value) = scalar(value) else {
                    let (name, value) = (shown(name.as_bytes()), brief(value));
                    return Err((field, format!("metadata {name} must be a text but is {value}")));
                };
                let value = Value::Text(push.records().push_text(&*value));
                push.records().push_attr(name, value);
            }
        }
        other => return Err((field, format!("metadata {} must be an object of texts", brief(other)))),
    }
    let line = push.records().push_text(line);
    push.entry(time_ns, line, first_attr);
    Ok(())
}

/// Nanoseconds as text or number, or the first generation's RFC 3339.
fn time_ns(time: &Json) -> Option<i64> {
    match time {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.parse().ok().or_else(|| ns_of_rfc3339(text)),
        _ => None,
    }
}

/// A text; other senders' numbers and booleans by the text that shows them.
fn scalar(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::String(text) => Some(text.as_str().into()),
        Json::Number(number) => Some(number.to_string().into()),
        Json::Bool(flag) => Some(flag.to_string().into()),
        _ => None,
    }
}

/// A value for a message.
fn brief(value: &Json) -> String {
    match value {
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "an object".into(),
        Json::String(text) => shown(text.as_bytes()),
        other => other.to_string(),
    }
}
