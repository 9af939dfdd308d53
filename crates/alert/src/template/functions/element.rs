//! How much is in a value, and parts of it.

use std::sync::Arc;

use super::super::error::Fault;
use super::super::value::{List, Value};

pub(super) fn len(value: &Value) -> Result<Value, Fault> {
    let count = match value {
        Value::Str(text) | Value::Safe(_, text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::Int(count as i64))
}

/// `index x 1 "a"` is x[1]["a"].
pub(super) fn index(arguments: &[Value]) -> Result<Value, Fault> {
    let (first, indexes) = arguments.split_first().expect("the arity is checked");
    let mut item = first.clone();
    if item == Value::Nil && !indexes.is_empty() {
        return Err("index of untyped nil".into());
    }
    for index in indexes {
        item = match &item {
            Value::Str(text) => {
                let place = place(index, text.len(), false)?;
                Value::Int(i64::from(text.as_bytes()[place]))
            }
            Value::List(list) => list.items[place(index, list.items.len(), false)?].clone(),
            Value::Map(map) => match index {
                Value::Str(key) => map.get(key),
                Value::Nil => return Err("value is nil; should be string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name()).into()),
            },
            Value::Nil => return Err("index of nil pointer".into()),
            other => return Err(format!("can't index item of type {}", other.type_name()).into()),
        };
    }
    Ok(item)
}

/// `slice x 1 2` is x[1:2]; a third index bounds what Go calls capacity and changes nothing here.
pub(super) fn slice(arguments: &[Value]) -> Result<Value, Fault> {
    let (item, indexes) = arguments.split_first().expect("the arity is checked");
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let length = match item {
        Value::Str(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Str(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Nil => return Err("slice of untyped nil".into()),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = place(index, length, true)?;
    }
    let [from, to, capacity] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}").into());
    }
    if to > capacity {
        return Err(format!("invalid slice index: {to} > {capacity}").into());
    }
    Ok(match item {
        Value::List(list) => Value::List(Arc::new(List::new(list.kind, list.items[from..to].to_vec()))),
        Value::Str(text) => String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned().into(),
        other => other.clone(),
    })
}

fn place(index: &Value, length: usize, end_included: bool) -> Result<usize, Fault> {
    let Value::Int(index) = index else {
        return Err(match index {
            Value::Nil => "cannot index slice/array with nil".into(),
            other => format!("cannot index slice/array with type {}", other.type_name()).into(),
        });
    };
    usize::try_from(*index)
        .ok()
        .filter(|i| *i < length || (end_included && *i == length))
        .ok_or_else(|| format!("index out of range: {index}").into())
}
