//! Equality and order, by the rules of Go's templates: whole numbers and floats do not compare.

use super::super::error::Fault;
use super::super::value::Value;

/// Whether the first is equal to any of the others.
pub(super) fn eq(values: &[Value]) -> Result<bool, Fault> {
    let (first, others) = values.split_first().expect("the arity is checked");
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Value, b: &Value) -> Result<bool, Fault> {
    Ok(match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Nil, _) | (_, Value::Nil) => false,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a) | Value::Safe(_, a), Value::Str(b) | Value::Safe(_, b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::List(_) | Value::Map(_) | Value::Object(_), _)
        | (_, Value::List(_) | Value::Map(_) | Value::Object(_)) => {
            return Err(format!("non-comparable types {}, {}", a.type_name(), b.type_name()).into());
        }
        _ => return Err("incompatible types for comparison".into()),
    })
}

/// Whether the first comes before the second.
pub(super) fn less(a: &Value, b: &Value) -> Result<bool, Fault> {
    Ok(match (a, b) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => a < b,
        (Value::Float(a), Value::Float(b)) => a < b,
        (Value::Str(a) | Value::Safe(_, a), Value::Str(b) | Value::Safe(_, b)) => a < b,
        (a, b) if ordered(a) && ordered(b) => return Err("incompatible types for comparison".into()),
        _ => return Err("invalid type for comparison".into()),
    })
}

fn ordered(value: &Value) -> bool {
    matches!(
        value,
        Value::Bool(_)
            | Value::Int(_)
            | Value::Duration(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::Safe(..)
    )
}
