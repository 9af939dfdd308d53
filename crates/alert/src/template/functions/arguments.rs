//! Arguments by type.

use std::sync::Arc;

use jiff::Zoned;

use super::super::error::Fault;
use super::super::value::{List, ListKind, Value};

/// Takes arguments by place; a wrong type is an error with both types.
#[derive(Clone, Copy)]
pub(in super::super) struct Arguments<'a>(pub(in super::super) &'a [Value]);

impl<'a> Arguments<'a> {
    /// The arity is checked before a function runs, so the place exists.
    pub(in super::super) fn any(self, i: usize) -> &'a Value {
        &self.0[i]
    }

    pub(in super::super) fn text(self, i: usize) -> Result<&'a Arc<str>, Fault> {
        match &self.0[i] {
            Value::Str(text) => Ok(text),
            other => Err(wrong("string", other)),
        }
    }

    pub(in super::super) fn strings(self, i: usize) -> Result<Vec<&'a str>, Fault> {
        match &self.0[i] {
            Value::List(list) if list.kind == ListKind::Strings => Ok(list
                .items
                .iter()
                .filter_map(|v| if let Value::Str(s) = v { Some(&**s) } else { None })
                .collect()),
            other => Err(wrong("[]string", other)),
        }
    }

    pub(in super::super) fn list(self, i: usize, kind: ListKind, name: &str) -> Result<&'a Arc<List>, Fault> {
        match &self.0[i] {
            Value::List(list) if list.kind == kind => Ok(list),
            other => Err(wrong(name, other)),
        }
    }

    pub(in super::super) fn time(self, i: usize) -> Result<&'a Zoned, Fault> {
        match &self.0[i] {
            Value::Time(at) => Ok(at),
            other => Err(wrong("time.Time", other)),
        }
    }

    /// Nanoseconds. A whole number is one too, as a constant is in Go.
    pub(in super::super) fn duration(self, i: usize) -> Result<i64, Fault> {
        match &self.0[i] {
            Value::Duration(nanoseconds) | Value::Int(nanoseconds) => Ok(*nanoseconds),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < i64::MAX as f64 => Ok(*value as i64),
            other => Err(wrong("time.Duration", other)),
        }
    }

    pub(in super::super) fn int(self, i: usize) -> Result<i64, Fault> {
        match &self.0[i] {
            Value::Int(value) => Ok(*value),
            other => Err(wrong("int", other)),
        }
    }

    /// What Prometheus turns into a number: numbers, texts of numbers, spans of time as seconds.
    pub(in super::super) fn number(self, i: usize) -> Result<f64, Fault> {
        match &self.0[i] {
            Value::Float(value) => Ok(*value),
            Value::Int(value) => Ok(*value as f64),
            Value::Duration(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
            Value::Str(text) => text.parse().map_err(|_| format!("parsing {text:?}: invalid syntax").into()),
            other => Err(format!("can't convert {} to float", other.type_name()).into()),
        }
    }
}

fn wrong(expected: &str, value: &Value) -> Fault {
    match value {
        Value::Nil => format!("invalid value; expected {expected}").into(),
        other => format!("wrong type for value; expected {expected}; got {}", other.type_name()).into(),
    }
}
