//! What a field's name stands for in each table.

use std::sync::Arc;

use model::record::{check, event, log, span};
use model::{Field, FixedKind, Signal, record};

use super::ast::{Name, Scope};

/// A field, and how its values are written.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) field: Field,
    pub(super) kind: Kind,
}

/// How values of a field are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts and numbers, as they look.
    Any,
    /// A text, numbers included.
    Text,
    /// A long text, in which words are looked for.
    Message,
    /// A number.
    Number,
    /// The name of a severity.
    Level,
    /// A time.
    Time,
    /// A length of time.
    Duration,
    /// An identifier of so many bytes.
    Id(usize),
    /// One of these words.
    OneOf(&'static [&'static str], &'static str),
}

const STATUSES: &[&str] = &["unset", "ok", "error"];
const SPAN_KINDS: &[&str] = &["unspecified", "internal", "server", "client", "producer", "consumer"];

/// The column in which words without a field's name are looked for.
pub(super) fn message_of(signal: Signal) -> Field {
    Field::Fixed(match signal {
        Signal::Logs => log::BODY,
        Signal::Traces => span::NAME,
        Signal::Checks => check::MESSAGE,
        _ => event::NAME,
    } as u8)
}

/// What a name stands for.
pub(super) fn resolve(name: &Name, signal: Signal) -> Target {
    let key = || Arc::<str>::from(name.key.as_str());
    let any = |field| Target { field, kind: Kind::Any };
    match name.scope {
        Scope::Record => any(Field::Record(key())),
        Scope::Resource => any(Field::Resource(key())),
        Scope::Key => any(Field::Key(key())),
        Scope::Word => known(&name.key, signal).unwrap_or_else(|| any(Field::Key(key()))),
    }
}

fn known(name: &str, signal: Signal) -> Option<Target> {
    if name == "service" {
        return Some(Target { field: Field::Key("service.name".into()), kind: Kind::Text });
    }
    let position = alias(name, signal)
        .or_else(|| record::columns(signal).iter().position(|column| column.name == name))?;
    let column = record::columns(signal).get(position)?;
    let kind = match (signal, position) {
        (Signal::Logs, log::SEVERITY_NUMBER) if name != column.name => Kind::Level,
        (Signal::Logs, log::BODY) => Kind::Message,
        (Signal::Traces, span::DURATION) => Kind::Duration,
        (Signal::Traces, span::STATUS_CODE) => {
            Kind::OneOf(STATUSES, "for a code such as 500 write http.response.status_code:500")
        }
        (Signal::Traces, span::KIND) => Kind::OneOf(SPAN_KINDS, "write one of them"),
        _ => match column.kind {
            FixedKind::Timestamp => Kind::Time,
            FixedKind::Int | FixedKind::Double => Kind::Number,
            FixedKind::Text | FixedKind::Json => Kind::Text,
            FixedKind::TraceId => Kind::Id(16),
            FixedKind::SpanId => Kind::Id(8),
        },
    };
    Some(Target { field: Field::Fixed(position as u8), kind })
}

/// What the name of a label stands for in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// An attribute of that key.
    Key,
    /// This field, whose values read as texts.
    Field(Field),
    /// A field whose values are shown in other words than they are stored.
    NoText,
}

/// What the name of a label stands for: a field by the names that a search uses, or an attribute.
pub(crate) fn label(name: &str, signal: Signal) -> Label {
    match known(name, signal) {
        None => Label::Key,
        Some(Target { field, kind: Kind::Text | Kind::Message | Kind::OneOf(..) | Kind::Any }) => {
            Label::Field(field)
        }
        Some(_) => Label::NoText,
    }
}

/// Other names of fixed columns.
fn alias(name: &str, signal: Signal) -> Option<usize> {
    Some(match (signal, name) {
        (Signal::Logs, "level" | "severity") => log::SEVERITY_NUMBER,
        (Signal::Logs, "message" | "msg") => log::BODY,
        (Signal::Logs, "trace") => log::TRACE_ID,
        (Signal::Logs, "span") => log::SPAN_ID,
        (Signal::Logs, "time") => log::TIMESTAMP,
        (Signal::Traces, "operation") => span::NAME,
        (Signal::Traces, "status") => span::STATUS_CODE,
        (Signal::Traces, "trace") => span::TRACE_ID,
        (Signal::Traces, "span") => span::SPAN_ID,
        (Signal::Traces, "parent") => span::PARENT_SPAN_ID,
        (Signal::Traces, "timestamp" | "time") => span::START,
        (Signal::Events, "time") => event::TIMESTAMP,
        (Signal::Events, "user") => event::USER_ID,
        (Signal::Events, "team") => event::TEAM_ID,
        (Signal::Events, "project") => event::PROJECT_ID,
        (Signal::Events, "session") => event::SESSION_ID,
        (Signal::Checks, "time") => check::TIMESTAMP,
        (Signal::Checks, "check") => check::NAME,
        _ => return None,
    })
}
