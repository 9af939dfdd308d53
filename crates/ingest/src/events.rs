//! Our own `POST /api/v1/monitoring/events`: one event, a list of them, or `{"events":[…]}`.
//!
//! An event is `{"name", "timestamp"?, "kind"?, "user_id"?, "team_id"?, "project_id"?, "session_id"?, "value"?,
//! "service"?, "attributes"?}`, in either spelling of its names (`user_id`, `userId`). `kind` is `deploy`,
//! `business` (the default), `user`, `command` or `config`. Any other member is an attribute.
//!
//! A command that was executed may give its name as `command` and its time as `started_at`; its kind is then
//! `command`, and `duration_ms`, unless there is a `value`, is also its value.

use std::collections::HashMap;
use std::fmt;

use model::record::event;
use model::{Reason, Records, Refusal, Refusals, Signal, Value};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use crate::DecodeError;
use crate::decoded::shown;
use crate::json_rows::{Fault, ns_of_json};
use crate::records::{Context, DecodedRecords, push_json_attrs, value_of_json};

const KINDS: [&str; 5] = ["deploy", "business", "user", "command", "config"];

/// Columns of texts with the names of their members.
const TEXTS: [(usize, [&str; 2]); 4] = [
    (event::USER_ID, ["user_id", "userId"]),
    (event::TEAM_ID, ["team_id", "teamId"]),
    (event::PROJECT_ID, ["project_id", "projectId"]),
    (event::SESSION_ID, ["session_id", "sessionId"]),
];
const TIMES: [&str; 3] = ["timestamp", "started_at", "startedAt"];
const DURATIONS: [&str; 2] = ["duration_ms", "durationMs"];

/// Decodes a body. A bad event costs itself.
pub fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let mut rows = Rows {
        decoded: DecodedRecords { records: Records::new(Signal::Events), refusals: Refusals::default() },
        context,
        services: HashMap::new(),
        events: 0,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_any(Body(&mut rows)).and_then(|()| json.end());
    read.map_err(|error| DecodeError::Malformed(format!("not a batch of events in JSON: {error}")))?;
    Ok(rows.decoded)
}

/// Fills rows from events.
struct Rows<'c> {
    decoded: DecodedRecords,
    context: &'c Context,
    /// Resources by the service that they name.
    services: HashMap<String, u32>,
    /// Events so far, refused ones included.
    events: u32,
}

impl Rows<'_> {
    fn push(&mut self, event: Json) {
        let index = self.events;
        self.events += 1;
        if let Err((field, reason, message)) = self.try_push(index, event) {
            let index = index as usize;
            self.decoded.refusals.push(Refusal { index, field: field.into(), reason, message, items: 1 });
        }
    }

    fn try_push(&mut self, index: u32, event: Json) -> Result<(), Fault> {
        let Json::Object(mut event) = event else {
            return Err(("events", Reason::Malformed, "an event is an object with a name".into()));
        };
        let time_ns = take_time(&mut event)?.unwrap_or(self.context.received_at_ns);
        let kind = kind(&mut event)?;
        let name = take_name(&mut event, kind)?;
        let value = value(&mut event)?;
        let resource = self.resource(&mut event)?;
        let records = &mut self.decoded.records;
        let mut fields = [Value::Null; 8];
        for (column, names) in TEXTS {
            if let Some(text) = take_text(&mut event, &names)? {
                fields[column] = Value::Text(records.push_text(text));
            }
        }
        let attributes = match event.remove("attributes") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(attributes)) => attributes,
            Some(other) => return Err(("attributes", Reason::InvalidValue, not(&other, "an object"))),
        };
        fields[event::TIMESTAMP] = Value::Int(time_ns);
        fields[event::NAME] = Value::Text(records.push_text(name));
        fields[event::KIND] = Value::Text(records.push_text(kind));
        fields[event::VALUE] = value.map_or(Value::Null, Value::Double);
        let first_attr = records.attrs.len() as u32;
        push_json_attrs(records, &attributes);
        push_json_attrs(records, &event);
        records.push_row(index, resource, first_attr, &fields);
        Ok(())
    }

    fn resource(&mut self, event: &mut Map<String, Json>) -> Result<u32, Fault> {
        let service = take_text(event, &["service.name", "service"])?.unwrap_or_default();
        if let Some(known) = self.services.get(&service) {
            return Ok(*known);
        }
        let records = &mut self.decoded.records;
        let first_attr = records.attrs.len() as u32;
        if !service.is_empty() {
            let name = value_of_json(records, &Json::from(service.as_str()));
            records.push_attr("service.name", name);
        }
        let resource = records.end_resource(first_attr);
        self.services.insert(service, resource);
        Ok(resource)
    }
}

/// Takes the first member of these names that is given; a null is none.
fn take(event: &mut Map<String, Json>, names: &[&'static str]) -> Option<(&'static str, Json)> {
    let name = *names.iter().find(|name| event.get(**name).is_some_and(|value| !value.is_null()))?;
    Some((name, event.remove(name)?))
}

fn take_time(event: &mut Map<String, Json>) -> Result<Option<i64>, Fault> {
    let Some((name, value)) = take(event, &TIMES) else { return Ok(None) };
    match ns_of_json(&value) {
        Some(time_ns) => Ok(Some(time_ns)),
        None => Err((name, Reason::InvalidValue, not(&value, "RFC 3339 or a number since 1970"))),
    }
}

fn kind(event: &mut Map<String, Json>) -> Result<&'static str, Fault> {
    let Some((_, given)) = take(event, &["kind"]) else {
        return Ok(if event.contains_key("command") { "command" } else { "business" });
    };
    let known = given.as_str().and_then(|given| KINDS.into_iter().find(|kind| *kind == given));
    known.ok_or_else(|| ("kind", Reason::InvalidValue, not(&given, &format!("one of {}", KINDS.join(", ")))))
}

fn take_name(event: &mut Map<String, Json>, kind: &str) -> Result<String, Fault> {
    let names: &[_] = if kind == "command" { &["name", "command"] } else { &["name"] };
    let name = take_text(event, names)?.filter(|name| !name.is_empty());
    name.ok_or_else(|| ("name", Reason::Malformed, "an event needs a name, which is a text".into()))
}

fn value(event: &mut Map<String, Json>) -> Result<Option<f64>, Fault> {
    if let Some((name, value)) = take(event, &["value"]) {
        let number = value.as_f64().filter(|number| number.is_finite());
        return match number {
            Some(number) => Ok(Some(number)),
            None => Err((name, Reason::InvalidValue, not(&value, "a finite number"))),
        };
    }
    Ok(DURATIONS.iter().find_map(|name| event.get(*name)?.as_f64()))
}

/// A text; numbers, which identifiers often are, by the text that shows them.
fn take_text(event: &mut Map<String, Json>, names: &[&'static str]) -> Result<Option<String>, Fault> {
    match take(event, names) {
        None => Ok(None),
        Some((_, Json::String(text))) => Ok(Some(text)),
        Some((_, Json::Number(number))) => Ok(Some(number.to_string())),
        Some((name, other)) => Err((name, Reason::InvalidValue, not(&other, "a text"))),
    }
}

fn not(value: &Json, wanted: &str) -> String {
    let value = match value {
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "an object".into(),
        Json::String(text) => shown(text.as_bytes()),
        other => other.to_string(),
    };
    format!("{value} is not {wanted}")
}

/// Any of the three forms. Events of a batch are read one by one.
struct Body<'r, 'c>(&'r mut Rows<'c>);

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, a list of events, or {\"events\": [...]}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while let Some(event) = events.next_element()? {
            self.0.push(event);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut single = Map::new();
        let mut batch = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "events" {
                batch = true;
                map.next_value_seed(List(self.0))?;
            } else {
                single.insert(key, map.next_value()?);
            }
        }
        if !batch {
            self.0.push(Json::Object(single));
        }
        Ok(())
    }
}

/// The list inside the object, which must be one.
struct List<'r, 'c>(&'r mut Rows<'c>);

impl<'de> serde::de::DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(Body(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing_rows::{refusals, rows};

    const CONTEXT: Context = Context { received_at_ns: 9 };

    fn decoded(body: &str) -> DecodedRecords {
        decode(body.as_bytes(), &CONTEXT).expect("JSON")
    }

    #[test]
    fn members_fill_their_columns_and_the_rest_are_attributes() {
        for (event, want) in [
            (r#"{"name":"signup"}"#, r#"timestamp=9 name="signup" kind="business""#),
            (
                r#"{"name":"deploy api","kind":"deploy","timestamp":"1970-01-01T00:00:01Z","user_id":"u","team_id":7,"project_id":"p","session_id":"s","value":1.5,"service":"api","attributes":{"version":"1.2","tags":["a"]},"extra":true}"#,
                r#"timestamp=1000000000 name="deploy api" kind="deploy" user_id="u" team_id="7" project_id="p" session_id="s" value=1.5 | tags=["a"] version="1.2" extra=true | service.name="api""#,
            ),
            (
                r#"{"command":"/build","startedAt":1700000000000,"duration_ms":250,"success":false,"error":"no","userId":"u","metadata":{"a":{"b":1}}}"#,
                r#"timestamp=1700000000000000000 name="/build" kind="command" user_id="u" value=250.0 | duration_ms=250 error="no" metadata={"a":{"b":1}} success=false"#,
            ),
            (
                r#"{"name":"x","command":"ls","kind":"user","value":null,"attributes":null}"#,
                r#"timestamp=9 name="x" kind="user" | command="ls""#,
            ),
        ] {
            assert_eq!(rows(&decoded(event)), [want], "{event}");
        }
    }

    #[test]
    fn one_event_a_list_and_an_object_with_a_list_are_read() {
        for (body, want) in [
            (r#"{"name":"a"}"#, 1),
            (r#"[{"name":"a"},{"name":"b"}]"#, 2),
            (r#"{"source":"x","events":[{"name":"a"},{"name":"b"}]}"#, 2),
            ("[]", 0),
        ] {
            assert_eq!(rows(&decoded(body)).len(), want, "{body}");
        }
        for body in ["", "3", r#"{"events":3}"#, r#"[{"name":"a"}"#, r#"[] x"#] {
            assert!(matches!(decode(body.as_bytes(), &CONTEXT), Err(DecodeError::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn a_bad_event_costs_itself_and_names_its_field() {
        for (bad, want) in [
            ("3", "1 events malformed 1"),
            ("{}", "1 name malformed 1"),
            (r#"{"name":""}"#, "1 name malformed 1"),
            (r#"{"name":["a"]}"#, "1 name invalid_value 1"),
            (r#"{"name":"a","kind":"other"}"#, "1 kind invalid_value 1"),
            (r#"{"name":"a","timestamp":"soon"}"#, "1 timestamp invalid_value 1"),
            (r#"{"name":"a","value":"1"}"#, "1 value invalid_value 1"),
            (r#"{"name":"a","user_id":{}}"#, "1 user_id invalid_value 1"),
            (r#"{"name":"a","attributes":[]}"#, "1 attributes invalid_value 1"),
        ] {
            let decoded = decoded(&format!(r#"[{{"name":"x"}},{bad},{{"name":"y"}}]"#));
            assert_eq!((refusals(&decoded), rows(&decoded).len()), (vec![want.to_owned()], 2), "{bad}");
        }
    }

    #[test]
    fn messages_name_value_and_remedy() {
        let decoded = decoded(r#"{"name":"a","kind":"other"}"#);
        let message = &decoded.refusals.detailed()[0].message;
        assert_eq!(message, "\"other\" is not one of deploy, business, user, command, config");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = decode(&body, &CONTEXT);
        }
    }
}
