//! Rows as people write them, and predicates evaluated on them the plain way.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use model::record::log;
use model::{Field, Order, Predicate, Records, Scalar, Signal, Test, TextMatch, Value};
use serde_json::{Map, Value as Json};

use crate::rows::ValueKind;
use crate::rows::value::{Number, Val, hex};

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attr {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Json(String),
}

/// A log record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) t_ns: i64,
    pub(crate) severity: Option<i64>,
    pub(crate) body: Option<String>,
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) attributes: BTreeMap<String, Attr>,
    pub(crate) resource: BTreeMap<String, Attr>,
}

impl Attr {
    fn of_json(json: &Json) -> Self {
        match json {
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(n) => {
                n.as_i64().map_or_else(|| Self::Double(n.as_f64().expect("number")), Self::Int)
            }
            Json::String(text) => Self::Text(text.clone()),
            other => Self::Json(other.to_string()),
        }
    }

    fn val(&self) -> Val<'_> {
        match self {
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(value) => Val::Int(*value),
            Self::Double(value) => Val::Double(*value),
            Self::Text(text) => Val::Text(text.as_str().into()),
            Self::Json(text) => Val::Json(text.as_str().into()),
        }
    }
}

impl Row {
    /// The value of a field.
    pub(crate) fn get(&self, field: &Field) -> Option<Val<'_>> {
        match field {
            Field::Fixed(at) => match usize::from(*at) {
                log::TIMESTAMP => Some(Val::Int(self.t_ns)),
                log::SEVERITY_NUMBER => self.severity.map(Val::Int),
                log::BODY => self.body.as_deref().map(|text| Val::Text(text.into())),
                log::TRACE_ID => self.trace_id.as_ref().map(|id| Val::Id(id)),
                _ => None,
            },
            Field::Key(key) => {
                self.attributes.get(&**key).or_else(|| self.resource.get(&**key)).map(Attr::val)
            }
            Field::Record(key) => self.attributes.get(&**key).map(Attr::val),
            Field::Resource(key) => self.resource.get(&**key).map(Attr::val),
        }
    }

    /// Time, body, attributes and resource as [`super::shown`] reads them.
    pub(crate) fn shown(&self) -> (i64, String, String, String) {
        let object = |attrs: &BTreeMap<String, Attr>| {
            let members = attrs.iter().map(|(key, value)| {
                let value = match value.val() {
                    Val::Text(text) => Json::from(&*text).to_string(),
                    Val::Double(double) if !double.is_finite() => {
                        Json::from(&*value.val().shown()).to_string()
                    }
                    value => value.shown().into_owned(),
                };
                format!("{}:{value}", Json::from(key.as_str()))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let body = self.body.clone().unwrap_or_else(|| "null".into());
        (self.t_ns, body, object(&self.attributes), object(&self.resource))
    }
}

/// Rows from JSON: `{"t":…,"body":…,"attributes":{…},"resource":{…}}`.
pub(crate) fn rows_of(lines: &[&str]) -> Vec<Row> {
    let row = |line: &&str| {
        let json: Json = serde_json::from_str(line).expect("JSON");
        let object = |name: &str| {
            let object = json.get(name).and_then(Json::as_object).cloned().unwrap_or_else(Map::new);
            object.iter().map(|(key, value)| (key.clone(), Attr::of_json(value))).collect()
        };
        Row {
            t_ns: json["t"].as_i64().expect("time"),
            body: json["body"].as_str().map(String::from),
            attributes: object("attributes"),
            resource: object("resource"),
            ..Row::default()
        }
    };
    lines.iter().map(row).collect()
}

/// The rows as decoders make them.
pub(crate) fn records_of(rows: &[Row]) -> Records {
    let mut records = Records::new(Signal::Logs);
    for (at, row) in rows.iter().enumerate() {
        let first = records.attrs.len() as u32;
        push_attrs(&mut records, &row.resource);
        let resource = records.end_resource(first);
        let first = records.attrs.len() as u32;
        push_attrs(&mut records, &row.attributes);
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(row.t_ns);
        if let Some(severity) = row.severity {
            fields[log::SEVERITY_NUMBER] = Value::Int(severity);
        }
        if let Some(body) = &row.body {
            fields[log::BODY] = Value::Text(records.push_text(body));
        }
        if let Some(id) = &row.trace_id {
            fields[log::TRACE_ID] = Value::Bytes(records.push_text(id));
        }
        records.push_row(at as u32, resource, first, &fields);
    }
    records
}

fn push_attrs(records: &mut Records, attrs: &BTreeMap<String, Attr>) {
    for (key, value) in attrs {
        let value = match value {
            Attr::Bool(value) => Value::Bool(*value),
            Attr::Int(value) => Value::Int(*value),
            Attr::Double(value) => Value::Double(*value),
            Attr::Text(text) => Value::Text(records.push_text(text)),
            Attr::Json(text) => Value::Json(records.push_text(text)),
        };
        records.push_attr(key, value);
    }
}

/// True when a row's time is inside a range.
pub(crate) fn is_inside(range: (i64, i64), row: &Row) -> bool {
    range.0 <= row.t_ns && (row.t_ns < range.1 || range.1 == i64::MAX)
}

/// True when a predicate accepts a row.
pub(crate) fn accepts(predicate: &Predicate, row: &Row) -> bool {
    match predicate {
        Predicate::All(parts) => parts.iter().all(|part| accepts(part, row)),
        Predicate::Any(parts) => parts.iter().any(|part| accepts(part, row)),
        Predicate::Not(part) => !accepts(part, row),
        Predicate::Test(field, test) => row.get(field).is_some_and(|value| passes(test, &value)),
    }
}

fn passes(test: &Test, value: &Val<'_>) -> bool {
    match test {
        Test::Exists => true,
        Test::OneOf(wanted) => {
            wanted.iter().any(|wanted| passes(&Test::Compare(Order::Equal, wanted.clone()), value))
        }
        Test::Compare(order, wanted) => {
            let found = compare(value, wanted);
            match order {
                Order::Equal => found == Some(Ordering::Equal),
                Order::Less => found == Some(Ordering::Less),
                Order::LessOrEqual => matches!(found, Some(Ordering::Less | Ordering::Equal)),
                Order::Greater => found == Some(Ordering::Greater),
                Order::GreaterOrEqual => matches!(found, Some(Ordering::Greater | Ordering::Equal)),
            }
        }
        Test::Text { how, text, ignore_case } => {
            let shown = value.shown().into_owned();
            let lowered = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
            if *how == TextMatch::Regex {
                let flag = if *ignore_case { "(?i)" } else { "" };
                return regex::Regex::new(&format!("{flag}(?:{text})")).expect("valid").is_match(&shown);
            }
            let (shown, text) =
                if *ignore_case { (lowered(&shown), lowered(text)) } else { (shown, text.to_string()) };
            match how {
                TextMatch::Equals => shown == text,
                TextMatch::StartsWith => shown.starts_with(&text),
                TextMatch::Contains => shown.contains(&text),
                TextMatch::Phrase => has_phrase(&shown, &text, true),
                TextMatch::PhrasePrefix => has_phrase(&shown, &text, false),
                TextMatch::Regex => unreachable!("answered above"),
            }
        }
    }
}

fn has_phrase(text: &str, phrase: &str, ends: bool) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_alphanumeric());
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let mut starts = starts.filter(|at| text[*at..].starts_with(phrase));
    starts.any(|at| {
        let (before, behind) = (&text[..at], &text[at + phrase.len()..]);
        let joined_before = is_word(phrase.chars().next()) && is_word(before.chars().next_back());
        let joined_behind = is_word(phrase.chars().next_back()) && is_word(behind.chars().next());
        !(joined_before || ends && joined_behind)
    })
}

fn number(value: &Val<'_>) -> Option<f64> {
    match value {
        Val::Int(value) => Some(*value as f64),
        Val::Double(value) => Some(*value),
        Val::Text(text) => text.parse().ok().filter(|number: &f64| {
            number.is_finite() && !text.starts_with(|c: char| c.is_ascii_alphabetic())
        }),
        _ => None,
    }
}

/// The tests' numbers are small, so that doubles hold them.
fn compare(value: &Val<'_>, wanted: &Scalar) -> Option<Ordering> {
    match wanted {
        Scalar::Int(wanted) => number(value)?.partial_cmp(&(*wanted as f64)),
        Scalar::Double(wanted) => number(value)?.partial_cmp(wanted),
        Scalar::Bool(wanted) => match value {
            Val::Bool(value) => Some(value.cmp(wanted)),
            Val::Text(text) => Some(text.parse::<bool>().ok()?.cmp(wanted)),
            _ => None,
        },
        Scalar::Text(wanted) => Some(value.shown().as_bytes().cmp(wanted.as_bytes())),
        Scalar::Bytes(wanted) => match value {
            Val::Id(_) | Val::Text(_) => Some(value.shown().into_owned().cmp(&hex(wanted))),
            _ => None,
        },
    }
}

/// A value as another kind, if it can be.
pub(crate) fn as_kind<'a>(value: &Val<'a>, kind: ValueKind) -> Option<Val<'a>> {
    match kind {
        ValueKind::Bool => value.truth().map(Val::Bool),
        ValueKind::Int => value.number().and_then(Number::int).map(Val::Int),
        ValueKind::Double => number(value).map(Val::Double),
        ValueKind::Text => Some(Val::Text(Cow::Owned(value.shown().into_owned()))),
        ValueKind::Json => {
            let json = match value {
                Val::Bool(_) | Val::Int(_) | Val::Json(_) => value.shown().into_owned(),
                Val::Double(double) if double.is_finite() => value.shown().into_owned(),
                other => Json::from(&*other.shown()).to_string(),
            };
            Some(Val::Json(Cow::Owned(json)))
        }
    }
}
